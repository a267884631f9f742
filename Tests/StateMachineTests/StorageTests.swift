import Glibc
import Raft
import SQLite
import StateMachine
import Synchronization
import Testing
import Threads
import Wire

/// Positions, checkpoints, snapshots, generations, and readers beside them.
@Suite struct StorageTests {
    private let member = Member(
        id: NodeID("n1"), incarnation: Incarnation(RandomID(high: 1, low: 2)),
        address: PeerAddress("a:1"), suffrage: .voter)
    private let cluster = ClusterID(RandomID(high: 7, low: 8))

    @Test func `A file system that has no blocks says nothing of its room`() {
        #expect(DiskRoom.bytes(at: "/proc") == nil)
        #expect(DiskRoom.bytes(at: "/tmp") != nil)
    }

    /// Files that were loaded before that was looked for may be so.
    @Test func `A sqlite_sequence that is not SQLite's is its statements' error`() throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b)", "CREATE TABLE u(a)")
        let other = try database.copied { (connection) throws(SQLiteError) in
            try connection.execute(
                """
                PRAGMA writable_schema=ON;
                UPDATE sqlite_schema SET sql = 'CREATE TABLE sqlite_sequence(name,seq,x)'
                WHERE name = 'sqlite_sequence'
                """)
        }
        let outcomes = try other.execute("INSERT INTO t(b) VALUES(1)", "INSERT INTO u VALUES(1)")
        guard case .failed? = outcomes.first else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(outcomes.last == .changed(lastInsertID: 1, rowsAffected: 1))
    }

    @Test func `Position, membership and settings survive a restart`() throws {
        let database = try Database()
        var results: [AppliedEntry] = []
        try database.applier.establish(cluster: cluster, membership: Membership())
        let settings = LogCommand.settings(ClusterSettings(foreignKeys: true)).encoded()
        try database.applier.apply(
            [
                Entry(index: LogIndex(1), term: Term(3), payload: .noop),
                Entry(
                    index: LogIndex(2), term: Term(3),
                    payload: .membership(Membership([member]))),
                Entry(index: LogIndex(3), term: Term(4), payload: .command(settings)),
            ], reporting: { _ in true }, into: &results)
        #expect(results.map(\.index.rawValue) == [1, 2, 3])
        #expect(results.allSatisfy { $0.result == nil })
        let before = database.applier.applied
        database.applier = try Applier(path: database.applier.path)
        let applied = database.applier.applied
        #expect(applied == before)
        #expect(applied.position == LogPosition(index: LogIndex(3), term: Term(4)))
        #expect(applied.membership == Membership([member]))
        #expect(applied.membershipIndex == LogIndex(2))
        #expect(applied.cluster == cluster)
        try database.execute("CREATE TABLE p(a PRIMARY KEY); CREATE TABLE c(a REFERENCES p)")
        #expect(
            try database.execute("INSERT INTO c VALUES(1)")
                == [.failed("FOREIGN KEY constraint failed")])
    }

    @Test func `A membership known before the log says it is kept`() throws {
        let database = try Database()
        try database.applier.establish(cluster: cluster, membership: Membership())
        try database.applier.establish(cluster: cluster, membership: Membership([member]))
        database.applier = try Applier(path: database.applier.path)
        #expect(database.applier.applied.membership == Membership([member]))
    }

    @Test func `Entries applied already are passed over and gaps refused`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        var results: [AppliedEntry] = []
        let noop = Entry(index: LogIndex(1), term: Term(1), payload: .noop)
        try database.applier.apply([noop], reporting: { _ in true }, into: &results)
        #expect(results.isEmpty)
        let far = Entry(index: LogIndex(5), term: Term(1), payload: .noop)
        #expect(throws: ApplyFault.gap(expected: LogIndex(2), found: LogIndex(5))) {
            try database.applier.apply([far], reporting: { _ in true }, into: &results)
        }
    }

    @Test func `An entry of a newer version stops the node after those before it`() throws {
        let database = try Database()
        var results: [AppliedEntry] = []
        let entries = [
            Entry(index: LogIndex(1), term: Term(1), payload: .noop),
            Entry(index: LogIndex(2), term: Term(1), payload: .command([9, 1, 2])),
        ]
        #expect(
            throws: ApplyFault.unsupportedEntry(LogIndex(2), found: 9, supported: 1)
        ) {
            try database.applier.apply(entries, reporting: { _ in true }, into: &results)
        }
        #expect(database.applier.applied.position.index == LogIndex(1))
    }

    @Test func `An I/O error is a fault and never an answer`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        WriteFault.inputOutput(after: 0)
        defer { WriteFault.end() }
        var results: [AppliedEntry] = []
        let command = Command(kind: .execute, statements: [Statement("INSERT INTO t VALUES(1)")])
        let fault = #expect(throws: ApplyFault.self) {
            try database.applier.apply(
                [entry(LogIndex(2), command)], reporting: { _ in true }, into: &results)
        }
        guard case .storage? = fault else {
            Issue.record("\(String(describing: fault))")
            return
        }
        #expect(results.isEmpty)
        #expect(database.applier.applied.position.index == LogIndex(1))
    }

    @Test func `A snapshot becomes an equal generation elsewhere while commits go on`() throws {
        let database = try Database()
        try database.applier.establish(cluster: cluster, membership: Membership())
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)")
        let expected = try database.dump()
        guard let source = try database.applier.beginSnapshot() else {
            Issue.record("no snapshot")
            return
        }
        try database.execute("INSERT INTO t VALUES(3)")
        #expect(try database.applier.checkpoint().extent == .held)
        var bytes: [UInt8] = []
        while Int64(bytes.count) < source.byteCount {
            bytes += try source.read(offset: Int64(bytes.count), count: 5000)
        }
        #expect(source.checksum == CRC32C(bytes).value)
        database.applier.endSnapshot()
        #expect(try database.applier.checkpoint().extent == .complete)

        let other = try Database()
        let generation = Generation.first.next
        try write(bytes, to: other.databases.incomingFile(of: generation))
        try other.databases.installSnapshot(
            as: generation, mark: source.mark, cluster: cluster)
        let applier = try Applier(path: other.databases.file(of: generation))
        #expect(applier.applied.position == source.mark.position)
        #expect(try dump(applier.path) == expected)
        try other.databases.removeAll(except: generation)
        #expect(try other.databases.generations() == [generation])
    }

    @Test func `A snapshot is taken whatever rows a client's ALTER TABLE left in it`() throws {
        let database = try Database()
        let made = try database.execute(
            "CREATE TABLE t(a INTEGER) STRICT", "INSERT INTO t VALUES(1),(2)",
            "ALTER TABLE t ADD COLUMN e BLOB DEFAULT 'x'")
        #expect(made.last == .empty)
        try expectSnapshot(of: database)
    }

    @Test func `A snapshot is taken though a row's CHECK can't be worked out`() throws {
        let database = try Database()
        let made = try database.execute(
            "CREATE TABLE t(a, CHECK(abs(a) >= 0))", "PRAGMA ignore_check_constraints=ON",
            "INSERT INTO t VALUES(-9223372036854775808)")
        #expect(made.last == .changed(lastInsertID: 1, rowsAffected: 1))
        try expectSnapshot(of: database)
    }

    @Test func `A snapshot is taken though a column can't be worked out for a row`() throws {
        let database = try Database()
        let made = try database.execute(
            "CREATE TABLE t(a)", "INSERT INTO t VALUES(-9223372036854775808)",
            "ALTER TABLE t ADD COLUMN b INT AS (abs(a))")
        #expect(made.last == .empty)
        try expectSnapshot(of: database, isReadable: false)
    }

    /// That it can be installed, and holds the same.
    private func expectSnapshot(of database: Database, isReadable: Bool = true) throws {
        guard let source = try database.applier.beginSnapshot() else { return }
        let bytes = try source.read(offset: 0, count: Int(source.byteCount))
        try write(bytes, to: database.databases.incomingFile(of: Generation(2)))
        try database.databases.installSnapshot(
            as: Generation(2), mark: source.mark, cluster: cluster)
        guard isReadable else { return }
        #expect(try dump(database.databases.file(of: Generation(2))) == database.dump())
    }

    @Test func `A loaded file whose index lacks rows is refused`() throws {
        let database = try Database()
        let second = Generation(2)
        let path = database.databases.incomingFile(of: second)
        let foreign = try Connection(path: path, access: .create)
        try foreign.execute(
            """
            PRAGMA journal_mode=DELETE; CREATE TABLE t(a); CREATE INDEX i ON t(a);
            INSERT INTO t VALUES(1),(2),(3); PRAGMA writable_schema=ON;
            UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(a) WHERE a > 1' WHERE name = 'i';
            PRAGMA writable_schema=RESET; DELETE FROM t WHERE a = 1; PRAGMA writable_schema=ON;
            INSERT INTO t VALUES(0);
            UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(a)' WHERE name = 'i';
            """)
        #expect(throws: DirectoryError.self) {
            try database.databases.installLoaded(as: second, state: AppliedState())
        }
    }

    @Test func `A damaged or foreign file is refused before it is a generation`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)")
        guard let source = try database.applier.beginSnapshot() else { return }
        var bytes = try source.read(offset: 0, count: Int(source.byteCount))
        let second = Generation(2)
        var wrong = source.mark
        wrong.position.index = LogIndex(99)
        try write(bytes, to: database.databases.incomingFile(of: second))
        #expect(throws: DirectoryError.self) {
            try database.databases.installSnapshot(as: second, mark: wrong, cluster: cluster)
        }
        for index in 4096..<bytes.count { bytes[index] = 0xA5 }
        try write(bytes, to: database.databases.incomingFile(of: second))
        #expect(throws: DirectoryError.self) {
            try database.databases.installSnapshot(
                as: second, mark: source.mark, cluster: cluster)
        }
        try write(Array("no database".utf8), to: database.databases.incomingFile(of: second))
        #expect(throws: DirectoryError.self) {
            try database.databases.installLoaded(as: second, state: AppliedState())
        }
        #expect(!database.databases.exists(second))
    }

    @Test func `A loaded file keeps its rows and loses its position`() throws {
        let database = try Database()
        let second = Generation(2)
        let path = database.databases.incomingFile(of: second)
        let foreign = try Connection(path: path, access: .create)
        try foreign.execute(
            """
            PRAGMA journal_mode=DELETE; CREATE TABLE t(a); INSERT INTO t VALUES(5);
            PRAGMA writable_schema=ON; CREATE TABLE sqlite_rqlite(strange);
            """)
        let state = AppliedState(
            position: LogPosition(index: LogIndex(40), term: Term(2)), cluster: cluster)
        try database.databases.installLoaded(as: second, state: state)
        database.applier = try Applier(path: database.databases.file(of: second))
        #expect(database.applier.applied == state)
        #expect(try database.rows("SELECT a FROM t") == ["5"])
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        #expect(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
    }
}

