import Raft
import StateMachine
import Testing
import Wire

/// What statements answer, by the kind of request.
@Suite struct OutcomeTests {
    @Test func `Row numbers are given only where rows changed`() throws {
        let database = try Database()
        #expect(try database.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)") == [.empty])
        #expect(
            try database.execute("INSERT INTO t(b) VALUES('x'),('y')")
                == [.changed(lastInsertID: 2, rowsAffected: 2)])
        #expect(
            try database.execute("UPDATE t SET b = 'z'")
                == [.changed(lastInsertID: 0, rowsAffected: 2)])
        #expect(try database.execute("UPDATE t SET b = 1 WHERE a > 9") == [.empty])
        #expect(try database.execute("INSERT OR IGNORE INTO t VALUES(1, 1)") == [.empty])
        #expect(
            try database.execute("INSERT INTO t VALUES(1, 1) ON CONFLICT DO UPDATE SET b = 5")
                == [.changed(lastInsertID: 0, rowsAffected: 1)])
        #expect(try database.execute("SELECT * FROM t") == [.empty])
        #expect(
            try database.execute("REPLACE INTO t VALUES(2, 1)")
                == [.changed(lastInsertID: 2, rowsAffected: 1)])
    }

    @Test func `The same rowid in another table is reported again`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE a(x); CREATE TABLE b(x)")
        let outcomes = try database.execute(
            "INSERT INTO a VALUES(1)", "INSERT INTO b VALUES(last_insert_rowid())")
        #expect(
            outcomes == [
                .changed(lastInsertID: 1, rowsAffected: 1),
                .changed(lastInsertID: 1, rowsAffected: 1),
            ])
    }

    @Test(arguments: ["RETURNING a", "RETURNING\ta", "returning\na"])
    func `RETURNING gives rows however it is written`(clause: String) throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        guard
            case .rows(let rows)? = try database.execute("INSERT INTO t(b) VALUES(7) \(clause)")
                .first
        else {
            Issue.record("no rows")
            return
        }
        #expect(try rows.lines() == ["1"])
        #expect(rows.types == ["integer"])
        #expect(try database.rows("SELECT b FROM t") == ["7"])
    }

    @Test func `Every statement of a text runs and the last gives the result`() throws {
        let database = try Database()
        #expect(
            try database.execute(
                "CREATE TABLE t(a); INSERT INTO t VALUES(1); INSERT INTO t VALUES(2),(3);; -- end")
                == [.changed(lastInsertID: 3, rowsAffected: 2)])
        #expect(try database.rows("SELECT count(*) FROM t") == ["3"])
        #expect(
            try database.execute(
                "INSERT INTO t VALUES(4); INSERT INTO nowhere VALUES(1); INSERT INTO t VALUES(5)")
                == [.failed("no such table: nowhere")])
        #expect(try database.rows("SELECT count(*) FROM t") == ["4"])
    }

    @Test func `An empty text has no result and a comment has an empty one`() throws {
        let database = try Database()
        #expect(
            try database.execute("", " ", "-- c", "/* c */", ";") == [
                .empty, .empty, .empty, .empty,
            ])
    }

    @Test func `A query can't change anything`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        for sql in ["INSERT INTO t VALUES(1)", "DROP TABLE t", "VACUUM", "PRAGMA user_version=3"] {
            let result = try database.apply(
                Command(kind: .query, statements: [Statement(sql)]))
            #expect(
                result.statements.map(\.outcome)
                    == [.failed("attempt to change database via query operation")], "\(sql)")
        }
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test func `Types come from the declaration, else from the first value that is not null`()
        throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a VARCHAR(10), b)")
        try database.execute("INSERT INTO t VALUES('x', NULL),('y', x'01')")
        guard case .rows(let rows)? = try database.request("SELECT a, b, b + 1, 1.5 FROM t").first
        else {
            Issue.record("no rows")
            return
        }
        #expect(rows.types == ["varchar(10)", "blob", "integer", "real"])
        #expect(rows.columns == ["a", "b", "b + 1", "1.5"])
    }

    @Test func `Columns can be qualified by their tables`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a, b)")
        let result = try database.apply(
            Command(
                kind: .request, statements: [Statement("SELECT a, x.b AS c, 1 FROM t AS x")],
                qualifyColumns: true))
        guard case .rows(let rows)? = result.statements.first?.outcome else {
            Issue.record("no rows")
            return
        }
        #expect(rows.columns == ["t.a", "t.c", "1"])
    }

    @Test func `A result beyond its limit is an error and the change stays`() throws {
        var limits = ApplierLimits()
        limits.resultBytes = 100
        let database = try Database(limits: limits)
        try database.execute("CREATE TABLE t(a)")
        let outcome = try database.request("INSERT INTO t VALUES(zeroblob(200)) RETURNING a")
        #expect(
            outcome == [
                .failed("the result is larger than 100 bytes: ask for fewer rows")
            ])
        #expect(try database.rows("SELECT count(*) FROM t") == ["1"])
    }
}

