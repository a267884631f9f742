import CSQLite
import Raft
import SQLite
import Scratch
import Testing
import Threads
import Wire

@testable import StateMachine

/// The cost of a request grows with its size, not with the square of it.
@Suite(.serialized) struct RequestCostTests {
    private func seconds(_ body: () throws -> Void) throws -> Double {
        let start = ThreadTime.now
        try body()
        return (ThreadTime.now - start) / .seconds(1)
    }

    /// Of three tries each the least counts: what is new to the processor's memory only adds to it. Eight times the
    /// size must not take more than 24 times as long, for which one try is enough; a square takes 64 times.
    private func expectLinear(_ size: Int, _ run: (Int) throws -> Void) throws {
        let small = try (0..<3).map { _ in try seconds { try run(size) } }.min() ?? 0
        let most = 24 * small + 0.05
        var large = try seconds { try run(8 * size) }
        for _ in 0..<2 where large >= most { large = min(large, try seconds { try run(8 * size) }) }
        #expect(large < most, "\(size): \(small) s, \(8 * size): \(large) s")
    }

    @Test func `Looking where a dump may be cut takes time that grows with its length`() throws {
        try expectLinear(20_000) { count in
            let literal = "INSERT INTO t VALUES('" + String(repeating: "x;\n", count: count)
            let end = Array(literal.utf8).withUnsafeBytes { RequestScan.wholeLines(of: $0) }
            #expect(end == nil)
        }
    }

    /// SQLite has not looked yet at what stands in a row of a dump: it may have any number of them.
    @Test func `Calls of matchinfo() in one another take time that grows with their number`()
        throws
    {
        try expectLinear(2000) { count in
            let text = String(repeating: "matchinfo(", count: count) + "f, 'x')"
            #expect(Array(text.utf8).withUnsafeBytes { FormatRule.parameters(of: $0) } == [])
        }
    }

