package import Raft
package import Wire

/// `raft/peers.json` in a data directory: the members with which a cluster shall go on that lost its
/// quorum, or all of its addresses, for good. Read before the node starts, then renamed.
package struct PeersRecovery: Sendable {
    /// All members of the cluster from here on.
    package var peers: [NamedPeer]
    /// Of the file that the operator wrote.
    package var path: String
    /// The name under which the file is kept as a record.
    package var recordPath: String
    /// What `raft/skip.json` beside it says: an entry that all members leave out.
    package var skip: EntrySkip?

    package init(
        peers: [NamedPeer], path: String, recordPath: String, skip: NamedEntry? = nil
    ) {
        self.peers = peers
        self.skip = skip.map {
            EntrySkip(
                index: $0.index, hash: $0.hash,
                place: StatementPlace(text: Int($0.text), offset: Int($0.offset)))
        }
        self.path = path
        self.recordPath = recordPath
    }
}

/// An entry that is left out, as an operator names it in `raft/skip.json`.
package struct NamedEntry: Equatable, Sendable {
    /// Its place in the log.
    package var index: UInt64
    /// CRC-32C of its payload.
    package var hash: UInt32
    /// From where on it is left out: the number of the text, and the byte in it.
    package var text: UInt32
    package var offset: UInt32

    package init(index: UInt64, hash: UInt32, text: UInt32, offset: UInt32) {
        self.index = index
        self.hash = hash
        self.text = text
        self.offset = offset
    }
}

/// A member as an operator names it in `raft/peers.json`.
package struct NamedPeer: Equatable, Sendable {
    /// As the node's data directory says it.
    package var id: NodeID
    /// Its advertised Raft address.
    package var address: PeerAddress
    /// False for a read replica.
    package var isVoter: Bool

    package init(id: NodeID, address: PeerAddress, isVoter: Bool) {
        self.id = id
        self.address = address
        self.isVoter = isVoter
    }
}
