import CSQLite
import Raft
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// What modules of virtual tables, and steps over values that lie in the file, go through within a step
/// is charged by what they ask for.
@Suite(.serialized) struct ModuleCostTests {
    /// A five-hundredth of the usual limit.
    private static let steps: UInt64 = 2_000_000

    private static let numbers =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)"
    private static let rows =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)"

    /// Made once: it takes longer than what is tried on it.
    private static let file: Result<[UInt8], any Error> = Result {
        try prepared().bytes().bytes
    }

    private func database() throws -> Database {
        try Database(holding: Self.file.get())
    }

    private static func prepared() throws -> Database {
        let database = try Database()
        let outcomes = try database.execute(
            "CREATE TABLE t(a)", "CREATE TABLE big(a)",
            "INSERT INTO big VALUES(replace(hex(zeroblob(1900000)), '0', 'a'))",
            "CREATE TABLE j(a)",
            "INSERT INTO j SELECT '[' || substr(replace(hex(zeroblob(100000)), '00', ',1'), 2) || ']'",
            "CREATE VIRTUAL TABLE f USING fts5(a)",
            "CREATE VIRTUAL TABLE named USING fts5(a, content='', tokenize='porter ascii')",
            "CREATE VIRTUAL TABLE c USING fts5(a, content='', detail=none)",
            "CREATE VIRTUAL TABLE tri USING fts5(a, tokenize='trigram')",
            "CREATE VIRTUAL TABLE v USING fts5vocab('f', 'row')",
            "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)",
            "CREATE VIRTUAL TABLE simple USING fts3(a)",
            "CREATE VIRTUAL TABLE stem USING fts4(a, tokenize=porter)",
            "CREATE VIRTUAL TABLE wide USING fts4(content=\"\", a, tokenize=unicode61)",
            "CREATE VIRTUAL TABLE parts USING fts3tokenize('simple')",
            rows
                + "INSERT INTO f(rowid, a) SELECT i, iif(i % 2, 'a', 'b') || ' k' || i FROM n",
            rows + "INSERT INTO r SELECT i, i % 400, i % 400 + 5 FROM n")
        for case .failed(let text) in outcomes { Issue.record("\(text)") }
        var change = WriteLimitsChange()
        change.steps = steps
        var results: [AppliedEntry] = []
        try database.applier.apply(
            [
                Entry(
                    index: database.applier.applied.position.index.next, term: Term(1),
                    payload: .command(LogCommand.limits(change).encoded()))
            ],
            reporting: { _ in false }, into: &results)
        return database
    }

    @Test(arguments: [
        "INSERT INTO c(rowid, a) SELECT i, a || i FROM n CROSS JOIN big",
        "INSERT INTO named(rowid, a) SELECT i, a || i FROM n CROSS JOIN big",
        "INSERT INTO tri(rowid, a) SELECT i, substr(a, 1, 900000) FROM n CROSS JOIN big",
        "INSERT INTO simple SELECT a || i FROM n CROSS JOIN big",
        "INSERT INTO stem SELECT a || i FROM n CROSS JOIN big",
        "INSERT INTO wide(docid, a) SELECT i, a || i FROM n CROSS JOIN big",
        "INSERT INTO t SELECT count(*) FROM n, big, parts WHERE input = a || i",
        "INSERT INTO t SELECT count(*) FROM n CROSS JOIN f('a AND b')",
        "INSERT INTO t SELECT count(*) FROM n CROSS JOIN f('a NOT a')",
        "INSERT INTO t SELECT count(*) FROM n CROSS JOIN f('k* AND zz')",
        "INSERT INTO t SELECT count(*) FROM n CROSS JOIN f('NEAR(a b, 5)')",
        "INSERT INTO t SELECT count(*) FROM n CROSS JOIN v WHERE cnt = 999999",
        "INSERT INTO t SELECT count(*) FROM n CROSS JOIN r WHERE x0 > 5 AND x1 < 4",
        "INSERT INTO f(f) SELECT 'integrity-check' FROM n",
        "INSERT INTO f(f) SELECT 'optimize' FROM n",
        "INSERT INTO f(f) SELECT 'rebuild' FROM n",
        "INSERT INTO t SELECT count(*) FROM n CROSS JOIN big WHERE length(a) = i",
        "INSERT INTO t SELECT sum(json_extract(a, '$[#-1]')) FROM n CROSS JOIN j",
        "INSERT INTO t SELECT sum(a ->> '$[99999]') FROM n CROSS JOIN j",
    ])
    func `What goes through much within a step ends with the limit on steps`(sql: String) throws {
        let database = try database()
        try database.expectLimit(
            of: Self.steps, on: Self.numbers + " " + sql, within: .seconds(90))
    }

    /// Below what is held without a charge; a step goes through it all the same.
    @Test(arguments: [
        "sum(json_extract(?1, '$.z'))", "sum(json_array_length(?1, '$.l'))",
        "sum(?1 ->> '$.l[#-1]')",
        "max(json_type(?1, '$.l[' || (90000 + i % 9) || ']'))",
        "sum(length(CASE WHEN i THEN ?1 END))", "sum(CASE WHEN i % 2 THEN ?1 END > ?1)",
        "sum(unicode(CASE WHEN i THEN ?1 END || 'x'))",
    ])
    func `What goes through a bound document within a step ends with the limit on steps`(
        expression: String
    ) throws {
        let database = try database()
        let document = "{\"l\": [0" + String(repeating: ",1", count: 500_000) + "], \"z\": 1}"
        for isLiteral in [false, true] {
            let text = Self.numbers + " INSERT INTO t SELECT \(expression) FROM n"
            var statement = Statement(text, positional: [.text(document)])
            if isLiteral {
                statement = Statement(
                    Self.numbers + " INSERT INTO t SELECT "
                        + expression.split(separator: "?1", omittingEmptySubsequences: false)
                        .joined(separator: "'\(document)'") + " FROM n")
            }
            let start = ThreadTime.now
            let result = try database.apply(
                Command(
                    kind: .execute, statements: [statement],
                    stamp: stamp(database.applier.applied.position.index.next)))
            guard case .failed(let words)? = result.statements.first?.outcome else {
                Issue.record("\(result)")
                continue
            }
            #expect(words.contains("needs more than"), "\(words)")
            #expect(ThreadTime.now - start < .seconds(90))
        }
    }

    @Test func `A bound document of megabytes becomes rows within the usual limit on steps`() throws
    {
        let database = try Database()
        // What takes more than half of the limit would be charged twice.
        database.applier.avoidsSharedTransactions = true
        try database.execute("CREATE TABLE t(a, b, c)")
        let document =
            "["
            + (0..<30_000).map { #"{"a": \#($0), "b": "text of \#($0)", "c": [1, 2, 3]}"# }
            .joined(separator: ",") + "]"
        let result = try database.apply(
            Command(
                kind: .execute,
                statements: [
                    Statement(
                        """
                        INSERT INTO t SELECT value ->> 'a', value ->> 'b', json_extract(value, '$.c')
                        FROM json_each(?)
                        """, positional: [.text(document)])
                ], stamp: stamp(database.applier.applied.position.index.next)))
        #expect(
            result.statements.map(\.outcome) == [
                .changed(lastInsertID: 30_000, rowsAffected: 30_000)
            ])
        #expect(database.applier.session.budget.charged < 700_000_000)
    }

    /// The hash by which modules find a list is the same where each eighth letter cancels out what stands before it.
    @Test(arguments: [
        ("fts4(a)", false), ("fts5(a)", false), ("fts4(a, prefix=\"3,24\")", true),
        ("fts5(a, pre='24 2')", true),
    ])
    func `New words that share a list in memory cost what they go by`(
        table: String, isByPrefix: Bool
    ) throws {
        let database = try Database()
        try database.execute("CREATE VIRTUAL TABLE w USING \(table)")
        let charges = try [false, true].map { sharesList -> Int in
            let words = (0..<1200).map { number -> String in
                let letters = (0..<16).map { number >> $0 & 1 }
                let last = (0..<8).map { sharesList ? letters[$0] ^ letters[$0 + 8] : 0 }
                let word = (letters + last).map { $0 == 0 ? "a" : "b" }.joined()
                return isByPrefix ? "\(word)\(number)" : word
            }
            let before = database.applier.session.budget.charged
            let result = try database.apply(
                Command(
                    kind: .execute,
                    statements: [
                        Statement(
                            "INSERT INTO w VALUES(?)",
                            positional: [.text(words.joined(separator: " "))])
                    ]))
            #expect(!"\(result)".contains("failed"), "\(result)")
            return database.applier.session.budget.charged - before
        }
        #expect(charges[1] - charges[0] > 90_000, "\(charges)")
    }

    @Test func `LIKE on a table of trigrams goes by its index`() throws {
        let database = try Database()
        try database.execute(
            "CREATE VIRTUAL TABLE tri USING fts5(a, tokenize='trigram')",
            "INSERT INTO tri VALUES('abcdef'), ('xyz')")
        #expect(try database.rows("SELECT a FROM tri WHERE a LIKE '%CDE%'") == ["abcdef"])
        let plan = try database.rows("EXPLAIN QUERY PLAN SELECT a FROM tri WHERE a LIKE '%cde%'")
        #expect(plan.contains { $0.contains("INDEX 0:L0") }, "\(plan)")
    }

    @Test
    func `A full-text table without a tokenizer of its own has the one that says what it takes`()
        throws
    {
        let database = try Database()
        try database.execute("CREATE VIRTUAL TABLE f USING fts5(a)")
        let before = csqlite_texts_taken_apart()
        try database.execute("INSERT INTO f VALUES('one two')")
        #expect(csqlite_texts_taken_apart() > before)
    }

    /// SQLite takes the square of their number, each time that it reads the schema.
    @Test func `A tokenizer is told of as many characters as fit 16 KiB`() throws {
        let database = try Database()
        func create(_ count: Int) throws -> String {
            let letters = (0..<count).compactMap { Unicode.Scalar(UInt32(0x20000 + $0)) }
            let set = String(String.UnicodeScalarView(letters))
            return
                "\(try database.execute("CREATE VIRTUAL TABLE f USING fts5(a, tokenize=\"unicode61 separators '\(set)'\")"))"
        }
        func createOld(_ count: Int) throws -> String {
            let letters = (0..<count).compactMap { Unicode.Scalar(UInt32(0x20000 + $0)) }
            let set = String(String.UnicodeScalarView(letters))
            return
                "\(try database.execute("CREATE VIRTUAL TABLE g USING fts4(a, tokenize=unicode61 \"separators=\(set)\")"))"
        }
        #expect(try createOld(50_000).contains("failed"))
        #expect(try !createOld(100).contains("failed"))
        #expect(try create(50_000).contains("failed"))
        #expect(try !create(100).contains("failed"))
        #expect(try database.rows("SELECT count(*) FROM f") == ["0"])
    }
}
