package import Raft

/// `raft/peers.json` in a data directory: the members with which a cluster shall go on that lost its
/// quorum, or all of its addresses, for good. Read before the node starts, then renamed.
package struct PeersRecovery: Sendable {
    package var peers: [NamedPeer]
    package var path: String
    /// The name under which the file is kept as a record.
    package var recordPath: String

    package init(peers: [NamedPeer], path: String, recordPath: String) {
        self.peers = peers
        self.path = path
        self.recordPath = recordPath
    }
}

/// A member as an operator names it in `raft/peers.json`.
package struct NamedPeer: Equatable, Sendable {
    package var id: NodeID
    package var address: PeerAddress
    package var isVoter: Bool

    package init(id: NodeID, address: PeerAddress, isVoter: Bool) {
        self.id = id
        self.address = address
        self.isVoter = isVoter
    }
}
