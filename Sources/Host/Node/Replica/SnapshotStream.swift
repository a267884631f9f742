import PeerProtocol
import StateMachine
import Transport

/// A snapshot of the database as the transport reads it.
final class SnapshotStream: SnapshotReading {
    private let source: SnapshotSource

    init(_ source: SnapshotSource) { self.source = source }

    func read(at offset: UInt64, count: Int) throws -> [UInt8] {
        try source.read(offset: Int64(offset), count: count)
    }
}
