import Glibc
import NodeMachine
package import PeerProtocol
package import Raft
package import Service
import Synchronization
import Telemetry
import Threads
import Time
package import Transport

/// What other nodes ask of this one. Everything that needs the machine's state is handed over to it;
/// who this node is, is answered from what the machine last published.
extension Node: PeerDelegate {
    package func received(_ messages: [Message]) {
        links.mailbox.post(.messages(messages))
    }

    package func answer(
        _ request: PeerRequest, from caller: PeerCaller,
        reply: @escaping @Sendable (PeerAnswer) -> Void
    ) {
        if case .hello = request, let hello = links.board.hello(to: caller.identity) {
            reply(.hello(hello))
            if hello.cluster == nil { links.mailbox.post(.helloHeard(caller.identity)) }
            return
        }
        links.mailbox.post(.peerAsked(links.questions.add(reply), request, caller))
    }

    package func peerUnreachable(_ peer: NodeID) {
        links.mailbox.post(.unreachable(peer))
    }

    package func forwarded(
        _ requests: [ClientRequest], from caller: PeerCaller, replyTo sink: any ReplySink
    ) {
        submit(requests, replyTo: sink)
    }

    package func prepareSnapshot(
        _ offer: SnapshotOffer, from caller: PeerCaller
    ) -> SnapshotDecision {
        let decided = Mailbox<SnapshotDecision>()
        let id = links.snapshots.begin(offer) { decided.post($0) }
        links.mailbox.post(.snapshot(.offered(id, offer)))
        guard let decision = decided.take(until: .now + .seconds(5)).first else {
            links.snapshots.forget(id)
            return .refuse("this node did not decide in time")
        }
        return decision
    }

    package func snapshotReceived(
        _ offer: SnapshotOffer, path: String, done: @escaping @Sendable (String?) -> Void
    ) {
        guard let id = links.snapshots.id(of: path), links.snapshots.complete(id, done) else {
            unlink(path)
            return done("it is not wanted any more")
        }
        links.mailbox.post(.snapshot(.received(id)))
    }

    package func snapshotFailed(_ offer: SnapshotOffer, error: TransportError) {
        guard let id = links.snapshots.id(of: offer) else { return }
        links.snapshots.forget(id)
        links.mailbox.post(.snapshot(.failed(id, cause: "\(error)")))
    }

    package func observed(_ observation: TransportObservation) {
        links.logger.debug("network", ["event": observation.description])
    }
}
