import Chance
import Cluster
import Raft
import Registry
import Simulator

/// The network between the nodes, and Raft by its outcome.
extension RegistrySimulation {
    private mutating func networkLatency() -> Int { 100 + dice.below(400) }

    private mutating func isLost() -> Bool {
        isFaulty && now >= calmUntil && dice.chance(plan.networkLoss, of: 100)
    }

    mutating func ask(_ payload: Payload, of address: PeerAddress, from sender: Process) {
        guard !isLost() else {
            return queue.schedule(
                .response(sender, address, .unreachable("timed out")), at: now + 1_000_000)
        }
        queue.schedule(.request(sender, address, payload), at: now + networkLatency())
    }

    mutating func serve(
        _ payload: Payload, at address: PeerAddress, from sender: Process
    ) throws {
        guard let k = nodes.firstIndex(where: { $0.isUp && $0.address == address }) else {
            return reply(.unreachable("connection refused"), from: address, to: sender)
        }
        guard nodes[k].stoppedUntil == nil, !isLost() else {
            return queue.schedule(
                .response(sender, address, .unreachable("timed out")), at: now + 1_000_000)
        }
        switch payload {
        case .hello: reply(.hello(facts(of: k)), from: address, to: sender)
        case .join: reply(answerJoin(k), from: address, to: sender)
        }
    }

    private mutating func reply(
        _ reply: PeerReply, from address: PeerAddress, to sender: Process
    ) {
        queue.schedule(.response(sender, address, reply), at: now + networkLatency())
    }

    private func facts(of k: Int) -> CandidateFacts {
        CandidateFacts(
            introduction: introduction(k), cluster: nodes[k].cluster,
            leader: nodes[k].cluster.flatMap { leader(of: $0) }.map { nodes[$0].address })
    }

    private func answerJoin(_ k: Int) -> PeerReply {
        guard let cluster = nodes[k].cluster, let leader = leader(of: cluster) else {
            return .joinRefused(leader: nil)
        }
        return leader == k ? .joined(cluster) : .joinRefused(leader: nodes[leader].address)
    }

    mutating func take(_ reply: PeerReply, from address: PeerAddress, _ k: Int) throws {
        switch reply {
        case .hello(let facts):
            try step(k, formation: { $0.helloAnswered(facts, from: address) })
        case .joined(let cluster): try step(k, formation: { $0.joined(cluster) })
        case .joinRefused(let leader):
            try step(
                k,
                formation: {
                    $0.joinRefused(via: address, reason: "no leader", leader: leader)
                })
        case .unreachable(let reason):
            try step(k, formation: { $0.unreachable(address, reason: reason) })
        }
    }

    // MARK: Raft's outcome

    func leader(of cluster: ClusterID) -> Int? {
        leaders.first { $0.cluster == cluster }?.node
    }

    private func isAble(_ k: Int, _ value: BootstrapValue) -> Bool {
        nodes[k].isUp && nodes[k].stoppedUntil == nil && nodes[k].cluster == value.cluster
            && value.names(nodes[k].identity)
    }

    private var reviewInterval: Int { plan.longestStop > 100_000_000 ? 200_000 : 20_000 }

    mutating func review() throws {
        if finished == nil { queue.schedule(.review, at: now + reviewInterval) }
        for value in adoptions { try review(value) }
        try noticeForming()
    }

    private mutating func review(_ value: BootstrapValue) throws {
        let able = nodes.indices.filter { isAble($0, value) }
        let hasMajority = able.count > value.members.count / 2
        if let place = leaders.firstIndex(where: { $0.cluster == value.cluster }) {
            let leader = leaders[place]
            let mayMove = isFaulty && now >= calmUntil && dice.chance(1, of: 500)
            let leads = able.contains(leader.node) && nodes[leader.node].leads == leader.term
            guard !hasMajority || !leads || mayMove else {
                return hear(value.cluster)
            }
            leaders.remove(at: place)
            depose(leader.node, leader.term)
            electionAt = now + 100_000 + dice.below(1_500_000)
        } else {
            guard hasMajority else { return electionAt = min(electionAt, now + 2_000_000) }
            if electionAt == Int.max { electionAt = now }
            guard now >= electionAt else { return }
            try elect(able[dice.below(able.count)], value.cluster)
        }
    }

    private mutating func depose(_ k: Int, _ term: Term) {
        guard nodes[k].isUp else { return }
        queue.schedule(
            .deposed(Process(node: k, run: nodes[k].run), term), at: now + dice.below(300_000))
    }

    mutating func elect(_ k: Int, _ cluster: ClusterID) throws {
        electionAt = Int.max
        lastTerm += 1
        let term = Term(UInt64(lastTerm))
        leaders.removeAll { $0.cluster == cluster }
        leaders.append((cluster, k, term))
        note("node \(k + 1) leads \(cluster) in term \(term)")
        nodes[k].leads = term
        hear(cluster)
        try checkClusters()
        try step(k)
    }

    /// Leadership moves at once, as an operator may ask.
    mutating func moveLeadership() throws {
        guard let leader = leaders.first else { return }
        let others = nodes.indices.filter { k in
            k != leader.node && adoptions.contains { isAble(k, $0) }
        }
        guard let next = dice.pick(others) else { return }
        depose(leader.node, leader.term)
        try elect(next, leader.cluster)
    }

    private mutating func hear(_ cluster: ClusterID) {
        for k in nodes.indices
        where nodes[k].cluster == cluster && nodes[k].isUp && nodes[k].stoppedUntil == nil {
            nodes[k].hasHeardLeader = true
        }
    }
}
