import Raft
import Testing
import Wire

@testable import StateMachine

/// An outcome is a function of log and database alone: not of the node that answers, of what its
/// connection saw before, of chance that no entry brings, or of how entries came in batches.
@Suite struct DeterminismTests {
    /// Replicas that differ in all that must not show.
    enum Way: CaseIterable {
        case single, batched, restarted, unheard, snapshot
    }

    struct Outcome: Equatable {
        var rows: [String]
        var answers: [CommandResult]
    }

    /// Applies commands, each an entry, as one kind of replica does.
    private func apply(
        _ commands: [Command], _ way: Way, limits: ApplierLimits = ApplierLimits()
    ) throws -> Outcome {
        let database = try Database(limits: limits, foreignKeys: true)
        var entries: [Entry] = []
        for (index, var command) in commands.enumerated() {
            let position = LogIndex(UInt64(index) + 1)
            command.stamp = stamp(position)
            entries.append(entry(position, command))
        }
        var results: [AppliedEntry] = []
        let isHeard = way != .unheard
        if way == .batched {
            try database.applier.apply(entries, reporting: { _ in true }, into: &results)
        } else {
            for (index, entry) in entries.enumerated() {
                try database.applier.apply([entry], reporting: { _ in isHeard }, into: &results)
                // A snapshot is a node that opens the file once, somewhere.
                if way == .restarted || way == .snapshot && index == entries.count / 2 {
                    database.applier = try Applier(path: database.applier.path, limits: limits)
                }
            }
        }
        var answers = results.compactMap(\.result)
        for answer in answers.indices {
            for index in answers[answer].statements.indices {
                answers[answer].statements[index].nanoseconds = 0
            }
        }
        return Outcome(rows: try database.dump(), answers: answers)
    }

    func expectEqual(
        _ commands: [Command], limits: ApplierLimits = ApplierLimits(), ignoring place: Int? = nil,
        location: SourceLocation = #_sourceLocation
    ) throws -> Outcome {
        var expected = try apply(commands, .single, limits: limits)
        if let place { expected.answers.remove(at: place) }
        for way in Way.allCases where way != .single {
            var other = try apply(commands, way, limits: limits)
            if let place, !other.answers.isEmpty { other.answers.remove(at: place) }
            let differences = other.rows.difference(from: expected.rows)
            #expect(differences.isEmpty, "\(way): \(differences)", sourceLocation: location)
            if way != .unheard {
                #expect(other.answers == expected.answers, "\(way)", sourceLocation: location)
            }
        }
        return expected
    }

    /// The leader alone carries out a strong read, and whoever restarts has nothing of it.
    @Test(arguments: [CommandKind.query, .request])
    func `What a module keeps from a read lets nothing of a node into a write`(kind: CommandKind)
        throws
    {
        let outcome = try expectEqual([
            Command(
                kind: .execute,
                statements: [
                    "CREATE TABLE t(a)",
                    "CREATE VIEW v AS SELECT 1 AS id, name AS c FROM pragma_database_list",
                    "CREATE VIRTUAL TABLE f USING fts5(c, content='v', content_rowid='id')",
                    "INSERT INTO f(rowid, c) VALUES(1, 'x')",
                ].map { Statement($0) }),
            Command(kind: kind, statements: [Statement("SELECT c FROM f WHERE f MATCH 'x'")]),
            Command(
                kind: .execute,
                statements: [Statement("INSERT INTO t SELECT c FROM f WHERE f MATCH 'x'")]),
        ])
        for answer in outcome.answers.dropFirst() {
            guard case .failed(let text)? = answer.statements.first?.outcome else {
                Issue.record("\(answer)")
                continue
            }
            #expect(text.contains("not supported in a write"), "\(text)")
        }
    }

