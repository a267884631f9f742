import PeerProtocol
import Raft
import Replication
import Service
import Time
import Transport
import Wire

/// A proposal in the log and what depends on it.
enum OpenProposal {
    case command(PendingRequest)
    case membership
    /// Nobody waits for it: the node's own.
    case own
}

/// How client requests find their way: to the readers, into the log, or to the leader.
extension Core {
    private enum Need {
        /// This database as it is.
        case localRead(Freshness)
        /// The database of a node that leads by all it knows.
        case leaderRead
        /// The leader's, with leadership confirmed by a quorum after the request came.
        case confirmedRead
        /// An entry in the log.
        case proposal
    }

    func dispatch(_ pending: PendingRequest) {
        switch pending.request.operation {
        case .command(let command, let options):
            dispatch(pending, command, options)
        case .remove(let id):
            onLeader(pending) { membershipQueue.append(.remove(id, pending)) }
        case .transferLeadership(let target, let wait):
            onLeader(pending) { transfer(pending, to: target, wait: wait) }
        case .nodes(let includeNonvoters): describeNodes(pending, includeNonvoters)
        case .leader: describeLeader(pending)
        case .readiness(let check): checkReadiness(pending, check)
        }
    }

    private func need(_ pending: PendingRequest, _ command: Command, _ options: ReadOptions) -> Need
    {
        if command.kind == .execute || pending.isWrite { return .proposal }
        switch options.level {
        case .none: return .localRead(options.freshness)
        case .weak: return .leaderRead
        case .linearizable: return .confirmedRead
        case .strong: return .proposal
        case .auto:
            let isVoter = replicated?.raft.membership.isVoter(self.options.identity.id) ?? true
            return isVoter ? .leaderRead : .localRead(options.freshness)
        }
    }

    private func dispatch(_ pending: PendingRequest, _ command: Command, _ options: ReadOptions) {
        switch need(pending, command, options) {
        case .localRead(let freshness):
            guard canServeLocally else { return parked.append(pending) }
            guard isFresh(freshness) else {
                return replies.add(.failed(.staleRead), to: pending.target)
            }
            read(pending)
        case .leaderRead:
            onLeader(pending) {
                if canServeAsLeader { read(pending) } else { parked.append(pending) }
            }
        case .confirmedRead:
            onLeader(pending) { turnReads.append(pending) }
        case .proposal:
            onLeader(pending) { propose(pending) }
        }
    }

    /// Runs `action` if this node leads; otherwise sends the request on, or parks it until a
    /// leader is known.
    private func onLeader(_ pending: PendingRequest, _ action: () -> Void) {
        guard let raft = replicated?.raft, raft.role == .leader else {
            return sendOn(pending)
        }
        action()
    }

    private func sendOn(_ pending: PendingRequest) {
        guard let leader = replicated?.raft.leader, leader != options.identity.id,
            let address = address(of: leader)
        else {
            guard exclusion == .none else {
                return replies.add(
                    .failed(.noLeader(waitingFor: waitingFor)), to: pending.target)
            }
            return parked.append(pending)
        }
        guard pending.request.forward else {
            let url = acquaintances[leader]?.apiURL
            return replies.add(.failed(.notLeader(leaderURL: url)), to: pending.target)
        }
        links.forwarder.add(pending, to: address, now: now)
    }

    // MARK: Reads

    var canServeLocally: Bool {
        guard let replicated else { return true }
        return !replicated.isInstalling && replicated.appliedIndex >= servableFrom
    }

    var canServeAsLeader: Bool {
        guard let replicated, let from = leaderReadsFrom else { return false }
        return replicated.raft.isReadyLeader && replicated.appliedIndex >= from
    }

    private func isFresh(_ freshness: Freshness) -> Bool {
        guard let limit = freshness.limit, let raft = replicated?.raft, raft.role != .leader else {
            return true
        }
        guard let ticks = raft.ticksSinceLeader, options.tick * ticks <= limit else { return false }
        guard freshness.strict, let replicated else { return true }
        return replicated.appliedIndex >= raft.commitIndex
    }

    private func read(_ pending: PendingRequest) {
        readJobs.append(ReadJob(pending))
    }

    // MARK: Writes

    private func propose(_ pending: PendingRequest) {
        guard !isLogFull, !isDatabaseFull else {
            return replies.add(.failed(.diskFull), to: pending.target)
        }
        let id = ProposalID(newID())
        openProposals[id] = .command(pending)
        turnProposals.append((id, pending.encoded))
    }

