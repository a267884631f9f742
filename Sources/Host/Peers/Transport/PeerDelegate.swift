package import PeerProtocol
package import Raft
package import Service

/// What a node does with what other nodes send. Called on event loops, except where stated: an
/// implementation hands over at once and never blocks. Never called from inside a call of
/// `PeerTransport`, so an implementation may hold its lock while it calls the transport.
package protocol PeerDelegate: AnyObject, Sendable {
    /// What this node tells of itself when it dials and is dialed. Called at any time, from any
    /// thread, also from inside calls of `PeerTransport`; answers at once.
    var presence: PeerPresence { get }

    /// Messages to the consensus core, in the order in which one peer sent them, gathered per read
    /// of its connection.
    /// - Parameter credit: kept with the messages until they are taken.
    func received(_ messages: [Message], credit: MessageCredit)

    /// `reply` is called once, from any thread; a reply after the caller has gone is dropped.
    func answer(
        _ request: PeerRequest, from caller: PeerCaller,
        reply: @escaping @Sendable (PeerAnswer) -> Void)

    /// Messages to the peer may be lost: its connection broke or could not be made, said once per
    /// outage, or its queue overflowed.
    func peerUnreachable(_ peer: NodeID)

    /// Another node than the wanted one answers at an address, which is forgotten for it. The
    /// transport looks for the wanted node by itself. `found` may be this node.
    func misrouted(wanted: NodeID, found: Introduction, at address: PeerAddress)

    /// Who opened a connection with this identity sent what no node sends that keeps to the protocol.
    /// Nothing of it was taken, and the connection ends.
    func brokeProtocol(_ identity: NodeIdentity, cause: String)

    /// A node that dialed this one says where it is reached: said when it is first heard of, and
    /// when it says otherwise. It is what the node claims, and of its own cluster, or unknown.
    func peerSpoke(
        _ identity: NodeIdentity, advertised: PeerAddress, from remoteAddress: String)

    /// Requests of another node's clients. Their IDs are unique per `sink`.
    func forwarded(
        _ requests: [ClientRequest], from caller: PeerCaller, replyTo sink: any ReplySink)

    /// More of answers in parts is wanted, by their requests' IDs at `sink`. What is not under way is
    /// to be ignored.
    func demanded(_ demands: [PartDemand], replyTo sink: any ReplySink)

    /// Nobody waits any more for the answers to these requests: the other node said so, or its
    /// connection is gone.
    func recalled(_ requests: [RequestID], replyTo sink: any ReplySink)

    /// Whether an offered snapshot is wanted. `reply` is called once, from any thread; nothing is
    /// read of the connection until then. An accepted transfer ends with exactly one of
    /// `snapshotReceived` and `snapshotFailed`, also if its sender is gone by the time of the reply.
    func prepareSnapshot(
        _ offer: SnapshotOffer, from caller: PeerCaller,
        reply: @escaping @Sendable (SnapshotDecision) -> Void)

    /// The file at `path` is complete, read back and compared, durable, closed, and the delegate's:
    /// nothing of the transport touches it any more. Called on a thread that may block. `done` is
    /// called once, from any thread: with nil when the snapshot is installed, else with the reason.
    func snapshotReceived(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, path: String,
        done: @escaping @Sendable (String?) -> Void)

    /// An accepted snapshot will not come: it broke off or was stopped. Its descriptor is closed
    /// and its file is gone. Called on an event loop or on a thread that may block.
    func snapshotFailed(_ id: IncomingSnapshotID, _ offer: SnapshotOffer, error: TransportError)

    /// For the log.
    func observed(_ observation: TransportObservation)
}

/// What a node tells of itself to others, and where its members are said to be.
package struct PeerPresence: Equatable, Sendable {
    /// Nil while the node is in none.
    package var cluster: ClusterID?
    /// Under which others shall dial this node.
    package var address: PeerAddress?
    /// Those of the cluster as this node knows it, this node's own entry included.
    package var members: [Member]

    package init(
        cluster: ClusterID? = nil, address: PeerAddress? = nil, members: [Member] = []
    ) {
        self.cluster = cluster
        self.address = address
        self.members = members
    }
}

/// What happened on the network, for logs. `description` is for people.
package enum TransportObservation: Equatable, Sendable, CustomStringConvertible {
    /// Connected for the first time; or back after `disconnected` was said, when the connection
    /// has held for a while.
    case connected(NodeID, PeerAddress, isBack: Bool)
    /// The connection for messages broke or could not be made; said once until it is back.
    case disconnected(NodeID, TransportError)
    /// The node is nobody's peer any more; nothing is said of connections to it.
    case forgotten(NodeID)
    case messagesDropped(NodeID, count: Int)
    case misrouted(wanted: NodeID, found: NodeID, at: PeerAddress)
    case refusedInbound(remoteAddress: String, reason: String)
    /// The other end has shown a certificate of the authorities, and not the one that is asked for.
    case refusedCertificate(remoteAddress: String, reason: String)
    /// Descriptors or memory have run out; the listener pauses and goes on.
    case acceptFailed(TransportError)

    package var description: String {
        switch self {
        case .connected(let id, let address, isBack: false):
            "connected to node \(id) at \(address)"
        case .connected(let id, let address, isBack: true):
            "the connection to node \(id) at \(address) is back"
        case .disconnected(let id, let error): "no connection to node \(id): \(error)"
        case .forgotten(let id): "node \(id) is no peer any more"
        case .messagesDropped(let id, let count):
            "queue to node \(id) is full: \(count) messages dropped"
        case .misrouted(let wanted, let found, let address):
            "node \(found) answers at \(address), where node \(wanted) should be"
        case .refusedInbound(let address, let reason),
            .refusedCertificate(let address, let reason):
            "refused a connection from \(address): \(reason)"
        case .acceptFailed(let error): "\(error)"
        }
    }
}
