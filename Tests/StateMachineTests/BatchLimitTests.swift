import Raft
import Testing
import Wire

@testable import StateMachine

/// What a limit decides follows from log and database, however entries were batched.
@Suite struct BatchLimitTests {
    private struct Run: Equatable {
        var outcomes: [StatementOutcome] = []
        var rows: [String] = []
    }

    private func command(_ text: String) -> Command {
        Command(kind: .execute, statements: [Statement(text)], stamp: stamp(LogIndex(7)))
    }

    /// Applies each text as an entry, behind a preparation of its own.
    private func run(
        _ texts: [String], after preparation: [String], under limits: WriteLimits, inOneBatch: Bool
    ) throws -> Run {
        let database = try Database(writes: limits)
        for text in preparation { try database.execute(text) }
        let first = database.applier.applied.position.index.rawValue + 1
        let entries = texts.enumerated().map { entry(LogIndex(first + UInt64($0)), command($1)) }
        var results: [AppliedEntry] = []
        for batch in inOneBatch ? [entries] : entries.map({ [$0] }) {
            try database.applier.apply(batch, reporting: { _ in true }, into: &results)
        }
        return Run(
            outcomes: results.compactMap { $0.result?.statements.first?.outcome },
            rows: try database.dump())
    }

    @Test func `A batch that meets the limit on growth says nothing of its requests`() throws {
        var limits = WriteLimits.initial
        limits.growth = 4 << 20
        let preparation = [
            "CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT)",
            // Then SQLite's words for the end of a sequence and for the limit are the same.
            "INSERT INTO s VALUES(9223372036854775807)",
            // With a constraint the statement alone is undone, and the batch's transaction stands.
            "CREATE TABLE t(k TEXT UNIQUE, v)",
        ]
        let texts = ["a", "b"].map {
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
            INSERT INTO t SELECT '\($0)' || i, hex(randomblob(450)) FROM n
            """
        }
        let singly = try run(texts, after: preparation, under: limits, inOneBatch: false)
        #expect(
            singly.outcomes == [
                .changed(lastInsertID: 3000, rowsAffected: 3000),
                .changed(lastInsertID: 6000, rowsAffected: 3000),
            ])
        #expect(
            try run(texts, after: preparation, under: limits, inOneBatch: true) == singly)
    }

    /// Alone each statement is charged for the journal that it begins, and just more than ten thousand
    /// steps. In a batch it finds the journal there, and stays below.
    @Test func `What a request may cost is not decided by what stood before it in a batch`() throws
    {
        var limits = WriteLimits.initial
        limits.steps = 1_000_000
        let preparation = [
            "CREATE TABLE t(a)", "CREATE TABLE big(a, b)",
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
            INSERT INTO big SELECT i, zeroblob(3000) FROM n
            """,
        ]
        let statement = """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 565)
            INSERT INTO t SELECT count(*) + length(hex(zeroblob(30000))) FROM n;

            """
        let texts = ["UPDATE big SET a = a + 1", String(repeating: statement, count: 110)]
        let singly = try run(texts, after: preparation, under: limits, inOneBatch: false)
        let last = try #require(singly.outcomes.last)
        #expect("\(last)".contains("needs more than 1000000 steps"), "\(last)")
        #expect(
            try run(texts, after: preparation, under: limits, inOneBatch: true) == singly)
    }

    /// Else they would all be in memory until the last entry of the batch is applied.
    @Test(arguments: [false, true])
    func `A call that has gathered many rows hands them out, and the next goes on`(inUnits: Bool)
        throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        database.applier.avoidsSharedTransactions = inUnits
        database.applier.answerBytes = 1 << 20
        var markers: [LogIndex] = []
        database.applier.reachedMarker = { markers.append($0.position.index) }
        var entries = (2...7).map { number in
            entry(
                LogIndex(UInt64(number)),
                Command(
                    kind: .request,
                    statements: [
                        Statement(
                            "INSERT INTO t VALUES(\(number)) RETURNING a, hex(zeroblob(400000))")
                    ]))
        }
        entries.append(
            Entry(
                index: LogIndex(8), term: Term(1),
                payload: .command(
                    LogCommand.checksum(ChecksumMarker()).encoded())))
        var ends: [UInt64] = []
        var results: [AppliedEntry] = []
        while database.applier.applied.position.index < LogIndex(8), ends.count < 9 {
            try database.applier.apply(entries, reporting: { _ in true }, into: &results)
            ends.append(database.applier.applied.position.index.rawValue)
        }
        #expect(ends == [3, 5, 7, 8])
        #expect(markers == [LogIndex(8)])
        #expect(results.map(\.index) == entries.map(\.index))
        #expect(try database.rows("SELECT count(*), sum(a) FROM t") == ["6|27"])
    }

    /// Each of them is far below the unit in which steps are counted.
    @Test func `Small statements add up, in a batch, unit by unit and over a restart`() throws {
        var limits = WriteLimits.initial
        limits.steps = 1_000_000
        let text = String(repeating: "INSERT INTO t VALUES(1);\n", count: 5000)
        let entries = [entry(LogIndex(2), command(text))]
        var counts: [[String]] = []
        for (inUnits, writes) in [(false, nil), (true, nil), (true, 900)] as [(Bool, Int64?)] {
            let database = try Database(writes: limits)
            try database.execute("CREATE TABLE t(a)")
            database.applier.avoidsSharedTransactions = inUnits
            var results: [AppliedEntry] = []
            if let writes {
                WriteFault.full(after: writes)
                defer { WriteFault.end() }
                #expect(throws: ApplyFault.diskFull) {
                    try database.applier.apply(entries, reporting: { _ in true }, into: &results)
                }
                WriteFault.end()
                #expect(database.applier.applied.progress != nil)
                database.applier = try Applier(path: database.applier.path)
            }
            try database.applier.apply(entries, reporting: { _ in true }, into: &results)
            let outcome = results.last?.result?.statements.last?.outcome ?? .empty
            #expect("\(outcome)".contains("needs more than 1000000 steps"), "\(outcome)")
            counts.append(try database.rows("SELECT count(*) FROM t"))
        }
        #expect(counts[0] == counts[1])
        #expect(counts[0] == counts[2])
    }

    @Test func `Each request of a batch may take half of the limit without being run again`()
        throws
    {
        var limits = WriteLimits.initial
        limits.steps = 1_000_000
        let count = """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15000)
            INSERT INTO t SELECT count(*) FROM n
            """
        var charges: [Int] = []
        for texts in [[count], [count, count, count, count]] {
            let database = try Database(writes: limits)
            try database.execute("CREATE TABLE t(a)")
            let before = database.applier.session.budget.charged
            var results: [AppliedEntry] = []
            let first = database.applier.applied.position.index.rawValue + 1
            try database.applier.apply(
                texts.enumerated().map { entry(LogIndex(first + UInt64($0)), command($1)) },
                reporting: { _ in true }, into: &results)
            charges.append(database.applier.session.budget.charged - before)
        }
        #expect((200_000..<500_000).contains(charges[0]))
        #expect((1..<5).contains(charges[1] / charges[0]), "\(charges)")
    }

    @Test func `A batch that a full disk undid leaves the limit on growth as it was`() throws {
        var limits = WriteLimits.initial
        limits.growth = 1 << 20
        let database = try Database(writes: limits)
        try database.execute("CREATE TABLE t(a)")
        func insert(_ count: Int) -> Command {
            command(
                """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
                INSERT INTO t SELECT zeroblob(100000) FROM n
                """)
        }
        // Behind a write with a key the room for the next one is measured, within the batch.
        var keyed = insert(8)
        keyed.key = RepeatKey("k", of: "", for: keyed)
        WriteFault.full(after: 0)
        defer { WriteFault.end() }
        #expect(throws: ApplyFault.diskFull) { try database.apply(keyed) }
        WriteFault.end()
        let outcome = try database.apply(insert(15)).statements.first?.outcome
        guard case .failed(let text)? = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        #expect(text.contains("the database would grow by more than 1048576 bytes"), "\(text)")
    }

    /// Where there is room it succeeds, and only what stands behind it has no steps left.
    @Test func `A full disk is no outcome though the statement has no steps left either`() throws {
        var limits = WriteLimits.initial
        limits.steps = WriteLimits.least.steps
        let database = try Database(writes: limits)
        database.applier.avoidsSharedTransactions = true
        try database.execute("CREATE TABLE t(a)")
        let texts = ["INSERT INTO t VALUES(zeroblob(100000000))", "INSERT INTO t VALUES(1)"]
        let insert = Command(
            kind: .execute, statements: texts.map { Statement($0) }, stamp: stamp(LogIndex(7)))
        WriteFault.full(after: 30_000)
        defer { WriteFault.end() }
        #expect(throws: ApplyFault.diskFull) { try database.apply(insert) }
        WriteFault.end()
        let outcomes = try database.apply(insert).statements.map(\.outcome)
        #expect(outcomes.first == .changed(lastInsertID: 1, rowsAffected: 1))
        #expect("\(outcomes)".contains("needs more than \(limits.steps) steps"), "\(outcomes)")
        #expect(try database.rows("SELECT count(*) FROM t") == ["1"])
    }

    /// Without room for one page more.
    private func fullDatabase(_ schema: String) throws -> Database {
        let database = try Database()
        try database.execute(
            "CREATE TABLE log(a)", "CREATE TABLE big(a)", schema,
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
            INSERT INTO big SELECT zeroblob(3000) FROM n
            """)
        var results: [AppliedEntry] = []
        try database.applier.apply(
            [
                Entry(
                    index: database.applier.applied.position.index.next, term: Term(1),
                    payload: .command(
                        LogCommand.limits(WriteLimitsChange(database: 1 << 20)).encoded()))
            ], reporting: { _ in true }, into: &results)
        return database
    }

    /// SQLite undoes the whole transaction when a page is missing where no statement has a journal: at a
    /// savepoint FTS5 writes what it has in memory, and a row of the schema may need a page.
    @Test(arguments: [
        [
            """
            INSERT INTO less(rowid, a) VALUES(1, (WITH RECURSIVE n(i) AS
            (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
            SELECT group_concat('word' || i, ' ') FROM n))
            """,
            "SAVEPOINT s",
        ],
        [
            "PRAGMA writable_schema=ON",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','f','f',0,'CREATE VIRTUAL TABLE f USING fts5(\(String(repeating: "c", count: 5000)))')",
        ],
    ])
    func `What stands behind the end of a transaction that SQLite undid is of none`(
        statements: [String]
    ) throws {
        let database = try fullDatabase("CREATE VIRTUAL TABLE less USING fts5(a, content='')")
        let texts =
            ["BEGIN", "INSERT INTO log VALUES('gone')"] + statements
            + ["INSERT INTO log VALUES('kept')", "COMMIT"]
        let index = database.applier.applied.position.index.next
        let outcomes = try database.apply(
            Command(
                kind: .execute, statements: texts.map { Statement($0) }, stamp: stamp(index))
        ).statements.map(\.outcome)
        guard outcomes.count == 6, case .failed = outcomes[3] else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(outcomes[4] == .changed(lastInsertID: 1, rowsAffected: 1))
        #expect(outcomes[5] == .failed("cannot commit - no transaction is active"))
        #expect(try database.rows("SELECT a FROM log") == ["kept"])
    }
}