    @Test func `Beside a table named like a module a text takes time that grows with its length`()
        throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE dbstat(a)")
        let literals = try StoredLiterals(on: database.applier.session.connection)
        #expect(literals.likeModules.count == 1)
        try expectLinear(2000) { count in
            let text = Array(String(repeating: "SELECT 'some text';\n", count: count).utf8)
            text.withUnsafeBytes { bytes in
                // Each of them is compiled with all behind it.
                for place in 0..<count {
                    let rest = UnsafeRawBufferPointer(rebasing: bytes[(20 * place)...])
                    #expect(!literals.reachesModules(rest))
                }
            }
        }
    }

    @Test func `A text of many statements takes time that grows with its length`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        try expectLinear(2000) { count in
            let text = String(
                repeating: "INSERT INTO t VALUES('some text to make it long');\n", count: count)
            guard case .changed(_, 1)? = try database.execute(text).first else {
                Issue.record("not all statements ran")
                return
            }
        }
    }

    @Test func `A text of many reads takes time that grows with its length`() throws {
        let database = try Database()
        let reader = try database.reader()
        try expectLinear(2000) { count in
            let text = String(repeating: "SELECT 'some text to make it long';\n", count: count)
            let outcome = reader.run(Command(kind: .request, statements: [Statement(text)]))
            guard case .result(let result) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(result.statements.count == 1)
        }
    }

    @Test func `Binding named parameters takes time that grows with their number`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        try expectLinear(1000) { count in
            let sql = (0..<count).map { "INSERT INTO t VALUES(:name\($0));" }.joined()
            let named = (0..<count).map {
                Statement.Named(name: "name\($0)", value: .integer(Int64($0)))
            }
            let result = try database.apply(
                Command(kind: .execute, statements: [Statement(sql, named: named)]))
            #expect(result.statements.count == 1)
        }
        #expect(try database.rows("SELECT max(a) FROM t") == ["7999"])
    }

    @Test func `Forty thousand named parameters are done within seconds`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let rows = (0..<32_766).map { "(:n\($0))" }.joined(separator: ",")
        let named = (0..<32_766).map {
            Statement.Named(name: "n\($0)", value: .integer(Int64($0)))
        }
        let elapsed = try seconds { () throws in
            let result = try database.apply(
                Command(
                    kind: .execute,
                    statements: [Statement("INSERT INTO t VALUES \(rows)", named: named)]))
            #expect(
                result.statements.map(\.outcome) == [
                    .changed(lastInsertID: 32_766, rowsAffected: 32_766)
                ])
        }
        #expect(elapsed < 180, "\(elapsed) s")
        let many = (0..<40_000).map { ":n\($0)" }.joined(separator: ",")
        #expect(
            try database.execute("SELECT 1 IN (\(many))") == [.failed("too many SQL variables")])
    }

    @Test func `Of two values under one name the last counts, and names differ by their bytes`()
        throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a, b)")
        let named: [Statement.Named] = [
            .init(name: "n", value: .integer(1)), .init(name: "e\u{301}", value: .integer(2)),
            .init(name: "n", value: .integer(3)), .init(name: "\u{e9}", value: .integer(4)),
        ]
        let result = try database.apply(
            Command(
                kind: .execute,
                statements: [
                    Statement("INSERT INTO t VALUES(:n, :e\u{301}),(:n, :\u{e9})", named: named)
                ]))
        #expect(
            result.statements.map(\.outcome) == [.changed(lastInsertID: 2, rowsAffected: 2)])
        #expect(try database.rows("SELECT * FROM t") == ["3|2", "3|4"])
    }

    @Test(arguments: ["", "EXPLAIN ", ";; explain QUERY plan "])
    func `Words of a module are no parameters, also where they are only explained`(front: String) {
        let texts = [
            ("\(front)CREATE VIRTUAL TABLE f USING fts5(a, :b); SELECT $c, ?1", ["c", "1"]),
            ("\(front)SELECT :b, @virtual; EXPLAIN SELECT #d", ["b", "virtual", "d"]),
        ]
        for (text, names) in texts {
            let found = Array(text.utf8).withUnsafeBytes { SQLParameter.names(in: $0) }
            #expect(found == Set(names.map { ByteText($0.utf8) }), "\(text)")
        }
    }

    /// As where each unit is a transaction, and the process ends behind the first.
    @Test func `A text goes on behind a restart with names that only its beginning asks for`()
        throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let first = "INSERT INTO t VALUES(:a), ($c(/*));"
        let named: [Statement.Named] = [
            .init(name: "a", value: .integer(1)), .init(name: "b", value: .integer(2)),
            .init(name: "c(/*)", value: .integer(3)),
        ]
        var state = database.applier.applied
        state.progress = EntryProgress(offset: first.utf8.count)
        let session = database.applier.session
        try session.begin()
        try MetadataTable.writeProgress(state, on: session.connection)
        try session.commit()
        database.applier = try Applier(path: database.applier.path)
        let result = try database.apply(
            Command(
                kind: .execute,
                statements: [Statement(first + " INSERT INTO t VALUES(@b)", named: named)]))
        #expect(
            result.statements.map(\.outcome) == [.changed(lastInsertID: 1, rowsAffected: 1)])
    }

    @Test func `Savepoints in one another have a bound`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let open = (0..<20_000).map { "SAVEPOINT s\($0);" }.joined()
        let elapsed = try seconds { () throws in
            #expect(
                try database.execute(open + "RELEASE s0")
                    == [.failed("too many savepoints in one another: at most 1000")])
        }
        #expect(elapsed < 120)
        let legal = (0..<900).map { "SAVEPOINT s\($0);" }.joined()
        #expect(
            try database.execute(legal + "INSERT INTO t VALUES(1); RELEASE s0") == [.empty])
        #expect(try database.rows("SELECT count(*) FROM t") == ["1"])
    }

    // MARK: Compiling

    @Test func `A short text that compiles to much is not kept`() throws {
        let database = try Database()
        let sum = Array(repeating: "a", count: 300).joined(separator: "+")
        let columns = (0..<200).map { "\(sum) AS c\($0)" }.joined(separator: ", ")
        try database.execute("CREATE TABLE t(a)", "CREATE VIEW v AS SELECT \(columns) FROM t")
        let compiler = database.applier.session.compiler
        for (sql, isKept) in [("SELECT * FROM v", false), ("SELECT c7 FROM v", true)] {
            guard case .rows? = try database.request(sql).first else {
                Issue.record("\(sql) gives no rows")
                continue
            }
            #expect((compiler.cached(sql) != nil) == isKept, "\(sql)")
        }
    }

    private static func doubling(_ levels: Int) -> String {
        "WITH t0 AS (SELECT 1 x)"
            + (0..<levels).map { ", t\($0 + 1) AS (SELECT a.x FROM t\($0) a, t\($0) b)" }.joined()
            + " SELECT count(*) FROM t\(levels)"
    }

    private static let tooNested: StatementOutcome = .failed(
        "the statement is too large or too deeply nested to be compiled: split it, or use fewer "
            + "views and common table expressions in one another")

    @Test func `A statement that doubles itself again and again is refused when it is compiled`()
        throws
    {
        let database = try Database()
        let reader = try database.reader()
        let elapsed = try seconds { () throws in
            #expect(try database.execute(Self.doubling(40)) == [Self.tooNested])
            #expect(try database.request(Self.doubling(40)) == [Self.tooNested])
            let outcome = reader.run(
                Command(kind: .query, statements: [Statement(Self.doubling(40))]))
            guard case .result(let result) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(result.statements.map(\.outcome) == [Self.tooNested])
        }
        #expect(elapsed < 180)
        #expect(try database.rows(Self.doubling(6)) == ["1"])
    }

    @Test func `Columns computed from one another without end are refused, and the table can go`()
        throws
    {
        let database = try Database()
        let columns = (0..<40).map { ", c\($0 + 1) AS (c\($0) + c\($0))" }.joined()
        try database.execute("CREATE TABLE g(c0\(columns))", "CREATE TABLE t(a)")
        #expect(try database.request("SELECT c40 FROM g") == [Self.tooNested])
        #expect(try database.request("SELECT c8 FROM g").count == 1)
        #expect(try database.execute("DROP TABLE g") == [.empty])
        #expect(
            try database.execute("INSERT INTO t VALUES(1)")
                == [.changed(lastInsertID: 1, rowsAffected: 1)])
    }

    @Test func `Too many common table expressions are refused before SQLite goes through them`()
        throws
    {
        let database = try Database()
        let chain = { (count: Int) in
            "WITH c0 AS (SELECT 1 AS x)"
                + (0..<count).map { ", c\($0 + 1) AS NOT MATERIALIZED (SELECT x FROM c\($0))" }
                .joined() + " SELECT x FROM c\(count)"
        }
        #expect(
            try database.request(chain(100_000))
                == [.failed("too many common table expressions: at most 2000")])
        #expect(try database.rows(chain(200)) == ["1"])
    }

    /// Runs on a stack as the daemon's threads for SQL have it.
    private func onDeepStack(_ body: @escaping @Sendable () -> Void) {
        do throws(ThreadShortage) {
            try NamedThread("deep", stack: NamedThread.deepStack, body).join()
        } catch {
            Issue.record(error)
        }
    }

    /// A database with tables in a row, each of which fires a trigger that writes to the next.
    private static func triggers(_ count: Int) throws -> Database {
        try Database().copied { (connection) throws(SQLiteError) in
            let tables = (0...count).map { "CREATE TABLE t\($0)(a);" }.joined()
            // SQLite looks through all objects when one is created, but for those that come as rows.
            try connection.execute(
                """
                BEGIN; \(tables) PRAGMA writable_schema=ON;
                WITH n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < \(count - 1))
                INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql)
                SELECT 'trigger', 'g' || i, 't' || i, 0,
                    'CREATE TRIGGER g' || i || ' AFTER INSERT ON t' || i || ' BEGIN INSERT INTO t'
                    || (i + 1) || ' VALUES(new.a); END'
                FROM n; COMMIT
                """)
        }
    }

    /// A database with tables in a row, each of which takes its rows along with those of the one before.
    private static func keys(_ count: Int) throws -> Database {
        try Database(foreignKeys: true).copied { (connection) throws(SQLiteError) in
            let tables = (0..<count).map {
                "CREATE TABLE k\($0 + 1)(a PRIMARY KEY REFERENCES k\($0) ON DELETE CASCADE);"
            }.joined()
            try connection.execute("BEGIN; CREATE TABLE k0(a PRIMARY KEY); \(tables) COMMIT")
        }
    }

    /// Each has a database of its own, made without the looks at all objects that a statement of a client takes.
    @Test func `No depth of triggers, foreign keys, views and queries ends the process`() {
        onDeepStack {
            do {
                let count = 9000
                let triggers = try Self.triggers(count)
                #expect(
                    try triggers.rows(
                        "SELECT type, count(*) FROM sqlite_schema "
                            + "WHERE name GLOB '[tg][0-9]*' GROUP BY 1 ORDER BY 1")
                        == ["table|9001", "trigger|9000"])
                #expect(
                    try triggers.execute("INSERT INTO t0 VALUES(1)")
                        == [.failed("too many levels of trigger recursion")])

                let keys = try Self.keys(count)
                #expect(try keys.execute("DELETE FROM k0") == [.empty])

                let views = try Database()
                try views.execute(
                    "CREATE VIEW v0 AS SELECT 1 AS x;"
                        + (0..<3000).map {
                            "CREATE VIEW v\($0 + 1) AS SELECT x FROM v\($0) LIMIT 5;"
                        }.joined())
                #expect(try views.request("SELECT x FROM v3000") == [Self.tooNested])
                #expect(try views.rows("SELECT x FROM v300") == ["1"])

                try views.execute("CREATE VIRTUAL TABLE f USING fts5(x)")
                let query = String(repeating: "a NOT ", count: 100_000) + "a"
                #expect(
                    try views.request("SELECT count(*) FROM f WHERE f MATCH '\(query)'").count
                        == 1)
            } catch {
                Issue.record(error)
            }
        }
    }

    @Test func `A long list of values is no matter`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let rows = String(repeating: "(1),", count: 299_999) + "(1)"
        #expect(
            try database.execute("INSERT INTO t VALUES \(rows)")
                == [.changed(lastInsertID: 300_000, rowsAffected: 300_000)])
        let list = String(repeating: "1,", count: 500_000) + "2"
        #expect(try database.rows("SELECT 2 IN (\(list))") == ["1"])
    }

    @Test func `A lack of memory while compiling is no answer`() throws {
        let database = try Database()
        defer { csqlite_inject_memory_fault(-1) }
        var faults = 0
        for allocation in stride(from: 0, to: 40, by: 3) {
            let command = Command(
                kind: .execute, statements: [Statement("CREATE TABLE m\(allocation)(a, b, c)")])
            let index = database.applier.applied.position.index.next
            var results: [AppliedEntry] = []
            csqlite_inject_memory_fault(Int64(allocation))
            do throws(ApplyFault) {
                try database.applier.apply(
                    [entry(index, command)], reporting: { _ in true }, into: &results)
            } catch {
                guard case .storage = error else {
                    Issue.record("\(error)")
                    continue
                }
                faults += 1
            }
            csqlite_inject_memory_fault(-1)
            #expect(
                results.allSatisfy { $0.result?.statements.map(\.outcome) == [.empty] },
                "\(results)")
        }
        #expect(faults > 5)
    }
}
