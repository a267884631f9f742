import Raft
import Testing
import Wire

@testable import StateMachine

/// What SQLite compiles of views while a statement runs is no step of it, and is charged all the same.
@Suite struct ViewCostTests {
    /// The columns of views, and the views and triggers of a schema that is changed.
    @Test(arguments: [
        ["INSERT INTO t SELECT count(*) FROM pragma_table_list"],
        ["INSERT INTO t SELECT count(*) FROM pragma_table_info('v10')"],
        ["ALTER TABLE other RENAME TO another", "ALTER TABLE another RENAME TO other"],
    ])
    func `What is worked out of views while a statement runs costs steps`(texts: [String]) throws {
        var limits = WriteLimits.initial
        limits.steps = 10_000_000
        let outcomes = try [false, true].map { restarting in
            let database = try Database(writes: limits)
            try database.execute(
                "CREATE TABLE t(a)", "CREATE TABLE other(a)", CompilationCostTests.doublingViews(10)
            )
            if restarting { database.applier = try Applier(path: database.applier.path) }
            let result = try database.apply(
                Command(
                    kind: .execute,
                    statements: (0..<60).flatMap { _ in texts.map { Statement($0) } },
                    stamp: stamp(database.applier.applied.position.index.next)))
            return result.statements.map { "\($0.outcome)" }
        }
        #expect(outcomes[0] == outcomes[1])
        #expect(outcomes[0].first?.contains("needs more") == false, "\(outcomes[0][0])")
        let last = outcomes[0].last ?? ""
        #expect(last.contains("needs more than 10000000 steps"), "\(last)")
    }

    /// The number is kept, and a node that has restarted asks for it in another request.
    @Test func `What views take does not follow from what a request has left`() throws {
        let ties = (0..<8).flatMap { table in
            (0..<6).map { "x\(table).c\($0 % 3) = x\((table + $0 + 1) % 8).a" }
        }
        let parts = Array(repeating: "SELECT * FROM t", count: 40).joined(separator: " UNION ALL ")
        let tables = (1..<8).map { "t x\($0)" }.joined(separator: ", ")
        let join =
            "SELECT x0.a AS a FROM (\(parts)) x0, \(tables) WHERE \(ties.joined(separator: " AND "))"
        let found = try [WriteLimits.initial.steps, 1_000_000].map { steps in
            var limits = WriteLimits.initial
            limits.steps = steps
            let database = try Database(writes: limits)
            try database.execute(
                "CREATE TABLE t(a, c0, c1, c2)", "CREATE INDEX i ON t(c0, c1, c2)",
                "CREATE VIEW v AS \(join)", "CREATE VIEW w AS \(join)")
            try database.execute("INSERT INTO t(a) SELECT count(*) FROM pragma_table_list")
            return database.applier.session.guardian.storedLiterals.viewAllocations ?? 0
        }
        #expect(found[0] == found[1])
        #expect(found[0] > 10_000)
    }

    /// SQLite works out none for it: it succeeds beside a view that can't be worked out.
    @Test func `A column that is added costs nothing for views`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)", CompilationCostTests.doublingViews(10))
        func charge(_ sql: String) throws -> Int {
            let before = database.applier.session.budget.charged
            #expect(try database.execute(sql) == [.empty], "\(sql)")
            return database.applier.session.budget.charged - before
        }
        let added = try charge("ALTER TABLE t ADD COLUMN b")
        let renamed = try charge("ALTER TABLE main.t RENAME COLUMN b TO c")
        #expect(added < renamed / 2, "\(added), \(renamed)")
        #expect(try charge("ALTER TABLE main.\"t\" ADD d") < renamed / 2)
        try database.execute("CREATE VIEW lost AS SELECT missing FROM nowhere")
        #expect(try charge("ALTER TABLE t ADD COLUMN e") < renamed / 2)
    }
}
