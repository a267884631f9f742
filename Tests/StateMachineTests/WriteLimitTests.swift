import CSQLite
import Chance
import Glibc
import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// A write beyond a limit that all nodes share ends as an error of that request, on every node, and
/// writing goes on.
@Suite struct WriteLimitTests {
    private static let mebibyte: UInt64 = 1 << 20

    private static func limits(_ change: WriteLimitsChange) -> WriteLimits {
        WriteLimits.initial.applying(change)
    }

    private static let flood = """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        INSERT INTO t SELECT hex(randomblob(400)) FROM n
        """

    private func expectOverLimit(_ outcome: StatementOutcome?, _ words: String) {
        guard case .failed(let text)? = outcome, text.contains(words) else {
            Issue.record("\(String(describing: outcome))")
            return
        }
    }

    private static let grown = "the database would grow by more than"
    private static let temporary = "bytes of temporary files"

    @Test(arguments: [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO t SELECT hex(randomblob(400)) FROM n",
        "INSERT INTO t SELECT a.a || b.a FROM t a, t b",
        "CREATE TABLE copy AS SELECT a.a || b.a AS x FROM t a, t b",
        "CREATE INDEX i ON big(a, a || '1', a || '2', a || '3', a || '4')",
        "UPDATE t SET a = a || hex(zeroblob(50000))",
        "INSERT INTO words SELECT hex(randomblob(1000)) || ' ' || hex(randomblob(1000)) FROM t a, t b",
    ])
    func
        `A statement that would make the database grow beyond the limit fails, and writing goes on`(
            sql: String
        ) throws
    {
        let database = try Database(
            writes: Self.limits(WriteLimitsChange(growth: 4 * Self.mebibyte)))
        try database.execute(
            "CREATE TABLE t(a)", "CREATE TABLE big(a)", "CREATE VIRTUAL TABLE words USING fts5(w)",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO t SELECT hex(randomblob(200)) FROM n",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO big SELECT hex(randomblob(600)) FROM n"
        )
        let before = try database.dump()
        expectOverLimit(try database.execute(sql).first, Self.grown)
        #expect(try database.dump() == before)
        #expect(
            try database.execute("INSERT INTO t VALUES(1)")
                == [.changed(lastInsertID: 201, rowsAffected: 1)])
    }

    @Test
    func
        `What is over the limit within a transaction undoes the statement or all of it as SQLite does`()
        throws
    {
        let database = try Database(
            writes: Self.limits(WriteLimitsChange(growth: 4 * Self.mebibyte)))
        try database.execute("CREATE TABLE t(a)")
        expectOverLimit(
            try database.execute("INSERT INTO t VALUES(1)", Self.flood, transaction: true).last,
            Self.grown)
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
        expectOverLimit(
            try database.execute("BEGIN", "INSERT INTO t VALUES(1)", Self.flood, "COMMIT")[2],
            Self.grown)
        #expect(
            try database.execute("INSERT INTO t VALUES(2)").count == 1)
    }

    @Test func `The database may be so large and no larger, and may still shrink`() throws {
        let database = try Database(
            writes: Self.limits(WriteLimitsChange(database: 2 * Self.mebibyte)))
        try database.execute("CREATE TABLE t(a)")
        expectOverLimit(try database.execute(Self.flood).first, Self.grown)
        var stored = 0
        while stored < 5000,
            case .changed? = try database.execute("INSERT INTO t VALUES(zeroblob(10000))").first
        {
            stored += 1
        }
        #expect((150..<250).contains(stored), "\(stored)")
        expectOverLimit(
            try database.execute("INSERT INTO t VALUES(zeroblob(10000))").first, Self.grown)
        // The daemon's own writes need no room of the clients'.
        var results: [AppliedEntry] = []
        let index = database.applier.applied.position.index.next
        try database.applier.apply(
            [
                Entry(
                    index: index, term: Term(1),
                    payload: .command(
                        LogCommand.limits(WriteLimitsChange(steps: 77_000)).encoded()))
            ], reporting: { _ in true }, into: &results)
        #expect(database.applier.applied.settings.limits.steps == 77_000)
        #expect(
            try database.execute("DELETE FROM t WHERE rowid <= 10")
                == [.changed(lastInsertID: 0, rowsAffected: 10)])
        #expect(
            try database.execute("INSERT INTO t VALUES(zeroblob(10000))")
                == [.changed(lastInsertID: Int64(stored + 1), rowsAffected: 1)])
        #expect(try database.execute("VACUUM") == [.empty])
    }

    /// Some of these schemas leave no room on their page for the row that lists the daemon's table.
    @Test(arguments: [3500, 3600, 3700, 3800, 3900, 4000])
    func `VACUUM of a database at its limit has room for what is the daemon's`(padding: Int) throws
    {
        let database = try Database()
        try database.execute(
            "CREATE TABLE p(a /*\(String(repeating: "x", count: padding))*/)",
            "CREATE TABLE t(a)",
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
            INSERT INTO t SELECT zeroblob(3000) FROM n
            """)
        #expect(try database.rows("PRAGMA freelist_count") == ["0"])
        func limit(_ bytes: UInt64) throws {
            var results: [AppliedEntry] = []
            let index = database.applier.applied.position.index.rawValue + 1
            try database.applier.apply(
                [Self.change(index, WriteLimitsChange(database: bytes))],
                reporting: { _ in true }, into: &results)
        }
        try limit(Self.mebibyte)
        #expect(try database.execute("VACUUM") == [.empty])
        expectOverLimit(
            try database.execute("INSERT INTO t VALUES(zeroblob(100000))").first, Self.grown)
        try limit(8 * Self.mebibyte)
        #expect(
            try database.execute("INSERT INTO t VALUES(zeroblob(100000))")
                == [.changed(lastInsertID: 401, rowsAffected: 1)])
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
    }

    @Test(arguments: [
        "SELECT count(*) FROM (SELECT DISTINCT a.a || b.a FROM t a, t b)",
        "SELECT a.a || b.a AS x FROM t a, t b ORDER BY x DESC LIMIT 5 OFFSET 39000",
        "CREATE INDEX i ON big(a, a || 'x')", "VACUUM",
        "INSERT INTO t SELECT a.a || b.a || '1' FROM t a, t b UNION SELECT a.a || b.a FROM t a, t b",
        "WITH RECURSIVE n(i, x) AS (SELECT 1, '' UNION SELECT i + 1, hex(randomblob(1000)) FROM n WHERE i < 10000) INSERT INTO t SELECT x FROM n WHERE i < 3",
    ])
    func `A statement that needs more temporary room than the limit fails, and writing goes on`(
        sql: String
    ) throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a)", "CREATE TABLE big(a)",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO t SELECT hex(randomblob(200)) FROM n",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO big SELECT hex(randomblob(200)) FROM n"
        )
        var results: [AppliedEntry] = []
        let change = WriteLimitsChange(temporary: Self.mebibyte)
        try database.applier.apply(
            [
                Entry(
                    index: database.applier.applied.position.index.next, term: Term(1),
                    payload: .command(LogCommand.limits(change).encoded()))
            ], reporting: { _ in true }, into: &results)
        expectOverLimit(try database.request(sql).first, Self.temporary)
        #expect(try database.rows("SELECT count(*) FROM t") == ["200"])
        #expect(
            try database.execute("INSERT INTO t VALUES(1)")
                == [.changed(lastInsertID: 201, rowsAffected: 1)])
    }

    @Test func `What is sorted and gathered has a bound by default, and VACUUM has room`() {
        #expect(WriteLimits.initial.temporary == 4 << 30)
        #expect(WriteLimits.initial.copy == 64 << 30)
        var limits = WriteLimits.initial
        limits.temporary = 1 << 20
        #expect(limits.copy == 1 << 20)
    }

    @Test func `A value or result that needs more memory than a request may take is an answer`()
        throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let columns = (0..<12).map { "hex(zeroblob(100000000)) AS c\($0)" }.joined(separator: ",")
        let sums = (0..<12).map { "length(c\($0))" }.joined(separator: "+")
        let outcomes = try database.execute(
            "INSERT INTO t SELECT \(sums) FROM (SELECT \(columns) LIMIT 1)",
            "INSERT INTO t VALUES(1)")
        expectOverLimit(outcomes.first, "the statement needs more memory than")
        #expect(outcomes.last == .changed(lastInsertID: 1, rowsAffected: 1))
    }

    @Test func `A read that needs more memory than a request may take is an answer`() throws {
        let database = try Database()
        let columns = (0..<12).map { "hex(zeroblob(100000000)) AS c\($0)" }.joined(separator: ",")
        let sums = (0..<12).map { "length(c\($0))" }.joined(separator: "+")
        let reader = try database.reader()
        let outcome = reader.run(
            Command(
                kind: .query,
                statements: [
                    Statement("SELECT \(sums) FROM (SELECT \(columns) LIMIT 1)"),
                    Statement("SELECT 1"),
                ]))
        guard case .result(let result) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        expectOverLimit(
            result.statements.first?.outcome, "the statement needs more memory than")
        #expect(result.statements.count == 2)
    }

    @Test func `Temporary files lie in the data directory, and leftovers go at the start`() throws {
        let database = try Database()
        try database.databases.prepareTemporaryFiles()
        let leftover = "\(database.databases.temporaryFiles)/etilqs_0123456789abcdef"
        close(open(leftover, O_WRONLY | O_CREAT, 0o600))
        #expect(access(leftover, F_OK) == 0)
        try database.databases.prepareTemporaryFiles()
        #expect(access(leftover, F_OK) != 0)
        rmdir(database.databases.temporaryFiles)
    }

    // MARK: The same on every node

    private static func change(_ index: UInt64, _ change: WriteLimitsChange) -> Entry {
        Entry(
            index: LogIndex(index), term: Term(1),
            payload: .command(LogCommand.limits(change).encoded()))
    }

    private struct Run: Equatable {
        var answers: [CommandResult?] = []
        var rows: [String] = []
        var pages: [Int64?] = []
    }

    /// Rows come and go near the limits, which change on the way.
    private static func history(seed: UInt64) -> [Entry] {
        var random = SplitMix64(seed: seed)
        var entries = [
            entry(
                LogIndex(1),
                Command(
                    kind: .execute,
                    statements: [
                        Statement("CREATE TABLE t(id INTEGER PRIMARY KEY, a)"),
                        Statement("CREATE INDEX i ON t(a)"),
                        Statement("CREATE TABLE w(a PRIMARY KEY, b) WITHOUT ROWID"),
                        Statement("CREATE VIRTUAL TABLE f USING fts5(x)"),
                    ])),
            change(
                2,
                WriteLimitsChange(growth: mebibyte, database: 6 * mebibyte, temporary: 2 * mebibyte)
            ),
        ]
        for index in UInt64(3)...160 {
            if random.next() % 25 == 0 {
                entries.append(
                    change(index, WriteLimitsChange(database: (3 + random.next() % 6) * mebibyte)))
                continue
            }
            let statements = (0...random.next() % 3).map { _ -> Statement in
                let count = 1 + random.next() % 400
                let n =
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))"
                switch random.next() % 10 {
                case 0...2:
                    return Statement(
                        "\(n) INSERT INTO t(a) SELECT hex(randomblob(\(random.next() % 2000))) FROM n"
                    )
                case 3: return Statement("DELETE FROM t WHERE id % \(2 + random.next() % 3) = 0")
                case 4:
                    return Statement(
                        "UPDATE t SET a = hex(randomblob(\(random.next() % 1500))) WHERE id % 3 = 0"
                    )
                case 5:
                    return Statement(
                        "\(n) INSERT OR REPLACE INTO w SELECT abs(random()) % 5000, hex(randomblob(200)) FROM n"
                    )
                case 6: return Statement("DROP INDEX IF EXISTS j; CREATE INDEX j ON w(b, a)")
                case 7: return Statement("\(n) INSERT INTO f SELECT hex(randomblob(30)) FROM n")
                case 8:
                    return Statement(
                        "SELECT count(*) FROM (SELECT DISTINCT a.b || b.b FROM w a, w b LIMIT 9000)"
                    )
                default: return Statement(random.next() % 3 == 0 ? "VACUUM" : "DELETE FROM w")
                }
            }
            entries.append(
                entry(
                    LogIndex(index),
                    Command(
                        kind: .request, statements: statements,
                        transaction: random.next() % 3 == 0, stamp: stamp(LogIndex(index)))))
        }
        return entries
    }

    private enum Way { case single, batches, units, restarts, snapshot }

    private func run(_ entries: [Entry], _ way: Way, seed: UInt64) throws -> Run {
        let database = try Database()
        database.applier.avoidsSharedTransactions = way == .units
        var random = SplitMix64(seed: seed)
        var outcome = Run()
        var start = 0
        while start < entries.count {
            let size = way == .batches ? 1 + random.index(20) : 1
            let end = min(entries.count, start + size)
            var results: [AppliedEntry] = []
            try database.applier.apply(
                entries[start..<end], reporting: { _ in true }, into: &results)
            outcome.answers += results.map { applied in
                var result = applied.result
                for index in result?.statements.indices ?? 0..<0 {
                    result?.statements[index].nanoseconds = 0
                }
                return result
            }
            start = end
            if way == .restarts { database.applier = try Applier(path: database.applier.path) }
            if way == .snapshot, start == entries.count / 2 {
                #expect(try database.applier.checkpoint().extent == .complete)
                database.applier = try Applier(path: database.applier.path)
            }
            if start % 20 == 0 || start == entries.count {
                let pages = try database.applier.session.connection.integer("PRAGMA page_count")
                if way != .batches || start == entries.count { outcome.pages.append(pages) }
            }
        }
        outcome.rows = try database.dump()
        return outcome
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `What meets a limit is the same in batches, units, after restarts and checkpoints`(
        seed: UInt64
    ) throws {
        let entries = Self.history(seed: seed)
        let single = try run(entries, .single, seed: seed)
        let refused = single.answers.compactMap { $0 }.flatMap(\.statements).filter {
            if case .failed(let text) = $0.outcome { text.contains(Self.grown) } else { false }
        }
        #expect(refused.count > 3, "the limit was hardly met")
        for way in [Way.batches, .units, .restarts, .snapshot] {
            let other = try run(entries, way, seed: seed)
            #expect(other.rows == single.rows, "\(way)")
            #expect(other.pages.last == single.pages.last, "\(way)")
            for (number, (a, b)) in zip(single.answers, other.answers).enumerated() where a != b {
                Issue.record(
                    "\(way), entry \(number + 1): \(String(describing: a)) \(String(describing: b))"
                )
            }
            #expect(other.answers.count == single.answers.count)
        }
    }

    // MARK: The disk of this node

    @Test func `A statement beyond a limit is an answer also after the disk was full once`() throws
    {
        let database = try Database(
            writes: Self.limits(WriteLimitsChange(growth: 4 * Self.mebibyte)))
        try database.execute("CREATE TABLE t(a)")
        WriteFault.full(after: 0)
        #expect(throws: ApplyFault.diskFull) { try database.execute("INSERT INTO t VALUES(1)") }
        WriteFault.end()
        expectOverLimit(try database.execute(Self.flood).first, Self.grown)
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test func `A disk that is full for temporary files is this node's own trouble`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        WriteFault.full(after: 200)
        defer { WriteFault.end() }
        #expect(throws: ApplyFault.diskFull) {
            try database.execute(
                """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
                INSERT INTO t SELECT count(*) FROM (SELECT DISTINCT hex(randomblob(500)) FROM n)
                """)
        }
        WriteFault.end()
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test func `AUTOINCREMENT at its end says what SQLite says`() throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a)",
            "INSERT INTO t VALUES(9223372036854775807, 1)")
        #expect(
            try database.execute("INSERT INTO t(a) VALUES(2)")
                == [.failed("database or disk is full")])
    }

    @Test(arguments: [UInt64.max, UInt64(Int64.max), UInt64(Int64.max) + 1])
    func `Limits may be as large as can be written`(value: UInt64) throws {
        let database = try Database(
            writes: WriteLimits(steps: value, growth: value, database: value, temporary: value))
        #expect(
            try database.execute("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)", "VACUUM")
                == [.empty, .changed(lastInsertID: 1, rowsAffected: 1), .empty])
    }

    // MARK: Through the log

    @Test func `Limits come through the log and stay in the database`() throws {
        let database = try Database(foreignKeys: true)
        #expect(database.applier.applied.settings.limits == .initial)
        var results: [AppliedEntry] = []
        try database.applier.apply(
            [
                Self.change(1, WriteLimitsChange(steps: 50_000, growth: 8 * Self.mebibyte)),
                Self.change(2, WriteLimitsChange(steps: 1, temporary: 9 * Self.mebibyte)),
                Entry(
                    index: LogIndex(3), term: Term(1),
                    payload: .command(
                        LogCommand.settings(ClusterSettings(foreignKeys: false)).encoded())),
            ], reporting: { _ in true }, into: &results)
        let expected = WriteLimits(
            steps: WriteLimits.least.steps, growth: 8 * Self.mebibyte,
            database: WriteLimits.initial.database, temporary: 9 * Self.mebibyte)
        #expect(
            database.applier.applied.settings
                == ClusterSettings(foreignKeys: false, limits: expected))
        database.applier = try Applier(path: database.applier.path)
        #expect(
            database.applier.applied.settings
                == ClusterSettings(foreignKeys: false, limits: expected))
    }

    @Test func `A limit holds from the entry after the one that sets it`() throws {
        let count = Command(
            kind: .execute,
            statements: [
                Statement(
                    """
                    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                    INSERT INTO t SELECT max(i) FROM n
                    """)
            ])
        for size in [1, 5] {
            let database = try Database()
            try database.execute("CREATE TABLE t(a)")
            let entries = [
                entry(LogIndex(2), count), Self.change(3, WriteLimitsChange(steps: 20_000)),
                entry(LogIndex(4), count), Self.change(5, WriteLimitsChange(steps: 900_000)),
                entry(LogIndex(6), count),
            ]
            var results: [AppliedEntry] = []
            for start in stride(from: 0, to: entries.count, by: size) {
                try database.applier.apply(
                    entries[start..<min(start + size, entries.count)], reporting: { _ in true },
                    into: &results)
            }
            let failed = results.compactMap(\.result).map { result in
                if case .failed? = result.statements.first?.outcome { true } else { false }
            }
            #expect(failed == [false, true, false], "batches of \(size)")
        }
    }
}
