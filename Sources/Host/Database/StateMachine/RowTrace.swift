internal import CSQLite
internal import SQLite
internal import Wire

/// The trace of all rows that clients' statements wrote on this connection, in their order: a digest
/// that is the same on nodes which did the same, whatever the batches, restarts and snapshots were.
///
/// It counts what was tried, also where it was undone; so nothing must be taken back when a statement
/// or a unit is. What no statement about rows wrote (a change of the schema, VACUUM) is left to the
/// scrub.
final class RowTrace {
    /// Where the hook writes; nothing else moves it while a statement runs.
    private let digest: UnsafeMutablePointer<csqlite_digest>
    private var isOn = false
    private var failuresBefore: UInt64 = 0

    init() {
        digest = .allocate(capacity: 1)
        digest.initialize(to: csqlite_digest())
    }

    /// The connection must not run a statement any more.
    deinit { digest.deallocate() }

    /// The library tells of rows before it writes them.
    static var isPossible: Bool { csqlite_can_trace() != 0 }

    /// What it stands at; nil: nothing is traced, or something could not be.
    var value: Digest? {
        get { isOn ? Digest(low: digest.pointee.low, high: digest.pointee.high) : nil }
        set {
            isOn = newValue != nil && Self.isPossible
            digest.pointee = csqlite_digest(low: newValue?.low ?? 0, high: newValue?.high ?? 0)
        }
    }

    /// A statement begins that writes rows.
    func begin(on connection: borrowing Connection) {
        guard isOn else { return }
        failuresBefore = csqlite_trace_failures()
        csqlite_trace_rows(connection.pointer, digest)
    }

    /// It has ended, however it did. A row that could not be read ends the trace: this node has
    /// nothing to say until a marker lets all begin anew.
    func end(on connection: borrowing Connection) {
        guard isOn else { return }
        csqlite_trace_rows(connection.pointer, nil)
        if csqlite_trace_failures() != failuresBefore { isOn = false }
    }
}