@Suite struct ReaderTests {
    private func run(_ reader: Reader, _ sql: String..., kind: CommandKind = .query)
        -> [StatementOutcome]?
    {
        guard
            case .result(let result) = reader.run(
                Command(kind: kind, statements: sql.map { Statement($0) }))
        else { return nil }
        return result.statements.map(\.outcome)
    }

    @Test func `Requests that only read are answered and the others sent on`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1)")
        let reader = try database.reader()
        for sql in [
            "SELECT 1", "EXPLAIN INSERT INTO t VALUES(1)", "EXPLAIN QUERY PLAN DELETE FROM t",
            "BEGIN; SELECT 1; COMMIT", "PRAGMA foreign_keys=ON", "-- c",
        ] {
            #expect(run(reader, sql, kind: .request) != nil, "\(sql)")
        }
        for sql in [
            "INSERT INTO t VALUES(1)", "SELEC", "SELECT 1; DELETE FROM t", "PRAGMA user_version=3",
            "SELECT * FROM later",
        ] {
            #expect(run(reader, "SELECT 1", sql, kind: .request) == nil, "\(sql)")
        }
    }

    @Test func `A query that would write is refused in rqlite's words`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let reader = try database.reader()
        #expect(
            run(
                reader, "INSERT INTO t VALUES(1)", "CREATE TABLE u(a)", "DROP TABLE nosuch",
                "VACUUM")
                == [
                    .failed("attempt to change database via query operation"),
                    .failed("attempt to change database via query operation"),
                    .failed("no such table: nosuch"),
                    .failed("attempt to change database via query operation"),
                ])
    }

    @Test func `Readers see commits but not our table, and open no other file`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let reader = try database.reader()
        try database.execute("INSERT INTO t VALUES(5)")
        guard case .rows(let rows)? = run(reader, "SELECT a FROM t")?.first else {
            Issue.record("no rows")
            return
        }
        #expect(try rows.lines() == ["5"])
        #expect(
            run(reader, "SELECT * FROM sqlite_rqlite")
                == [.failed("no such table: sqlite_rqlite")])
        for sql in ["ATTACH '/etc/passwd' AS x", "CREATE TEMP TABLE x(a)", "PRAGMA query_only(0)"] {
            guard case .failed? = run(reader, sql)?.first ?? .failed("request") else {
                Issue.record("\(sql) was not refused")
                continue
            }
        }
    }

    @Test func `An endless read ends at its deadline or when it is evicted`() throws {
        let database = try Database()
        let reader = try database.reader()
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            + "SELECT count(*) FROM n"
        let outcome = reader.run(
            Command(kind: .query, statements: [Statement(endless), Statement("SELECT 1")]),
            deadline: .now + .milliseconds(20))
        guard case .result(let result) = outcome else {
            Issue.record("no result")
            return
        }
        #expect(
            result.statements.map(\.outcome) == [
                .failed("query timeout"), .failed("query timeout"),
            ])
        reader.activity.evict(begunAt: .now)
        #expect(run(reader, "SELECT 1")?.count == 1, "an idle reader is not evicted")
    }

    @Test func `The wrong number of parameters is an error`() throws {
        let database = try Database()
        let reader = try database.reader()
        #expect(
            run(reader, "SELECT ?") == [.failed("not enough args to execute query: want 1 got 0")])
    }
}

