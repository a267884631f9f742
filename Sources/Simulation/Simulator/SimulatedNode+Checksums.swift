import NodeLogic
import PeerProtocol
import Raft
import Wire

/// Checksums at markers, as the database's thread takes them: a trace of what was applied since it
/// was begun, and a digest of the content in one piece.
extension SimulatedNode {
    /// An entry is about to be applied.
    func follow(_ entry: Entry) {
        guard case .command(let bytes) = entry.payload,
            case .checksum(let marker)? = try? LogCommand(decoding: bytes)
        else {
            trace = trace.map { HistoryDigest.combine($0, HistoryDigest.ofChange(entry)) }
            return
        }
        counts.readings += 1
        let content = marker.piece.map { _ in Digest(low: database.live.digest, high: 0) }
        let reading = ChecksumReading(
            index: entry.index, trace: trace.map { Digest(low: $0, high: 0) },
            piece: content.map { .read($0) } ?? .none)
        post(.database(.checksum(TakenChecksum(reading, marker))))
        switch marker.tracing {
        case .goOn: break
        case .restart: trace = 0
        case .stop: trace = nil
        }
    }
}
