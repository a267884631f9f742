import NIOCore
import PeerProtocol
import Raft
import Replication
import Service
import Telemetry
import Time
import Transport
import Wire

/// What the core tells of itself, and the requests that ask for it.
extension Core {
    func publish() {
        updateLeadership()
        let until = now + options.quorumTime
        links.gate.renew(local: canServeLocally, leader: canServeAsLeader, until: until)
        links.board.publish(status)
    }

    var status: NodeStatus {
        var status = NodeStatus()
        status.cluster = cluster
        status.fault = fault
        status.isDiskFull = isLogFull || isDatabaseFull
        status.parkedRequests = parked.count
        status.openProposals = openProposals.count
        status.pendingMembershipChanges = membershipQueue.count
        status.registry = registry?.status
        guard let replicated else {
            status.waitingFor = waitingFor
            return status
        }
        let raft = replicated.raft
        status.role = raft.role
        status.term = raft.term
        status.leader = leaderHint
        status.commitIndex = raft.commitIndex
        status.appliedIndex = replicated.appliedIndex
        status.durableIndex = replicated.durableIndex
        status.lastPosition = raft.lastPosition
        status.checkpointedIndex = replicated.checkpointedIndex
        status.membership = raft.membership
        status.membershipIndex = raft.membershipIndex
        status.progress = raft.role == .leader ? raft.progress : []
        status.sinceLeader = raft.ticksSinceLeader.map { options.tick * $0 }
        status.isInstallingSnapshot = replicated.isInstalling
        status.isReady =
            raft.leader != nil && isMember && canServeLocally
            && (raft.role != .leader || canServeAsLeader)
        status.waitingFor = waitingFor
        status.exclusion = exclusion
        status.reapingDue = reapingDue.map { ($0.id, $0.remaining) }
        status.otherEngines = raft.membership.members.map(\.id).filter { id in
            acquaintances[id].map { $0.versions.engine != options.engine } ?? false
        }
        return status
    }

    /// The leader's log has reached this node and names it.
    private var isMember: Bool {
        replicated?.raft.membership.contains(options.identity.id) ?? false
    }

    /// Why there is no leader, in words.
    var waitingFor: String {
        guard let raft = replicated?.raft else {
            return formation?.waitingFor ?? registry?.waitingFor ?? "a cluster"
        }
        guard raft.leader == nil else {
            return canServeLocally && isMember
                ? "nothing" : "this node to catch up with the leader"
        }
        if exclusion != .none {
            return "nothing: this node was removed from the cluster; \(exclusionRemedy)"
        }
        let voters = raft.membership.voters
        if voters.isEmpty { return "the leader to make this node a member" }
        let names = voters.map { "\($0.id) at \(address(of: $0.id) ?? $0.address)" }
        if raft.needsEveryVoter {
            return "a leader: the cluster was recovered, and its first election needs all of "
                + "\(names.joined(separator: ", "))"
        }
        if let other = voters.first(where: { $0.id != options.identity.id }), voters.count == 2,
            raft.membership.isVoter(options.identity.id)
        {
            return "a leader: this cluster has two voters and needs both, and node \(other.id) at "
                + "\(address(of: other.id) ?? other.address) can't be reached. Start it again; if "
                + "it is lost for good, stop this node, run 'rqlited recover --force' on its data "
                + "directory, and start it"
        }
        return "a leader: \(raft.membership.quorum) of the \(voters.count) voters must reach each "
            + "other: \(names.joined(separator: ", "))"
    }

    // MARK: Describing members

    func describeNodes(_ pending: PendingRequest, _ includeNonvoters: Bool) {
        let members = (replicated?.raft.membership.members ?? []).filter {
            includeNonvoters || $0.suffrage != .nonvoter
        }
        describe(members, for: pending) { .nodes($0) }
    }

    func describeLeader(_ pending: PendingRequest) {
        guard let leader = replicated?.raft.leader, let member = replicated?.raft.membership[leader]
        else {
            return replies.add(
                .failed(.noLeader(waitingFor: waitingFor)), to: pending.target)
        }
        describe([member], for: pending) { descriptions in
            descriptions.first.map { .leader($0) } ?? .failed(.noLeader(waitingFor: ""))
        }
    }

    private func describe(
        _ members: [Member], for pending: PendingRequest,
        _ outcome: @escaping @Sendable ([NodeDescription]) -> Outcome
    ) {
        let timeout = max(.milliseconds(1), pending.deadline - now)
        let survey = MemberSurvey(
            members: members, leader: replicated?.raft.leader, this: options,
            timeout: timeout)
        survey.run(over: links.transport) { descriptions in
            let target = pending.target
            target.sink.deliver([Reply(id: target.id, outcome: outcome(descriptions))])
        }
    }

    // MARK: Readiness

    func checkReadiness(_ pending: PendingRequest, _ check: ClientRequest.ReadinessCheck) {
        if check.nodeOnly {
            return replies.add(.readiness(.nodeOnly), to: pending.target)
        }
        guard leaving == nil else {
            return replies.add(
                .readiness(.storeNotReady("the node is stopping")), to: pending.target)
        }
        guard let raft = replicated?.raft, let leader = raft.leader,
            let address = address(of: leader)
        else {
            return replies.add(
                .readiness(.noLeader(waitingFor: waitingFor)), to: pending.target)
        }
        let prober = ReadinessProbe(
            pending: pending, check: check, board: links.board, readers: links.readers,
            mailbox: links.mailbox)
        if let index = pending.syncIndex {
            guard replicated.map({ $0.appliedIndex >= index }) ?? false else {
                return parked.append(pending)
            }
            return prober.checkDatabase()
        }
        guard leader != options.identity.id else { return prober.leaderAnswered(raft.commitIndex) }
        let timeout = max(.milliseconds(1), pending.deadline - now)
        links.transport.call(.hello, at: address, timeout: .init(timeout)).whenComplete { result in
            switch result {
            case .success(.hello(let hello)): prober.leaderAnswered(hello.commitIndex)
            case .success: prober.leaderFailed("it gave no hello")
            case .failure(let error): prober.leaderFailed("\(error)")
            }
        }
    }
}
