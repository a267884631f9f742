import NIOCore
import Raft
import Replication
import Service
import Telemetry
import Transport
import Wire

/// Joining and removal, as the leader carries them out.
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
            acquaintances[request.identity.id] = hello
            membershipQueue.append(.add(request, reply: reply), deadline: now + Self.joinTime)
            tickMembership()
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

    private func refusal(_ code: JoinRefusal.Code, _ text: String) -> PeerAnswer {
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

    // MARK: The queue

    func tickMembership() {
        guard !membershipQueue.isEmpty else { return }
        let isLeader = replicated?.raft.role == .leader
        for operation in membershipQueue.expired(now: now, all: !isLeader) {
            giveUp(operation)
        }
        while let operation = membershipQueue.next, advance(operation) {}
    }

    private func giveUp(_ operation: MembershipQueue.Operation) {
        switch operation {
        case .add(_, let reply):
            reply(refusal(.busy, "the change of membership was not committed in time"))
        case .remove(_, let pending):
            parked.append(pending)
        }
    }

    /// Proposes the next change of the operation, or finishes it.
    /// - Returns: whether the operation is finished and the next may begin.
    private func advance(_ operation: MembershipQueue.Operation) -> Bool {
        guard let raft = replicated?.raft else { return false }
        // What a change still on its way will leave behind is not known yet.
        guard raft.membershipIndex <= raft.commitIndex else { return false }
        switch operation {
        case .add(let request, let reply):
            guard let change = Self.change(toAdd: request, to: raft.membership) else {
                _ = membershipQueue.finishFirst()
                joined(request, raft.membership, reply)
                return true
            }
            return propose(change)
        case .remove(let id, let pending):
            guard raft.membership.contains(id) else {
                _ = membershipQueue.finishFirst()
                replies.add(.done, to: pending.target)
                return true
            }
            if raft.membership.isVoter(id), raft.membership.voters.count == 1 {
                _ = membershipQueue.finishFirst()
                replies.add(.failed(.membership(.lastVoter)), to: pending.target)
                return true
            }
            return propose(.remove(id))
        }
    }

    /// What must change next for the node to be a member as it asks; nil when it is one.
    static func change(toAdd request: JoinRequest, to membership: Membership) -> MembershipChange? {
        let id = request.identity.id
        guard let member = membership[id] else {
            let suffrage: Suffrage = request.suffrage == .voter ? .learner : request.suffrage
            return .add(
                Member(
                    id: id, incarnation: request.identity.incarnation, address: request.address,
                    suffrage: suffrage))
        }
        // A wiped disk is another acceptor: it comes back as a learner.
        if member.incarnation != request.identity.incarnation { return .remove(id) }
        if member.address != request.address { return .move(id, to: request.address) }
        return nil
    }

    private func propose(_ change: MembershipChange) -> Bool {
        let id = ProposalID(newID())
        openProposals[id] = .membership
        membershipQueue.proposed()
        replicated?.propose(change, id: id)
        return false
    }

    private func joined(
        _ request: JoinRequest, _ membership: Membership,
        _ reply: @Sendable (PeerAnswer) -> Void
    ) {
        guard let cluster else { return }
        let suffrage = membership[request.identity.id]?.suffrage ?? .nonvoter
        links.logger.info(
            "node joined",
            [
                "node.id": "\(request.identity.id)", "address": "\(request.address)",
                "suffrage": "\(suffrage)",
            ])
        reply(
            .joined(
                JoinAcceptance(cluster: cluster, membership: membership, leader: leaderHint)))
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