@Suite struct AtomicityTests {
    @Test func `A statement that fails by a type of a STRICT table leaves no rows`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a INTEGER, b ANY UNIQUE) STRICT")
        let text = "cannot store TEXT value in INTEGER column t.a"
        #expect(
            try database.execute("INSERT OR IGNORE INTO t VALUES(1, 1),('x', 2)")
                == [.failed(text)])
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
        #expect(
            try database.execute("INSERT OR FAIL INTO t VALUES(1, 1),(2, 1)")
                == [.failed("UNIQUE constraint failed: t.b")])
        #expect(try database.rows("SELECT count(*) FROM t") == ["1"])
    }

    private static func textSizes(_ outcomes: [StatementOutcome]) -> [Int] {
        outcomes.map { outcome in
            if case .failed(let text) = outcome { text.utf8.count } else { 0 }
        }
    }

    @Test func `What SQLite repeats in a message is shortened`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let outcomes = try database.execute(
            "INSERT INTO t VALUES(json_extract('{}', hex(zeroblob(1000000))))",
            "INSERT INTO t VALUES(1)")
        guard case .failed(let text)? = outcomes.first else {
            Issue.record("\(outcomes.count)")
            return
        }
        #expect(text.utf8.count < 61 * 1024)
        #expect(text.contains("JSON path") && text.hasSuffix(" bytes)"))
        #expect(outcomes.last == .changed(lastInsertID: 1, rowsAffected: 1))
    }

    @Test func `However many statements fail, their texts take little memory`() throws {
        let database = try Database()
        let text = String(repeating: "a", count: 15_000)
        try database.execute(
            "CREATE TABLE t(a)",
            "CREATE TRIGGER r BEFORE INSERT ON t BEGIN SELECT RAISE(ABORT, '\(text)'); END")
        let insert = Statement("INSERT INTO t VALUES(1)")
        let command = Command(kind: .execute, statements: Array(repeating: insert, count: 2000))
        let sizes = Self.textSizes(try database.apply(command).statements.map(\.outcome))
        #expect(sizes.count == 2000)
        #expect(sizes.first == 15_000)
        #expect(sizes.allSatisfy { $0 > 100 })
        #expect(sizes.last.map { $0 < 250 } == true)
        #expect(sizes.reduce(0, +) < 17 << 20)
    }

    @Test func `The rows of a request have a bound, and all of it is carried out`() throws {
        var limits = ApplierLimits()
        limits.resultBytes = 10_000
        let database = try Database(limits: limits)
        try database.execute("CREATE TABLE t(a)")
        let insert = "INSERT INTO t VALUES(hex(zeroblob(3000))) RETURNING a"
        let outcomes = try database.request(
            insert, insert, insert, "SELECT absent", "INSERT INTO t VALUES(1)", insert)
        #expect(outcomes.count == 6)
        for outcome in outcomes.prefix(2) {
            guard case .rows(let rows) = outcome else {
                Issue.record("no rows")
                continue
            }
            #expect(rows.rowCount == 1)
        }
        for outcome in [outcomes[2], outcomes[5]] {
            guard case .failed(let text) = outcome else {
                Issue.record("rows that are too many")
                continue
            }
            #expect(text.contains("was carried out") && text.contains("10000 bytes"))
        }
        #expect(outcomes[3] == .failed("no such column: absent"))
        #expect(outcomes[4] == .changed(lastInsertID: 4, rowsAffected: 1))
        #expect(try database.rows("SELECT count(*) FROM t") == ["5"])
    }

    @Test func `Rows that others of their text took the place of take no room`() throws {
        var limits = ApplierLimits()
        limits.resultBytes = 10_000
        let database = try Database(limits: limits)
        let select = "SELECT hex(zeroblob(3000))"
        let text = Array(repeating: select, count: 5).joined(separator: ";")
        for outcome in try database.request(text, select) {
            guard case .rows(let rows) = outcome else {
                Issue.record("no rows")
                continue
            }
            #expect(rows.rowCount == 1)
        }
    }
}

