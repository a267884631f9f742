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
        ("matchinfo(f, ?)", false), ("[matchinfo] /* a */ (f, \"pcx\")", false),
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
}
