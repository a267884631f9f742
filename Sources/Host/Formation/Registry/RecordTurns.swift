import Cluster
import Raft

/// Which of the nodes without a cluster are asked, where the registry has records of more than are asked
/// at a time.
///
/// Before there is a leader nobody erases records (`StaleRecords`), so nodes that start again and again
/// under new IDs may leave any number. Those who answer stay; the others take turns, in the order of
/// their IDs. So whoever lives is asked sooner or later, whatever else has been left behind.
struct RecordTurns: Sendable {
    /// As long as a node has to answer.
    static let turn = Duration.seconds(2)

    /// The turn begins behind this one; nil: with the first.
    private var after: NodeID?
    private var since: Duration = .zero

    /// - Parameters:
    ///   - records: of nodes without a cluster, sorted by ID.
    ///   - answering: the addresses at which a node has answered lately.
    ///   - room: so many may be asked at a time.
    /// - Returns: where to ask now.
    mutating func due(
        among records: [NodeRecord], answering: Set<PeerAddress>, room: Int, _ now: Duration
    ) -> [PeerAddress] {
        guard records.count > room else { return records.map(\.address) }
        let present = records.filter { answering.contains($0.address) }.prefix(room)
        let others = records.filter { !answering.contains($0.address) }
        let size = max(0, room - present.count)
        if since + Self.turn <= now {
            since = now
            after = rotated(others).prefix(size).last?.identity.id
        }
        return (present + rotated(others).prefix(size)).map(\.address)
    }

    /// From the one whose turn it is, and on from the first.
    private func rotated(_ records: [NodeRecord]) -> ArraySlice<NodeRecord> {
        guard let after,
            let start = records.firstIndex(where: { $0.identity.id > after })
        else { return records[...] }
        return records[start...] + records[..<start]
    }
}
