import StateMachine
import Testing
import Wire

/// Transactions by flag and by hand, and what ends them.
@Suite struct TransactionTests {
    private func database(foreignKeys: Bool = false) throws -> Database {
        let database = try Database(foreignKeys: foreignKeys)
        try database.execute(
            """
            CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE);
            CREATE TABLE p(id INTEGER PRIMARY KEY);
            CREATE TABLE c(p REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)
            """)
        return database
    }

    @Test func `The first failure undoes and ends a transaction`() throws {
        let database = try database()
        #expect(
            try database.execute(
                "INSERT INTO t VALUES(1, 1)", "INSERT INTO t VALUES(2, 1)",
                "INSERT INTO t VALUES(3, 3)", transaction: true)
                == [
                    .changed(lastInsertID: 1, rowsAffected: 1),
                    .failed("UNIQUE constraint failed: t.b"),
                ])
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test func `A statement that doesn't compile ends a transaction too`() throws {
        let database = try database()
        #expect(
            try database.request(
                "INSERT INTO t VALUES(1, 1)", "SELEC", "INSERT INTO t VALUES(3, 3)",
                transaction: true)
                == [
                    .changed(lastInsertID: 1, rowsAffected: 1),
                    .failed("near \"SELEC\": syntax error"),
                ])
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test func `A failure does not end a transaction of a query, at any level`() throws {
        let database = try database()
        try database.execute("INSERT INTO t VALUES(1, 1)")
        for flag in [true, false] {
            let command = Command(
                kind: .query,
                statements: [
                    Statement("SELECT missing FROM t"), Statement("DELETE FROM t"),
                    Statement("SELECT a FROM t"),
                ], transaction: flag)
            let logged = try database.apply(command).statements.map(\.outcome)
            #expect(
                Array(logged.prefix(2)) == [
                    .failed("no such column: missing"),
                    .failed("attempt to change database via query operation"),
                ])
            guard logged.count == 3, case .rows(let rows) = logged[2] else {
                Issue.record("no rows behind a failure")
                continue
            }
            #expect(try rows.lines() == ["1"])
            guard case .result(let read) = try database.reader().run(command) else {
                Issue.record("the reader gave no result")
                continue
            }
            #expect(read.statements.map(\.outcome) == logged)
        }
        #expect(try database.rows("SELECT a FROM t") == ["1"])
    }

    @Test func `Without a transaction the others stay`() throws {
        let database = try database()
        #expect(
            try database.execute(
                "INSERT INTO t VALUES(1, 1)", "INSERT INTO t VALUES(2, 1)",
                "INSERT INTO t VALUES(3, 3)"
            ).count == 3)
        #expect(try database.rows("SELECT a FROM t") == ["1", "3"])
    }

    @Test func `A deferred violation fails the unit that made it`() throws {
        let database = try database(foreignKeys: true)
        #expect(
            try database.execute("INSERT INTO c VALUES(9)", "INSERT INTO p VALUES(9)")
                == [
                    .failed("FOREIGN KEY constraint failed"),
                    .changed(lastInsertID: 9, rowsAffected: 1),
                ])
        #expect(
            try database.execute(
                "INSERT INTO c VALUES(10)", "INSERT INTO p VALUES(10)", transaction: true
            ).count
                == 2)
        #expect(
            try database.execute("INSERT INTO c VALUES(11)", transaction: true)
                == [.failed("request: FOREIGN KEY constraint failed")])
        #expect(try database.rows("SELECT p FROM c") == ["10"])
    }

    @Test func `OR ROLLBACK undoes its unit and nothing of other requests`() throws {
        let database = try database()
        #expect(
            try database.execute(
                "INSERT INTO t VALUES(1, 1)", "INSERT OR ROLLBACK INTO t VALUES(2, 1)",
                "INSERT INTO t VALUES(3, 3)")
                == [
                    .changed(lastInsertID: 1, rowsAffected: 1),
                    .failed("UNIQUE constraint failed: t.b"),
                    .changed(lastInsertID: 3, rowsAffected: 1),
                ])
        #expect(try database.rows("SELECT a FROM t") == ["1", "3"])
        #expect(
            try database.execute(
                "INSERT INTO t VALUES(4, 4)", "INSERT OR ROLLBACK INTO t VALUES(5, 4)",
                "INSERT INTO t VALUES(6, 6)", transaction: true
            ).count == 2)
        #expect(try database.rows("SELECT a FROM t") == ["1", "3"])
    }

    @Test func `A balanced transaction by hand is carried out`() throws {
        let database = try database()
        #expect(
            try database.execute("BEGIN", "INSERT INTO t VALUES(1, 1)", "COMMIT").count == 3)
        #expect(
            try database.execute(
                "BEGIN; INSERT INTO t VALUES(2, 2); ROLLBACK; INSERT INTO t VALUES(3, 3)"
            ).count
                == 1)
        try database.execute(
            """
            SAVEPOINT s; INSERT INTO t VALUES(5, 5); SAVEPOINT u; INSERT INTO t VALUES(6, 6);
            ROLLBACK TO u; RELEASE s
            """)
        #expect(try database.rows("SELECT a FROM t") == ["1", "3", "5"])
    }

    @Test func `What ROLLBACK TO has no steps left to undo is not kept by COMMIT`() throws {
        var limits = WriteLimits.initial
        limits.steps = 1_000_000
        let database = try Database(writes: limits)
        try database.execute("CREATE TABLE t(a)")
        let outcomes = try database.execute(
            "BEGIN", "INSERT INTO t VALUES(1)", "SAVEPOINT s", "INSERT INTO t VALUES(2)",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
            "ROLLBACK TO s", "COMMIT", "INSERT INTO t VALUES(3)")
        guard outcomes.count == 8 else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(outcomes[3] == .changed(lastInsertID: 2, rowsAffected: 1))
        for place in [4, 5, 7] {
            #expect("\(outcomes[place])".contains("needs more than 1000000 steps"))
        }
        #expect(outcomes[6] == .failed("cannot commit - no transaction is active"))
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test(arguments: ["BEGIN", "SAVEPOINT x", "/* c */ begin immediate; INSERT INTO t VALUES(1,1)"])
    func `A transaction that would outlive its request is refused`(sql: String) throws {
        let database = try database()
        guard case .failed(let message)? = try database.execute(sql).first else {
            Issue.record("not refused")
            return
        }
        #expect(message.contains("transaction parameter"))
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test(arguments: [
        ("BEGIN", "COMMIT", true), ("BEGIN", "END", true), ("begin", "end", true),
        ("BEGIN", "/**/END", true), ("BEGIN", "END;", true), ("BEGIN", "ROLLBACK", false),
        ("SAVEPOINT s", "RELEASE s", true), ("savepoint s", "release savepoint s", true),
    ])
    func `Each word that ends a transaction does so as a text of its own`(
        begin: String, end: String, keeps: Bool
    ) throws {
        let database = try database()
        let outcomes = try database.execute(begin, "INSERT INTO t VALUES(1, 1)", end)
        #expect(outcomes.count == 3, "\(outcomes)")
        #expect(try database.rows("SELECT count(*) FROM t") == [keeps ? "1" : "0"])
    }

    @Test func `What BEGIN and COMMIT can't do they say in SQLite's words`() throws {
        let database = try database()
        #expect(
            try database.execute("COMMIT", "ROLLBACK", "RELEASE x")
                == [
                    .failed("cannot commit - no transaction is active"),
                    .failed("cannot rollback - no transaction is active"),
                    .failed("no such savepoint: x"),
                ])
        #expect(
            try database.execute("BEGIN; BEGIN; COMMIT")
                == [.failed("cannot start a transaction within a transaction")])
        #expect(
            try database.execute("BEGIN", transaction: true)
                == [.failed("cannot start a transaction within a transaction")])
    }

    @Test func `A failure inside a transaction by hand leaves nothing behind`() throws {
        let database = try database()
        #expect(
            try database.execute(
                "BEGIN; INSERT INTO t VALUES(1, 1); INSERT INTO t VALUES(1, 1); COMMIT")
                == [.failed("UNIQUE constraint failed: t.a")])
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test func `What follows a transaction that failed in its text is kept`() throws {
        let database = try database()
        let outcomes = try database.execute(
            "BEGIN; INSERT INTO t VALUES(1, 1); INSERT INTO t VALUES(1, 1); COMMIT",
            "INSERT INTO t VALUES(2, 2)",
            "SAVEPOINT s; INSERT INTO t VALUES(3, 3); INSERT INTO nowhere VALUES(1); RELEASE s",
            "INSERT INTO t VALUES(4, 4)")
        #expect(
            outcomes.map { if case .changed = $0 { true } else { false } } == [
                false, true, false, true,
            ])
        #expect(try database.rows("SELECT a FROM t ORDER BY a") == ["2", "4"])
    }

    @Test func `A transaction that one text begins another can still commit after a failure`()
        throws
    {
        let database = try database()
        try database.execute(
            "BEGIN", "INSERT INTO t VALUES(1, 1)", "INSERT INTO t VALUES(1, 1)",
            "INSERT INTO t VALUES(2, 2)", "COMMIT", "INSERT INTO t VALUES(3, 3)")
        #expect(try database.rows("SELECT a FROM t ORDER BY a") == ["1", "2", "3"])
    }

    @Test func `A dump with its PRAGMA loads and switches nothing for later requests`() throws {
        let database = try database(foreignKeys: true)
        #expect(
            try database.execute(
                """
                PRAGMA foreign_keys=OFF;
                BEGIN TRANSACTION;
                INSERT INTO "c" VALUES(77);
                CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END;
                COMMIT;
                """) == [.empty])
        #expect(try database.rows("SELECT p FROM c") == ["77"])
        #expect(
            try database.execute("INSERT INTO c VALUES(78)")
                == [.failed("FOREIGN KEY constraint failed")])
    }
}
