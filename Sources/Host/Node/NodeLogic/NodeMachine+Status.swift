import PeerProtocol
import Raft
import Replication
import Service
import Time

/// What the machine tells of itself, its snapshots and its end.
extension NodeMachine {
    // MARK: Status

    /// Made anew at each call: to be asked once, at the end of a turn.
    package var status: NodeStatus {
        var status = NodeStatus()
        status.cluster = cluster
        status.fault = fault
        status.troubles = troubles.all
        status.isDiskFull = isLogFull || isDatabaseFull
        status.parkedRequests = router.parked.count
        status.openProposals = router.openProposals.count
        status.pendingMembershipChanges = membership.pendingChanges
        status.registry = rendezvous.registry?.status
        status.registry?.clearCommand = rendezvous.clearCommand
        status.registry?.notShared = rendezvous.sharingProblem
        status.droppedMessages = droppedMessages
        status.reapings = reapings
        status.joins = membership.joins
        status.confirmedReads = confirmedReads
        status.silences = followerContact.silences
        status.ownDescriptions = enquiries.ownDescriptions
        status.waitingFor = shutdown.hasBegun ? "nothing: this node is stopping" : waitingFor
        status.exclusion = exclusion
        status.halt = halt
        status.haltNote = halt?.note(options)
        status.limits = limits
        status.isSeeking = rendezvous.isSeeking
        status.quarantine = quarantine.cause
        status.checksums = checksums.readings.last
        guard let replicated else { return status }
        let raft = replicated.raft
        status.role = raft.role
        status.term = raft.term
        status.leader = leaderHint
        status.commitIndex = raft.commitIndex
        status.appliedIndex = replicated.appliedIndex
        status.durableIndex = replicated.durableIndex
        status.lastPosition = raft.lastPosition
        status.checkpointedIndex = replicated.checkpointedIndex
        status.appliedTerm = raft.term(at: replicated.appliedIndex) ?? .zero
        status.checkpointedTerm = raft.term(at: replicated.checkpointedIndex) ?? .zero
        status.membership = raft.membership
        status.membershipIndex = raft.membershipIndex
        status.progress = raft.role == .leader ? raft.progress : []
        status.sinceLeader = raft.ticksSinceLeader.map { options.tick * $0 }
        status.isInstallingSnapshot = replicated.isInstalling
        status.isReady = isReady
        status.reapingDue = membership.reapingDue(raft, busy: snapshots.receiver).map {
            ($0.id, $0.remaining)
        }
        status.otherEngines = raft.membership.members.map(\.id).filter { id in
            acquaintances[id].map { $0.versions.engine != options.engine } ?? false
        }
        return status
    }

    /// This node may serve what its role allows. One that leaves still does, but nobody is to be sent to it.
    package var isReady: Bool {
        guard let raft = replicated?.raft, !shutdown.hasBegun else { return false }
        return raft.leader != nil && isMember && exclusion == .none && canServeLocally
            && halt == nil && standstill == nil && raft.missing == nil
            && (raft.role != .leader || canServeAsLeader)
    }

    /// Why this node makes no progress although it hears its leader; nil if it does.
    private var standstill: String? {
        guard let replicated else { return nil }
        if let haltText { return haltText }
        if replicated.isStorageStalled { return "the log on this node's disk to be written" }
        // At once: who leads in vain must not take it for one that is ready.
        if isDatabaseFull { return "room for this node's database on its disk" }
        guard appliesNothing else { return nil }
        return "this node's database to go on: it stands at entry \(replicated.appliedIndex) while "
            + "\(replicated.raft.commitIndex) is committed"
    }

    var appliesNothing: Bool {
        behindSince.map { now - $0 >= options.standstillTime } ?? false
    }

    /// Notes since when nothing was applied although something is committed.
    mutating func reviewProgress() {
        guard let replicated, replicated.appliedIndex < replicated.raft.commitIndex,
            !replicated.isInstalling, quarantine.cause == nil
        else {
            behindSince = nil
            return
        }
        if behindSince == nil || replicated.appliedIndex != appliedWhenBehind {
            behindSince = now
            appliedWhenBehind = replicated.appliedIndex
        }
    }

    /// The leader's log has reached this node and names it.
    private var isMember: Bool {
        replicated?.raft.membership.contains(options.identity.id) ?? false
    }

    /// Why there is no leader, in words, with the last error of discovery.
    var waitingFor: String {
        guard let raft = replicated?.raft, raft.leader == nil, exclusion == .none,
            let problem = rendezvous.discoveryProblem
        else { return wait }
        return "\(wait); \(problem)"
    }

