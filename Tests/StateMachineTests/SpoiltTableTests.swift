import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// No checksum stands over the daemon's own table: whatever the disk, or who sends a snapshot, has made of its
/// numbers, is damage of the database, and ends no process.
@Suite struct SpoiltTableTests {
    private static let write: Command = {
        var write = Command(
            kind: .execute, statements: [Statement("INSERT INTO t VALUES(1)")],
            stamp: stamp(LogIndex(2)))
        write.key = RepeatKey("k", of: "", for: write)
        return write
    }()

    /// A database with a write under a key, in which the table was changed while no node ran.
    private func spoilt(by change: String) throws -> Database {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        try database.apply(Self.write)
        return try database.copied(changing: { (connection) throws(SQLiteError) in
            try MetadataTable.prepare("UPDATE main.@ SET \(change)", on: connection).run()
        })
    }

    /// With other bytes behind the first so many of `progress`.
    private func spoilt(_ row: Int, behind place: Int, with bytes: String) throws -> Database {
        let rest = place + bytes.utf8.count / 2 + 1
        return try spoilt(
            by: "progress = CAST(substr(progress, 1, \(place)) || x'\(bytes)' "
                + "|| substr(progress, \(rest)) AS BLOB) WHERE id = \(row)")
    }

    /// The clock of the log, and time and number of what is remembered.
    @Test(arguments: [(1, 23, "80"), (-1, 47, "80"), (-1, 48, "FFFFFFFFFFFFFFFF")])
    func `A number that no node writes is damage`(row: Int, place: Int, bytes: String) throws {
        #expect(
            performing: { _ = try spoilt(row, behind: place, with: bytes) },
            throws: { ($0 as? ApplyFault)?.isDamage ?? false })
        // That of the first write under a key.
        _ = try spoilt(-1, behind: 48, with: "0000000000000000")
    }

    @Test func `An answer of more results than its write has statements is damage`() throws {
        for (count, isDamage) in [("01", false), ("02", true), ("7F", true)] {
            let database = try spoilt(-1, behind: 61, with: count)
            guard isDamage else {
                #expect(try database.apply(Self.write).statements.count == 1)
                continue
            }
            #expect(
                performing: { _ = try database.apply(Self.write) },
                throws: { ($0 as? ApplyFault)?.isDamage ?? false })
        }
    }

    private func goOn(at progress: EntryProgress) throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        var state = database.applier.applied
        state.progress = progress
        let session = database.applier.session
        try session.begin()
        try MetadataTable.writeProgress(state, on: session.connection)
        try session.commit()
        database.applier = try Applier(path: database.applier.path)
        try database.execute("INSERT INTO t VALUES(1); SELECT 1", "SELECT 2")
    }

    @Test func `A place that an entry has not is damage, as is a count beyond any`() throws {
        let places = [
            EntryProgress(offset: 34), EntryProgress(offset: 1 << 31),
            EntryProgress(statement: 1, offset: 9), EntryProgress(statement: 3),
            EntryProgress(steps: .max), EntryProgress(changes: .max),
            EntryProgress(totalChanges: .min),
        ]
        for place in places {
            #expect(
                performing: { try goOn(at: place) },
                throws: { ($0 as? ApplyFault)?.isDamage ?? false })
        }
        for place in [
            EntryProgress(offset: 33), EntryProgress(statement: 1, offset: 8),
            EntryProgress(statement: 2),
        ] {
            try goOn(at: place)
        }
    }
}