@Suite struct ParameterTests {
    private func run(_ statement: Statement) throws -> [StatementOutcome] {
        let database = try Database()
        try database.execute("CREATE TABLE t(a, b)")
        return try database.apply(Command(kind: .request, statements: [statement]))
            .statements.map(\.outcome)
    }

    @Test(
        arguments: [
            (
                Statement("INSERT INTO t VALUES(?, ?)", positional: [.integer(1)]),
                "not enough args to execute query: want 2 got 1"
            ),
            (
                Statement("INSERT INTO t VALUES(?, ?)"),
                "not enough args to execute query: want 2 got 0"
            ),
            (
                Statement("INSERT INTO t VALUES(?, 1)", positional: [.null, .null]),
                "too many args to execute query: want 1 got 2"
            ),
            (
                Statement("INSERT INTO t VALUES(:a, 1)", named: [.init(name: "b", value: .null)]),
                "not enough args to execute query: want 1 got 1"
            ),
            (
                Statement(
                    "INSERT INTO t VALUES(:a, 1)",
                    named: [.init(name: "a", value: .null), .init(name: "b", value: .null)]),
                "unknown parameter name \"b\""
            ),
            (
                Statement("INSERT INTO t VALUES(:a, 1)", named: [.init(name: ":a", value: .null)]),
                "name \":a\" does not begin with a letter"
            ),
        ])
    func `Parameters must fit exactly`(statement: Statement, message: String) throws {
        #expect(try run(statement) == [.failed(message)])
    }

    @Test func `Values are stored as they are`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a, b)")
        let values: [Value] = [
            .null, .integer(.min), .real(0.1), .text("a\0ü"), .text(""), .blob([]),
            .blob([0, 255]),
        ]
        for value in values {
            let outcome = try database.apply(
                Command(
                    kind: .request,
                    statements: [
                        Statement(
                            "INSERT INTO t VALUES(?, typeof(?)) RETURNING a",
                            positional: [value, value])
                    ]))
            guard case .rows(let rows)? = outcome.statements.first?.outcome else {
                Issue.record("no rows for \(value)")
                continue
            }
            var reader = ByteReader(rows.cells)
            #expect(try Value(from: &reader) == value)
        }
    }

    @Test func `Positional values are used up from left to right over the statements`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a, b)")
        let statement = Statement(
            "INSERT INTO t VALUES(?, :n); INSERT INTO t VALUES(?, $n)",
            positional: [.integer(1), .integer(2)], named: [.init(name: "n", value: .integer(9))])
        _ = try database.apply(Command(kind: .execute, statements: [statement]))
        #expect(try database.rows("SELECT * FROM t") == ["1|9", "2|9"])
    }
}
