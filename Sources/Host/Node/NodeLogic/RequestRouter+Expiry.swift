import Raft
import Replication
import Service
import Time
import Wire

/// The end of waiting: each request has a time, after which it is answered with why.
extension RequestRouter {
    /// Answers what has waited for as long as it may.
    mutating func expire(_ standing: Standing, now: MonotonicTime) {
        review(standing.leader, now)
        guard isExpiryDue(now) else { return }
        expireParked(standing, now)
        expireProposals(now)
        expireReads(standing, now)
        expireForwarded(now)
        nextExpiry = earliestDeadline
    }

    /// Something may have waited for as long as it may.
    func isExpiryDue(_ now: MonotonicTime) -> Bool { now >= nextExpiry }

    private mutating func expireParked(_ standing: Standing, _ now: MonotonicTime) {
        let isLate = { [applyTimeout] (pending: PendingRequest) in
            pending.parkedDeadline(applyTimeout: applyTimeout) <= now
        }
        let late =
            limits.rules.breaks(.answersParkedTwice)
            ? parked.filter(isLate) : unpark { isLate($1) }
        for pending in late { answer(pending, expiry(of: pending, standing)) }
    }

    private func expiry(of pending: PendingRequest, _ standing: Standing) -> Outcome {
        if pending.syncIndex != nil {
            return .readiness(.notSynced("timeout waiting for commit index"))
        }
        if let demand = pending.content.request.operation.readOptions?.demand,
            demand.index > standing.appliedIndex, standing.canServeLocally
        {
            return .failed(.behind(wanted: demand.index, applied: standing.appliedIndex))
        }
        guard standing.leader != nil else {
            return .failed(.noLeader(waitingFor: standing.waitingFor))
        }
        return standing.role == .leader
            ? .failed(.notReady("the leader is still applying its log"))
            : .failed(.timedOut(waitingFor: "the leader's address"))
    }

    private mutating func expireProposals(_ now: MonotonicTime) {
        var late: [(id: ProposalID, key: RequestKey)] = []
        for (id, open) in openProposals {
            if let pending = open.pending, pending.deadline <= now {
                late.append((id, pending.key))
            }
        }
        for (id, key) in late.sorted(by: { $0.key < $1.key }) {
            openProposals[id] = .own
            // It may be committed already, behind something that is applied for long.
            let awaited = "a quorum to hold the write, and this node to apply it"
            answer(key, .failed(.timedOut(waitingFor: awaited)))
        }
    }

    private mutating func expireReads(_ standing: Standing, _ now: MonotonicTime) {
        for id in openReads.keys.sorted() {
            guard let waiting = openReads[id] else { continue }
            let late = waiting.filter { $0.readDeadline <= now }
            guard !late.isEmpty else { continue }
            openReads[id] = waiting.filter { $0.readDeadline > now }
            for pending in late {
                answer(pending, .failed(.linearizableTimeout(index: standing.commitIndex)))
            }
        }
    }

    /// The leader is at what was sent on to it, however long that takes. Who leads no more may never answer.
    mutating func review(_ leader: NodeID?, _ now: MonotonicTime) {
        guard leader != lastLeader else { return }
        lastLeader = leader
        let end = now + limits.formerLeaderTime
        for (key, sent) in forwarded where !sent.hasBegun {
            if sent.leader == leader {
                forwarded[key]?.end = nil
            } else if sent.end == nil {
                forwarded[key]?.end = end
                expires(end)
            }
        }
    }

    /// The other node's own limit comes first as a rule.
    private mutating func expireForwarded(_ now: MonotonicTime) {
        let late = forwarded.filter {
            !$0.value.hasBegun && $0.value.deadline(limits.forwardGrace) <= now
        }
        for (key, sent) in late.sorted(by: { $0.key < $1.key }) {
            recall(key)
            let isOver = sent.pending.deadline + limits.forwardGrace <= now
            let error: ServiceError =
                isOver
                ? .timedOut(waitingFor: "the leader at \(sent.address)")
                : .forwardingFailed(
                    to: sent.address, cause: "it leads no more, and did not answer")
            answer(key, .failed(error))
        }
    }

    private var earliestDeadline: MonotonicTime {
        var earliest = MonotonicTime(nanoseconds: .max)
        for pending in parked {
            earliest = min(earliest, pending.parkedDeadline(applyTimeout: applyTimeout))
        }
        for open in openProposals.values {
            if let pending = open.pending { earliest = min(earliest, pending.deadline) }
        }
        for reads in openReads.values {
            for pending in reads { earliest = min(earliest, pending.readDeadline) }
        }
        for sent in forwarded.values where !sent.hasBegun {
            earliest = min(earliest, sent.deadline(limits.forwardGrace))
        }
        return earliest
    }
}
