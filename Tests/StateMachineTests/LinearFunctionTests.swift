import CSQLite
import Chance
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// Functions made anew for the sake of their time give what SQLite's own give.
@Suite struct LinearFunctionTests {
    /// SQLite's own functions on one connection, ours on the other.
    private final class Pair {
        let own: Connection
        let ours: Connection

        init() throws {
            own = try Connection(path: ":memory:", access: .create)
            ours = try Connection(path: ":memory:", access: .create)
            for register in [csqlite_register_text_functions, csqlite_register_patterns] {
                #expect(register(ours.pointer, nil, nil) == SQLITE_OK)
            }
        }

        static func answer(_ connection: borrowing Connection, _ sql: String, _ values: [Value])
            -> String
        {
            do {
                let statement = try connection.prepare(sql)
                for (index, value) in values.enumerated() {
                    switch value {
                    case .null: try statement.bindNull(at: index + 1)
                    case .integer(let value): try statement.bind(value, at: index + 1)
                    case .real(let value): try statement.bind(value, at: index + 1)
                    case .text(let value): try statement.bind(value, at: index + 1)
                    case .blob(let value): try statement.bind(value, at: index + 1)
                    }
                }
                _ = try statement.step()
                return "\(statement.type(at: 0)) \(statement.blob(at: 0))"
            } catch {
                return "\(error)"
            }
        }

        func expectSame(_ sql: String, _ values: [Value]) {
            let expected = Self.answer(own, sql, values)
            let found = Self.answer(ours, sql, values)
            #expect(found == expected, "\(sql) \(values)")
        }
    }

    /// Texts of few letters, so that they are often found in each other; as blobs cast to text they
    /// are often no UTF-8.
    private static func value(_ random: inout SplitMix64) -> Value {
        let letters: [[UInt8]] = [
            [0x61], [0x62], [0xC3, 0xA4], [0xE2, 0x82, 0xAC], [0xF0, 0x9F, 0x98, 0x80], [0x20],
        ]
        let broken: [[UInt8]] = letters + [[0xC3], [0x80], [0xA4], [0xFF], [0xE2, 0x82], [0]]
        switch random.next() % 12 {
        case 0: return .null
        case 1: return .integer(Int64(random.next() % 100))
        case 2: return .real(Double(random.next() % 100) / 4)
        case 3...6:
            let bytes = (0..<random.next() % 9).flatMap { _ in broken[random.index(broken.count)] }
            return .blob(bytes)
        default:
            let bytes = (0..<random.next() % 9).flatMap { _ in letters[random.index(letters.count)]
            }
            return .text(String(decoding: bytes, as: UTF8.self))
        }
    }

    @Test(arguments: [
        "instr(?1, ?2)", "replace(?1, ?2, ?3)", "trim(?1, ?2)", "ltrim(?1, ?2)", "rtrim(?1, ?2)",
        "trim(?1)", "ltrim(?1)", "rtrim(?1)", "instr(CAST(?1 AS TEXT), CAST(?2 AS TEXT))",
        "replace(CAST(?1 AS TEXT), CAST(?2 AS TEXT), CAST(?3 AS TEXT))",
        "trim(CAST(?1 AS TEXT), CAST(?2 AS TEXT))", "ltrim(CAST(?1 AS TEXT), CAST(?2 AS TEXT))",
        "rtrim(CAST(?1 AS TEXT), CAST(?2 AS TEXT))", "typeof(replace(?1, ?2, ?3))",
        "typeof(trim(?1, ?2))", "quote(trim(?1, CAST(?2 || ?3 AS TEXT)))",
    ])
    func `A function in place of SQLite's gives what SQLite's gives`(call: String) throws {
        let pair = try Pair()
        var random = SplitMix64(seed: 7)
        for _ in 0..<3000 {
            let values = (0..<3).map { _ in Self.value(&random) }
            pair.expectSame("SELECT \(call) FROM (SELECT ?1, ?2, ?3)", values)
        }
    }

