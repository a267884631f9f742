import Chance
import Cluster
import Raft
import Registry
import Simulator

/// What must hold at every step, and in the end.
extension RegistrySimulation {
    /// Longest time from the end of the faults to one cluster of all.
    static let bound = 30_000_000
    /// From a registry that works, or a new leader, to the right entry.
    static let entryBound = 650_000

    /// One cluster is ever born.
    func checkClusters() throws {
        guard adoptions.count > 1 else { return }
        let texts = adoptions.map { "\($0.cluster) of \($0.members.map(\.id))" }
        throw Failure("split: \(texts.joined(separator: ", "))")
    }

    /// What a claim says in the registry stands on the claimant's disk.
    func checkDurable(_ request: RegistryRequest, _ k: Int) throws {
        guard case .write(_, let value, _) = request,
            case .entry(let entry) = LeaderContent(parsing: value)
        else { return }
        let state = try RegistryState(decoding: nodes[k].stored)
        guard state.claim?.value.cluster == entry.cluster else {
            throw Failure("node \(k + 1) claims \(entry.cluster), which is not on its disk")
        }
    }

    /// Each machine has one request under way, and all of them few in any second.
    mutating func checkLoad(_ id: RegistryRequestID, _ k: Int) throws {
        guard !nodes[k].requests.contains(where: { $0.id.owner == id.owner }) else {
            throw Failure("node \(k + 1): two requests of one machine")
        }
        nodes[k].lastRequests.removeAll { $0 < now - 1_000_000 }
        nodes[k].lastRequests.append(now)
        guard nodes[k].lastRequests.count <= 40 else {
            throw Failure("node \(k + 1): \(nodes[k].lastRequests.count) requests in a second")
        }
    }

    /// No update of the leader's entry undoes what its writer has not seen.
    func checkUpdate(_ delivery: Delivery, from before: LeaderEntry?) throws {
        guard let before, let after = registry.leader, before != after else { return }
        if before.state == .formed, after.cluster != before.cluster {
            throw Failure(
                "node \(delivery.process.node + 1) replaced formed \(before.cluster) by "
                    + "\(after.state) \(after.cluster)")
        }
        if before.cluster == after.cluster, after.term < before.term {
            throw Failure(
                "node \(delivery.process.node + 1) took the entry back from term \(before.term) "
                    + "to \(after.term)")
        }
    }

    // MARK: The end

    private var isFormed: Bool {
        guard let value = adoptions.first, leader(of: value.cluster) != nil else { return false }
        return nodes.allSatisfy { !$0.isUp || $0.cluster == value.cluster }
    }

    /// Why this seed may stay without a cluster.
    private var excuse: String? {
        if let value = adoptions.first {
            let up = nodes.filter { $0.isUp && value.names($0.identity) }
            return up.count > value.members.count / 2 ? nil : "a majority of the founders is lost"
        }
        if let entry = registry.leader, entry.state == .formed {
            let up = nodes.filter { node in
                node.isUp
                    && entry.founders.contains { $0.incarnation == node.identity.incarnation }
            }
            if up.count <= entry.founders.count / 2 { return "a majority of the founders is lost" }
        }
        let voters = nodes.filter { $0.isUp && $0.suffrage == .voter }
        if voters.count < max(1, plan.expect) { return "too few voters" }
        return nil
    }

    /// The first moment at which all is well: the episodes that a formed cluster must stand begin.
    mutating func noticeForming() throws {
        guard !isFaulty, isFormedSince == nil, finished == nil else { return }
        if isFormed {
            isFormedSince = now
            queue.schedule(.episode(0), at: now + 1)
        } else if now > plan.faultsEnd + 3_000_000, let excuse {
            finished = .excused(excuse)
        } else if now > max(plan.faultsEnd, plan.startTimes.max() ?? 0) + Self.bound {
            let texts = nodes.indices.map { "\($0 + 1): \(nodes[$0].waiting)" }
            throw Failure("no cluster: \(texts.joined(separator: " | "))")
        }
    }

    mutating func begin(_ episode: Int) throws {
        switch episode {
        case 0:
            check(after: settleTime, "after the faults")
            next(1, after: settleTime + 1_000_000)
        case 1:
            try moveLeadership()
            check(after: settleTime, "after leadership moved")
            next(2, after: settleTime + 500_000)
        case 2:
            registry.wipe()
            check(after: Self.entryBound, "after a wipe")
            check(after: 11_500_000, "records")
            next(3, after: 12_000_000)
        case 3:
            lastCondition = plan.lastCondition
            next(4, after: dice.below(plan.lastConditionTime))
            next(5, after: plan.lastConditionTime)
        case 4: try moveLeadership()
        case 5:
            lastCondition = nil
            check(after: settleTime, "after the registry was \(plan.lastCondition)")
            check(after: settleTime + 1, "end")
        default: return
        }
    }

    private mutating func next(_ episode: Int, after time: Int) {
        queue.schedule(.episode(episode), at: now + time)
    }

    private mutating func check(after time: Int, _ what: String) {
        queue.schedule(.check(what), at: now + time)
    }

    /// The bound, or longer where a patient request is under way: the stated limit of a registry
    /// that has only timed out for minutes, or never answered this process.
    private var settleTime: Int {
        guard let leader = leaders.first, let request = nodes[leader.node].requests.first,
            request.deadline > now + 250_000
        else { return Self.entryBound }
        return request.deadline - now + 400_000
    }

    mutating func checkEntry(_ what: String) throws {
        if what == "end" {
            let start = max(plan.faultsEnd, plan.startTimes.max() ?? 0)
            return finished = .formed(after: (isFormedSince ?? now) - start)
        }
        if what == "records" { return try checkRecords() }
        guard let leader = leaders.first else { throw Failure("no leader \(what)") }
        let node = nodes[leader.node]
        guard let entry = registry.leader, entry.state == .formed, entry.id == node.identity.id,
            entry.address == node.address, entry.term == leader.term,
            entry.cluster == leader.cluster
        else {
            throw Failure(
                "the entry is wrong \(what): \(registry.leader.map { "\($0)" } ?? "none"), "
                    + "leader \(node.identity.id) of term \(leader.term)")
        }
    }

    private func checkRecords() throws {
        for k in nodes.indices where nodes[k].isUp {
            guard registry.nodes.contains(record(k)) else {
                throw Failure("the record of node \(k + 1) was not put back")
            }
        }
    }

    mutating func run() throws -> Outcome {
        while finished == nil, let (time, event) = queue.next() {
            now = time
            try handle(event)
        }
        return finished ?? .excused("nothing left to do")
    }
}
