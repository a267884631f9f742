import Raft
import Testing
import Wire

@testable import StateMachine

/// Names are looked for in all columns of all tables that a SELECT reads.
@Suite struct ColumnLookupTests {
    private func lookups(_ sql: String) -> ColumnLookups {
        Array(sql.utf8).withUnsafeBytes { ColumnLookups($0) }
    }

    @Test(arguments: [
        ("SELECT a, b FROM t, u WHERE c", 10, 0), ("INSERT INTO t VALUES(1, NULL)", 0, 0),
        ("SELECT 1 FROM t NATURAL JOIN u", 4, 2), ("SELECT (SELECT a FROM t) FROM u, v", 10, 0),
        ("SELECT a FROM t UNION SELECT 'b', 2 FROM u; SELECT c FROM v, w", 3, 0),
        (";;SELECT \"a\" FROM t", 2, 0), ("SELECT a FROM t)))) ORDER BY b, c, d", 6, 0),
    ])
    func `A name counts for each table in which it is looked for`(
        sql: String, names: Int, naturals: Int
    ) {
        let found = lookups(sql)
        #expect(found.names == names, "\(sql)")
        #expect(found.naturals == naturals, "\(sql)")
    }

    @Test(arguments: [
        ("SELECT 1, 2 FROM (SELECT 1, 2, 3) WHERE a IN (1, 2, 3, 4, 5)", 3, 1),
        ("WITH c(a, b) AS (VALUES (1, 2), (3, 4), (5, 6), (7, 8)) SELECT 1 FROM c, d, e", 2, 3),
        ("INSERT INTO t VALUES(1, 2, 3, 4)", 4, 0),
        ("SELECT a UNION SELECT 1, 2 FROM t JOIN u", 2, 2),
    ])
    func `The widest list and the most tables of a SELECT are known`(
        sql: String, columns: Int, tables: Int
    ) {
        let found = lookups(sql)
        #expect(found.widest == columns, "\(sql)")
        #expect(found.count.tables == tables, "\(sql)")
    }

    /// Terms by which each table is tied to others.
    @Test(arguments: [
        (63, 10, true), (32, 5, true), (10, 2, false), (3, 40, false), (63, 1, false),
    ])
    func `A join of many tables by many terms costs steps`(tables: Int, terms: Int, isCostly: Bool)
    {
        let names = (0..<tables).map { "x\($0)" }
        let ties = names.flatMap { name in (0..<terms).map { "\(name).a=x\($0).b" } }
        let conditions = ties.joined(separator: " AND ")
        let listed = "SELECT 1 FROM \(names.joined(separator: ", ")) WHERE \(conditions)"
        let nested =
            "SELECT 1 FROM (SELECT 1 FROM \(names.joined(separator: " JOIN "))) ON \(conditions)"
        for sql in [listed, nested] {
            #expect((lookups(sql).count.joins > 1_000_000) == isCostly, "\(sql)")
        }
        let joined = "SELECT 1 FROM " + names.joined(separator: " NATURAL JOIN ")
        #expect((lookups(joined).count.joins > 1_000_000) == (tables > 10))
    }

