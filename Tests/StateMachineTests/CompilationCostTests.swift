import CSQLite
import Raft
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// What compiling takes is bounded, and ends alike, whatever the connection compiled before.
@Suite(.serialized) struct CompilationCostTests {
    /// Views that each name the one before twice: the compiler goes through the first of them
    /// 2^depth times.
    static func doublingViews(_ depth: Int) -> String {
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
        let start = ThreadTime.now
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
        #expect(ThreadTime.now - start < .seconds(120))
    }

    /// Those of a cluster are reached by the same way in a time that is longer as they are larger.
    private static let few: WriteLimits = {
        var limits = WriteLimits.initial
        limits.steps /= 20
        return limits
    }()

    @Test(arguments: [
        "ALTER TABLE u RENAME COLUMN a TO z", "ALTER TABLE u RENAME TO z",
        "ALTER TABLE u DROP COLUMN b", "INSERT INTO t SELECT count(*) FROM pragma_table_list",
        "INSERT INTO t SELECT count(*) FROM pragma_table_info('v36')",
        "INSERT INTO t SELECT count(*) FROM pragma_table_xinfo('v36')",
        "PRAGMA table_info(v36)",
        "INSERT INTO t SELECT count(*) FROM f('x')",
    ])
    func `Going through views within a step is bounded`(sql: String) throws {
        let database = try Database(writes: Self.few)
        try database.execute(
            "CREATE TABLE t(a)", "CREATE TABLE u(a, b)", Self.doublingViews(36),
            "CREATE VIRTUAL TABLE f USING fts5(x, content='v36')")
        let start = ThreadTime.now
        let outcome = "\(try database.execute(sql))"
        #expect(ThreadTime.now - start < .seconds(60), "\(outcome)")
        #expect(
            try database.execute("INSERT INTO t(rowid, a) VALUES(7, 1)")
                == [.changed(lastInsertID: 7, rowsAffected: 1)])
        let reader = try database.reader()
        if !sql.hasPrefix("ALTER") {
            let query = sql.hasPrefix("P") ? sql : String(sql.dropFirst("INSERT INTO t ".count))
            _ = try reader.rows(query)
        }
        #expect(try reader.rows("SELECT 1") == ["1"])
        #expect(ThreadTime.now - start < .seconds(120), "\(outcome)")
    }

    /// To forget what it worked out of views SQLite makes code for all triggers of one, before each statement.
    @Test func `A view has no more triggers than SQLite drops in no time`() throws {
        func trigger(_ name: String, _ kind: String) -> String {
            "CREATE TRIGGER \(name) \(kind) BEGIN SELECT 1; END;"
        }
        let database = try Database()
        try database.execute("CREATE TABLE t(a)", "CREATE VIEW v AS SELECT 1 AS a")
        let full = (0..<64).map { trigger("v\($0)", "INSTEAD OF INSERT ON v") }.joined()
        #expect(try database.execute(full) == [.empty])
        let more = trigger("more", "INSTEAD OF DELETE ON \"V\"")
        let refusal = StatementOutcome.failed("too many triggers: at most 64 on a view")
        #expect(try database.execute(more) == [refusal])
        database.applier = try Applier(path: database.applier.path)
        #expect(
            try database.execute(
                more, trigger("IF NOT EXISTS v1", "INSTEAD OF INSERT ON v"), "DROP TRIGGER v1",
                more,
                more) == [
                    refusal, .empty, .empty, .empty, .failed("trigger more already exists"),
                ])
        let others = (0..<70).map { trigger("t\($0)", "AFTER INSERT ON t") }.joined()
        #expect(try database.execute(others) == [.empty])
    }

    private static let endlessContents = [
        "CREATE VIEW v AS WITH c0 AS (SELECT 1 AS a)"
            + (0..<60).map { ", c\($0 + 1) AS (SELECT x.a FROM c\($0) x, c\($0) y)" }.joined()
            + " SELECT a FROM c60",
        "CREATE TABLE v(a, c0 AS (a || a)"
            + (0..<60).map { ", c\($0 + 1) AS (c\($0) || c\($0))" }.joined() + ")",
    ]

    /// FTS4 takes its columns from there, whenever a connection reads the schema.
    @Test(arguments: endlessContents.indices)
    func `The content of a full-text table is not gone through without bound`(index: Int) throws {
        let database = try Database(writes: Self.few)
        let start = ThreadTime.now
        for sql in [
            "CREATE TABLE t(a)", "CREATE VIEW v AS SELECT 1 AS a",
            "CREATE VIRTUAL TABLE f USING fts4(content=\"v\")", "DROP VIEW v",
            Self.endlessContents[index],
        ] {
            #expect(try database.execute(sql) == [.empty], "\(sql.prefix(60))")
        }
        for restarting in [false, true] {
            if restarting { database.applier = try Applier(path: database.applier.path) }
            let outcome = try database.execute("INSERT INTO t SELECT count(*) FROM f").first
            guard case .failed? = outcome else {
                Issue.record("\(String(describing: outcome))")
                continue
            }
            guard case .changed? = try database.execute("INSERT INTO t VALUES(1)").first else {
                Issue.record("nothing can be written any more")
                continue
            }
        }
        #expect(
            try database.reader().rows("SELECT count(*) FROM f").first?.hasPrefix("failed") == true)
        #expect(try database.reader().rows("SELECT count(*) FROM t") == ["2"])
        #expect(ThreadTime.now - start < .seconds(120))
    }

    private static func terms(_ range: Range<Int>) -> String {
        guard range.count > 1 else { return "a=\(range.lowerBound)" }
        let middle = (range.lowerBound + range.upperBound) / 2
        return "(" + terms(range.lowerBound..<middle) + " AND "
            + terms(middle..<range.upperBound) + ")"
    }

    @Test
    func `More terms of AND and OR than SQLite compiles in a second are the statement's error`()
        throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)", "CREATE INDEX i ON t(a)")
        let start = ThreadTime.now
        let broad = "DELETE FROM t WHERE \(Self.terms(0..<32_000))"
        let refusal = StatementOutcome.failed(
            "too many terms of AND, OR and row values: at most 5000 in a statement")
        #expect(try database.execute(broad) == [refusal])
        #expect(try database.execute(";\(broad)") == [refusal])
        database.applier = try Applier(path: database.applier.path)
        #expect(try database.execute(broad) == [refusal])
        let query = "SELECT 1 FROM t WHERE \(Self.terms(0..<6_000))"
        #expect(
            try database.reader().rows(query)
                == ["failed: too many terms of AND, OR and row values: at most 5000 in a statement"]
        )
        #expect(ThreadTime.now - start < .seconds(60))
        #expect(try database.execute("DELETE FROM t WHERE \(Self.terms(0..<900))") == [.empty])
        #expect(try database.execute("DELETE FROM t WHERE \(Self.terms(0..<3_000))") == [.empty])
    }

    private static func row(_ member: String, _ count: Int) -> String {
        "(\(Array(repeating: member, count: count).joined(separator: ",")))"
    }

    private static func query(_ count: Int) -> String {
        "(SELECT " + row("a", count).dropFirst()
    }

    private static let comparisons: [String] = [
        "\(row("a", 32_000)) = \(row("b", 32_000))",
        "b = 1 AND (\(row("a", 32_000))) == (\(row("b", 32_000)))",
        "a IS NULL OR \(row("a", 32_000)) IS \(row("b", 32_000))",
        Array(repeating: "\(query(1_900)) = \(row("b", 1_900))", count: 3).joined(
            separator: " AND "),
        Array(repeating: "\(row("b", 1_900)) IN \(query(1_900))", count: 3).joined(
            separator: " AND "),
    ]

    @Test(arguments: comparisons.indices)
    func `Row values of more members than SQLite compiles in a second are the statement's error`(
        index: Int
    ) throws {
        let condition = Self.comparisons[index]
        let database = try Database()
        try database.execute("CREATE TABLE t(a, b)", "CREATE INDEX i ON t(a)")
        let start = ThreadTime.now
        let refusal = "too many terms of AND, OR and row values: at most 5000 in a statement"
        #expect(try database.execute("DELETE FROM t WHERE \(condition)") == [.failed(refusal)])
        #expect(
            try database.reader().rows("SELECT 1 FROM t WHERE \(condition)")
                == ["failed: \(refusal)"])
        #expect(ThreadTime.now - start < .seconds(60))
    }

    @Test func `Lists that are no row values, and short row values, are no matter`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a, b)", "CREATE INDEX i ON t(a)")
        let rows = Array(repeating: "(1,2)", count: 9_000).joined(separator: ",")
        #expect(
            try database.execute(
                "DELETE FROM t WHERE \(Self.row("a", 100)) = \(Self.row("b", 100))",
                "DELETE FROM t WHERE (a IN \(Self.row("1", 9_000))) = 1",
                "DELETE FROM t WHERE (a, b) IN (VALUES \(rows))",
                "INSERT INTO t(a, b) VALUES \(rows)",
                "UPDATE t SET (a, b) = (3, 4) WHERE (a, b) = (1, 2) AND rowid < 8")
                == [
                    .empty, .empty, .empty, .changed(lastInsertID: 9_000, rowsAffected: 9_000),
                    .changed(lastInsertID: 0, rowsAffected: 7),
                ])
    }

    @Test func `What stands in a trigger behind its first semicolon is counted, too`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let tables = (0..<2001).map { "c\($0) AS (SELECT 1)" }.joined(separator: ", ")
        for (body, refusal) in [
            (
                "DELETE FROM t WHERE \(Self.terms(0..<6_000))",
                "too many terms of AND, OR and row values"
            ),
            ("SELECT (WITH \(tables) SELECT 1 FROM c0)", "too many common table expressions"),
        ] {
            let outcomes = try database.execute(
                "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; \(body); END")
            guard case .failed(let text)? = outcomes.first else {
                Issue.record("\(outcomes)")
                continue
            }
            #expect(text.hasPrefix(refusal), "\(text)")
        }
    }

    /// Whether a connection reads the schema when one of them brings that about depends on its past; what is
    /// charged doesn't.
    @Test(arguments: [
        "PRAGMA user_version=7", "INSERT INTO k VALUES(1)", "BEGIN; ROLLBACK",
        "BEGIN; SAVEPOINT s; ROLLBACK TO s; COMMIT", "BEGIN; CREATE TABLE z(a); ROLLBACK",
        "CREATE TABLE z(a); DROP TABLE z", "SELECT count(*) FROM pragma_table_list", "REINDEX",
        "ANALYZE k", "PRAGMA optimize", "EXPLAIN CREATE INDEX i ON k(a)",
        "CREATE INDEX IF NOT EXISTS ik ON k(a)",
    ])
    func `Statements that make the schema be read again and again end with the limit on steps`(
        sql: String
    ) throws {
        var limits = WriteLimits.initial
        limits.steps = 4_000_000
        let outcomes = try [false, true].map { restarting in
            let database = try Database(writes: limits)
            let tables = (0..<400).map { "CREATE TABLE t\($0)(a);" }.joined()
            for case .failed(let text) in try database.execute(
                tables, "CREATE TABLE k(a PRIMARY KEY); INSERT INTO k VALUES(1)",
                "CREATE INDEX ik ON k(a)", "ANALYZE k", "CREATE VIRTUAL TABLE f USING fts5(a)")
            {
                Issue.record("\(text)")
            }
            if restarting { database.applier = try Applier(path: database.applier.path) }
            let result = try database.apply(
                Command(
                    kind: .execute, statements: (0..<60).map { _ in Statement(sql) },
                    stamp: stamp(database.applier.applied.position.index.next)))
            #expect(
                try database.execute("INSERT INTO k VALUES(2)").first
                    == .changed(lastInsertID: 2, rowsAffected: 1))
            return result.statements.map { "\($0.outcome)" }
        }
        #expect(outcomes[0] == outcomes[1])
        #expect(outcomes[0].count == 60)
        #expect(outcomes[0].first?.contains("needs more than") == false)
        let last = outcomes[0].last ?? ""
        #expect(last.contains("needs more than 4000000 steps"), "\(last)")
    }

    /// SQLite reads all of them with the schema, whatever they are of.
    @Test(arguments: [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) "
            + "INSERT INTO sqlite_stat1 SELECT 'x' || i, NULL, '1' FROM n",
        "INSERT INTO sqlite_stat1 VALUES('k', NULL, CAST(zeroblob(20000000) AS TEXT))",
    ])
    func `Rows of statistics cost steps whenever the schema is read again`(insert: String) throws {
        var limits = WriteLimits.initial
        limits.steps = 4_000_000
        let outcomes = try [false, true].map { restarting in
            let database = try Database(writes: limits)
            for sql in [
                "CREATE TABLE k(a PRIMARY KEY)", "INSERT INTO k VALUES(1)", "ANALYZE", insert,
            ] {
                for case .failed(let text) in try database.execute(sql) {
                    Issue.record("\(sql): \(text)")
                }
            }
            if restarting { database.applier = try Applier(path: database.applier.path) }
            let result = try database.apply(
                Command(
                    kind: .execute,
                    statements: (0..<60).map { Statement("PRAGMA user_version=\($0)") },
                    stamp: stamp(database.applier.applied.position.index.next)))
            return result.statements.map { "\($0.outcome)" }
        }
        #expect(outcomes[0] == outcomes[1])
        #expect(outcomes[0].count == 60)
        #expect(outcomes[0].first?.contains("needs more than") == false)
        let last = outcomes[0].last ?? ""
        #expect(last.contains("needs more than 4000000 steps"), "\(last)")
    }

    @Test func `Virtual tables that a dump brings cost steps by the size of the schema`() throws {
        var limits = WriteLimits.initial
        limits.steps = 4_000_000
        let database = try Database(writes: limits)
        let tables = (0..<400).map { "CREATE TABLE t\($0)(a);" }.joined()
        #expect(try database.execute(tables) == [.empty])
        let rows = (0..<60).map {
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES"
                + "('table','f\($0)','f\($0)',0,'CREATE VIRTUAL TABLE f\($0) USING fts5(a)')"
        }
        let result = try database.apply(
            Command(
                kind: .execute,
                statements: (["PRAGMA writable_schema=ON", "BEGIN"] + rows + ["ROLLBACK"])
                    .map { Statement($0) },
                stamp: stamp(database.applier.applied.position.index.next)))
        let outcomes = result.statements.map { "\($0.outcome)" }
        guard outcomes.count == 63 else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(!outcomes[2].contains("failed"), "\(outcomes[2])")
        #expect(outcomes[61].contains("needs more than 4000000 steps"), "\(outcomes[61])")
    }

    @Test func `Many statements of many terms end with the limit on steps`() throws {
        var limits = WriteLimits.initial
        limits.steps = 4_000_000
        let outcomes = try [false, true].map { restarting in
            let database = try Database(writes: limits)
            try database.execute("CREATE TABLE t(a)")
            if restarting { database.applier = try Applier(path: database.applier.path) }
            let one = "DELETE FROM t WHERE \(Self.terms(0..<2_000))"
            let text = Array(repeating: one, count: 30).joined(separator: ";")
            let all = try database.apply(
                Command(
                    kind: .execute,
                    statements: [Statement(text)] + (0..<30).map { Statement("\(one) -- \($0)") },
                    stamp: stamp(database.applier.applied.position.index.next)))
            return all.statements.map { "\($0.outcome)" }
        }
        #expect(outcomes[0] == outcomes[1])
        #expect(outcomes[0].count == 31)
        for outcome in outcomes[0] {
            #expect(outcome.contains("needs more than 4000000 steps"), "\(outcome)")
        }
    }

    @Test(arguments: [(CommandKind.request, "SELECT a"), (.query, "DELETE")])
    func `What comes of a request without steps left does not depend on statements that are kept`(
        kind: CommandKind, verb: String
    ) throws {
        var limits = WriteLimits.initial
        limits.steps = 10_000_000
        let group = Array(repeating: "a", count: 50).joined(separator: " OR ")
        let terms = Array(repeating: "(\(group))", count: 30).joined(separator: " OR ")
        let last = "\(verb) FROM t WHERE \(terms)"
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        let results = try [false, true].map { restarting in
            let database = try Database(writes: limits)
            try database.execute("CREATE TABLE t(a)")
            func apply(_ kind: CommandKind, _ texts: [String]) throws -> [String] {
                try database.apply(
                    Command(
                        kind: kind, statements: texts.map { Statement($0) },
                        stamp: stamp(database.applier.applied.position.index.next))
                ).statements.map { "\($0.isRead) \($0.outcome)" }
            }
            #expect(try !apply(.request, [last])[0].contains("failed"))
            if restarting { database.applier = try Applier(path: database.applier.path) }
            return try apply(kind, [endless, last])
        }
        #expect(results[0] == results[1])
        #expect(results[0].count == 2)
        #expect(results[0][0].contains("needs more than 10000000 steps"), "\(results[0])")
    }

    @Test func `What modules compile at first use costs the same as what they kept`() throws {
        func work(restarting: Bool, isNoted: Bool = true) throws -> [Int64] {
            let database = try Database()
            let columns = (0..<1_900).map { "column_of_some_length_\($0)" }
                .joined(separator: ",")
            try database.execute(
                "CREATE TABLE t(a)", "CREATE VIRTUAL TABLE f USING fts5(\(columns))",
                "INSERT INTO f(column_of_some_length_7) VALUES('one two')")
            return try [
                "INSERT INTO t SELECT column_of_some_length_7 FROM f",
                "INSERT INTO t SELECT length(column_of_some_length_9) FROM f WHERE f MATCH 'one'",
                "INSERT INTO f(column_of_some_length_7) SELECT a FROM t",
                "UPDATE f SET column_of_some_length_8 = 'x'", "DELETE FROM f WHERE rowid = 1",
            ].flatMap { sql in
                try (0..<2).map { _ in
                    if restarting { database.applier = try Applier(path: database.applier.path) }
                    if !isNoted { database.applier.session.budget.noteVirtualTables(width: 0) }
                    guard case .failed(let text)? = try database.execute(sql).first else {
                        return csqlite_work()
                    }
                    Issue.record("\(text)")
                    return -1
                }
            }
        }
        #expect(try work(restarting: false) == work(restarting: true))
        // Otherwise the statements that the module compiles for so many columns would be charged.
        let (kept, fresh) = try (
            work(restarting: false, isNoted: false), work(restarting: true, isNoted: false)
        )
        #expect(kept != fresh)
    }

    @Test func `What VACUUM counts again for changes() costs steps`() throws {
        var limits = WriteLimits.initial
        limits.steps = 6_000_000
        let database = try Database(writes: limits)
        try database.execute("CREATE TABLE t(a)")
        try database.execute(
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) "
                + "INSERT INTO t SELECT i FROM n")
        let vacuums = Array(repeating: "VACUUM", count: 40)
        let result = try database.apply(
            Command(
                kind: .execute,
                statements: (["DELETE FROM t"] + vacuums + ["INSERT INTO t VALUES(1)"])
                    .map { Statement($0) },
                stamp: stamp(database.applier.applied.position.index.next)))
        let first = "\(result.statements[1].outcome)"
        let last = "\(result.statements[41].outcome)"
        #expect(!first.contains("needs more"), "\(first)")
        #expect(last.contains("needs more than 6000000 steps"), "\(last)")
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }
}
