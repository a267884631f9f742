import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// A write under a key takes effect once, whatever the batches, the units and the restarts were.
@Suite struct RepeatTests {
    private static func command(
        _ statements: [String], key: String, kind: CommandKind = .execute,
        by principal: String = "",
        transaction: Bool = false, at milliseconds: Int64 = 1_700_000_000_000
    ) -> Command {
        var command = Command(
            kind: kind, statements: statements.map { Statement($0) }, transaction: transaction,
            stamp: Stamp(milliseconds: milliseconds, seed: 7))
        command.key = RepeatKey(key, of: principal, for: command)
        return command
    }

    /// Applies commands as entries that follow, in one batch.
    private func apply(
        _ commands: [Command], to database: Database, isReported: Bool = true
    ) throws -> [AppliedEntry] {
        var next = database.applier.applied.position.index
        let entries = commands.map { command in
            next = next.next
            return entry(next, command)
        }
        var results: [AppliedEntry] = []
        try database.applier.apply(entries, reporting: { _ in isReported }, into: &results)
        return results
    }

    private func reopen(_ database: Database) throws {
        database.applier = try Applier(path: database.applier.path)
    }

    private static func timeless(_ results: [StatementResult]?) -> [StatementResult]? {
        results?.map { StatementResult($0.outcome, isRead: $0.isRead) }
    }

