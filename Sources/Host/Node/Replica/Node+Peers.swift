import Glibc
import NodeLogic
package import PeerProtocol
package import Raft
import Rights
package import Service
import Synchronization
import Telemetry
import Threads
import Time
package import Transport

/// What other nodes ask of this one. Everything that needs the machine's state is handed over to it;
/// who this node is, is answered from what the machine last published.
extension Node: PeerDelegate {
    /// Who this node is and whom it believes in its cluster, as last published. On any event loop.
    package var presence: PeerPresence {
        let status = links.board.status
        return PeerPresence(
            cluster: status.cluster, address: options.address, members: status.membership.members)
    }

    /// Hands messages to the machine, and their credit back after it took them.
    package func received(_ messages: [Message], credit: MessageCredit) {
        // First the credit: it goes back after the turn in which the messages were taken.
        links.credits.hold(credit)
        links.mailbox.post(.messages(messages.filter(isReadable)))
    }

    private func isReadable(_ message: Message) -> Bool {
        guard let unreadable = UnreadableEntry(in: message) else { return true }
        brokeProtocol(
            message.from, cause: "\(unreadable): it is broken, hostile, or of a later version")
        return false
    }

    /// Tells the machine, which says once what a member broke.
    package func brokeProtocol(_ identity: NodeIdentity, cause: String) {
        links.mailbox.post(.brokeProtocol(identity, cause: cause))
    }

    /// Answers hellos at once from what the machine last published; all else waits for its turn.
    package func answer(
        _ request: PeerRequest, from caller: PeerCaller,
        reply: @escaping @Sendable (PeerAnswer) -> Void
    ) {
        links.timings.peers.asked(request)
        if case .hello = request, let hello = links.board.hello(to: caller.identity) {
            reply(.hello(hello))
            links.timings.peers.greeted()
            if hello.cluster == nil { links.mailbox.post(.helloHeard(caller.identity)) }
            return
        }
        admit(request, from: caller, reply: reply) { [self] in
            var caller = caller
            caller.credential = .none
            links.mailbox.post(.peerAsked(links.questions.add(reply), request, caller))
        }
    }

    /// Tells the machine that a message can't have arrived.
    package func peerUnreachable(_ peer: NodeID) {
        links.mailbox.post(.unreachable(peer))
    }

    /// As `demand` of an own client: how much of its answers the other node takes now.
    package func demanded(_ demands: [PartDemand], replyTo sink: any ReplySink) {
        demand(demands, replyTo: sink)
    }

    /// As `cancel` of an own client: nobody waits for these any more.
    package func recalled(_ requests: [RequestID], replyTo sink: any ReplySink) {
        cancel(requests, replyTo: sink)
    }

    /// Lets the machine decide; the answer comes on its thread.
    package func prepareSnapshot(
        _ offer: SnapshotOffer, from caller: PeerCaller,
        reply: @escaping @Sendable (SnapshotDecision) -> Void
    ) {
        let id = links.snapshots.begin(offer, reply)
        links.mailbox.post(.snapshot(.offered(id, offer)))
    }

    /// Lets the machine decide whether the whole file at `path` is installed; `done` is called with
    /// an
    /// error's text, or nil, on its thread.
    package func snapshotReceived(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, path: String,
        done: @escaping @Sendable (String?) -> Void
    ) {
        let id = SnapshotReceiptID(id.rawValue)
        guard links.snapshots.complete(id, done) else {
            unlink(path)
            done("it is not wanted any more")
            return links.snapshots.forget(id, links.stopReceiving)
        }
        links.mailbox.post(.snapshot(.received(id)))
    }

    /// Forgets a transfer that ended before its end.
    package func snapshotFailed(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, error: TransportError
    ) {
        let id = SnapshotReceiptID(id.rawValue)
        links.snapshots.forget(id, links.stopReceiving)
        links.mailbox.post(.snapshot(.failed(id, cause: "\(error)")))
    }

    /// Says in the log that an address led to another node than the one that was meant.
    package func misrouted(wanted: NodeID, found: Introduction, at address: PeerAddress) {
        links.repeats.warning(
            "another node answers than the one that is wanted", about: wanted.rawValue,
            cause: "node \(found.identity) is at \(address)")
    }

    /// Lets the machine learn where a peer says that it is.
    package func peerSpoke(
        _ identity: NodeIdentity, advertised: PeerAddress, from remoteAddress: String
    ) {
        links.mailbox.post(.spoke(identity, at: advertised))
    }

    private static var noConnection: StaticString { "no connection to node" }

    /// Changes are said once, both ways; what each of them comes from is for debugging.
    package func observed(_ observation: TransportObservation) {
        switch observation {
        case .connected(let peer, _, _): links.states.cleared(Self.noConnection, about: "\(peer)")
        case .disconnected(let peer, let error):
            links.states.troubled(Self.noConnection, about: "\(peer)", reason: "\(error)")
        case .forgotten(let peer): links.states.forget(Self.noConnection, about: "\(peer)")
        case .acceptFailed(let error):
            links.repeats.warning("connections can't be accepted", about: "", cause: "\(error)")
        case .refusedCertificate(let address, let reason):
            // Only who has a certificate of the authorities can bring this about.
            links.repeats.warning(
                "a certificate was refused",
                about: String(address[..<(address.lastIndex(of: ":") ?? address.endIndex)]),
                cause: reason)
        case .messagesDropped, .misrouted, .refusedInbound:
            links.logger.debug("network", ["event": observation.description])
        }
    }
}