    @Test(arguments: [
        "json_set('{\"a\":1}', '$.b', ?1)", "json_set('{\"a\":1}', '$.a', ?1, '$.c[0]', 'x')",
        "json_set('{}', '$.a', json('[1, 2]'))", "json_insert('[1]', '$[#]', json_array(1, 'x'))",
        "json_insert('[1]', '$[#]', '[2]')", "json_set('{}', '$.a')", "json_set()",
        "json_set('{}', 'a', 1)", "json_set('x', '$.a', 1)", "json_set('{}', '$.a', x'00')",
        "json_set(NULL, '$.a', 1)", "json_set('{}', NULL, 1)", "typeof(json_set('3', '$', 4.5))",
        "json_array(json_set('{}', '$.a', 1))", "json_array(json_patch('{}', '{\"a\":2}'))",
        "json_patch('{\"a\":1,\"b\":2}', '{\"a\":null,\"c\":[1]}')", "json_patch('x', '{}')",
        "json_patch(NULL, '{}')", "json_patch('[1]', '{\"a\":{\"b\":1}}')", "json_patch(?1, ?1)",
        "json_patch(json('{\"a\":1}'), json_object('b', 1.50))",
        "json_set('{}', '$.a', ?1, '$.b', ?1)",
        "json_insert('{\"a\":\"\\u0041\"}', '$.b', 1e400)", "json_patch('{}', x'7b7d')",
    ])
    func `JSON edited by way of a helper is as SQLite's own`(call: String) throws {
        let pair = try Pair()
        for value: Value in [.null, .integer(.max), .real(0.1), .text("é\"\\"), .text("{}")] {
            pair.expectSame("SELECT \(call), ?1", [value])
        }
    }

    @Test func `A function within a CHECK, an index and a trigger works like SQLite's`() throws {
        let database = try Database()
        let outcomes = try database.execute(
            """
            CREATE TABLE t(a CHECK(instr(a, '@') > 0), b AS (trim(a, '.')),
            c AS (json_set('{}', '$.x', a)) STORED)
            """,
            "CREATE INDEX i ON t(replace(a, '@', ' at '))",
            "INSERT INTO t VALUES('.x@y.')", "INSERT INTO t VALUES('x')")
        #expect(outcomes.last == .failed("CHECK constraint failed: instr(a, '@') > 0"))
        #expect(
            try database.rows("SELECT a, b, c FROM t WHERE replace(a, '@', ' at ') = '.x at y.'")
                == [#".x@y.|x@y|{"x":".x@y."}"#])
        #expect(
            try database.rows(
                "EXPLAIN QUERY PLAN SELECT 1 FROM t WHERE replace(a, '@', ' at ') = 'x'"
            ).contains { $0.contains("USING INDEX i") })
    }

    @Test(arguments: [
        "instr(a, b || '1')", "instr(CAST(a AS BLOB), CAST(b || '1' AS BLOB))",
        "length(replace(a, b || '1', 'x'))", "length(trim(a, '1' || b || '2'))",
        "length(ltrim(a || '3', replace(b, '0', '1') || '02'))", "length(rtrim(a, '21' || b))",
        "a LIKE '%' || b || '1%'", "a GLOB '*' || b || '1*'", "json_patch(o, p)",
        "json_set('{}', path, 1)",
    ])
    func `No single step of a statement takes time without bound`(call: String) throws {
        // Each would take SQLite's own minutes to years, or the stack; three minutes allow for a debug build
        // beside busy neighbours.
        let database = try Database()
        let start = ThreadTime.now
        let outcome = try database.request(
            """
            SELECT \(call) FROM (SELECT hex(zeroblob(8000000)) AS a, hex(zeroblob(3000000)) AS b),
            (SELECT '{' || substr(replace(hex(zeroblob(200000)), '00', ',"k":1'), 2) || '}' AS o,
            '{' || substr(replace(hex(zeroblob(200000)), '00', ',"l":1'), 2) || '}' AS p,
            '$' || replace(hex(zeroblob(1000000)), '00', '.a') AS path)
            """)
        #expect(ThreadTime.now - start < .seconds(180), "\(call): \(outcome)")
        #expect(try database.execute("CREATE TABLE after(a)") == [.empty])
    }

