import NIOCore
import PeerProtocol
import Raft
import Replication
import Service
import Telemetry
import Time
import Transport
import Wire

/// Joining, as the leader sees to it, and what a node knows of the other members.
extension Core {
    /// How long a join may wait for its turn and its commit.
    private static var joinTime: Duration { .seconds(10) }
    private static var dialBackTime: Duration { .seconds(2) }

    func joinAsked(_ request: JoinRequest, _ reply: @escaping @Sendable (PeerAnswer) -> Void) {
        guard let replicated, let cluster else {
            return reply(refusal(.notFormed, "node \(options.identity.id) is in no cluster yet"))
        }
        guard replicated.raft.role == .leader else {
            return reply(refusal(.notLeader, "not leader"))
        }
        if request.intent == .resume, let answer = answer(toReturning: request) {
            return reply(answer)
        }
        if let theirs = request.cluster, theirs != cluster {
            let text =
                "node \(request.identity.id) belongs to cluster \(theirs), this is \(cluster)"
            return reply(refusal(.otherCluster, text))
        }
        // Who can't be reached would only weaken the cluster: dial back before anything changes.
        let mailbox = links.mailbox
        links.transport.call(.hello, at: request.address, timeout: .init(Self.dialBackTime))
            .whenComplete { result in
                mailbox.post(
                    .joinerAnswered(
                        request, result.mapError(TransportError.init(any:)), reply: reply))
            }
    }

    func joinerAnswered(
        _ request: JoinRequest, _ result: PeerResult,
        _ reply: @escaping @Sendable (PeerAnswer) -> Void
    ) {
        guard replicated?.raft.role == .leader else {
            return reply(refusal(.notLeader, "not leader"))
        }
        switch result {
        case .success(.hello(let hello)) where hello.identity == request.identity:
            checkNamesake(request, hello, reply)
        case .success(.hello(let hello)):
            let text = """
                node \(request.identity.id) advertises \(request.address), but node \
                \(hello.identity.id) (\(hello.identity.incarnation)) answers there: two nodes with \
                one address or one ID
                """
            reply(refusal(.idInUse, text))
        case .success:
            reply(refusal(.incompatible, "\(request.address) gave no hello"))
        case .failure(let error):
            let text =
                "node \(request.identity.id) can't be reached at its advertised address \(error)"
            reply(refusal(.unreachable, text))
        }
    }

    /// A wiped disk may take its old place, but not the place of a data directory that is still in
    /// use: then two machines have one `-node-id`, and the member is asked whether it lives.
    private func checkNamesake(
        _ request: JoinRequest, _ hello: Hello,
        _ reply: @escaping @Sendable (PeerAnswer) -> Void
    ) {
        let id = request.identity.id
        guard let member = replicated?.raft.membership[id],
            member.incarnation != request.identity.incarnation
        else { return admit(request, hello, reply) }
        guard id != options.identity.id else {
            return reply(idInUse(request, at: options.address))
        }
        let known = acquaintances[id].flatMap {
            $0.identity.incarnation == member.incarnation ? $0.address : nil
        }
        let address = known ?? member.address
        // The joiner itself was found at its address.
        guard address != request.address else { return admit(request, hello, reply) }
        let mailbox = links.mailbox
        links.transport.call(.hello, at: address, timeout: .init(Self.dialBackTime))
            .whenComplete { result in
                mailbox.post(
                    .namesakeAnswered(
                        request, hello, address, result.mapError(TransportError.init(any:)),
                        reply: reply))
            }
    }

    func namesakeAnswered(
        _ request: JoinRequest, _ hello: Hello, _ address: PeerAddress, _ result: PeerResult,
        _ reply: @escaping @Sendable (PeerAnswer) -> Void
    ) {
        guard let raft = replicated?.raft, raft.role == .leader else {
            return reply(refusal(.notLeader, "not leader"))
        }
        let id = request.identity.id
        if case .success(.hello(let other)) = result, other.identity.id == id,
            other.identity.incarnation == raft.membership[id]?.incarnation
        {
            return reply(idInUse(request, at: address))
        }
        admit(request, hello, reply)
    }