    private var wait: String {
        guard let raft = replicated?.raft else {
            return beginning == nil
                ? rendezvous.waitingFor ?? "a cluster"
                : "to know that no other process bears this node's identity"
        }
        if exclusion != .none {
            return "nothing: this node was removed from the cluster; \(exclusionRemedy)"
        }
        if let quarantineText { return "a database that can be trusted: \(quarantineText)" }
        guard raft.leader == nil else {
            return standstill
                ?? loss.map { "this node to hold again what it lost: \($0)" }
                ?? (canServeLocally && isMember
                    ? "nothing" : "this node to catch up with the leader")
        }
        let voters = raft.membership.voters
        if voters.isEmpty { return "the leader to make this node a member" }
        let names = voters.map { voter in
            let place = address(of: voter.id) ?? voter.address
            return "\(voter.id) at \(place)\(isSilent(voter) ? " (silent)" : "")"
        }
        if raft.needsEveryVoter {
            return "a leader: the cluster was recovered, and its first election needs all of "
                + "\(names.joined(separator: ", "))"
        }
        if troubles.contains(.historyDiffers) {
            return "a leader that does not deny what this node holds: \(Self.historyRemedy)"
        }
        if let loss {
            return
                "a leader: this node's data are older than what others saw of it (\(loss)), so it "
                + "does not lead, and votes for nobody who holds less. If all that hold more are lost "
                + "for good, stop what is left of them and restart this node: then what it holds counts"
        }
        if let other = voters.first(where: { $0.id != options.identity.id }), voters.count == 2,
            raft.membership.isVoter(options.identity.id), isSilent(other, for: options.quorumTime)
        {
            return "a leader: this cluster has two voters and needs both, and node \(other.id) at "
                + "\(address(of: other.id) ?? other.address) can't be reached. Start it again; if "
                + "it is lost for good, stop this node, run 'rqlited recover --force' on its data "
                + "directory, and start it"
        }
        let present = voters.count { !isSilent($0) }
        if present >= raft.membership.quorum, let committed = raft.lackedCommitted {
            return
                "a leader: others had committed entry \(committed.index) of term \(committed.term), and this "
                + "node holds \(raft.lastPosition.index) of term \(raft.lastPosition.term), so it does not lead, "
                + "and votes for nobody who holds less. If all that hold it are lost for good, stop what is left of "
                + "them and restart this node: then what it holds counts"
        }
        return "a leader: \(raft.membership.quorum) of the \(voters.count) voters must reach each "
            + "other: \(names.joined(separator: ", "))"
    }

    /// What of the node coming to its cluster depends on.
    var situation: Rendezvous.Situation {
        var situation = Rendezvous.Situation()
        situation.cluster = cluster
        situation.isStopping = shutdown.hasBegun
        situation.exclusion = exclusion
        guard let raft = replicated?.raft else { return situation }
        situation.takesPart = true
        situation.role = raft.role
        situation.term = raft.term
        situation.leader = raft.leader
        situation.reachesLeader = raft.leader.map { address(of: $0) != nil } ?? false
        situation.membership = raft.membership
        situation.hasVoted = raft.hasVoted
        situation.isLogEmpty = raft.lastPosition.index == .zero
        situation.places.reserveCapacity(raft.membership.members.count)
        for member in raft.membership.members where member.id != options.identity.id {
            situation.places[member.id] = address(of: member.id)
        }
        return situation
    }

    // MARK: Snapshots

    /// - Returns: whether there was something to do.
    mutating func performSnapshots() -> Bool {
        let decisions = snapshots.takeDecisions()
        for decision in decisions { perform(decision) }
        return !decisions.isEmpty
    }

    private mutating func perform(_ decision: SnapshotTraffic.Decision) {
        switch decision {
        case .open(let id): emit(.database(.openSnapshot(id)))
        case .close(let id): emit(.database(.closeSnapshot(id)))
        case .send(let id, let offer, let peer): emit(.sendSnapshot(id, offer, to: peer))
        case .cancel(let id): emit(.cancelSnapshot(id))
        case .sent(let peer, let index): replicated?.snapshotSent(to: peer, through: index)
        case .answerOffer(let id, let refusal): emit(.answerOffer(id, refusal: refusal))
        case .stopReceiving(let id, let cause): emit(.stopReceiving(id, cause: cause))
        case .received(let mark, let token): replicated?.snapshotReceived(mark, token: token)
        case .prepare(let id, let mark): emit(.database(.prepare(id, mark)))
        case .discard(let id): emit(.database(.discard(id)))
        case .done(let id, let problem): emit(.snapshotDone(id, problem: problem))
        case .say(let note): emit(.say(note))
        }
    }

    /// Why none can be put in place: it would wait for the write that waits for room, and the node hear nobody
    /// meanwhile. It may itself be what filled the disk.
    var snapshotObstacle: String? { isLogFull ? "this node's log has no room" : nil }

    mutating func take(_ report: SnapshotReport) {
        switch report {
        case .sent(let id, let result): snapshots.sent(id, result, now: now)
        case .offered(let id, let offer):
            if let snapshotObstacle {
                return emit(.answerOffer(id, refusal: snapshotObstacle))
            }
            snapshots.offered(
                id, offer, cluster: cluster, leader: replicated?.raft.leader,
                term: replicated?.raft.term ?? .zero, breach: replicated?.breach(of: offer.mark))
        case .received(let id):
            snapshots.received(
                id, cluster: replicated == nil ? nil : cluster, obstacle: snapshotObstacle)
        case .failed(let id, let cause): snapshots.failed(id, cause: cause)
        }
    }

    // MARK: The end

    mutating func beginLeaving() {
        guard !shutdown.isLeaving else { return emit(.left) }
        var isTransferring = false
        if options.stepDownOnShutdown, let raft = replicated?.raft, raft.role == .leader,
            raft.membership.voters.count > 1
        {
            say(.info, "stepping down as leader before shutdown")
            do throws(Refusal) {
                try replicated?.transferLeadership(to: nil)
                isTransferring = true
            } catch {
                say(.warning, "leadership stays", ["cause": "\(error)"])
            }
        }
        shutdown.beginLeaving(
            isTransferring: isTransferring, deadline: now + options.quorumTime * 2)
    }

    mutating func tickShutdown() {
        let followsAnother =
            replicated?.raft.role != .leader && replicated?.raft.leader != nil
        if shutdown.hasLeft(followsAnother: followsAnother, now: now) { emit(.left) }
        guard shutdown.mayStop(isIdle: router.isIdle, now: now) else { return }
        router.refuseAll(.notReady("node \(options.identity.id) is stopping"))
        expireCheckpoints(all: true)
        settle()
        isOver = true
        emit(.stopped)
    }
}
