import Glibc
import Raft
import Scratch
import Testing
import Wire

@testable import StateMachine

/// An entry that ends the process is found out, and left out by decision.
@Suite struct ApplyMarkerTests {
    private func path(_ database: Database) -> String { "\(database.directory.path)/applying" }

    /// As if the process had ended while it applied this.
    private func endWhileApplying(_ index: UInt64, _ place: StatementPlace, _ path: String) throws {
        let marker = try ApplyMarker(path: path)
        marker.begin(LogIndex(index))
        marker.reach(place)
    }

    private func restart(_ database: Database) throws {
        database.applier = try Applier(
            path: database.applier.path, marker: ApplyMarker(path: path(database)))
    }

    private static let entries = [
        entry(LogIndex(1), Command(kind: .execute, statements: [Statement("CREATE TABLE t(a)")])),
        entry(
            LogIndex(2),
            Command(
                kind: .execute,
                statements: [
                    Statement("INSERT INTO t VALUES(1)"),
                    Statement("INSERT INTO t VALUES(2); INSERT INTO t VALUES(3)"),
                    Statement("INSERT INTO t VALUES(4)"),
                ])),
        entry(
            LogIndex(3), Command(kind: .execute, statements: [Statement("INSERT INTO t VALUES(5)")])
        ),
    ]

    private func apply(_ database: Database, _ entries: [Entry]) throws -> [AppliedEntry] {
        var results: [AppliedEntry] = []
        try database.applier.apply(entries, reporting: { _ in true }, into: &results)
        return results
    }

