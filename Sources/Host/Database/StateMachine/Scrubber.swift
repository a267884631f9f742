internal import CSQLite
internal import SQLite
internal import Synchronization
package import Wire

/// What a node's scrub made of a piece.
package enum ScrubOutcome: Equatable, Sendable {
    /// - Parameter next: where the next piece begins; nil: the pass is over.
    case read(Digest, next: ScrubCursor?)
    /// SQLite finds the database damaged, and says how.
    case damaged(String)
    /// It could not be read, for another reason: nothing is known.
    case failed(String)
}

/// Looks for rot: reads the content of a database piece by piece, slowly, from the file and not from
/// memory, on a connection of its own.
///
/// 1. `hold()`, on the applying thread right behind a commit: the piece is read as of then.
/// 2. `scan(from:)`, on another thread, once; it lets go of the snapshot as soon as it is through.
///
/// A piece is small enough not to keep checkpoints waiting. With the last one of a pass SQLite's own
/// check goes through what no row shows (indexes, the trees themselves), for a bounded time.
// Sendable: all of it is used under the mutex, and by one thread at a time.
package final class Scrubber: @unchecked Sendable {
    private struct State: ~Copyable {
        let connection: Connection
    }

    private let state: Mutex<State>
    private let isHeld = Mutex(false)
    private let limit = ScanLimit()
    private let bounds: ScrubBounds

    /// Opens the file of an applier that is open.
    /// - Parameter bounds: of a piece; for tests.
    package init(path: String, bounds: ScrubBounds = ScrubBounds()) throws(ApplyFault) {
        self.bounds = bounds
        do throws(SQLiteError) {
            state = Mutex(State(connection: try SessionSetup.openReader(path)))
        } catch {
            throw .storage("opening the database \(path) to scrub it", error)
        }
    }

    /// Takes the snapshot that the next `scan` reads. Never waits for one that is under way.
    /// - Returns: false: the piece before isn't through, or there is no snapshot to be had.
    package func hold() -> Bool {
        let isFree = isHeld.withLock { isHeld in
            defer { isHeld = true }
            return !isHeld
        }
        guard isFree else { return false }
        do throws(SQLiteError) {
            try state.withLock { (state) throws(SQLiteError) in
                try state.connection.execute("BEGIN")
                // Only a read takes the snapshot.
                _ = try state.connection.integer("PRAGMA main.schema_version")
            }
            return true
        } catch {
            release()
            return false
        }
    }

    /// Reads a piece of what is held, and lets go of it.
    /// - Parameter checkTime: how long SQLite's own check may take at the end of a pass.
    package func scan(from cursor: ScrubCursor, checkTime: Duration = .seconds(10)) -> ScrubOutcome
    {
        defer { release() }
        do throws(SQLiteError) {
            return try state.withLock { (state) throws(SQLiteError) in
                limit.install(on: state.connection)
                var scan = ContentScan(bounds: bounds)
                let next = try scan.run(from: cursor, on: state.connection)
                let digest = Digest(low: scan.digest.low, high: scan.digest.high)
                if next == nil {
                    let fault = try check(state.connection, within: checkTime)
                    if let fault { return .damaged(fault) }
                }
                return .read(digest, next: next)
            }
        } catch {
            let text = "\(error.message) (SQLite code \(error.extendedCode))"
            let isDamage = error.code == SQLITE_CORRUPT || error.code == SQLITE_NOTADB
            return isDamage ? .damaged(text) : .failed(text)
        }
    }

    /// Ends what is being read, and all that would be: the node stops. From any thread.
    package func cancel() { limit.cancel() }

    private func release() {
        state.withLock { state in
            // A failure may have ended it.
            if !state.connection.isAutocommit {
                _ = sqlite3_exec(state.connection.pointer, "ROLLBACK", nil, nil, nil)
            }
            csqlite_drop_cache(state.connection.pointer)
        }
        isHeld.withLock { $0 = false }
    }

    /// - Returns: the first thing that SQLite finds wrong with the file itself; rows that break a rule
    ///   of their table are a client's doing. Nil also when the time was up.
    private func check(_ connection: borrowing Connection, within time: Duration)
        throws(SQLiteError) -> String?
    {
        limit.end(at: .now + time)
        defer { limit.end(at: nil) }
        guard csqlite_reveal(connection.pointer) == SQLITE_OK else { throw connection.lastError }
        do throws(SQLiteError) {
            return try DatabaseDirectory.damage(of: connection, by: "main.integrity_check").text
        } catch {
            guard error.code == SQLITE_INTERRUPT, !limit.isCancelled else { throw error }
        }
        return nil
    }
}

/// When reading must end.
private final class ScanLimit: Sendable {
    private struct State {
        var deadline: ContinuousClock.Instant?
        var isCancelled = false
    }

    private let state = Mutex(State())

    /// The limit must live as long as the connection.
    func install(on connection: borrowing Connection) {
        sqlite3_progress_handler(
            connection.pointer, 10_000,
            { context in
                guard let context else { return 0 }
                return Unmanaged<ScanLimit>.fromOpaque(context).takeUnretainedValue().isUp ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    func end(at deadline: ContinuousClock.Instant?) { state.withLock { $0.deadline = deadline } }

    func cancel() { state.withLock { $0.isCancelled = true } }

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    private var isUp: Bool {
        state.withLock { state in
            state.isCancelled || state.deadline.map { ContinuousClock.now >= $0 } ?? false
        }
    }
}
