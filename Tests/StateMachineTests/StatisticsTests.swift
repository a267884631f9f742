import Raft
import Testing
import Wire

@testable import StateMachine

/// What SQLite plans by is a function of the file, on every connection, at every entry.
@Suite struct StatisticsTests {
    /// Without statistics SQLite takes the first index for as good as the second.
    private static let schema = """
        CREATE TABLE t(a, b, c); CREATE INDEX ta ON t(a); CREATE INDEX tb ON t(b);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
        INSERT INTO t SELECT i % 2, i % 100, i FROM n
        """
    private static let query = "SELECT group_concat(c) FROM t WHERE a = 1 AND b BETWEEN 1 AND 3"
    private static let plan = "EXPLAIN QUERY PLAN SELECT c FROM t WHERE a = 1 AND b = 3"

    /// What a connection says that opens the file now.
    private func fresh(_ database: Database, _ sql: String) throws -> [String] {
        try database.reader().rows(sql)
    }

    private func expectEqual(
        _ readers: [Reader], _ database: Database, _ note: String = "",
        location: SourceLocation = #_sourceLocation
    ) throws {
        for sql in [Self.plan, Self.query, "SELECT c FROM t WHERE a = 1 AND b IN (3, 5) LIMIT 7"] {
            let right = try fresh(database, sql)
            for reader in readers {
                #expect(try reader.rows(sql) == right, "\(note): \(sql)", sourceLocation: location)
            }
            #expect(
                try database.rows(sql) == right, "\(note), written: \(sql)",
                sourceLocation: location)
        }
    }

    @Test(
        arguments: [
            "ANALYZE", "PRAGMA optimize", "BEGIN; ANALYZE; COMMIT", "ANALYZE tb",
            "INSERT INTO sqlite_stat1 VALUES('t', 'ta', '400 200'), ('t', 'tb', '400 2')",
            "UPDATE sqlite_stat1 SET stat = '400 1' WHERE idx = 'tb'", "DELETE FROM sqlite_stat1",
            "DROP TABLE sqlite_stat1", "DROP INDEX tb; ANALYZE",
            "BEGIN; ANALYZE; ROLLBACK",
            "SAVEPOINT s; DELETE FROM sqlite_stat1; ROLLBACK TO s; RELEASE s",
            "BEGIN; INSERT INTO sqlite_stat1 VALUES('t', 'ta', '9 9'); SELECT nothing; COMMIT",
            "REPLACE INTO sqlite_stat1 VALUES('t', 'ta', '5000000 1')", "VACUUM", "REINDEX",
        ], [false, true])
    func `A connection that is open plans by the statistics of the file`(
        change: String, hadStatistics: Bool
    ) throws {
        let database = try Database()
        try database.execute(Self.schema)
        if hadStatistics || change.contains("sqlite_stat1") { try database.execute("ANALYZE") }
        let readers = [try database.reader(), try database.reader()]
        try expectEqual(readers, database, "before")
        try database.execute(change)
        try expectEqual(readers, database, "after")
        try database.execute("INSERT INTO t VALUES(1, 3, 4)", change)
        try expectEqual(readers, database, "again")
    }

    @Test func `Statistics that a trigger or a batch writes count from the next statement on`()
        throws
    {
        let texts = [
            "ANALYZE",
            "CREATE TRIGGER s AFTER INSERT ON t BEGIN UPDATE sqlite_stat1 SET stat = '400 ' || new.a; END",
            "INSERT INTO t VALUES(1, 3, 4)", "CREATE TABLE o(r INTEGER PRIMARY KEY, c)",
            "INSERT INTO o(c) SELECT c FROM t WHERE a = 1 AND b BETWEEN 1 AND 3",
            "UPDATE sqlite_stat1 SET stat = '400 300' WHERE idx = 'tb'; INSERT INTO o(c) SELECT c FROM t WHERE a = 1 AND b BETWEEN 1 AND 3",
            "DELETE FROM sqlite_stat1",
            "INSERT INTO o(c) SELECT c FROM t WHERE a = 1 AND b BETWEEN 1 AND 3",
        ]
        var dumps: [[String]] = []
        for way in 0..<3 {
            let database = try Database()
            try database.execute(Self.schema)
            let first = database.applier.applied.position.index
            let entries = texts.enumerated().map { index, sql in
                let position = LogIndex(first.rawValue + 1 + UInt64(index))
                return entry(
                    position,
                    Command(kind: .execute, statements: [Statement(sql)], stamp: stamp(position)))
            }
            var results: [AppliedEntry] = []
            if way == 0 {
                try database.applier.apply(entries, reporting: { _ in true }, into: &results)
            } else {
                for entry in entries {
                    try database.applier.apply([entry], reporting: { _ in true }, into: &results)
                    if way == 2 { database.applier = try Applier(path: database.applier.path) }
                }
            }
            for result in results {
                for statement in result.result?.statements ?? [] {
                    if case .failed(let message) = statement.outcome { Issue.record("\(message)") }
                }
            }
            dumps.append(try database.dump())
        }
        #expect(dumps[1] == dumps[0])
        #expect(dumps[2] == dumps[0])
    }

    @Test(
        arguments: [
            "INSERT INTO sqlite_stat1 VALUES('t', 'ta', 'nonsense')",
            "INSERT INTO sqlite_stat1 VALUES('t', 'ta', '-9223372036854775808 -1 99999999999999999999')",
            "INSERT INTO sqlite_stat1 VALUES(NULL, NULL, NULL), (x'00', 1.5, 7), ('t', 'missing', '1')",
            "INSERT INTO sqlite_stat1 VALUES('missing', 'ta', '1 1 1 1 1 1 1 1 1')",
            "INSERT INTO sqlite_stat1 VALUES('t', NULL, '0')",
            "INSERT INTO sqlite_stat1 VALUES('t', 'ta', '1 1 unordered sz=1 noskipscan')",
            "INSERT INTO sqlite_stat1 SELECT 'words', NULL, '99'",
        ])
    func `Statistics that make no sense end nothing`(sql: String) throws {
        let database = try Database()
        let reader = try database.reader()
        try database.execute(Self.schema, "CREATE VIRTUAL TABLE words USING fts5(w)", "ANALYZE")
        try database.execute(sql)
        try expectEqual([reader], database)
        database.applier = try Applier(path: database.applier.path)
        try expectEqual([reader], database)
        let copy = try database.copied()
        #expect(try copy.dump() == (try database.dump()))
    }

    @Test func `A reader says of a write what the log would say`() throws {
        let database = try Database(foreignKeys: true)
        let reader = try database.reader()
        try database.execute("CREATE TABLE p(a); CREATE TABLE c(a REFERENCES p(a))")
        for sql in [
            "INSERT INTO c VALUES(1)", "DELETE FROM p", "UPDATE p SET a = 1", "DROP TABLE p",
            "CREATE TABLE c(a)", "CREATE TABLE d(a)", "EXPLAIN DELETE FROM c",
            "EXPLAIN QUERY PLAN DELETE FROM p", "EXPLAIN INSERT INTO c VALUES(1)", "-- nothing",
            ";",
            "SELECT 1; ;", "ANALYZE", "VACUUM", "REINDEX c",
        ] {
            for kind in [CommandKind.query, .request] {
                let command = Command(kind: kind, statements: [Statement(sql)])
                guard case .result(let read) = reader.run(command) else { continue }
                let written = try database.apply(command)
                #expect(
                    read.statements.map(\.outcome) == written.statements.map(\.outcome), "\(sql)")
                #expect(
                    read.statements.map(\.isRead) == written.statements.map(\.isRead), "\(sql)")
            }
        }
    }

    @Test func `A read that would change the schema leaves no trace in later plans`() throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE s(a); CREATE TABLE u(a, b); CREATE INDEX ub ON u(b); ANALYZE",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO s SELECT i FROM n",
            "INSERT INTO u SELECT a, a % 3 FROM s", "ANALYZE")
        let reader = try database.reader()
        let query = "EXPLAIN QUERY PLAN SELECT * FROM s, u WHERE s.a = u.a AND u.b = 1"
        let right = try reader.rows(query)
        for sql in [
            "CREATE INDEX sa ON s(a)", "EXPLAIN CREATE INDEX sa ON s(a)", "DROP INDEX ub",
            "EXPLAIN QUERY PLAN CREATE INDEX sa ON s(a)", "ANALYZE", "EXPLAIN ANALYZE", "REINDEX",
        ] {
            _ = reader.run(Command(kind: .request, statements: [Statement(sql)]))
            _ = try reader.rows(sql)
            #expect(try reader.rows("\(sql); \(query)").first?.isEmpty == false)
            #expect(try reader.rows(query) == right, "\(sql)")
            #expect(try fresh(database, query) == right)
        }
    }

    /// It is charged when it is compiled, for that alone brings a reading about.
    @Test(arguments: [
        "CREATE TABLE z(a)", "DROP TABLE t7", "CREATE TABLE IF NOT EXISTS t7(a)",
        "CREATE INDEX i ON nowhere(a)",
    ])
    func `A change of the schema beside statistics costs one reading of it`(sql: String) throws {
        let database = try Database()
        let tables = (0..<300).map { "CREATE TABLE t\($0)(a);" }.joined()
        try database.execute(tables, "CREATE INDEX j ON t1(a); INSERT INTO t1 VALUES(1); ANALYZE")
        let session = database.applier.session
        let before = session.budget.charged
        try database.execute(sql)
        let charged = session.budget.charged - before
        let reading = session.compiledAgainst.steps
        #expect(reading > 90_000)
        let most = 2 * reading
        // One that doesn't compile asks nobody whether it may.
        let least = sql.contains("nowhere") ? 0 : reading
        #expect((least..<most).contains(charged), "\(charged) of \(reading)")
    }
}