    @Test func `One end within an entry is no suspicion, the second is`() throws {
        let database = try Database()
        try endWhileApplying(2, StatementPlace(text: 1, offset: 24), path(database))
        try restart(database)
        #expect(database.applier.suspicion == nil)
        try endWhileApplying(2, StatementPlace(text: 1, offset: 0), path(database))
        try restart(database)
        #expect(database.applier.suspicion?.index == LogIndex(2))
        let suspicion = PoisonSuspicion(
            index: LogIndex(2), hash: Applier.hash(of: Self.entries[1]),
            place: StatementPlace(text: 1, offset: 0), count: 2)
        #expect(throws: ApplyFault.suspected(suspicion)) {
            _ = try apply(database, Self.entries)
        }
        // What stands before it is applied.
        #expect(database.applier.applied.position.index == LogIndex(1))
        #expect(throws: ApplyFault.suspected(suspicion)) {
            _ = try apply(database, Self.entries)
        }
        // A stop in order changes nothing.
        try restart(database)
        #expect(database.applier.suspicion?.count == 2)
    }

    @Test func `Ends within other entries are no suspicion`() throws {
        let database = try Database()
        try endWhileApplying(2, .start, path(database))
        try endWhileApplying(3, .start, path(database))
        try endWhileApplying(2, .start, path(database))
        try restart(database)
        #expect(database.applier.suspicion == nil)
        _ = try apply(database, Self.entries)
        try endWhileApplying(4, .start, path(database))
        try restart(database)
        #expect(database.applier.suspicion == nil)
    }

    @Test func `An entry that is tried again and applied is suspected no more`() throws {
        let database = try Database()
        for _ in 0..<3 { try endWhileApplying(2, .start, path(database)) }
        try restart(database)
        #expect(database.applier.suspicion?.count == 3)
        database.applier.tryAgain()
        #expect(database.applier.suspicion == nil)
        #expect(try apply(database, Self.entries).count == 3)
        #expect(try database.rows("SELECT sum(a) FROM t") == ["15"])
        try restart(database)
        #expect(database.applier.suspicion == nil)
    }

    @Test func `An entry that ends the process again when it is tried again is suspected again`()
        throws
    {
        let database = try Database()
        for _ in 0..<2 { try endWhileApplying(2, .start, path(database)) }
        try restart(database)
        database.applier.tryAgain()
        try endWhileApplying(2, .start, path(database))
        try restart(database)
        #expect(database.applier.suspicion?.count == 3)
    }

    @Test(arguments: [true, false])
    func `A skip leaves the entry out from its place on, on nodes that were in doubt and others`(
        isSuspected: Bool
    ) throws {
        let skip = EntrySkip(
            index: 2, hash: Applier.hash(of: Self.entries[1]),
            place: StatementPlace(text: 1, offset: 24))
        let record = Entry(
            index: LogIndex(4), term: Term(2), payload: .command(LogCommand.skip(skip).encoded()))
        for inUnits in [true, false] {
            let database = try Database()
            if isSuspected {
                for _ in 0..<2 { try endWhileApplying(2, skip.place, path(database)) }
                try restart(database)
            }
            database.applier.avoidsSharedTransactions = inUnits
            database.applier.decide(skip)
            database.applier.decide(skip)
            let results = try apply(database, Self.entries + [record])
            #expect(results[1].result?.error == CommandRunner.skippedText)
            #expect(try database.rows("SELECT a FROM t") == ["1", "2", "5"])
            #expect(database.applier.applied.skips == [skip])
            try restart(database)
            #expect(database.applier.applied.skips == [skip])
            #expect(database.applier.suspicion == nil)
        }
    }

    @Test func `A skip of a transaction leaves out all of it`() throws {
        for statements in [
            ["INSERT INTO t VALUES(1)", "INSERT INTO t VALUES(2)"],
            ["BEGIN; INSERT INTO t VALUES(1)", "INSERT INTO t VALUES(2); COMMIT"],
        ] {
            let database = try Database()
            let command = entry(
                LogIndex(2),
                Command(
                    kind: .execute, statements: statements.map { Statement($0) },
                    transaction: statements[0].hasPrefix("INSERT")))
            database.applier.decide(
                EntrySkip(
                    index: 2, hash: Applier.hash(of: command),
                    place: StatementPlace(text: 1, offset: 0)))
            let results = try apply(database, [Self.entries[0], command, Self.entries[2]])
            #expect(results[1].result?.error == CommandRunner.skippedText)
            #expect(try database.rows("SELECT a FROM t") == ["5"])
        }
    }

    @Test func `A skip holds where the entries must be handed in again`() throws {
        let database = try Database()
        database.applier.decide(EntrySkip(index: 2, hash: Applier.hash(of: Self.entries[1])))
        WriteFault.full(after: 0)
        defer { WriteFault.end() }
        #expect(throws: ApplyFault.diskFull) { _ = try apply(database, Self.entries) }
        WriteFault.end()
        let results = try apply(database, Self.entries)
        #expect(results[1].result?.error == CommandRunner.skippedText)
        #expect(try database.rows("SELECT a FROM t") == ["5"])
    }

    @Test func `A skip that names another entry is not followed`() throws {
        let database = try Database()
        database.applier.decide(EntrySkip(index: 2, hash: 1))
        _ = try apply(database, Self.entries)
        #expect(try database.rows("SELECT sum(a) FROM t") == ["15"])
        #expect(database.applier.applied.skips.isEmpty)
    }

    @Test func `A record of a skip that names what comes only later harms nobody`() throws {
        let database = try Database()
        for index: UInt64 in [4, 5, 70, .max] {
            let skip = EntrySkip(index: index, hash: 7)
            _ = try database.applier.establish(
                cluster: ClusterID(RandomID(high: 1, low: 1)), membership: Membership(),
                skipping: skip)
        }
        _ = try apply(database, Self.entries)
        let record = Entry(
            index: LogIndex(4), term: Term(2),
            payload: .command(LogCommand.skip(EntrySkip(index: 70, hash: 7)).encoded()))
        database.applier.decide(EntrySkip(index: 70, hash: 7))
        _ = try apply(database, [record])
        #expect(database.applier.applied.position.index == LogIndex(4))
        #expect(database.applier.applied.skips.isEmpty)
        // What was passed is forgotten, also after a restart.
        #expect(database.applier.applied.decided.map(\.index) == [5, 70, .max])
        database.applier = try Applier(path: database.applier.path)
        #expect(database.applier.applied.decided.map(\.index) == [5, 70, .max])
        #expect(try database.rows("SELECT sum(a) FROM t") == ["15"])
    }

    @Test func `A node that had applied the entry learns so from the skip`() throws {
        let database = try Database()
        _ = try apply(database, Self.entries)
        let skip = EntrySkip(index: 2, hash: Applier.hash(of: Self.entries[1]))
        let record = Entry(
            index: LogIndex(4), term: Term(2), payload: .command(LogCommand.skip(skip).encoded()))
        #expect(throws: ApplyFault.appliedSkipped(skip)) { _ = try apply(database, [record]) }
        #expect(database.applier.applied.position.index == LogIndex(3))
    }

    @Test func `A file that is no marker, or is cut short, is made anew`() throws {
        let database = try Database()
        for content in ["", "rqapply", String(repeating: "x", count: 5000)] {
            let descriptor = open(path(database), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            _ = content.withCString { write(descriptor, $0, content.utf8.count) }
            close(descriptor)
            try restart(database)
            #expect(database.applier.suspicion == nil)
        }
    }

    @Test func `Whatever the file's words hold, a start goes on, and a full count stays full`()
        throws
    {
        let database = try Database()
        /// What a start says of a file with these words.
        func suspicion(_ words: [UInt64]) throws -> PoisonSuspicion? {
            let descriptor = open(path(database), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            let bytes = words.map(\.littleEndian)
            _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            close(descriptor)
            return try ApplyMarker(path: path(database)).suspicion
        }
        // Entry 2 ended the process twice, and was being applied once more.
        let words: [UInt64] = [0x3179_6C70_7061_7172, 2, 1 << 32, 2, 1 << 32 | 5, 2]
        #expect(try suspicion(words)?.count == 3)
        #expect(try suspicion(words)?.place == StatementPlace(text: 1, offset: 0))
        for place in words.indices {
            for value in [0, 1, 1 << 63, .max] as [UInt64] {
                var spoilt = words
                spoilt[place] = value
                let count = try suspicion(spoilt)?.count
                #expect((count ?? 2) >= 2, "word \(place), \(value)")
            }
        }
        #expect(try suspicion(words.dropLast() + [.max])?.count == Int.max)
    }
}