    /// A strong read is carried out where somebody waits for it, and nowhere else.
    @Test(arguments: ["SELECT optimize(f) FROM f LIMIT 1", "SELECT * FROM v"])
    func `A function that writes an index within a SELECT writes it on every node or on none`(
        select: String
    ) throws {
        let count = "SELECT count(*) FROM f_segdir"
        let made = """
            CREATE VIRTUAL TABLE f USING fts4(w);
            CREATE VIEW v AS SELECT optimize(f) AS done FROM f LIMIT 1
            """
        var commands = requests([
            made, "INSERT INTO f VALUES('one two')", "INSERT INTO f VALUES('two three')",
        ])
        commands.append(Command(kind: .query, statements: [Statement(select)]))
        commands += requests([count, select, "INSERT INTO f VALUES('three four')"])
        commands.append(Command(kind: .execute, statements: [Statement(select)]))
        commands += requests([count, "EXPLAIN QUERY PLAN \(select)"])
        let outcome = try expectEqual(commands)
        #expect(
            outcome.answers[3].statements.map(\.outcome) == [.failed(CommandRunner.readOnlyText)])
        let counts = try [4, 8].map { place in
            guard case .rows(let rows)? = outcome.answers[place].statements.first?.outcome else {
                throw HarnessError.noResult
            }
            return try rows.lines()
        }
        #expect(counts == [["2"], ["1"]])
    }

    /// It opens a savepoint, which SQLite refuses beside a statement that writes as if the file were locked.
    @Test(arguments: [
        "INSERT INTO t SELECT optimize(f) FROM f LIMIT 1",
        "INSERT INTO t VALUES((SELECT optimize(f) FROM f LIMIT 1)) RETURNING a",
        "CREATE TABLE x AS SELECT optimize(f) AS a FROM f", "INSERT INTO u VALUES(1)",
        "BEGIN; INSERT INTO t VALUES(2); INSERT INTO t SELECT optimize(f) FROM f; COMMIT",
        "INSERT INTO g(g) VALUES('rebuild')", "SELECT * FROM g",
    ])
    func `A function that can't write where it stands ends no node`(sql: String) throws {
        let made = """
            CREATE VIRTUAL TABLE f USING fts4(w); CREATE TABLE t(a); CREATE TABLE u(a);
            CREATE TRIGGER r AFTER INSERT ON u BEGIN
            INSERT INTO t SELECT optimize(f) FROM f LIMIT 1; END;
            CREATE VIEW v AS SELECT docid AS id, optimize(f) AS a FROM f;
            CREATE VIRTUAL TABLE g USING fts5(a, content='v', content_rowid='id')
            """
        var commands = requests([
            made, "INSERT INTO f VALUES('one two')", "INSERT INTO f VALUES('two three')",
        ])
        commands.append(Command(kind: .query, statements: [Statement("SELECT a FROM g")]))
        commands += requests([sql, "INSERT INTO t VALUES(9)", "SELECT max(a) FROM t"])
        let outcome = try expectEqual(commands)
        guard case .failed? = outcome.answers[4].statements.first?.outcome else {
            Issue.record("\(outcome.answers[4])")
            return
        }
        #expect(
            outcome.answers[5].statements.map(\.outcome)
                == [.changed(lastInsertID: 1, rowsAffected: 1)])
    }

    /// SQLite 3.40 computes 5.0 of a generated column, and keeps 5.
    @Test(arguments: [
        "DELETE FROM t WHERE b = 7", "UPDATE t SET b = 1",
        "INSERT INTO t(b) SELECT n FROM u WHERE typeof(n) = 'real' AND k > 1",
        "SELECT n FROM u WHERE typeof(n) = 'real' AND k > 1",
        "BEGIN; INSERT INTO z VALUES(1); SELECT n FROM u WHERE typeof(n) = 'real' AND k > 1; COMMIT",
        "SAVEPOINT a; INSERT INTO z VALUES(1); DELETE FROM t WHERE b > 1; RELEASE a",
    ])
    func `An index that SQL makes disagree with its table ends no node`(sql: String) throws {
        // That a CHECK can't be worked out is no damage either.
        let made = """
            CREATE TABLE c(a, CHECK(abs(a) >= 0)); PRAGMA ignore_check_constraints=ON;
            INSERT INTO c VALUES(-9223372036854775808);
            CREATE TABLE z(a); CREATE TABLE u(n INT, k);
            CREATE TABLE t(b INT, g REAL AS (abs(b)) VIRTUAL, s AS (iif(b, g, 1)) STORED)
            """
        var commands = requests([
            made, "CREATE INDEX i ON t(g || s)", "CREATE INDEX j ON u(k) WHERE typeof(n) = 'real'",
            "INSERT INTO t(b) VALUES(5), (7)", "INSERT INTO u SELECT g, b FROM t",
            "DELETE FROM u WHERE +k = 7", sql, sql,
        ])
        commands.append(Command(kind: .query, statements: [Statement(sql)]))
        commands += requests(["REINDEX", "DELETE FROM t WHERE b = 7", "INSERT INTO z VALUES(2)"])
        let outcome = try expectEqual(commands)
        let first = outcome.answers[6].statements.map(\.outcome)
        // A later SQLite may be right.
        guard case .failed(let text)? = first.last else { return }
        #expect(text == CommandRunner.indexText)
        #expect(outcome.answers[7].statements.map(\.outcome) == first)
        let last = outcome.answers.suffix(3).compactMap { $0.statements.first?.outcome }
        let deleted = StatementOutcome.changed(lastInsertID: 0, rowsAffected: 1)
        let inserted = StatementOutcome.changed(lastInsertID: 1, rowsAffected: 1)
        #expect(last == [.empty, deleted, inserted])
    }

    /// The daemon's own row grows with the cluster, and takes pages of the same file.
    @Test func `Where the root of a table lies does not show which entries came in one batch`()
        throws
    {
        let members = (0..<60).map { number in
            Member(
                id: NodeID("node-\(number)"),
                incarnation: Incarnation(RandomID(high: 1, low: UInt64(number))),
                address: PeerAddress(String(repeating: "a", count: 80) + "\(number):4002"),
                suffrage: .nonvoter)
        }
        let commands = requests([
            "CREATE TABLE t(a)", "", "CREATE TABLE x(a)",
            "INSERT INTO t SELECT rootpage FROM sqlite_schema WHERE name = 'x'",
        ])
        let entries = commands.enumerated().map { place, command in
            let index = LogIndex(UInt64(place) + 1)
            return place == 1
                ? Entry(index: index, term: Term(1), payload: .membership(Membership(members)))
                : entry(index, command)
        }
        let dumps = try [1, entries.count].map { count in
            let database = try Database()
            for start in stride(from: 0, to: entries.count, by: count) {
                var results: [AppliedEntry] = []
                try database.applier.apply(
                    entries[start..<start + count], reporting: { _ in true }, into: &results)
            }
            #expect(database.applier.applied.membership == Membership(members))
            database.applier = try Applier(path: database.applier.path)
            #expect(database.applier.applied.membership == Membership(members))
            return try database.dump()
        }
        #expect(dumps[0] == dumps[1])
    }

    func requests(_ texts: [String]) -> [Command] {
        texts.map { Command(kind: .request, statements: [Statement($0)]) }
    }

    // MARK: Outcomes don't depend on the node that answers

    @Test(
        arguments: [
            ["INSERT INTO t VALUES(2)", "SELECT zeroblob(2000) FROM t"],
            ["INSERT INTO t VALUES(2),(3),(4) RETURNING zeroblob(900)", "INSERT INTO t VALUES(5)"],
            ["UPDATE t SET a = a + 1 RETURNING hex(zeroblob(600))"],
            ["INSERT INTO t VALUES(2)", "SELECT printf('%2000s', 'ü')"],
        ])
    func `A result beyond the limit has the same outcome where nobody waits for it`(
        statements: [String]
    ) throws {
        var limits = ApplierLimits()
        limits.resultBytes = 1000
        for isTransaction in [true, false] {
            let command = Command(
                kind: .request, statements: statements.map { Statement($0) },
                transaction: isTransaction)
            let made = requests(["CREATE TABLE t(a); INSERT INTO t VALUES(1)"])
            let outcome = try expectEqual(made + [command], limits: limits)
            let text = "the result is larger than 1000 bytes: ask for fewer rows"
            #expect(
                outcome.answers.last?.statements.contains { $0.outcome == .failed(text) } == true)
        }
    }

    @Test func `A result beyond the limit between BEGIN and COMMIT is undone everywhere`() throws {
        var limits = ApplierLimits()
        limits.resultBytes = 1000
        let outcome = try expectEqual(
            requests([
                "CREATE TABLE t(a)",
                "BEGIN; INSERT INTO t VALUES(1); SELECT zeroblob(2000); COMMIT",
                "BEGIN; INSERT INTO t VALUES(2) RETURNING zeroblob(2000); COMMIT",
                "SELECT count(*) FROM t",
            ]), limits: limits)
        guard case .rows(let rows)? = outcome.answers.last?.statements.first?.outcome else {
            Issue.record("no rows")
            return
        }
        #expect(try rows.lines() == ["0"])
    }

    // MARK: Nothing beyond the database file decides

    private static let rows = """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        """

    private static let tables = """
        CREATE TABLE t(a, b); CREATE TABLE u(b, c); CREATE TABLE x(n INTEGER PRIMARY KEY, a, c);
        CREATE TABLE w(a); \(rows) INSERT INTO t SELECT i % 7, i % 13 FROM n WHERE i < 20;
        \(rows) INSERT INTO u SELECT i % 13, i FROM n
        """
    private static let fill = "INSERT INTO x(a, c) SELECT a, c FROM t, u WHERE t.b = u.b"

    @Test(
        arguments: [
            ["CREATE INDEX ti ON t(a)", "ANALYZE", "DROP INDEX ti"],
            ["CREATE INDEX ti ON t(a); ANALYZE", "DELETE FROM t WHERE a > 0; ANALYZE t"],
            ["ANALYZE", "BEGIN; CREATE INDEX ti ON t(b); ROLLBACK"],
            ["CREATE INDEX ti ON t(b)", "ANALYZE", "BEGIN; DROP INDEX ti; ROLLBACK"],
            [
                "CREATE INDEX ti ON t(b)", "ANALYZE",
                "SAVEPOINT s; DROP INDEX ti; ROLLBACK TO s; RELEASE s",
            ],
            ["CREATE INDEX ti ON t(b); CREATE INDEX tj ON t(b, a); CREATE INDEX ui ON u(b)"],
            ["CREATE INDEX ti ON t(b); CREATE INDEX tj ON t(b, a); DROP INDEX ti", "VACUUM"],
            ["ANALYZE", "CREATE INDEX ti ON t(b)", "CREATE INDEX ui ON u(b, c)", "DROP INDEX ti"],
            [
                "CREATE INDEX ti ON t(a)", "ANALYZE",
                "ALTER TABLE t RENAME TO z; ALTER TABLE z RENAME TO t",
            ],
            ["CREATE INDEX ti ON t(a)", "PRAGMA optimize", "DROP INDEX ti; CREATE TABLE late(q)"],
            [
                "CREATE INDEX ti ON t(a); ANALYZE; DROP TABLE w; CREATE TABLE w(z); CREATE INDEX wi ON w(z)"
            ],
            [
                "CREATE INDEX ti ON t(a)", "ANALYZE", "CREATE UNIQUE INDEX bad ON t(a)",
                "DROP INDEX ti",
            ],
            ["CREATE INDEX ti ON t(a)", "ANALYZE", "DROP INDEX ti; INSERT INTO nowhere VALUES(1)"],
        ])
    func `The order of rows doesn't depend on what a connection saw of the schema`(
        changes: [String]
    ) throws {
        let fills = [Self.fill, "INSERT INTO w SELECT a FROM t WHERE b > 3"]
        _ = try expectEqual(requests([Self.tables] + changes + fills))
    }

    @Test(
        arguments: [
            "EXPLAIN CREATE INDEX ti ON u(b)", "CREATE INDEX ti ON u(b)",
            "EXPLAIN QUERY PLAN CREATE INDEX ti ON u(b)", "SELECT 1; CREATE INDEX ti ON u(b)",
        ])
    func `What is only compiled leaves nothing in memory`(sql: String) throws {
        let tables = """
            CREATE TABLE t(a, b); CREATE TABLE u(b, c); CREATE TABLE x(n INTEGER PRIMARY KEY, a, c);
            \(Self.rows) INSERT INTO t SELECT i % 7, i % 5 FROM n WHERE i < 100;
            \(Self.rows) INSERT INTO u SELECT i % 5, i FROM n WHERE i < 20
            """
        let fill = "INSERT INTO x(a, c) SELECT a, c FROM t, u WHERE t.b = u.b"
        var commands = requests([tables, "ANALYZE", sql, fill])
        // A query runs only where somebody waits for it.
        commands[2].kind = .query
        // EXPLAIN tells how often this connection read the schema.
        let outcome = try expectEqual(commands, ignoring: 2)
        #expect(outcome.rows.count > 100)
    }

    @Test func `What is learnt of a statement doesn't depend on modules that it connects`() throws {
        _ = try expectEqual(
            requests([
                "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)",
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) "
                    + "INSERT INTO r SELECT NULL, i % 9, i % 9 + 17 FROM n",
                "UPDATE r SET x1 = x1 + 2 WHERE id = 12", "DELETE FROM r WHERE id = 3",
                "CREATE VIRTUAL TABLE f USING fts5(w)", "INSERT INTO f VALUES('one two')",
                "UPDATE f SET w = 'three' WHERE rowid = 1", "DELETE FROM f",
            ]))
    }

    @Test func `VACUUM finds the daemon's table whatever was rolled back before`() throws {
        let outcome = try expectEqual(
            requests([
                "PRAGMA optimize", "VACUUM", "CREATE TABLE t(a)",
                "BEGIN; CREATE INDEX i ON t(a); ROLLBACK", "VACUUM", "INSERT INTO t VALUES(1)",
            ]))
        #expect(outcome.answers.dropLast().allSatisfy { $0.statements.map(\.outcome) == [.empty] })
    }

    @Test func `ANALYZE gathers in the same order on every node`() throws {
        let made = (0..<40).map { "CREATE TABLE t\($0)(a, b); CREATE INDEX i\($0) ON t\($0)(a)" }
        let filled = (0..<40).map { "INSERT INTO t\($0) VALUES(\($0), 1),(2, 3)" }
        let dropped = (0..<20).map { "DROP TABLE t\($0 * 2)" }
        _ = try expectEqual(
            requests(
                made + filled + dropped + [
                    "ANALYZE", "CREATE TABLE o(n INTEGER PRIMARY KEY, t, i, s)",
                    "INSERT INTO o(t, i, s) SELECT tbl, idx, stat FROM sqlite_stat1",
                    "CREATE TABLE p(n INTEGER PRIMARY KEY, t)",
                    "INSERT INTO p(t) SELECT name FROM pragma_table_list",
                    "BEGIN; DROP TABLE t1; ANALYZE; CREATE TABLE t2(a UNIQUE); ANALYZE; COMMIT",
                    "INSERT INTO o(t, i, s) SELECT tbl, idx, stat FROM sqlite_stat1",
                ]))
    }

    @Test func `Texts that only Unicode takes for equal are different statements`() throws {
        let composed = "\u{E9}"
        let decomposed = "e\u{301}"
        let outcome = try expectEqual(
            requests([
                "CREATE TABLE t(a)", "INSERT INTO t VALUES('\(composed)')",
                "INSERT INTO t VALUES('\(decomposed)')",
                "SELECT count(DISTINCT a), group_concat(hex(a)) FROM t",
                "SELECT '\(composed)'", "SELECT '\(decomposed)'",
            ]))
        let answers = try outcome.answers.suffix(3).map { answer in
            guard case .rows(let rows)? = answer.statements.first?.outcome else { return "" }
            return try rows.lines().map { "\(Array($0.utf8))" }.joined()
        }
        #expect(answers.first == "\(Array("2|C3A9,65CC81".utf8))")
        #expect(answers.last == "\(Array(decomposed.utf8))")
    }

    @Test func `A change of the schema that is rolled back leaves nothing in memory`() throws {
        let outcome = try expectEqual(
            requests([
                "CREATE TABLE t(a)", "BEGIN; CREATE TABLE u(a); DROP TABLE t; ROLLBACK",
                "CREATE TABLE u(b, c)", "INSERT INTO u VALUES(1, 2)",
                "BEGIN; ALTER TABLE u ADD COLUMN d; ANALYZE; ROLLBACK",
                "INSERT INTO u VALUES(1, 2)", "INSERT INTO t VALUES(1)",
                "INSERT INTO u(d) VALUES(1)",
            ]))
        #expect(
            outcome.answers.map { $0.statements.map(\.outcome) }.suffix(3) == [
                [.changed(lastInsertID: 2, rowsAffected: 1)],
                [.changed(lastInsertID: 1, rowsAffected: 1)],
                [.failed("table u has no column named d")],
            ])
    }

    @Test func `Full-text rows survive changes of the schema in their transaction`() throws {
        let outcome = try expectEqual(
            requests([
                "CREATE VIRTUAL TABLE f USING fts5(w); CREATE TABLE t(a)", "ANALYZE",
                """
                BEGIN; INSERT INTO f VALUES('one'); CREATE TABLE x(a); INSERT INTO f VALUES('two');
                DROP TABLE x; INSERT INTO f VALUES('three'); ANALYZE; COMMIT
                """,
                "BEGIN; INSERT INTO f VALUES('four'); CREATE INDEX i ON t(a); ROLLBACK",
                "INSERT INTO f(f) VALUES('integrity-check')",
                "SELECT group_concat(w) FROM f WHERE f MATCH 'one OR two OR three OR four'",
            ]))
        guard case .rows(let rows)? = outcome.answers.last?.statements.first?.outcome else {
            Issue.record("no rows")
            return
        }
        #expect(try rows.lines() == ["one,two,three"])
    }

    // MARK: No chance but the entry's

    @Test(
        arguments: [
            "INSERT INTO t(u) VALUES('a')",
            "INSERT OR REPLACE INTO t(id, u) VALUES(NULL, 'a'),(5, 'm')",
            "INSERT INTO t(id, u) VALUES(NULL, 'a'),(7, 'm') ON CONFLICT(u) DO UPDATE SET id = 5",
            "REPLACE INTO t(id, u) VALUES(NULL, 'm'),(NULL, 'n'),(NULL, 'o')",
            "UPDATE t SET id = 9223372036854775806; INSERT INTO t(u) VALUES('b'),('c'),('d')",
            "INSERT INTO s SELECT u FROM t; INSERT INTO s VALUES(1),(2)",
            "DELETE FROM t WHERE u = 'm'; INSERT INTO t VALUES(9223372036854775807, 'x'),(NULL, 'y')",
            "INSERT INTO l(u) VALUES('log')",
            "INSERT OR IGNORE INTO t(u) VALUES('m'),('k'),('m'),('l')",
            "INSERT INTO t(u) SELECT i FROM n; INSERT INTO t(u) SELECT -i FROM n RETURNING id",
            "INSERT INTO t(u) VALUES(CASE WHEN random() > 0 THEN 'p' ELSE 'q' END)",
            "BEGIN; INSERT INTO t(u) VALUES('a'); SAVEPOINT s; INSERT INTO t(u) VALUES('b'); "
                + "ROLLBACK TO s; INSERT INTO t(u) VALUES('c'); COMMIT",
            "INSERT INTO c(id) VALUES(NULL),(NULL),(NULL)",
        ])
    func `A rowid that SQLite draws comes from the entry`(sql: String) throws {
        let schema = """
            CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE);
            INSERT INTO t VALUES(9223372036854775807, 'm');
            CREATE TABLE s(x); INSERT INTO s(rowid, x) VALUES(9223372036854775807, 1);
            CREATE TABLE c(id INTEGER PRIMARY KEY CHECK(id % 2 = 0));
            INSERT INTO c VALUES(9223372036854775806); UPDATE c SET id = id + 1 WHERE 0;
            CREATE TABLE l(u);
            CREATE TRIGGER lt AFTER INSERT ON l BEGIN
              INSERT INTO t(u) VALUES(new.u); INSERT INTO s VALUES(last_insert_rowid());
            END;
            CREATE VIEW n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
              WHERE i < 50) SELECT i FROM n
            """
        let outcome = try expectEqual(requests([schema, sql, sql, "SELECT id FROM t, s"]))
        #expect(outcome.rows.count > 5)
    }

    @Test func `Explicit rowids beside the largest one are taken as they are`() throws {
        let outcome = try expectEqual(
            requests([
                "CREATE TABLE t(a INTEGER PRIMARY KEY); INSERT INTO t VALUES(9223372036854775807)",
                "INSERT INTO t VALUES(3),(4)", "INSERT INTO t VALUES(NULL)",
            ]))
        #expect(
            outcome.answers.dropFirst().first?.statements.map(\.outcome)
                == [.changed(lastInsertID: 4, rowsAffected: 2)])
        guard case .changed(let rowid, _)? = outcome.answers.last?.statements.first?.outcome else {
            Issue.record("no row")
            return
        }
        #expect(rowid > 4 && rowid < 1 << 62 + 1)
    }
}
