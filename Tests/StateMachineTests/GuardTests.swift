import Raft
import StateMachine
import Testing
import Wire

/// What clients may not do, in whatever words they try it.
@Suite struct GuardTests {
    @Test(
        arguments: [
            "PRAGMA journal_mode=DELETE", "PRAGMA journal_mode(DELETE)",
            "/* c */ PRAGMA main . \"synchronous\" = 0", "SELECT 1; pragma/**/query_only=0",
            "-- x\nPRAGMA wal_checkpoint", "PRAGMA wal_autocheckpoint(0)",
            "PRAGMA [wal_checkpoint](TRUNCATE)", "PRAGMA main.wal_autocheckpoint=5",
        ])
    func `The five PRAGMAs fail the whole request`(sql: String) throws {
        let database = try Database()
        let reader = try database.reader()
        for kind in [CommandKind.execute, .request, .query] {
            let command = Command(
                kind: kind, statements: [Statement("CREATE TABLE t(a)"), Statement(sql)])
            let result = try database.apply(command)
            #expect(result.error == "disallowed pragma")
            #expect(result.statements.isEmpty)
            if kind == .query { #expect(reader.run(command) == .result(expected)) }
        }
        #expect(try database.rows("SELECT count(*) FROM sqlite_master WHERE name = 't'") == ["0"])
    }

    private let expected = CommandResult([], error: "disallowed pragma")

    @Test(
        arguments: [
            ("ATTACH '/tmp/x' AS y", "ATTACH is not supported"),
            ("DETACH main", "DETACH is not supported"),
            ("VACUUM INTO '/tmp/rqlited-vacuum-into'", "VACUUM INTO is not supported"),
            ("CREATE TEMP TABLE x(a)", "TEMP objects"),
            ("CREATE TABLE temp.x(a)", "TEMP objects"),
            ("CREATE TEMPORARY VIEW x AS SELECT 1", "TEMP objects"),
            ("CREATE VIRTUAL TABLE temp.x USING fts5(a)", "TEMP objects"),
            ("PRAGMA writable_schema=ON", "ends with its request"),
            ("PRAGMA writable_schema=ON; DELETE FROM sqlite_schema", "may not be modified"),
            ("PRAGMA locking_mode=EXCLUSIVE", "PRAGMA locking_mode can't be changed"),
            ("PRAGMA schema_version=7", "PRAGMA schema_version is not supported"),
            ("PRAGMA data_store_directory='/tmp'", "is not supported"),
            ("PRAGMA temp_store_directory='/tmp'", "is not supported"),
            ("SELECT load_extension('x')", "not authorized"),
            ("INSERT INTO t SELECT load_extension('x')", "not authorized"),
            ("UPDATE sqlite_rqlite SET format = 2", "may not be modified|no such table"),
            ("INSERT INTO t SELECT progress FROM sqlite_rqlite", "no such table: sqlite_rqlite"),
            ("SELECT * FROM sqlite_rqlite", "no such table: sqlite_rqlite"),
            ("DROP TABLE sqlite_rqlite", "may not be dropped|no such table"),
            ("INSERT INTO t SELECT sqlite_version()", "nodes may differ"),
            ("INSERT INTO t SELECT name FROM pragma_function_list", "nodes may differ"),
            ("INSERT INTO t SELECT file FROM pragma_database_list", "nodes may differ"),
            ("INSERT INTO t SELECT sql FROM sqlite_stmt", "other clients' statements"),
            ("INSERT INTO t SELECT fts5_source_id()", "nodes may differ"),
            ("INSERT INTO t SELECT pageno FROM dbstat", "nodes may differ"),
            ("DELETE FROM t WHERE a IN (SELECT a FROM nl)", "nodes may differ"),
            ("INSERT INTO d(x) VALUES(1)", "nodes may differ"),
            ("DELETE FROM sqlite_schema", "may not be modified"),
            ("DELETE FROM words_data", "may not be modified"),
        ])
    func `Refused in a write`(sql: String, text: String) throws {
        let database = try Database()
        let made = try database.execute(
            """
            CREATE TABLE t(a); INSERT INTO t VALUES(1); CREATE INDEX ti ON t(a);
            CREATE TABLE d(x, y DEFAULT 0);
            CREATE TRIGGER dt AFTER INSERT ON d BEGIN
            INSERT INTO t SELECT name FROM pragma_module_list; END;
            CREATE VIEW nl AS SELECT name AS a FROM pragma_module_list;
            CREATE VIRTUAL TABLE words USING fts5(w)
            """)
        #expect(made == [.empty], "\(made)")
        try database.execute("ANALYZE")
        let before = try database.dump()
        guard case .failed(let message)? = try database.request(sql).first else {
            Issue.record("\(sql) was not refused")
            return
        }
        #expect(text.split(separator: "|").contains { message.contains($0) }, "\(message)")
        #expect(try database.dump() == before)
    }

    @Test func `Statistics don't stand in the way of DROP and ALTER`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1); CREATE INDEX ti ON t(a)")
        try database.execute("ANALYZE")
        #expect(try database.rows("SELECT tbl FROM sqlite_stat1") == ["t"])
        #expect(
            try database.execute(
                "ALTER TABLE t RENAME TO u", "ALTER TABLE u ADD COLUMN b", "DROP INDEX ti",
                "DROP TABLE u") == [.empty, .empty, .empty, .empty])
    }

    @Test func `PRAGMA optimize is ANALYZE in a write and nothing in a query`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1); CREATE INDEX ti ON t(a)")
        let optimize = Statement("PRAGMA optimize")
        _ = try database.apply(Command(kind: .query, statements: [optimize]))
        #expect(
            try database.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'")
                == ["0"])
        _ = try database.apply(Command(kind: .execute, statements: [optimize]))
        #expect(try database.rows("SELECT tbl FROM sqlite_stat1") == ["t"])
    }

    @Test func `A command never sees the counters of another`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1),(2),(3)")
        #expect(
            try database.rows("SELECT changes(), total_changes(), last_insert_rowid()")
                == ["0|0|0"])
        let outcomes = try database.request(
            "INSERT INTO t VALUES(4),(5)", "SELECT changes(), total_changes(), last_insert_rowid()")
        guard case .rows(let rows)? = outcomes.last else {
            Issue.record("no rows")
            return
        }
        #expect(try rows.lines() == ["2|2|5"])
    }

    @Test func `A request beyond its budget fails on every node alike`() throws {
        var limits = WriteLimits.initial
        limits.steps = 500_000
        let database = try Database(writes: limits)
        try database.execute("CREATE TABLE t(a); CREATE VIRTUAL TABLE words USING fts5(w)")
        let endless = """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
            INSERT INTO t SELECT i FROM n
            """
        let outcomes = try database.execute("INSERT INTO t VALUES(1)", endless)
        #expect(outcomes.first == .changed(lastInsertID: 1, rowsAffected: 1))
        #expect(
            outcomes.last
                == .failed(
                    "the request needs more than 500000 steps of SQLite's virtual machine: split it into "
                        + "smaller ones, or raise the limit on steps"))
        #expect(try database.rows("SELECT count(*) FROM t") == ["1"])
    }

    @Test func `An AUTOINCREMENT table at its end is no full disk`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b)")
        try database.execute("INSERT INTO t VALUES(9223372036854775807, 1)")
        #expect(
            try database.execute("INSERT INTO t(b) VALUES(2)")
                == [.failed("database or disk is full")])
        #expect(try database.execute("DELETE FROM t").count == 1)
    }

    @Test func `A damaged full-text index is the client's affair`() throws {
        let database = try Database()
        let made = try database.execute(
            """
            CREATE TABLE c(id INTEGER PRIMARY KEY, w);
            CREATE VIRTUAL TABLE ft USING fts5(w, content=c, content_rowid=id);
            INSERT INTO c VALUES(1, 'here')
            """)
        #expect(made == [.changed(lastInsertID: 1, rowsAffected: 1)], "\(made)")
        #expect(
            try database.execute("INSERT INTO ft(ft, rank) VALUES('integrity-check', 1)")
                == [.failed("database disk image is malformed")])
        #expect(try database.rows("SELECT count(*) FROM c") == ["1"])
    }

    @Test func `Functions of newer versions are there`() throws {
        let database = try Database()
        #expect(
            try database.rows(
                """
                SELECT hex(unhex('0aFF')), unhex('0a f', ' ') IS NULL, hex(unhex('0a-ff', '-')),
                octet_length('ü'), octet_length(12), concat(1, NULL, 'x'),
                concat_ws('-', 1, NULL, 'x'), concat_ws(NULL, 1) IS NULL
                """) == ["0AFF|1|0AFF|2|2|1x|1-x|1"])
    }

    @Test func `Chance and time come from the entry`() throws {
        let first = try Database()
        let second = try Database()
        for database in [first, second] {
            try database.execute(
                """
                CREATE TABLE t(a DEFAULT (random()), b DEFAULT CURRENT_TIMESTAMP,
                c DEFAULT (hex(randomblob(8))))
                """)
            try database.execute(
                "INSERT INTO t DEFAULT VALUES", "INSERT INTO t DEFAULT VALUES",
                "INSERT INTO t(a, c) SELECT random(), randomblob(9) FROM t ORDER BY random()")
            try database.execute("INSERT INTO t DEFAULT VALUES")
        }
        #expect(try first.dump() == second.dump())
        #expect(try first.rows("SELECT count(DISTINCT a) FROM t") == ["5"])
        #expect(
            try first.rows("SELECT DISTINCT b FROM t")
                == ["2023-11-14 22:13:22", "2023-11-14 22:13:23"])
    }

    @Test func `The clock never goes back`() throws {
        let database = try Database()
        var results: [AppliedEntry] = []
        let late = Command(
            kind: .execute, statements: [], stamp: Stamp(milliseconds: 2_000_000_000_000, seed: 1))
        try database.applier.apply(
            [entry(LogIndex(1), late)], reporting: { _ in true }, into: &results)
        #expect(try database.rows("SELECT strftime('%s')") == ["2000000000"])
    }
}
