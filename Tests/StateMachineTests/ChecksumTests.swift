import CSQLite
import Glibc
import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// The checksums that nodes compare: the trace of rows written, and the scrub of the content.
@Suite struct ChecksumTests {
    private func traced() throws -> Database {
        let database = try Database()
        _ = try database.mark(ChecksumMarker(tracing: .restart))
        return database
    }

    @Test func `Every kind of write to a row moves the trace, and reading does not`() throws {
        let database = try traced()
        var seen: Set<Digest> = []
        let statements = [
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)",
            "CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
        ]
        for sql in statements { try database.execute(sql) }
        let writes = [
            "INSERT INTO t VALUES(1, 'x', 2.5)", "INSERT INTO t VALUES(2, x'00', NULL)",
            "UPDATE t SET a = 'y' WHERE id = 1", "UPDATE t SET a = 'y' WHERE id = 1",
            "REPLACE INTO t VALUES(2, 3, 4)", "DELETE FROM t WHERE id = 1",
            "INSERT INTO w VALUES('k', 1)", "UPDATE w SET v = 2", "DELETE FROM w WHERE k = 'k'",
        ]
        for sql in writes {
            try database.execute(sql)
            let trace = try #require(database.applier.applied.trace)
            #expect(seen.insert(trace).inserted, "\(sql)")
        }
        let before = database.applier.applied.trace
        try database.execute("DELETE FROM t WHERE id = 99", "ANALYZE", "VACUUM")
        #expect(database.applier.applied.trace == before)
    }

    /// Not all libraries have the hook, and a row that can't be read ends the trace of one node.
    @Test func `Whether rows are traced does not show in what a statement is charged`() throws {
        let (plain, other) = (try Database(), try traced())
        for sql in [
            "CREATE TABLE long(id INTEGER PRIMARY KEY, a)", "CREATE VIRTUAL TABLE f USING fts5(a)",
            "INSERT INTO long VALUES(1, zeroblob(40000000))", "DELETE FROM long WHERE id = 1",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
                + "INSERT INTO f SELECT 'one k' || i FROM n",
            "DELETE FROM f WHERE rowid = 6", "INSERT INTO f(f) VALUES('optimize')",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
                + "INSERT INTO long SELECT i, zeroblob(100000) FROM n",
            // Each of its steps costs by what it holds meanwhile.
            "DELETE FROM long WHERE id <> length((SELECT replace(hex(zeroblob(3000000)), '0', 'a')))",
        ] {
            let charges = try [plain, other].map { database in
                let before = database.applier.session.budget.charged
                for case .failed(let text) in try database.execute(sql) {
                    Issue.record("\(sql): \(text)")
                }
                return database.applier.session.budget.charged - before
            }
            #expect(charges[0] == charges[1], "\(sql)")
        }
        #expect(other.applier.applied.trace != nil)
    }

    @Test func `The storage class of a value is part of the trace`() throws {
        var traces: Set<Digest> = []
        for value in ["1", "'1'", "x'31'", "1.5", "'1.5'", "NULL", "''", "x''", "0"] {
            let database = try traced()
            try database.execute("CREATE TABLE t(a)", "INSERT INTO t VALUES(\(value))")
            traces.insert(try #require(database.applier.applied.trace))
        }
        #expect(traces.count == 9)
    }

    @Test func `A row that was changed behind the daemon's back shows when it is written again`()
        throws
    {
        let (one, other) = (try traced(), try traced())
        for database in [one, other] {
            try database.execute(
                "CREATE TABLE t(id INTEGER PRIMARY KEY, n)", "INSERT INTO t VALUES(1, 10), (2, 20)")
        }
        try other.changeBehind("UPDATE t SET n = 11 WHERE id = 1")
        for database in [one, other] { try database.execute("UPDATE t SET n = n + 1 WHERE id = 1") }
        #expect(one.applier.applied.trace != other.applier.applied.trace)
    }

    @Test func `A table is still emptied at once while rows are traced`() throws {
        let database = try traced()
        try database.execute("CREATE TABLE t(a)")
        try database.execute(
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) "
                + "INSERT INTO t SELECT i FROM n")
        let before = database.applier.applied.trace
        try database.execute("DELETE FROM t")
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
        // No row was told of: the shortcut was taken, as it is without a trace.
        #expect(database.applier.applied.trace == before)
    }

    @Test func `A marker ends its batch, and is told where the database stands at it`() throws {
        let database = try traced()
        try database.execute("CREATE TABLE t(a)")
        var reached: [(ReachedMarker, Int64)] = []
        database.applier.reachedMarker = { [unowned database] found in
            let count = try? database.applier.session.connection.integer("SELECT count(*) FROM t")
            reached.append((found, count ?? -1))
        }
        let first = database.applier.applied.position.index.next
        let marker = ChecksumMarker(piece: .start)
        let entries = [
            database.insertion(at: first), database.insertion(at: first.advanced(by: 1)),
            Entry(
                index: first.advanced(by: 2), term: Term(1),
                payload: .command(LogCommand.checksum(marker).encoded())),
            database.insertion(at: first.advanced(by: 3)),
        ]
        var results: [AppliedEntry] = []
        try database.applier.apply(entries, reporting: { _ in true }, into: &results)
        #expect(results.count == 4)
        #expect(reached.count == 1)
        #expect(reached.first?.0.position.index == first.advanced(by: 2))
        #expect(reached.first?.0.marker == marker)
        #expect(reached.first?.1 == 2)
        #expect(reached.first?.0.trace != nil)
        #expect(reached.first?.0.trace != database.applier.applied.trace)
    }

    @Test func `A trace survives a restart, and a marker ends it`() throws {
        let database = try traced()
        try database.execute("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)")
        let trace = try #require(database.applier.applied.trace)
        try database.restart()
        #expect(database.applier.applied.trace == trace)
        let found = try database.mark(ChecksumMarker(tracing: .stop))
        #expect(found?.trace == trace)
        #expect(database.applier.applied.trace == nil)
        try database.restart()
        #expect(database.applier.applied.trace == nil)
    }

    // MARK: The scrub

    @Test func `A pass in small pieces reads every row of every kind of table once`() throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE a(id INTEGER PRIMARY KEY, v)", "CREATE TABLE empty(x)",
            "CREATE TABLE k(a TEXT, b, c COLLATE NOCASE, PRIMARY KEY(a, c)) WITHOUT ROWID",
            "CREATE TABLE down(a, b, PRIMARY KEY(a DESC)) WITHOUT ROWID",
            "CREATE TABLE hidden(rowid, _rowid_, oid)",
            "CREATE TABLE gen(a, b AS (a * 2), c AS (a || 'x') STORED)",
            #"CREATE TABLE "quoted "" name"("odd "" column")"#)
        for table in ["a", "k", "down", "hidden", "gen", #""quoted "" name""#] {
            let columns =
                switch table {
                case "k": "i, i * 2, 'K' || i"
                case "a", "down": "i, i % 3"
                case "hidden": "i, 1, 2"
                default: "i"
                }
            let into = table == "gen" ? "gen(a)" : table
            let outcomes = try database.execute(
                "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 57) "
                    + "INSERT INTO \(into) SELECT \(columns) FROM n")
            #expect(outcomes == [.changed(lastInsertID: 57, rowsAffected: 57)] || table != "a")
        }
        let whole = try pass(database, rows: 1_000_000)
        #expect(whole.count == 1)
        for rows in [1, 7, 10] {
            let pieces = try pass(database, rows: rows)
            // 342 rows and the schema; a piece ends behind its last row.
            #expect(pieces.count >= 342 / rows && pieces.count <= 342 / rows + 4, "\(rows)")
            #expect(Set(pieces).count == pieces.count || rows == 1)
        }
    }

    /// SQLite gives no row of more than 2000 columns, and a piece that can't be read is asked for again and again.
    @Test(arguments: [
        ("", "", 2000), ("", "", 1999), ("PRIMARY KEY(c0, c1)", " WITHOUT ROWID", 2000),
        ("PRIMARY KEY(c0, c1)", " WITHOUT ROWID", 1999),
        ("PRIMARY KEY(c0, c1)", " WITHOUT ROWID", 1998),
    ])
    func `A table of as many columns as SQLite takes is scrubbed as any`(
        key: String, end: String, count: Int
    ) throws {
        let columns = (0..<count).map { "c\($0)" }.joined(separator: ",")
        let rules = key.isEmpty ? "" : ",\(key)"
        let sql = [
            "CREATE TABLE wide(\(columns)\(rules))\(end)", "CREATE TABLE x(a)",
            "INSERT INTO wide(c0, c1) VALUES(1, 2), (3, 4), (5, 6)", "INSERT INTO x VALUES(1)",
        ]
        let (one, other) = (try Database(), try Database())
        for database in [one, other] {
            for text in sql {
                let outcomes = try database.execute(text)
                for case .failed(let failure) in outcomes { Issue.record("\(failure)") }
            }
        }
        for rows in [1, 2, 100] {
            #expect(try pass(one, rows: rows) == pass(other, rows: rows))
        }
        try other.changeBehind("UPDATE wide SET c\(count - 1) = 1 WHERE c0 = 3")
        for rows in [1, 2, 100] {
            #expect(try pass(one, rows: rows) != pass(other, rows: rows))
        }
    }

    @Test func `The scrub goes on where a table is replaced by one without a key to go on by`()
        throws
    {
        let database = try filled()
        let scrubber = try Scrubber(path: database.applier.path)
        let key: [UInt8] = [3, 2, 0, 0, 0, 49, 48]
        try database.execute(
            "DROP TABLE w", "CREATE TABLE w(k, v, PRIMARY KEY(k DESC)) WITHOUT ROWID",
            "INSERT INTO w VALUES(1, 2), (3, 4)")
        #expect(scrubber.hold())
        let cursor = ScrubCursor(table: Array("w".utf8), passed: 1, key: key)
        guard case .read(_, let next) = scrubber.scan(from: cursor) else {
            Issue.record("it can't be read")
            return
        }
        #expect(next == nil)
    }

    @Test func `The scrub finds any row that was changed behind the daemon's back`() throws {
        for change in [
            "UPDATE t SET v = v + 1 WHERE id = 977", "DELETE FROM t WHERE id = 1",
            "INSERT INTO t VALUES(5000, 1)", "UPDATE w SET v = 'b' WHERE k = 3",
            "CREATE VIEW sneaked AS SELECT 1",
        ] {
            let (one, other) = (try filled(), try filled())
            #expect(try pass(one, rows: 100) == pass(other, rows: 100))
            try other.changeBehind(change)
            #expect(try pass(one, rows: 100) != pass(other, rows: 100), "\(change)")
        }
    }

    @Test func `The scrub finds a bit that flipped in the file while the database is in use`()
        throws
    {
        var found = 0
        for seed in 0..<24 {
            let (one, other) = (try filled(), try filled())
            _ = try other.applier.checkpoint()
            let clean = try pass(one, rows: 100)
            try other.flipBit(seed: seed)
            let outcome = Result { try pass(other, rows: 100) }
            if case .success(let digests) = outcome, digests == clean { continue }
            found += 1
        }
        // What is left lies in bytes that hold nothing: between the cells of a page.
        #expect(found >= 12)
    }

    @Test func `A piece is read as of its marker, whatever is written meanwhile`() throws {
        let database = try filled()
        let scrubber = try Scrubber(path: database.applier.path)
        #expect(scrubber.hold())
        // The second has to wait for its turn, and is not waited for.
        #expect(!scrubber.hold())
        try database.execute("UPDATE t SET v = -1", "DELETE FROM w")
        let held = scrubber.scan(from: .start)
        let same = try filled()
        #expect(held == .read(try pass(same, rows: 1_000_000)[0], next: nil))
        #expect(scrubber.hold())
        #expect(scrubber.scan(from: .start) != held)
    }

    @Test func `A cursor that no leader wrote is read without harm`() throws {
        let database = try filled()
        let scrubber = try Scrubber(path: database.applier.path)
        let names: [[UInt8]] = [[0xFF], Array("nowhere".utf8), Array("t".utf8), Array("w".utf8)]
        let keys: [[UInt8]] = [
            [], [1], [1, 0, 0, 0, 0], [9, 1, 0, 0, 0, 7], [3, 255, 255, 255, 255],
        ]
        for table in names {
            for key in keys {
                for passed: UInt64 in [0, 1, .max] {
                    #expect(scrubber.hold())
                    let cursor = ScrubCursor(table: table, passed: passed, key: key)
                    if case .damaged(let text) = scrubber.scan(from: cursor) {
                        Issue.record("\(text)")
                    }
                }
            }
        }
    }

    @Test func `Rows that break a rule of their table hide no damage from the check at the end`()
        throws
    {
        let database = try traced()
        try database.execute(
            "CREATE TABLE t(a, c)",
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) INSERT INTO t SELECT i, NULL FROM n",
            "INSERT INTO t VALUES(1000, 3)", "CREATE INDEX i ON t(a) WHERE a < 1000")
        func check(_ sql: String) throws -> ScrubOutcome {
            let connection = try Connection(path: database.applier.path, access: .readWrite)
            try connection.execute("PRAGMA writable_schema=ON; \(sql)")
            let scrubber = try Scrubber(path: database.applier.path)
            #expect(scrubber.hold())
            return scrubber.scan(from: .start)
        }
        let rows = try check(
            "UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a, c NOT NULL)' WHERE name = 't'")
        guard case .read = rows else {
            Issue.record("\(rows)")
            return
        }
        let index = try check(
            "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(a)' WHERE name = 'i'")
        guard case .damaged(let text) = index else {
            Issue.record("\(index)")
            return
        }
        #expect(text.contains("index i"), "\(text)")
    }

    @Test(arguments: [
        "PRAGMA ignore_check_constraints=ON; CREATE TABLE t(a, CHECK(abs(a) >= 0)); "
            + "INSERT INTO t VALUES(-9223372036854775808)",
        "CREATE TABLE t(a); INSERT INTO t VALUES(-9223372036854775808); "
            + "ALTER TABLE t ADD COLUMN b INT AS (abs(a))",
    ])
    func `A row of which something can't be worked out is no end of a pass`(sql: String) throws {
        let database = try traced()
        #expect(try database.execute(sql, "SELECT 1 FROM t LIMIT 1").count == 2)
        let scrubber = try Scrubber(path: database.applier.path)
        for _ in 0..<2 {
            #expect(scrubber.hold())
            let outcome = scrubber.scan(from: .start)
            guard case .read(_, nil) = outcome else {
                Issue.record("\(outcome)")
                return
            }
        }
    }

    @Test func `Who asks often whether the file is whole has it looked at now and then`() throws {
        let database = try filled()
        let session = database.applier.session
        var looks = 0
        var before = session.lookAgainAt
        for _ in 0..<1000 {
            #expect(try session.hasWholeTrees())
            if session.lookAgainAt != before { looks += 1 }
            before = session.lookAgainAt
        }
        #expect((1..<500).contains(looks), "\(looks)")
    }

    private func filled() throws -> Database {
        let database = try traced()
        try database.execute(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE INDEX i ON t(v)",
            "CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID")
        try database.execute(
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) "
                + "INSERT INTO t SELECT i, i * 7 FROM n",
            "INSERT INTO w SELECT id, 'a' || v FROM t WHERE id <= 300")
        return database
    }

    private func pass(_ database: Database, rows: Int) throws -> [Digest] {
        var bounds = ScrubBounds()
        bounds.rows = rows
        let scrubber = try Scrubber(path: database.applier.path, bounds: bounds)
        var digests: [Digest] = []
        var cursor: ScrubCursor? = .start
        while let place = cursor {
            guard scrubber.hold() else { throw HarnessError.noResult }
            guard case .read(let digest, let next) = scrubber.scan(from: place) else {
                throw HarnessError.noResult
            }
            digests.append(digest)
            cursor = next
        }
        return digests
    }
}

