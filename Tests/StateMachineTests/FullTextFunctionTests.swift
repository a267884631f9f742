import CSQLite
import Chance
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// FTS5's functions made anew for the sake of their time give what SQLite's own give.
@Suite struct FullTextFunctionTests {
    private static let tokens = [
        "aa", "ab", "b", "cc", "aa.", "b:", "dd,", " ", "\n", "ä", "aab", "x",
    ]
    private static let tables = [
        "", ", tokenize='porter'", ", tokenize='ascii'", ", detail=none", ", detail=column",
        ", prefix='1 2'", ", content=''",
    ]
    private static let queries = [
        "aa", "b", "aa OR b", "\"aa b\"", "aa AND ab", "a*", "\"aa aa\" OR aa", "b NOT cc",
        "a : aa", "cc OR \"b aa\" OR aab", "NEAR(aa b, 3)", "x OR dd OR b OR aa",
    ]

    private static func document(_ random: inout SplitMix64) -> String {
        let long = random.next() % 5 == 0
        return (0..<random.next() % (long ? 120 : 14)).map { _ in
            tokens[random.index(tokens.count)] + (random.next() % 9 == 0 ? "" : " ")
        }.joined()
    }

    private static func question(_ random: inout SplitMix64) -> String {
        let query = queries[random.index(queries.count)]
        let column = Int(random.next() % 4) - 1
        switch random.next() % 4 {
        case 0: return "SELECT highlight(f, \(column), '[', ']') FROM f('\(query)')"
        case 1: return "SELECT bm25(f, 2.0), rank FROM f('\(query)') ORDER BY rank"
        default:
            let count = random.next() % 5 == 0 ? Int(random.next() % 80) - 2 : random.index(12) + 1
            return "SELECT snippet(f, \(column), '<', '>', '...', \(count)) FROM f('\(query)')"
        }
    }

    private static func answer(_ connection: borrowing Connection, _ sql: String) -> [String] {
        var lines: [String] = []
        do {
            let statement = try connection.prepare(sql)
            while try statement.step() {
                lines.append(
                    (0..<statement.columnCount).map { column in
                        "\(statement.type(at: column)) \(statement.blob(at: column))"
                    }.joined(separator: "|"))
            }
        } catch {
            lines.append("\(error)")
        }
        return lines
    }

    @Test func `snippet, highlight and bm25 give what SQLite's own give`() throws {
        for seed in 0..<60 {
            var random = SplitMix64(seed: UInt64(seed))
            let own = try Connection(path: ":memory:", access: .create)
            let ours = try Connection(path: ":memory:", access: .create)
            #expect(csqlite_register_full_text(ours.pointer, nil, nil) == SQLITE_OK)
            let options = Self.tables[random.index(Self.tables.count)]
            var script = ["CREATE VIRTUAL TABLE f USING fts5(a, b\(options))"]
            for _ in 0..<random.next() % 6 + 1 {
                let first = random.next() % 9 == 0 ? "NULL" : "'\(Self.document(&random))'"
                script.append("INSERT INTO f VALUES(\(first), '\(Self.document(&random))')")
            }
            for sql in script {
                try own.execute(sql)
                try ours.execute(sql)
            }
            for _ in 0..<12 {
                let sql = Self.question(&random)
                #expect(Self.answer(ours, sql) == Self.answer(own, sql), "\(script) \(sql)")
            }
        }
    }

    @Test(arguments: [
        "snippet(f)", "snippet(f, 0, '<', '>', '.')", "highlight(f, 0)", "highlight(f, 7, '', '')",
        "snippet(f, 7, '<', '>', '.', 3)", "bm25(f)", "bm25(f, 'x', NULL)",
        "highlight(f, 0, NULL, 3)", "snippet(f, 0, NULL, x'00', 1.5, '2')",
    ])
    func `Odd arguments of a full-text function are taken as SQLite's own takes them`(call: String)
        throws
    {
        let own = try Connection(path: ":memory:", access: .create)
        let ours = try Connection(path: ":memory:", access: .create)
        #expect(csqlite_register_full_text(ours.pointer, nil, nil) == SQLITE_OK)
        for sql in [
            "CREATE VIRTUAL TABLE f USING fts5(a)",
            "INSERT INTO f VALUES('one two. three one'), (NULL), ('one'), ('')",
        ] {
            try own.execute(sql)
            try ours.execute(sql)
        }
        let sql = "SELECT \(call) FROM f('one')"
        #expect(Self.answer(ours, sql) == Self.answer(own, sql))
    }

