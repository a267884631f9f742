import CSQLite
import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// What compiling takes is bounded, and ends alike, whatever the connection compiled before.
@Suite(.serialized) struct CompilationCostTests {
    /// Views that each name the one before twice: the compiler goes through the first of them
    /// 2^depth times.
    private static func doublingViews(_ depth: Int) -> String {
        "CREATE VIEW v0 AS SELECT 1 AS x;"
            + (0..<depth).map {
                "CREATE VIEW v\($0 + 1) AS SELECT max(a.x) AS x FROM v\($0) a, v\($0) b;"
            }.joined()
    }

    private static func chainOfViews(_ depth: Int) -> String {
        "CREATE VIEW v0 AS SELECT 1 AS x;"
            + (0..<depth).map { "CREATE VIEW v\($0 + 1) AS SELECT x FROM v\($0) LIMIT 5;" }
            .joined()
    }

    private func outcomes(_ texts: [String], restarting: Bool) throws -> [String] {
        let database = try Database()
        return try texts.map { text in
            if restarting { database.applier = try Applier(path: database.applier.path) }
            return "\(try database.execute(text))"
        }
    }

    @Test func `Whether a statement is too large to be compiled depends on the file alone`() throws
    {
        var texts = ["CREATE TABLE t(a)", Self.doublingViews(22)]
        for depth in [10, 14, 20] { texts.append("INSERT INTO t SELECT x FROM v\(depth) WHERE 0") }
        let old = try outcomes(texts, restarting: false)
        let fresh = try outcomes(texts, restarting: true)
        for (text, (a, b)) in zip(texts, zip(old, fresh)) { #expect(a == b, "\(text.suffix(60))") }
        #expect(old.last?.contains("failed") == true, "\(old.suffix(2))")
    }

    @Test func `A chain of views is refused or not, whatever was asked of its parts before`() throws
    {
        var texts = ["CREATE TABLE t(a)", Self.chainOfViews(1600)]
        for depth in [300, 900, 1500] {
            texts.append("INSERT INTO t SELECT x FROM v\(depth)")
        }
        let old = try outcomes(texts, restarting: false)
        let fresh = try outcomes(texts, restarting: true)
        for (text, (a, b)) in zip(texts, zip(old, fresh)) { #expect(a == b, "\(text.suffix(60))") }
    }

    @Test func `Many statements that each take long to compile end with the limit on steps`() throws
    {
        var limits = WriteLimits.initial
        limits.steps = 5_000_000
        let database = try Database(writes: limits)
        try database.execute("CREATE TABLE t(a)", Self.doublingViews(13))
        let start = ContinuousClock.now
        let text = String(repeating: "INSERT INTO t SELECT x FROM v13 WHERE 0;", count: 2000)
        let outcome = "\(try database.execute(text))"
        #expect(outcome.contains("needs more than 5000000 steps"), "\(outcome)")
        let many = (0..<2000).map { Statement("SELECT nothin FROM v13 -- \($0)") }
        let result = try database.apply(
            Command(
                kind: .execute, statements: many,
                stamp: stamp(database.applier.applied.position.index.next)))
        let last = result.statements.last.map { "\($0.outcome)" } ?? ""
        #expect(last.contains("needs more than"), "\(last)")
        #expect(ContinuousClock.now - start < .seconds(120))
    }

    @Test(arguments: [
        "ALTER TABLE u RENAME COLUMN a TO z", "ALTER TABLE u RENAME TO z",
        "ALTER TABLE u DROP COLUMN b", "INSERT INTO t SELECT count(*) FROM pragma_table_list",
        "INSERT INTO t SELECT count(*) FROM pragma_table_info('v36')",
        "INSERT INTO t SELECT count(*) FROM pragma_table_xinfo('v36')",
        "PRAGMA table_info(v36)",
        "INSERT INTO t SELECT count(*) FROM f('x')",
    ])
    func `Going through views within a step is bounded`(sql: String) throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a)", "CREATE TABLE u(a, b)", Self.doublingViews(36),
            "CREATE VIRTUAL TABLE f USING fts5(x, content='v36')")
        let start = ContinuousClock.now
        let outcome = "\(try database.execute(sql))"
        #expect(ContinuousClock.now - start < .seconds(60), "\(outcome)")
        #expect(
            try database.execute("INSERT INTO t(rowid, a) VALUES(7, 1)")
                == [.changed(lastInsertID: 7, rowsAffected: 1)])
        let reader = try database.reader()
        if !sql.hasPrefix("ALTER") {
            let query = sql.hasPrefix("P") ? sql : String(sql.dropFirst("INSERT INTO t ".count))
            _ = try reader.rows(query)
        }
        #expect(try reader.rows("SELECT 1") == ["1"])
        #expect(ContinuousClock.now - start < .seconds(120), "\(outcome)")
    }
}