extension Database {
    fileprivate func restart() throws {
        applier = try Applier(path: applier.path)
    }

    /// Applies a marker as the next entry.
    fileprivate func mark(_ marker: ChecksumMarker) throws -> ReachedMarker? {
        var found: ReachedMarker?
        applier.reachedMarker = { found = $0 }
        defer { applier.reachedMarker = nil }
        let entry = Entry(
            index: applier.applied.position.index.next, term: Term(1),
            payload: .command(LogCommand.checksum(marker).encoded()))
        var results: [AppliedEntry] = []
        try applier.apply([entry], reporting: { _ in false }, into: &results)
        return found
    }

    fileprivate func insertion(at index: LogIndex) -> Entry {
        Entry(
            index: index, term: Term(1),
            payload: .command(
                LogCommand.command(
                    Command(kind: .execute, statements: [Statement("INSERT INTO t VALUES(1)")])
                ).encoded()))
    }

    /// As another program would that doesn't care for locks.
    fileprivate func changeBehind(_ sql: String) throws {
        let connection = try Connection(path: applier.path, access: .readWrite)
        try connection.execute(sql)
    }

    /// In a page of a table, in the main file.
    fileprivate func flipBit(seed: Int) throws {
        let descriptor = open(applier.path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw HarnessError.system(errno) }
        // Never closed: closing it would drop the locks of the process.
        let offset = off_t(4096 * 2 + (seed * 7919) % (4096 * 8))
        var byte: UInt8 = 0
        guard pread(descriptor, &byte, 1, offset) == 1 else { throw HarnessError.system(errno) }
        byte ^= UInt8(1 << (seed % 8))
        guard pwrite(descriptor, &byte, 1, offset) == 1 else { throw HarnessError.system(errno) }
    }
}
