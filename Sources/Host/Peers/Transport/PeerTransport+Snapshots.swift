import NIOCore
package import PeerProtocol
package import Raft
import Synchronization

/// Snapshots out to followers, and the reins on those that come in.
extension PeerTransport {
    /// Streams a snapshot to a node of the address book over a connection of its own. An earlier
    /// transfer to it is cancelled. `completion` is called once, on an event loop: with success when
    /// the receiver has installed the snapshot.
    package func sendSnapshot(
        _ offer: SnapshotOffer, from source: any SnapshotReading, to peer: NodeID,
        completion: @escaping @Sendable (Result<Void, TransportError>) -> Void
    ) {
        guard let link = state.withLock({ $0.links[peer] }), let address = link.address else {
            let error = TransportError(
                .invalidAddress, address: peer.rawValue, cause: "the node's address is not known")
            return group.next().execute { completion(.failure(error)) }
        }
        let transfer = SnapshotTransfer(
            offer, to: link.wanted, at: address, transport: self, completion: completion)
        let earlier = state.withLock { $0.transfers.updateValue(transfer, forKey: peer) }
        earlier?.cancel()
        transfer.start(from: source)
    }

    /// Ends the transfer to a node; its completion is called with `cancelled`. Nothing happens if
    /// there is none.
    package func cancelSnapshot(to peer: NodeID) {
        state.withLock { $0.transfers[peer] }?.cancel()
    }

    /// Ends a transfer into this node: its sender hears the reason, its file is closed and deleted,
    /// then the delegate's `snapshotFailed` is called. One that has arrived or ended is left alone.
    package func stopReceiving(_ id: IncomingSnapshotID, reason: String) {
        let channel = state.withLock { $0.incoming[id] }
        channel?.pipeline.fireUserInboundEventTriggered(
            SnapshotReceiver.Stop(id: id, reason: reason))
    }

    func receiving(_ id: IncomingSnapshotID, on channel: any Channel) {
        state.withLock { $0.incoming[id] = channel }
    }

    func received(_ id: IncomingSnapshotID) {
        state.withLock { _ = $0.incoming.removeValue(forKey: id) }
    }

    func ended(_ transfer: SnapshotTransfer) {
        state.withLock { state in
            if let key = state.transfers.first(where: { $0.value === transfer })?.key {
                state.transfers[key] = nil
            }
        }
    }
}
