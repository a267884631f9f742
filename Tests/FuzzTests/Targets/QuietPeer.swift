import PeerProtocol
import Raft
import Service
import Transport

/// A node that says no to whatever its own type does not answer.
protocol QuietPeer: PeerDelegate {}

extension QuietPeer {
    var presence: PeerPresence {
        PeerPresence(cluster: Samples.cluster, address: Samples.address(2))
    }

    func received(_ messages: [Message], credit: MessageCredit) {}

    func answer(
        _ request: PeerRequest, from caller: PeerCaller,
        reply: @escaping @Sendable (PeerAnswer) -> Void
    ) {
        reply(.failed("no"))
    }

    func peerUnreachable(_ peer: NodeID) {}
    func misrouted(wanted: NodeID, found: Introduction, at address: PeerAddress) {}
    func brokeProtocol(_ identity: NodeIdentity, cause: String) {}
    func peerSpoke(
        _ identity: NodeIdentity, advertised: PeerAddress, from remoteAddress: String
    ) {}

    func forwarded(
        _ requests: [ClientRequest], from caller: PeerCaller, replyTo sink: any ReplySink
    ) {}

    func demanded(_ demands: [PartDemand], replyTo sink: any ReplySink) {}
    func recalled(_ requests: [RequestID], replyTo sink: any ReplySink) {}

    func prepareSnapshot(
        _ offer: SnapshotOffer, from caller: PeerCaller,
        reply: @escaping @Sendable (SnapshotDecision) -> Void
    ) {
        reply(.refuse("no"))
    }

    func snapshotReceived(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, path: String,
        done: @escaping @Sendable (String?) -> Void
    ) {}

    func snapshotFailed(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, error: TransportError
    ) {}

    func observed(_ observation: TransportObservation) {}
}