/// What results may take.
@Suite struct ResultSizeTests {
    private func limits(_ bytes: Int) -> ApplierLimits {
        var limits = ApplierLimits()
        limits.resultBytes = bytes
        return limits
    }

    private func query(_ sql: String) -> Command {
        Command(kind: .query, statements: [Statement(sql)])
    }

    @Test func `A row that is larger than a result may be is an error before it fills memory`()
        throws
    {
        let database = try Database()
        let reader = try Reader(path: database.applier.path, limits: limits(1 << 16))
        let columns = (0..<100).map { "zeroblob(200000) AS c\($0)" }.joined(separator: ",")
        let outcome = reader.run(query("SELECT \(columns)"))
        #expect(
            outcome
                == .result(
                    CommandResult([
                        StatementResult(
                            .failed("the result is larger than 65536 bytes: ask for fewer rows"),
                            isRead: true)
                    ])
                ).withoutTimes(like: outcome))
    }

    @Test func `Results of all readers share a budget, and give it back`() throws {
        let database = try Database()
        let budget = GatherBudget(limit: 8 << 20)
        let first = try Reader(path: database.applier.path, budget: budget)
        let second = try Reader(path: database.applier.path, budget: budget)
        let large = query("SELECT zeroblob(6000000)")
        let tooLarge = Command(
            kind: .query, statements: (0..<2).map { _ in Statement("SELECT zeroblob(6000000)") })
        for reader in [first, second, first] {
            #expect(reader.run(tooLarge) == .busy)
            #expect(budget.inUse == 0)
            guard case .result(let result) = reader.run(large),
                case .rows(let rows) = result.statements[0].outcome
            else {
                Issue.record("no rows")
                return
            }
            #expect(rows.cells.count > 6_000_000)
            #expect(budget.inUse == 0)
        }
    }
}

extension ReadOutcome {
    /// With the times of another outcome, which no test can know.
    fileprivate func withoutTimes(like other: ReadOutcome) -> ReadOutcome {
        guard case .result(var result) = self, case .result(let known) = other else { return self }
        for (index, statement) in known.statements.enumerated()
        where index < result.statements.count {
            result.statements[index].nanoseconds = statement.nanoseconds
        }
        return .result(result)
    }
}
