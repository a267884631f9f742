import NIOCore
package import PeerProtocol
package import Raft
package import Service
import Synchronization
import Telemetry
package import Transport

/// What other nodes ask of this one. Everything that needs the core's state is handed over to it;
/// who this node is, is answered from what the core last published.
extension Node: PeerDelegate {
    package var presence: PeerPresence {
        let status = board.status
        return PeerPresence(
            cluster: status.cluster, address: options.address, members: status.membership.members)
    }

    package func received(_ messages: [Message], credit: MessageCredit) {
        mailbox.post(.messages(messages, credit))
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

    package func misrouted(wanted: NodeID, found: Introduction, at address: PeerAddress) {
        logger.warning(
            "another node answers than the one that is wanted",
            ["wanted": "\(wanted)", "found": "\(found.identity)", "at": "\(address)"])
    }

    /// The core learns where the node is from its own answer there.
    package func peerSpoke(
        _ identity: NodeIdentity, advertised: PeerAddress, from remoteAddress: String
    ) {
        guard board.status.membership[identity.id] != nil else { return }
        let mailbox = mailbox
        transport.call(.hello, at: advertised, timeout: .seconds(2)).whenComplete { result in
            mailbox.post(
                .answered(
                    advertised, .acquaintance(identity.id),
                    result.mapError(TransportError.init(any:))))
        }
    }

    package func forwarded(
        _ requests: [ClientRequest], from caller: PeerCaller, replyTo sink: any ReplySink
    ) {
        submit(requests, replyTo: sink)
    }

    package func prepareSnapshot(
        _ offer: SnapshotOffer, from caller: PeerCaller,
        reply: @escaping @Sendable (SnapshotDecision) -> Void
    ) {
        let status = board.status
        guard status.cluster == offer.cluster else {
            return reply(.refuse("this node is not in cluster \(offer.cluster)"))
        }
        reception.offered(offer, leader: status.leader?.id, through: transport, reply: reply)
    }

    package func snapshotReceived(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, path: String,
        done: @escaping @Sendable (String?) -> Void
    ) {
        reception.arrived(id, through: transport)
        let arrival = SnapshotArrival(offer: offer, path: path) { [reception, transport] problem in
            reception.ended(id, through: transport)
            done(problem)
        }
        mailbox.post(.snapshotReceived(arrival))
    }

    package func snapshotFailed(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, error: TransportError
    ) {
        logger.warning(
            "snapshot did not arrive whole", ["from": "\(offer.id.sender)", "cause": "\(error)"])
        reception.ended(id, through: transport)
    }

    /// Changes are said once, both ways; what each of them comes from is for debugging.
    package func observed(_ observation: TransportObservation) {
        switch observation {
        case .connected(let peer, let address, isBack: true):
            logger.info(
                "connection to node is back", ["node.id": "\(peer)", "at": "\(address)"])
        case .disconnected(let peer, let error):
            logger.warning("no connection to node", ["node.id": "\(peer)", "cause": "\(error)"])
        case .acceptFailed(let error):
            logger.warning("connections can't be accepted", ["cause": "\(error)"])
        case .connected, .messagesDropped, .misrouted, .refusedInbound:
            logger.debug("network", ["event": observation.description])
        }
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
