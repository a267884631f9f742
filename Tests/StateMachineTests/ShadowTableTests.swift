import Raft
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

private let endless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS k, i AS v FROM n"

/// A module reads some of its tables when a connection opens the file. What a dump puts in their
/// place must not be able to run for ever there, on every node and at every start.
@Suite struct ShadowTableTests {
    private func row(_ name: String, _ module: String) -> String {
        "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) VALUES('table','\(name)','\(name)',0,'CREATE VIRTUAL TABLE \(name) USING \(module)')"
    }

    @Test(arguments: ["fts5(a)", "fts4(a)", "fts3(a)", "rtree(a, b, c)"])
    func `A virtual table that is dropped takes its own tables with it`(module: String) throws {
        let database = try Database()
        let make = ["CREATE VIRTUAL TABLE f USING \(module)", "INSERT INTO f(a) VALUES(1)"]
        let schema = "SELECT group_concat(name) FROM sqlite_schema"
        for round in 0..<3 {
            for case .failed(let text) in try database.execute(make[0], make[1]) {
                Issue.record("\(round): \(text)")
            }
            #expect(try database.rows("SELECT count(*) FROM f") == ["1"])
            if round == 1 { database.applier = try Applier(path: database.applier.path) }
            #expect(try database.execute("DROP TABLE f") == [.empty])
            #expect(try database.rows(schema) == ["NULL"])
        }
        // Its own DELETE of all rows goes row by row, as before.
        for case .failed(let text) in try database.execute(make[0], make[1], "DELETE FROM f") {
            Issue.record("\(text)")
        }
        #expect(
            try database.execute("ALTER TABLE f RENAME TO g", "DROP TABLE g") == [.empty, .empty])
        #expect(try database.rows(schema) == ["NULL"])
    }

    @Test(arguments: [
        ("f", "fts5(a)", "CREATE VIEW f_config AS \(endless)"),
        ("F", "fts5(a)", "CREATE VIEW \"f_CONFIG\" AS \(endless)"),
        ("f", "fts5(a)", "CREATE TABLE f_config(k, w, v AS (hex(zeroblob(100000000))))"),
        ("f", "fts5(a)", "CREATE TABLE f_config(k, w, v GENERATED ALWAYS AS (hex(zeroblob(9))))"),
        ("f", "fts5(a)", "CREATE VIEW f_idx AS \(endless)"),
        ("r", "rtree(id, x0, x1)", "CREATE VIEW r_node(nodeno, data) AS \(endless)"),
        ("g", "fts4(a)", "CREATE VIEW g_stat(id, value) AS \(endless)"),
        ("f", "fts5(a)", "CREATE VIRTUAL TABLE f_config USING fts5(k, v, content=endless)"),
        (
            "r", "rtree(id, x0, x1)",
            "CREATE VIRTUAL TABLE R_NODE USING fts5(nodeno, data, content=e)"
        ),
    ])
    func `A dump brings nothing but ordinary tables where a module reads its own`(
        name: String, module: String, object: String
    ) throws {
        for isFirst in [false, true] {
            let database = try Database()
            if isFirst { #expect(try database.execute(object) == [.empty]) }
            let table = row(name, module)
            let outcomes = try database.execute(
                "PRAGMA writable_schema=ON", "BEGIN", table, isFirst ? "SELECT 1" : object, "COMMIT"
            )
            let refused = outcomes.filter { "\($0)".contains("keeps its rows") }
            #expect(refused.count == 1, "\(outcomes)")
            let start = ThreadTime.now
            database.applier = try Applier(path: database.applier.path)
            #expect(try database.execute("CREATE TABLE t(a)") == [.empty])
            #expect(ThreadTime.now - start < .seconds(30))
        }
    }

    @Test(arguments: [false, true])
    func `Of two virtual tables of a dump none has the name of what the other reads`(
        isReversed: Bool
    ) throws {
        let database = try Database()
        #expect(try database.execute("CREATE VIEW endless AS \(endless)") == [.empty])
        let rows = [row("f", "fts5(a)"), row("f_config", "fts5(k, v, content=endless)")]
        let outcomes = try database.execute(
            "PRAGMA writable_schema=ON", "BEGIN", rows[isReversed ? 1 : 0],
            rows[isReversed ? 0 : 1], "COMMIT")
        let refused = outcomes.filter { "\($0)".contains("keeps its rows") }
        #expect(refused.count == 1, "\(outcomes)")
        database.applier = try Applier(path: database.applier.path)
        #expect(try database.execute("CREATE TABLE t(a)") == [.empty])
    }

    @Test func `A virtual table that no module reads has any name in a dump`() throws {
        let database = try Database()
        let outcomes = try database.execute(
            "PRAGMA writable_schema=ON", "BEGIN", row("f", "fts5(a)"), row("f_parent", "fts5(a)"),
            "ROLLBACK")
        for case .failed(let text) in outcomes { Issue.record("\(text)") }
    }

    @Test func `Views and generated columns with other names come with a dump`() throws {
        let database = try Database()
        let outcomes = try database.execute(
            "CREATE VIEW f_recent AS SELECT 1 AS a", "PRAGMA writable_schema=ON", "BEGIN",
            row("f", "fts5(a)"), "CREATE VIEW fconfig AS SELECT 1 AS a",
            "CREATE TABLE other_config(k, v AS (k + 1))", "ROLLBACK")
        for case .failed(let text) in outcomes { Issue.record("\(text)") }
    }
}
