package import PeerProtocol
package import Raft
package import Service

/// What a node does with what other nodes send. Called on event loops, except where stated: an
/// implementation hands over at once and never blocks. Never called from inside a call of
/// `Transport`, so an implementation may hold its lock while it calls the transport.
package protocol PeerDelegate: AnyObject, Sendable {
    /// Messages to the consensus core, in the order in which one peer sent them, gathered per read
    /// of its connection.
    func received(_ messages: [Message])

    /// `reply` is called once, from any thread; a reply after the caller has gone is dropped.
    func answer(
        _ request: PeerRequest, from caller: PeerCaller,
        reply: @escaping @Sendable (PeerAnswer) -> Void)

    /// Messages to the peer may be lost: its connection broke, could not be made, or its queue
    /// overflowed.
    func peerUnreachable(_ peer: NodeID)

    /// Requests of another node's clients. Their IDs are unique per `sink`.
    func forwarded(
        _ requests: [ClientRequest], from caller: PeerCaller, replyTo sink: any ReplySink)

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

/// What happened on the network, for logs. `description` is for people.
package enum TransportObservation: Equatable, Sendable, CustomStringConvertible {
    case connected(NodeID, PeerAddress)
    /// The connection for messages broke or could not be made; said once until the next success.
    case disconnected(NodeID, TransportError)
    case messagesDropped(NodeID, count: Int)
    case refusedInbound(remoteAddress: String, reason: String)
    /// Descriptors or memory have run out; the listener pauses and goes on.
    case acceptFailed(TransportError)

    package var description: String {
        switch self {
        case .connected(let id, let address): "connected to node \(id) at \(address)"
        case .disconnected(let id, let error): "no connection to node \(id): \(error)"
        case .messagesDropped(let id, let count):
            "queue to node \(id) is full: \(count) messages dropped"
        case .refusedInbound(let address, let reason):
            "refused a connection from \(address): \(reason)"
        case .acceptFailed(let error): "\(error)"
        }
    }
}