    /// As many members, and as long, as the names could be.
    @Test func `A patch of JSON whose names may take long to be compared is refused`() throws {
        let pair = try Pair()
        let document =
            "{\"a\":\"" + String(repeating: ":aaaaaaaaaaaaaaaa", count: 65_000) + "\"}"
        let found = Pair.answer(pair.ours, "SELECT json_patch(?1, ?1)", [.text(document)])
        #expect(found.contains("takes too long"), "\(found.prefix(200))")
    }

    @Test func `What functions go through counts as work of the request`() throws {
        var limits = WriteLimits.initial
        limits.steps = 1_000_000
        let database = try Database(writes: limits)
        try database.execute("CREATE TABLE t(a)")
        let outcomes = try database.execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
            INSERT INTO t SELECT instr(b, '1') FROM n, (SELECT hex(zeroblob(1000000)) AS b)
            """, "INSERT INTO t VALUES(1)")
        let text =
            "the request needs more than 1000000 steps of SQLite's virtual machine: split it into "
            + "smaller ones, or raise the limit on steps"
        #expect(outcomes == [.failed(text), .failed(text)])
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test(arguments: [
        ("SELECT length(concat(?1, ?1))", "3200000", 200_000),
        ("SELECT length(concat_ws('-', ?1, NULL, ?1))", "3200001", 200_000),
        ("SELECT unhex(?1) IS NULL", "1", 800_000),
    ])
    func `The functions of later versions are charged for what they go through`(
        sql: String, row: String, steps: Int
    ) throws {
        let database = try Database()
        let before = database.applier.session.budget.charged
        let text = String(repeating: "a", count: 1_599_998) + "zz"
        let result = try database.apply(
            Command(kind: .request, statements: [Statement(sql, positional: [.text(text)])]))
        guard case .rows(let rows)? = result.statements.first?.outcome else {
            Issue.record("\(result)")
            return
        }
        #expect(try rows.lines() == [row])
        #expect(database.applier.session.budget.charged - before > steps)
    }

    /// A hundred times the longest text is more memory than there is.
    @Test(arguments: ["concat(", "concat_ws('-', "])
    func `What would be too long a text is refused before it is put together`(function: String)
        throws
    {
        let database = try Database()
        let reader = try database.reader()
        let sql =
            "SELECT length(\(function)" + Array(repeating: "?1", count: 120).joined(separator: ",")
            + "))"
        let text = Value.text(String(repeating: "a", count: 3_000_000))
        let command = Command(kind: .request, statements: [Statement(sql, positional: [text])])
        let before = database.applier.session.budget.charged
        let written = try database.apply(command)
        // The value that is bound counts, once for each place where it stands.
        #expect(database.applier.session.budget.charged - before < 50_000_000)
        guard case .result(let read) = reader.run(command) else {
            Issue.record("it is a read")
            return
        }
        for result in [written, read] {
            #expect(
                result.statements.map(\.outcome) == [.failed("string or blob too big")])
        }
    }

    @Test(arguments: [
        ("SELECT * FROM t WHERE a GLOB 'x*'", "SEARCH t USING COVERING INDEX ta"),
        ("SELECT * FROM t WHERE b LIKE 'x%'", "SEARCH t USING INDEX tb"),
    ])
    func `LIKE and GLOB with a prefix use an index`(sql: String, plan: String) throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a TEXT, b TEXT COLLATE NOCASE)", "CREATE INDEX ta ON t(a, b)",
            "CREATE INDEX tb ON t(b)")
        let rows = try database.rows("EXPLAIN QUERY PLAN \(sql)")
        #expect(
            rows.contains { $0.contains(plan) || $0.contains("USING COVERING INDEX") }, "\(rows)")
        #expect(rows.contains { $0.contains("SEARCH") }, "\(rows)")
    }
}

extension SplitMix64 {
    mutating func index(_ count: Int) -> Int { Int(next() % UInt64(count)) }
}