    private func idInUse(_ request: JoinRequest, at address: PeerAddress) -> PeerAnswer {
        let id = request.identity.id
        links.logger.warning(
            "two nodes with one ID",
            ["node.id": "\(id)", "member.at": "\(address)", "joiner.at": "\(request.address)"])
        return refusal(
            .idInUse,
            "node ID \(id) is in use: by the member at \(address) and by the node at "
                + "\(request.address), which asks to join. Start the second one with another "
                + "-node-id and an empty data directory")
    }

    private func admit(
        _ request: JoinRequest, _ hello: Hello,
        _ reply: @escaping @Sendable (PeerAnswer) -> Void
    ) {
        acquaintances[request.identity.id] = hello
        membershipQueue.append(.add(request, reply: reply), deadline: now + Self.joinTime)
        tickMembership()
    }

    func refusal(_ code: JoinRefusal.Code, _ text: String) -> PeerAnswer {
        .joinRefused(JoinRefusal(code: code, text: text, leader: leaderHint))
    }

    var leaderHint: LeaderHint? {
        guard let leader = replicated?.raft.leader, let address = address(of: leader) else {
            return nil
        }
        let url =
            leader == options.identity.id ? options.apiURL : acquaintances[leader]?.apiURL
        return LeaderHint(id: leader, address: address, apiURL: url)
    }

    // MARK: Knowing the members

    func membershipChanged(_ membership: Membership) {
        for member in membership.members where member.id != options.identity.id {
            // A member that moved was perhaps met at its new address already: only what the
            // membership newly says replaces that.
            guard addressHints[member.id] != member.address else { continue }
            addressHints[member.id] = member.address
            links.transport.setAddress(member.address, for: member.id)
        }
    }

    func address(of id: NodeID) -> PeerAddress? {
        if id == options.identity.id { return options.address }
        return acquaintances[id]?.address ?? replicated?.raft.membership[id]?.address
            ?? addressHints[id]
    }

    /// Asks members that did not introduce themselves yet for their API URL and versions.
    func tickAcquaintances() {
        guard let membership = replicated?.raft.membership else { return }
        for member in membership.members where member.id != options.identity.id {
            let isStale = acquaintances[member.id]?.address != member.address
            let asked = acquaintanceAsked[member.id]
            guard isStale, asked.map({ now - $0 > .seconds(1) }) ?? true else { continue }
            acquaintanceAsked[member.id] = now
            call(.hello, at: member.address, as: .acquaintance(member.id), timeout: .seconds(2))
        }
    }

    func call(
        _ request: PeerRequest, at address: PeerAddress, as call: PeerCall, timeout: Duration
    ) {
        let mailbox = links.mailbox
        links.transport.call(request, at: address, timeout: .init(timeout)).whenComplete { result in
            mailbox.post(.answered(address, call, result.mapError(TransportError.init(any:))))
        }
    }

    func answered(_ address: PeerAddress, _ call: PeerCall, _ result: PeerResult) {
        switch call {
        case .acquaintance(let id):
            guard case .success(.hello(let hello)) = result, hello.identity.id == id else { return }
            acquaintances[id] = hello
        case .formationHello, .formation, .join:
            formationAnswered(address, call, result)
        }
    }

    /// A new cluster's settings are its first command.
    func proposeSettings() {
        let id = ProposalID(newID())
        openProposals[id] = .own
        let settings = ClusterSettings(foreignKeys: options.foreignKeys)
        replicated?.propose([(id, LogCommand.settings(settings).encoded())])
    }
}

extension TransportError {
    /// Futures carry any error; ours comes back as itself.
    init(any error: any Error) {
        self =
            error as? TransportError
            ?? TransportError(.other, address: "", cause: "\(error)")
    }
}
