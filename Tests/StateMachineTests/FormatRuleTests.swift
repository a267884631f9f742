import Raft
import Testing
import Wire

@testable import StateMachine

/// matchinfo() of FTS3 and FTS4 goes through all hits of a row for each character of its second argument.
@Suite struct FormatRuleTests {
    @Test(arguments: [
        ("matchinfo(f)", true), ("MatchInfo(f, 'pcnalx')", true),
        ("hex(\"matchinfo\"(f, 'y'))", true),
        ("matchinfo(f, printf('%.*c', 5000, 's'))", false), ("matchinfo(f, 'x' || 'y')", false),
        ("matchinfo(f, ?)", true), ("matchinfo(f, ? || 'y')", false),
        ("[matchinfo] /* a */ (f, \"pcx\")", false),
        ("matchinfo(f, '\(String(repeating: "s", count: 65))')", false),
        ("coalesce(matchinfo(f), matchinfo(f, (SELECT 'pcx')))", false),
    ])
    func `What matchinfo() is told stands where it is called, and is short`(
        call: String, isTaken: Bool
    ) throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a)", "CREATE VIRTUAL TABLE f USING fts4(x)",
            "INSERT INTO f VALUES('a b a')")
        let query = "SELECT \(call) FROM f WHERE f MATCH 'a'"
        let value = call.contains("?") ? [Value.text("pcx")] : []
        func isRefused(_ sql: String, _ values: [Value]) throws -> Bool {
            let next = database.applier.applied.position.index.next
            let result = try database.apply(
                Command(
                    kind: .execute, statements: [Statement(sql, positional: values)],
                    stamp: stamp(next)))
            return "\(result.statements.map(\.outcome))".contains("second argument of matchinfo()")
        }
        #expect(try isRefused("INSERT INTO t \(query)", value) == !isTaken)
        // SQLite itself takes no parameter in a view.
        if value.isEmpty {
            #expect(try isRefused("CREATE VIEW v AS \(query)", []) == !isTaken)
        }
        let read = try database.reader().run(
            Command(kind: .query, statements: [Statement(query, positional: value)]))
        #expect("\(read)".contains("second argument of matchinfo()") == !isTaken)
        // By itself it says what it did.
        if isTaken { #expect(try !isRefused("INSERT INTO t SELECT * FROM v", [])) }
    }

    /// SQLite has not looked yet at what stands in such a row.
    @Test func `Behind a parameter of the largest number a row of a dump may have others`() throws {
        let database = try Database()
        let view = "CREATE VIEW w AS SELECT matchinfo(a, ?), ?9223372036854775807, ?, :b"
        let outcomes = try database.execute(
            "BEGIN", "PRAGMA writable_schema=ON",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) VALUES('table','w','w',0,'\(view)')",
            "PRAGMA writable_schema=OFF", "COMMIT")
        guard outcomes.count == 5, case .failed(let text) = outcomes[2],
            text.contains("makes no virtual table")
        else {
            Issue.record("\(outcomes)")
            return
        }
    }

    /// Of the parameters by their numbers 0 is a format, 1 something else, and 2 is in no use.
    @Test(arguments: [
        ("matchinfo(f, ?2)", "?1", [1, 0]), ("matchinfo(f, ?)", "?", [0, 1]),
        ("?7 AS a, matchinfo(f, :b)", "@c", [2, 2, 2, 2, 2, 2, 1, 0, 1]),
        ("$a AS a, matchinfo(f, $a)", "$b$", [0, 1]),
        ("matchinfo(f, /* a */ ?3)", "?", [2, 2, 0, 1]),
        ("matchinfo(f, ?1), matchinfo(f, ?2)", "?3", [0, 0, 1]),
        ("'?' AS \"?\", ? AS [?], \"matchinfo\"(f, ?)", "?", [1, 0, 1]),
        ("#a AS a, matchinfo(f, $b)", "#a", [1, 0]),
        ("$a(/*) AS a, matchinfo(f, :b('))", "?", [1, 0, 1]),
        ("matchinfo(f, @a(x)) /* */", "?", [0, 1]),
    ])
    func `What is bound for matchinfo() is short`(
        columns: String, match: String, parameters: [Int]
    ) throws {
        let database = try Database()
        try database.execute(
            "CREATE VIRTUAL TABLE f USING fts4(x)", "INSERT INTO f VALUES('a b a')")
        let reader = try database.reader()
        let long = String(repeating: "a ", count: 40)
        // With a text in each of these places that is longer than a format may be.
        func isRefused(_ places: [Int]) throws -> Bool {
            let values = parameters.indices.map { place -> Value in
                let isFormat = parameters[place] == 0
                return .text(places.contains(place) ? long : isFormat ? "pcx" : "a")
            }
            let statement = Statement(
                "SELECT \(columns) FROM f WHERE f MATCH \(match)", positional: values)
            let next = database.applier.applied.position.index.next
            let written = try database.apply(
                Command(kind: .request, statements: [statement], stamp: stamp(next)))
            let read = reader.run(Command(kind: .query, statements: [statement]))
            let isRefused = "\(written)".contains("second argument of matchinfo()")
            #expect("\(read)".contains("second argument of matchinfo()") == isRefused)
            if !isRefused { #expect(!"\(written)".contains("failed"), "\(written)") }
            return isRefused
        }
        #expect(try !isRefused([]))
        for place in parameters.indices where parameters[place] < 2 {
            // The second time from what was kept.
            for _ in 0..<2 {
                #expect(try isRefused([place]) == (parameters[place] == 0), "\(place)")
            }
        }
        #expect(try !isRefused([]))
    }
}
