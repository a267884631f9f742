internal import CSQLite
internal import Glibc
package import Raft
internal import SQLite
internal import Time

/// How far a checkpoint came.
package struct CheckpointOutcome: Equatable, Sendable {
    /// How much of SQLite's log was copied.
    package enum Extent: Equatable, Sendable {
        /// The main file holds everything committed, and is synced.
        case complete
        /// Readers still need older pages.
        case partial
        /// A snapshot is being sent; nothing was done.
        case held
    }

    /// How much of SQLite's log was copied.
    package var extent: Extent
    /// Pages in the write-ahead log, and those of them that are in the main file.
    package var walPages: Int
    package var copiedPages: Int
    /// The log may be compacted up to here: a finished, synced checkpoint covers it. Zero before
    /// the first one since the database was opened.
    package var covered: LogPosition
}

/// What the applier remembers between checkpoints.
struct CheckpointState {
    /// Snapshots being sent from the main file, which must not change meanwhile.
    var holds = 0
    /// What the main file holds while it is held.
    var heldMark: SnapshotMark?
    var covered = LogPosition.zero
}

/// The size of the write-ahead log as of the last commit: SQLite tells it through the WAL hook.
final class WalSize {
    fileprivate(set) var pages: Int32 = 0

    /// Must live as long as the connection.
    func install(on connection: borrowing Connection) {
        _ = sqlite3_wal_hook(
            connection.pointer,
            { context, _, _, pages in
                guard let context else { return SQLITE_OK }
                Unmanaged<WalSize>.fromOpaque(context).takeUnretainedValue().pages = pages
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }
}

extension Applier {
    /// Bytes of the write-ahead log that hold commits not yet overwritten; after a complete
    /// checkpoint the next commit starts from the front, unless a reader is in the way.
    package var walBytes: Int64 { Self.walBytes(ofPages: Int(session.wal.pages)) }

    static func walBytes(ofPages count: Int) -> Int64 {
        // Each page has a header of 24 bytes (https://sqlite.org/fileformat2.html §4.1).
        Int64(count) * 4120
    }

    /// Whether readers hold back so much of a checkpoint that the oldest should be ended: what was
    /// written since it began, not what one large write before it left. Commits go on behind that until
    /// no reader needs it, so all of the log has a bound, too.
    /// - Parameter lacksRoom: a batch waits for room on the disk, which may be what the log takes.
    package func isHeldBack(_ outcome: CheckpointOutcome, lacksRoom: Bool = false) -> Bool {
        guard outcome.extent == .partial else { return false }
        let left = Self.walBytes(ofPages: outcome.walPages - outcome.copiedPages)
        let share = lacksRoom ? 0 : min(fileBytes / Self.heldShare, freeBytes / Self.freeShare)
        let bound = max(limits.walEvictionBytes, share)
        return left > bound || walBytes > max(limits.walEvictionBytes * 16, bound * 2)
    }

    /// Whoever reads all of a large database, as a backup does, needs more time than a fixed bound lasts: readers may
    /// hold back as much as one part in so many of it.
    private static let heldShare: Int64 = 16
    /// … but never so much that it may fill the disk, where the Raft log is, too: one part in so many of what is free.
    private static let freeShare: Int64 = 4

    /// On the disk; all there can be where the system does not tell.
    private var freeBytes: Int64 { Int64(clamping: room(path) ?? .max) }

    /// Of the main file; 0 where the system does not tell.
    private var fileBytes: Int64 {
        var facts = stat()
        return stat(path, &facts) == 0 ? Int64(facts.st_size) : 0
    }

    /// Copies the write-ahead log into the main file as far as readers allow, and syncs it.
    /// - Parameters:
    ///   - patience: how long it waits for reads that are in the way, and then for those that use the log still, so
    ///     that the next commit starts it over. Nothing is committed meanwhile, so none that begins is in the way.
    ///   - givesRoomBack: where all is copied and nobody reads, the log's file is emptied: the disk is full, and it
    ///     may be what fills it.
    package func checkpoint(
        patience: Duration = .zero, givesRoomBack: Bool = false
    ) throws(ApplyFault) -> CheckpointOutcome {
        guard checkpoints.holds == 0 else {
            return CheckpointOutcome(
                extent: .held, walPages: Int(session.wal.pages), copiedPages: 0,
                covered: checkpoints.covered)
        }
        do throws(SQLiteError) {
            // The checkpoint would sync the log itself; done first it is the only long wait, with
            // no lock of SQLite's taken.
            try session.connection.sync(.writeAheadLog)
            let (walPages, copied) = try copyLog(patience)
            let isComplete = copied >= walPages
            if isComplete { checkpoints.covered = applied.position }
            // While somebody reads it is refused as busy, and the next attempt comes.
            if isComplete, givesRoomBack {
                _ = sqlite3_wal_checkpoint_v2(
                    session.connection.pointer, "main", SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
            }
            return CheckpointOutcome(
                extent: isComplete ? .complete : .partial, walPages: max(0, Int(walPages)),
                copiedPages: max(0, Int(copied)), covered: checkpoints.covered)
        } catch {
            throw .storage("checkpointing the database \(path)", error)
        }
    }

    /// - Returns: pages in the log, and those of them that are in the main file.
    private func copyLog(
        _ patience: Duration
    ) throws(SQLiteError) -> (walPages: Int32, copied: Int32) {
        let pointer = session.connection.pointer
        var walPages: Int32 = 0
        var copied: Int32 = 0
        guard patience > .zero else {
            // With older readers SQLite says OK although pages are left.
            let rc = sqlite3_wal_checkpoint_v2(
                pointer, "main", SQLITE_CHECKPOINT_PASSIVE, &walPages, &copied)
            guard rc == SQLITE_OK else { throw session.connection.lastError }
            return (walPages, copied)
        }
        // For all waits of the one call together.
        _ = sqlite3_busy_timeout(pointer, Int32(clamping: patience.millisecondsClamped))
        defer { _ = sqlite3_busy_timeout(pointer, 0) }
        let rc = sqlite3_wal_checkpoint_v2(
            pointer, "main", SQLITE_CHECKPOINT_RESTART, &walPages, &copied)
        // Busy: the time is over. What could be copied by then is copied, and counted.
        guard rc == SQLITE_OK || (rc & 0xff == SQLITE_BUSY && walPages >= 0) else {
            throw session.connection.lastError
        }
        return (walPages, copied)
    }

    /// Makes the main file complete and keeps it so until `endSnapshot`; nil while readers hold
    /// back the checkpoint. Commits go on, into the write-ahead log.
    /// - Parameter patience: how long it waits for them, with nothing committed meanwhile.
    package func beginSnapshot(
        patience: Duration = .zero
    ) throws(ApplyFault) -> SnapshotSource? {
        // While another snapshot is sent the main file stands at that one's position.
        if checkpoints.holds == 0 {
            guard try checkpoint(patience: patience).extent == .complete else { return nil }
            checkpoints.heldMark = applied.mark
        }
        guard let mark = checkpoints.heldMark else { return nil }
        do throws(SQLiteError) {
            let source = try SnapshotSource(path: path, mark: mark)
            checkpoints.holds += 1
            return source
        } catch {
            throw .storage("opening the database \(path) for a snapshot", error)
        }
    }

    /// Once for each source that `beginSnapshot` gave.
    package func endSnapshot() {
        precondition(checkpoints.holds > 0, "no snapshot is being sent")
        checkpoints.holds -= 1
        if checkpoints.holds == 0 { checkpoints.heldMark = nil }
    }
}