    /// Proposes and asks for confirmation of what the turn gathered: one batch each.
    func flushRequests() {
        if !turnProposals.isEmpty {
            let milliseconds = WallClock.milliseconds
            for position in turnProposals.indices {
                turnProposals[position].bytes.stamp(
                    milliseconds: milliseconds, seed: UInt64.random(in: .min ... .max))
            }
            let batch = turnProposals
            turnProposals.removeAll(keepingCapacity: true)
            replicated?.propose(batch)
        }
        if !turnReads.isEmpty {
            let id = ReadID(newID())
            openReads[id] = turnReads
            turnReads.removeAll(keepingCapacity: true)
            replicated?.requestRead(id)
        }
    }

    func refused(_ id: ProposalID, _ refusal: Refusal) {
        guard let open = openProposals.removeValue(forKey: id) else { return }
        guard case .command(let pending) = open else {
            if case .membership = open { membershipQueue.refused(refusal, now: now) }
            return
        }
        switch refusal {
        case .notLeader, .transferInProgress: parked.append(pending)
        case .entryTooLarge(let limit):
            replies.add(.failed(.requestTooLarge(limit: limit)), to: pending.target)
        default: replies.add(.failed(.busy), to: pending.target)
        }
    }

    func discarded(_ ids: [ProposalID]) {
        for id in ids {
            guard let open = openProposals.removeValue(forKey: id) else { continue }
            switch open {
            case .command(let pending):
                replies.add(.failed(.leadershipLost), to: pending.target)
            case .membership: membershipQueue.refused(.notLeader(leader: nil), now: now)
            case .own: break
            }
        }
    }

    func readable(_ ids: [ReadID]) {
        for id in ids {
            guard let waiting = openReads.removeValue(forKey: id) else { continue }
            for pending in waiting { read(pending) }
        }
    }

    func readsFailed(_ ids: [ReadID]) {
        for id in ids {
            guard let waiting = openReads.removeValue(forKey: id) else { continue }
            parked.append(contentsOf: waiting)
        }
    }

    // MARK: Time

    func retryParked() {
        guard !parked.isEmpty else { return }
        let waiting = parked
        parked.removeAll(keepingCapacity: true)
        for pending in waiting { dispatch(pending) }
    }

    func expireRequests() {
        let now = self.now
        let isLate = { [options] (pending: PendingRequest) in
            pending.parkedDeadline(applyTimeout: options.applyTimeout) <= now
        }
        // Taken out first: the answer tells of this node, and so looks at what is parked.
        let late = parked.filter(isLate)
        if !late.isEmpty { parked.removeAll(where: isLate) }
        for pending in late { replies.add(expiry(of: pending), to: pending.target) }
        for (id, open) in openProposals {
            guard case .command(let pending) = open, pending.deadline <= now else { continue }
            openProposals[id] = .own
            replies.add(
                .failed(.timedOut(waitingFor: "a quorum to hold the write")), to: pending.target)
        }
        for (id, waiting) in openReads {
            let late = waiting.filter { $0.readDeadline <= now }
            guard !late.isEmpty else { continue }
            openReads[id] = waiting.filter { $0.readDeadline > now }
            let index = replicated?.raft.commitIndex ?? .zero
            for pending in late {
                replies.add(.failed(.linearizableTimeout(index: index)), to: pending.target)
            }
        }
        links.forwarder.expire(now: now)
    }

    private func expiry(of pending: PendingRequest) -> Outcome {
        if pending.syncIndex != nil {
            return .readiness(.notSynced("timeout waiting for commit index"))
        }
        guard let raft = replicated?.raft, raft.leader != nil else {
            return .failed(.noLeader(waitingFor: waitingFor))
        }
        return raft.role == .leader
            ? .failed(.notReady("the leader is still applying its log"))
            : .failed(.timedOut(waitingFor: "the leader's address"))
    }
}

extension PendingRequest {
    /// Until when a leader must have taken it in.
    func parkedDeadline(applyTimeout: Duration) -> MonotonicTime {
        guard case .command(let command, _) = request.operation,
            command.kind == .execute || isWrite
        else { return deadline }
        return min(deadline, arrival + applyTimeout)
    }

    /// When a linearizable read has waited for long enough.
    var readDeadline: MonotonicTime {
        guard case .command(_, let options) = request.operation else { return deadline }
        return min(deadline, arrival + options.linearizableTimeout)
    }
}

extension [UInt8] {
    /// Writes the stamp into an encoded log command.
    fileprivate mutating func stamp(milliseconds: Int64, seed: UInt64) {
        let offset = LogCommand.stampOffset
        withUnsafeMutableBytes { buffer in
            buffer.storeBytes(of: milliseconds.littleEndian, toByteOffset: offset, as: Int64.self)
            buffer.storeBytes(of: seed.littleEndian, toByteOffset: offset + 8, as: UInt64.self)
        }
    }
}
