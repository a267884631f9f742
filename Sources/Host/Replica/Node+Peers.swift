package import PeerProtocol
package import Raft
package import Service
import Synchronization
import Telemetry
package import Transport

/// What other nodes ask of this one. Everything that needs the core's state is handed over to it;
/// who this node is, is answered from what the core last published.
extension Node: PeerDelegate {
    package func received(_ messages: [Message]) {
        mailbox.post(.messages(messages))
    }

    package func answer(
        _ request: PeerRequest, from caller: PeerCaller,
        reply: @escaping @Sendable (PeerAnswer) -> Void
    ) {
        switch request {
        case .hello:
            reply(.hello(hello))
            if board.status.cluster == nil { mailbox.post(.helloHeard(caller.identity)) }
        case .join(let request): mailbox.post(.joinAsked(request, reply: reply))
        case .formation(let bytes):
            mailbox.post(.formationAsked(bytes, from: caller, reply: reply))
        }
    }

    package func peerUnreachable(_ peer: NodeID) {
        mailbox.post(.unreachable(peer))
    }

    package func forwarded(
        _ requests: [ClientRequest], from caller: PeerCaller, replyTo sink: any ReplySink
    ) {
        submit(requests, replyTo: sink)
    }

    package func prepareSnapshot(
        _ offer: SnapshotOffer, from caller: PeerCaller
    ) -> SnapshotDecision {
        let status = board.status
        guard status.cluster == offer.cluster else {
            return .refuse("this node is not in cluster \(offer.cluster)")
        }
        guard !status.isInstallingSnapshot else {
            return .refuse("another snapshot is being installed")
        }
        // Named like the database directory's own incoming files, so that a start removes remains.
        return .accept(path: "\(options.dataDirectory)/incoming-0.sqlite")
    }

    package func snapshotReceived(
        _ offer: SnapshotOffer, path: String, done: @escaping @Sendable (String?) -> Void
    ) {
        mailbox.post(.snapshotReceived(SnapshotArrival(offer: offer, path: path, done: done)))
    }

    package func snapshotFailed(_ offer: SnapshotOffer, error: TransportError) {
        logger.warning(
            "snapshot did not arrive whole", ["from": "\(offer.id.sender)", "cause": "\(error)"])
    }

    package func observed(_ observation: TransportObservation) {
        logger.debug("network", ["event": observation.description])
    }

    private var hello: Hello {
        let status = board.status
        return Hello(
            identity: options.identity, cluster: status.cluster, address: options.address,
            apiURL: options.apiURL,
            versions: Hello.Versions(
                data: options.dataVersion, program: options.version, engine: options.engine),
            suffrage: status.membership[options.identity.id]?.suffrage ?? options.plan.suffrage,
            bootstrapExpect: options.plan.expect, leader: status.leader, term: status.term,
            commitIndex: status.commitIndex, isReady: status.isReady)
    }
}
