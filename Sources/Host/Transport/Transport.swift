package import NIOCore
package import Raft
package import Service

/// Moves messages, questions, clients' requests and snapshots between this node and others.
///
/// All calls return at once and may come from any thread. What arrives goes to the delegate.
package final class Transport: Sendable {
    package let identity: NodeIdentity
    package let limits: TransportLimits
    let group: any EventLoopGroup

    package init(
        group: any EventLoopGroup, identity: NodeIdentity, limits: TransportLimits = .init()
    ) {
        limits.check()
        self.group = group
        self.identity = identity
        self.limits = limits
    }

    /// Names who takes what arrives; before that, other nodes' connections are closed. The delegate
    /// is held until `shutdown()`.
    package func attach(_ delegate: any PeerDelegate) {}

    /// Ends all connections and lets go of the delegate. Whatever is outstanding fails.
    package func shutdown() -> EventLoopFuture<Void> {
        group.next().makeSucceededVoidFuture()
    }

    // MARK: Messages

    /// Enters a node into the address book; another address than before ends its connection.
    package func setAddress(_ address: PeerAddress, for peer: NodeID) {}

    package func address(of peer: NodeID) -> PeerAddress? { nil }

    /// Forgets the node's address and ends its connection.
    package func removeAddress(of peer: NodeID) {}

    /// Sends each message to its destination, in order per destination. Messages may be lost: then
    /// the delegate hears `peerUnreachable`, except for nodes that are not in the address book.
    package func send(_ messages: [Message]) {}

    // MARK: Questions

    /// Asks the node at an address, known or not. Names are resolved and all their addresses tried.
    /// Fails with `TransportError`.
    package func call(
        _ request: PeerRequest, at address: PeerAddress, timeout: TimeAmount
    ) -> EventLoopFuture<PeerAnswer> {
        group.next().makeFailedFuture(
            TransportError(.shutDown, address: address.rawValue, cause: "this node is stopping"))
    }

    // MARK: Forwarding

    /// Sends clients' requests to another node and delivers its replies to `sink`, each exactly
    /// once, with `servedBy` set. They are never sent again: when the connection breaks after that,
    /// the reply is `forwardingFailed`.
    ///
    /// - Parameter unsent: takes the requests that certainly never left this node, instead of a
    ///   failed reply: they may be sent elsewhere. Called on an event loop.
    package func forward(
        _ requests: [ClientRequest], to address: PeerAddress, sink: any ReplySink,
        unsent: (@Sendable ([ClientRequest], TransportError) -> Void)? = nil
    ) {}

    // MARK: Snapshots

    /// Streams a snapshot to a node of the address book over a connection of its own. An earlier
    /// transfer to it is cancelled. `completion` is called once, on an event loop: with success when
    /// the receiver has installed the snapshot.
    package func sendSnapshot(
        _ offer: SnapshotOffer, from source: any SnapshotReading, to peer: NodeID,
        completion: @escaping @Sendable (Result<Void, TransportError>) -> Void
    ) {}

    package func cancelSnapshot(to peer: NodeID) {}

    package var statistics: TransportStatistics { TransportStatistics() }
}