    @Test(arguments: [
        "length(snippet(f, 0, '<', '>', '...', 64))", "length(highlight(f, 0, '<', '>'))", "rank",
    ])
    func `A full-text function over many hits takes time that grows with their number`(
        call: String
    ) throws {
        // SQLite's own snippet() would take an hour, its highlight() minutes.
        let database = try Database()
        try database.execute(
            "CREATE VIRTUAL TABLE f USING fts5(a)", "CREATE TABLE t(a)",
            "INSERT INTO f SELECT replace(hex(zeroblob(1000000)), '00', 'x ')")
        let start = ThreadTime.now
        let outcomes = try database.execute("INSERT INTO t SELECT \(call) FROM f('x')")
        #expect(ThreadTime.now - start < .seconds(60), "\(outcomes)")
        #expect(outcomes == [.changed(lastInsertID: 1, rowsAffected: 1)])
    }

    @Test func `What a full-text function goes through counts as work of the request`() throws {
        var limits = WriteLimits.initial
        limits.steps = 200_000
        let database = try Database(writes: limits)
        try database.execute(
            "CREATE VIRTUAL TABLE f USING fts5(a)", "CREATE TABLE t(a)",
            "INSERT INTO f SELECT replace(hex(zeroblob(100000)), '00', 'x ')")
        let outcomes = try database.execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
            INSERT INTO t SELECT snippet(f, 0, '', '', '', 9) FROM n CROSS JOIN f('x')
            """)
        guard case .failed(let text)? = outcomes.first else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(text.contains("needs more than 200000 steps"), "\(text)")
    }

    @Test func `A full-text query of too many phrases for its functions says so`() throws {
        let database = try Database()
        try database.execute(
            "CREATE VIRTUAL TABLE f USING fts5(a)", "INSERT INTO f VALUES('x')")
        let query = Array(repeating: "x", count: 1001).joined(separator: " OR ")
        #expect(
            try database.request("SELECT count(*), max(rank) FROM f('\(query)')").first
                == .failed("a full-text query has too many phrases for this function"))
        #expect(try database.rows("SELECT count(*) FROM f('\(query)')") == ["1"])
    }

    private static let largeQueries: [(table: String, query: String)] = [
        ("f", "\"" + String(repeating: "x ", count: 40_000) + "\""),
        ("f", Array(repeating: "x", count: 40_000).joined(separator: " OR ")),
        ("f", String(repeating: "x ", count: 40_000)),
        ("f", "NEAR(" + String(repeating: "x ", count: 40_000) + ")"),
        ("porter", "\"" + String(repeating: "x ", count: 40_000) + "\""),
        ("tri", "\"" + String(repeating: "xyz", count: 10_000) + "\""),
    ]

    /// FTS5 keeps a page of its index in memory for each word of a query, in reads too.
    @Test(arguments: largeQueries.indices)
    func `A full-text query of more words than a node holds in memory is an error`(
        index: Int
    ) throws {
        let (table, query) = Self.largeQueries[index]
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a)", "CREATE VIRTUAL TABLE f USING fts5(a)",
            "CREATE VIRTUAL TABLE porter USING fts5(a, tokenize='porter ascii')",
            "CREATE VIRTUAL TABLE tri USING fts5(a, tokenize='trigram')",
            "INSERT INTO f VALUES('x y')", "INSERT INTO porter VALUES('x y')",
            "INSERT INTO tri VALUES('xyz')")
        let select = "SELECT count(*) FROM \(table)('\(query)')"
        let refusal = "string or blob too big"
        #expect(try database.execute("INSERT INTO t \(select)") == [.failed(refusal)])
        #expect(
            try database.execute("DELETE FROM \(table) WHERE \(table) MATCH '\(query)'")
                == [.failed(refusal)])
        let reader = try database.reader()
        #expect(try reader.rows(select) == ["failed: \(refusal)"])
        let word = table == "tri" ? "xyz" : "x"
        #expect(try reader.rows("SELECT count(*) FROM \(table)('\(word)')") == ["1"])
    }

    @Test func `Full-text queries of many words, one for each row, are no matter`() throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a)", "CREATE VIRTUAL TABLE f USING fts5(a)",
            "INSERT INTO f VALUES('x y')")
        let query = Array(repeating: "nothing", count: 1_000).joined(separator: " AND ")
        let select =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
            + "SELECT count(*) FROM n CROSS JOIN f('\(query)')"
        #expect(
            try database.execute("INSERT INTO t \(select)")
                == [.changed(lastInsertID: 1, rowsAffected: 1)])
        #expect(try database.reader().rows(select) == ["0"])
    }
}