    @Test(arguments: [false, true])
    func `A write that is repeated takes effect once, and is answered as the first time`(
        inUnits: Bool
    ) throws {
        let database = try Database()
        database.applier.avoidsSharedTransactions = inUnits
        try database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE)")
        let write = Self.command(
            ["INSERT INTO t(a) VALUES(1)", "INSERT INTO t(a) VALUES(1)", "SELECT 1"], key: "k")
        let first = try #require(try apply([write], to: database).first)
        #expect(first.repetition == nil)
        // In the same batch, in another, and after a restart.
        var others = try apply([write, write], to: database)
        try reopen(database)
        others += try apply([write], to: database)
        for other in others {
            #expect(other.repetition == .answered)
            #expect(other.result?.logIndex == first.result?.logIndex)
            #expect(
                Self.timeless(other.result?.statements) == Self.timeless(first.result?.statements))
        }
        #expect(try database.rows("SELECT count(*) FROM t") == ["1"])
    }

    @Test func `Another body under a key does nothing; another principal's key is another`() throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let write = Self.command(["INSERT INTO t VALUES(1)"], key: "k", by: "user a")
        let index = try apply([write], to: database).first?.index
        let bodies = [
            Self.command(["INSERT INTO t VALUES(2)"], key: "k", by: "user a"),
            Self.command(["INSERT INTO t VALUES(1)"], key: "k", kind: .request, by: "user a"),
            Self.command(["INSERT INTO t VALUES(1)"], key: "k", by: "user a", transaction: true),
        ]
        for entry in try apply(bodies, to: database) {
            #expect(entry.repetition == .conflict)
            #expect(entry.result?.logIndex == index?.rawValue)
        }
        #expect(try database.rows("SELECT a FROM t") == ["1"])
        let other = Self.command(["INSERT INTO t VALUES(3)"], key: "k", by: "user b")
        #expect(try apply([other], to: database).first?.repetition == nil)
        // A principal and a key can't be cut elsewhere.
        let cut = Self.command(["INSERT INTO t VALUES(4)"], key: "ak", by: "user ")
        #expect(try apply([cut], to: database).first?.repetition == nil)
        #expect(try database.rows("SELECT count(*) FROM t") == ["3"])
    }

    @Test func `A write that failed as a whole is answered so again`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a UNIQUE)", "INSERT INTO t VALUES(1)")
        let write = Self.command(["INSERT INTO t VALUES(1)"], key: "k", transaction: true)
        let first = try #require(try apply([write], to: database).first?.result)
        try database.execute("DELETE FROM t")
        let second = try #require(try apply([write], to: database).first)
        #expect(second.repetition == .answered)
        #expect(Self.timeless(second.result?.statements) == Self.timeless(first.statements))
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test func `Of an answer that is too large is kept that the write took effect`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let write = Self.command(
            ["INSERT INTO t VALUES(hex(zeroblob(500))) RETURNING a"], key: "k")
        let index = try apply([write], to: database).first?.index
        let again = try #require(try apply([write], to: database).first)
        #expect(again.repetition == .done)
        #expect(again.result?.logIndex == index?.rawValue)
        // Answers of many equal steps are small.
        let bulk = Self.command(
            Array(repeating: "INSERT INTO t VALUES(1)", count: 5000), key: "bulk")
        let first = try #require(try apply([bulk], to: database).first?.result)
        let second = try #require(try apply([bulk], to: database).first)
        #expect(second.repetition == .answered)
        #expect(Self.timeless(second.result?.statements) == Self.timeless(first.statements))
        #expect(try database.rows("SELECT count(*) FROM t") == ["5001"])
    }

    @Test func `What is remembered does not depend on who waits, on batches, or on restarts`()
        throws
    {
        let writes = [
            Self.command(["CREATE TABLE t(id INTEGER PRIMARY KEY, a)"], key: "1"),
            Self.command(
                ["INSERT INTO t(a) VALUES('x') RETURNING id, a"], key: "2", kind: .request),
            Self.command(
                [
                    "INSERT INTO t(a) VALUES(1)",
                    "INSERT INTO t(a) VALUES(hex(zeroblob(600)))"
                        + " RETURNING a; INSERT INTO t(a) VALUES(2)", "SELECT count(*) FROM t",
                ], key: "3", kind: .request),
            Self.command(["INSERT INTO t(a) VALUES(3)", "ROLLBACK"], key: "4"),
            Self.command(["SELECT * FROM t; nonsense"], key: "5", kind: .request),
        ]
        var records: [[[UInt8]]] = []
        for variant in 0..<4 {
            let database = try Database()
            database.applier.avoidsSharedTransactions = variant == 1
            if variant == 3 {
                for write in writes {
                    _ = try apply([write], to: database, isReported: false)
                    try reopen(database)
                }
            } else {
                _ = try apply(writes, to: database, isReported: variant == 0)
            }
            records.append(
                try (0..<writes.count).map {
                    try MetadataTable.readRepeat($0, on: database.applier.session.connection)
                })
        }
        for other in records.dropFirst() { #expect(other == records[0]) }
    }

    @Test func `A restart within a write changes nothing of what is remembered of it`() throws {
        let create = Self.command(["CREATE TABLE t(a)"], key: "c")
        let write = Self.command(
            (0..<40).map { "INSERT INTO t VALUES(hex(zeroblob(\(2000 + $0))))" }, key: "k")
        let plain = try Database()
        _ = try apply([create, write], to: plain)
        let expected = try MetadataTable.readRepeat(1, on: plain.applier.session.connection)
        var interruptions = 0
        for writes in stride(from: Int64(3), to: 160, by: 7) {
            let database = try Database()
            database.applier.avoidsSharedTransactions = true
            _ = try apply([create], to: database)
            WriteFault.inputOutput(after: writes)
            do {
                _ = try apply([write], to: database)
            } catch {
                interruptions += 1
            }
            WriteFault.end()
            try reopen(database)
            database.applier.avoidsSharedTransactions = true
            if database.applier.applied.position.index == LogIndex(1) {
                _ = try apply([write], to: database, isReported: false)
            }
            let found = try MetadataTable.readRepeat(1, on: database.applier.session.connection)
            #expect(found == expected, "after \(writes) writes")
            #expect(try database.rows("SELECT count(*) FROM t") == ["40"])
        }
        #expect(interruptions > 5)
    }

    @Test func `A key is forgotten when it is old by the log's clock`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let begin: Int64 = 1_800_000_000_000
        let ages: [(Int64, Repetition?)] = [
            (0, nil), (RepeatMemory.age, .answered), (RepeatMemory.age + 1, nil),
            (2 * RepeatMemory.age + 1, .answered),
        ]
        for (age, expected) in ages {
            let write = Self.command(["INSERT INTO t VALUES(1)"], key: "k", at: begin + age)
            #expect(try apply([write], to: database).first?.repetition == expected, "\(age)")
        }
        #expect(try database.rows("SELECT count(*) FROM t") == ["2"])
    }

    @Test func `The newest keys are remembered, as many as there is room for`() throws {
        let database = try Database()
        let small = { RepeatMemory(capacity: 4) }
        database.applier = try Applier(
            path: database.applier.path, limits: ApplierLimits(), marker: nil, repeats: small())
        try database.execute("CREATE TABLE t(a)")
        func write(_ key: Int) -> Command {
            Self.command(["INSERT INTO t VALUES(\(key))"], key: "\(key)")
        }
        for key in 0..<10 {
            // A batch that is rolled back and run again remembers once.
            let ending = Self.command(
                ["INSERT OR ROLLBACK INTO t VALUES(1)", "VACUUM"], key: "v\(key)")
            _ = try apply(key % 3 == 0 ? [write(key), ending] : [write(key)], to: database)
            if key == 5 {
                database.applier = try Applier(
                    path: database.applier.path, limits: ApplierLimits(), marker: nil,
                    repeats: small())
            }
        }
        #expect(database.applier.repeats.count == 4)
        let found = try apply([write(9), write(8), write(7), write(6)], to: database)
        #expect(found.map(\.repetition) == [.answered, .answered, .answered, nil])
    }

    @Test func `A batch that is undone forgets what it remembered`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let write = Self.command(["INSERT INTO t VALUES(hex(zeroblob(9000)))"], key: "k")
        WriteFault.full(after: 0)
        #expect(throws: ApplyFault.self) { try apply([write], to: database) }
        WriteFault.end()
        #expect(try apply([write, write], to: database).map(\.repetition) == [nil, .answered])
        #expect(try database.rows("SELECT count(*) FROM t") == ["1"])
    }

    @Test func `Which pages the database has does not depend on how keyed writes were batched`()
        throws
    {
        var sizes: Set<Int64> = []
        for inUnits in [false, true] {
            let database = try Database()
            database.applier.avoidsSharedTransactions = inUnits
            var writes = [Self.command(["CREATE TABLE t(a)", "CREATE INDEX i ON t(a)"], key: "c")]
            for number in 0..<120 {
                writes.append(
                    Self.command(
                        [
                            "INSERT INTO t VALUES(hex(zeroblob(\(number % 7 * 700))))",
                            "DELETE FROM t WHERE rowid % 5 = \(number % 5)",
                        ], key: "\(number)"))
            }
            _ = try apply(writes, to: database)
            let pages = try database.applier.session.connection.integer("PRAGMA page_count")
            sizes.insert(try #require(pages))
        }
        #expect(sizes.count == 1, "\(sizes)")
    }

    @Test func `Clients see nothing of what is remembered between their writes`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        _ = try apply([Self.command(["INSERT INTO t VALUES(1)"], key: "k")], to: database)
        #expect(
            try database.rows("SELECT changes(), total_changes(), last_insert_rowid()") == ["0|0|0"]
        )
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
    }
}
