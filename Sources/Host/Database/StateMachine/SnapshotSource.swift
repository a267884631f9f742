internal import CSQLite
package import Raft
package import SQLite
internal import Synchronization
internal import Wire

/// The main database file as it stands at one position, to be sent to another node. It has a
/// connection of its own, so that the file is read through SQLite's handle.
///
/// One thread at a time reads; the applier's thread goes on committing meanwhile.
// Sendable: the connection is only used to read the file, under the mutex.
package final class SnapshotSource: @unchecked Sendable {
    private struct State: ~Copyable {
        let connection: Connection
        /// How much of the file, from its start, the checksum covers.
        var hashed: Int64 = 0
        var checksum = CRC32C()
    }

    package let mark: SnapshotMark
    package let byteCount: Int64
    private let state: Mutex<State>

    init(path: String, mark: SnapshotMark) throws(SQLiteError) {
        self.mark = mark
        let connection = try SessionSetup.openReader(path)
        byteCount = try connection.size(of: .main)
        state = Mutex(State(connection: connection))
    }

    /// `count` bytes, or what is left. The checksum advances when a read goes on where it stands.
    package func read(offset: Int64, count: Int) throws(SQLiteError) -> [UInt8] {
        let length = Int(max(0, min(Int64(count), byteCount - offset)))
        guard length > 0 else { return [] }
        return try state.withLock { (state) throws(SQLiteError) in
            let bytes = try state.connection.read(offset: offset, count: length)
            let fresh = state.hashed - offset
            if fresh >= 0, fresh < Int64(length) {
                bytes.withUnsafeBytes {
                    state.checksum.update(UnsafeRawBufferPointer(rebasing: $0[Int(fresh)...]))
                }
                state.hashed = offset + Int64(length)
            }
            return bytes
        }
    }

    /// CRC-32C of the whole file; nil until it was read from start to end.
    package var checksum: UInt32? {
        state.withLock { $0.hashed == byteCount ? $0.checksum.value : nil }
    }
}