    /// A view for each use of it, and a join for each part of a UNION ALL in it.
    @Test(arguments: [false, true])
    func `A join that is planned many times costs steps each time`(isView: Bool) throws {
        let ties = (0..<8).flatMap { table in
            (0..<6).map { "x\(table).c\($0 % 3) = x\((table + $0 + 1) % 8).a" }
        }
        let tables = (1..<8).map { "t x\($0)" }.joined(separator: ", ")
        func join(_ first: String) -> String {
            "SELECT x0.a AS a FROM \(first) x0, \(tables) WHERE \(ties.joined(separator: " AND "))"
        }
        func parts(of table: String) -> String {
            Array(repeating: "SELECT * FROM \(table)", count: 20).joined(separator: " UNION ALL ")
        }
        let sql = isView ? parts(of: "v") : join("(\(parts(of: "t")))")
        for isAllowed in [true, false] {
            var writes = WriteLimits.initial
            if !isAllowed { writes.steps = 1_000_000 }
            let database = try Database(writes: writes)
            try database.execute(
                "CREATE TABLE t(a, c0, c1, c2)", "CREATE INDEX i ON t(c0, c1, c2)",
                "CREATE VIEW v AS \(join("t"))")
            let before = database.applier.session.budget.charged
            let outcome = "\(try database.execute("INSERT INTO t(a) SELECT a FROM (\(sql))"))"
            #expect(outcome.contains("failed") == !isAllowed, "\(outcome)")
            if isAllowed { #expect(database.applier.session.budget.charged - before > 2_000_000) }
        }
    }

    @Test func `Names cost steps where a statement has no FROM, too`() throws {
        for (count, names) in [(2000, 0), (2001, 2001)] {
            let list = Array(repeating: "\"a\"", count: count).joined(separator: ",")
            #expect(lookups("INSERT INTO t(\(list)) VALUES(1, 2)").names == names)
            #expect(lookups("INSERT INTO t VALUES(\(list))").names == 0)
        }
        let columns = (0..<1999).map { ",c\($0)" }.joined()
        let list = Array(repeating: "b", count: 1700).joined(separator: ",")
        let charges = try ["", columns].map { more in
            let database = try Database()
            try database.execute("CREATE TABLE t(a, b)", "CREATE TABLE w(a\(more))")
            let before = database.applier.session.budget.charged
            let outcomes = try database.execute("UPDATE t SET a = a IN (\(list))")
            #expect(outcomes == [.empty])
            return database.applier.session.budget.charged - before
        }
        #expect(charges[1] - charges[0] > 100_000, "\(charges)")
    }

    /// SQLite looks through a view or common table expression for each use.
    @Test(arguments: [("", "WITH c AS (%)"), ("CREATE VIEW c AS %", "")])
    func `Names cost steps as often as what they stand in is used`(
        view: String, front: String
    ) throws {
        let charges = try [false, true].map { restarting in
            var limits = WriteLimits.initial
            limits.steps = 2_000_000
            let database = try Database(writes: limits)
            try database.execute("CREATE TABLE t(a)")
            for table in 0..<10 {
                let columns = (0..<999).map { "c\(table)_\($0), " }.joined()
                try database.execute("CREATE TABLE w\(table)(\(columns)z\(table))")
            }
            let names = (0..<50).map { "z\($0 % 10)" }.joined(separator: "+")
            let tables = (0..<10).map { "w\($0)" }.joined(separator: ", ")
            let select = "SELECT \(names) AS n FROM \(tables)"
            func filled(_ form: String) -> String {
                form.split(separator: "%", omittingEmptySubsequences: false).joined(
                    separator: select)
            }
            if !view.isEmpty { try database.execute(filled(view)) }
            if restarting { database.applier = try Applier(path: database.applier.path) }
            func outcome(uses: Int) throws -> String {
                let selects = Array(repeating: "SELECT n FROM c", count: uses)
                let all = selects.joined(separator: " UNION ALL ")
                let outcomes = try database.execute("INSERT INTO t \(filled(front)) \(all)")
                return "\(outcomes)"
            }
            let before = database.applier.session.budget.charged
            let some = try outcome(uses: 40)
            #expect(!some.contains("failed"), "\(some)")
            let charged = database.applier.session.budget.charged - before
            let many = try outcome(uses: 200)
            #expect(many.contains("compiling the statement takes more steps"), "\(many)")
            return charged
        }
        #expect(charges[0] > 40 * 50 * 10 * 1000 / 32, "\(charges)")
        #expect(charges[0] == charges[1], "\(charges)")
    }

    /// Each that is open takes memory where it is counted.
    @Test func `What stands in millions of parentheses is a number`() {
        let text = "SELECT " + String(repeating: "(a, ", count: 1 << 20)
        let closed = text + String(repeating: ")", count: 1 << 21) + " FROM t"
        for sql in [text, closed] {
            #expect(lookups(sql).steps(columns: .max) >= 0)
            let size = Array(sql.utf8).withUnsafeBytes { StatementSize($0) }
            #expect(size.steps >= 0)
        }
        let joins = "SELECT a FROM t" + String(repeating: " NATURAL JOIN t", count: 1 << 20)
        #expect(lookups(joins).steps(columns: .max) > 1_000_000_000)
    }

    @Test func `NATURAL JOIN of wide tables costs steps by their columns`() throws {
        let outcomes = try [false, true].map { restarting in
            var limits = WriteLimits.initial
            limits.steps = 2_000_000
            let database = try Database(writes: limits)
            let wide = ["w", "x"].map { table in
                let columns = (0..<1000).map { "\(table)\($0)" }.joined(separator: ", ")
                return "CREATE TABLE \(table)(\(columns));"
            }
            #expect(try database.execute("CREATE TABLE t(a); " + wide.joined()) == [.empty])
            if restarting { database.applier = try Applier(path: database.applier.path) }
            let sql = "INSERT INTO t SELECT count(*) FROM w NATURAL JOIN x"
            let result = try database.apply(
                Command(
                    kind: .execute, statements: (0..<60).map { _ in Statement(sql) },
                    stamp: stamp(database.applier.applied.position.index.next)))
            return result.statements.map { "\($0.outcome)" }
        }
        #expect(outcomes[0] == outcomes[1])
        #expect(outcomes[0].first?.contains("needs more") == false, "\(outcomes[0][0])")
        let last = outcomes[0].last ?? ""
        #expect(last.contains("needs more than 2000000 steps"), "\(last)")
    }

    /// They are compiled with each statement that uses them, and stand in none.
    @Test(arguments: [
        ("CREATE TRIGGER r AFTER INSERT ON t BEGIN % END", "INSERT INTO t VALUES(1)"),
        ("CREATE VIEW v AS %", "INSERT INTO t SELECT 1 FROM v"),
    ])
    func `Names in a view or trigger cost steps where it is used`(
        form: String, use: String
    ) throws {
        // Whether the widest table was there before or came behind the names.
        let charges = try [[0, 1], [1, 0], [0, 1, 2]].map { order in
            let database = try Database()
            let columns = (0..<1990).map { "c\($0)" }.joined(separator: ", ")
            let names = (0..<900).map { "c1989 AS x\($0)" }.joined(separator: ", ")
            let parts = form.split(separator: "%", omittingEmptySubsequences: false)
            let select = "SELECT \(names) FROM w" + (parts[1].isEmpty ? "" : ";")
            try database.execute("CREATE TABLE t(a)")
            for step in order {
                switch step {
                case 0: try database.execute("CREATE TABLE w(\(columns))")
                case 1: try database.execute(parts.joined(separator: select))
                default: database.applier = try Applier(path: database.applier.path)
                }
            }
            let before = database.applier.session.budget.charged
            let outcomes = try database.execute(use)
            if case .failed(let text)? = outcomes.first { Issue.record("\(text)") }
            return database.applier.session.budget.charged - before
        }
        #expect(charges[0] > 900 * 1990 / 32, "\(charges)")
        #expect(Set(charges).count == 1, "\(charges)")
    }
}
