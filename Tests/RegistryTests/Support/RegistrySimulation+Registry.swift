import Chance
import Raft
import Registry
import Simulator

/// The way to the registry and back, with everything that can go wrong on it.
extension RegistrySimulation {
    private func condition(_ k: Int) -> RegistryPlan.Condition? {
        if let lastCondition { return lastCondition }
        guard isFaulty, now >= calmUntil else { return nil }
        return plan.windows.first {
            $0.from <= now && now < $0.to && ($0.node == nil || $0.node == k)
        }?.condition
    }

    private mutating func latency() -> Int {
        plan.registryLatency / 2 + dice.below(plan.registryLatency)
    }

    mutating func send(
        _ request: RegistryRequest, _ id: RegistryRequestID, _ timeout: Int, _ k: Int
    ) throws {
        try checkLoad(id, k)
        nodes[k].requests.append((id, now + timeout))
        var delivery = Delivery(
            request: request, id: id, process: Process(node: k, run: nodes[k].run))
        func fail(_ kind: RegistryFailure.Kind, after time: Int) {
            let failure = RegistryFailure(kind, "\(kind)")
            queue.schedule(
                .answer(delivery.process, id, .failed(failure)), at: now + min(time, timeout))
        }
        switch condition(k) {
        case .down: fail(.unavailable, after: latency())
        case .silent: fail(.timeout, after: timeout)
        case .garbage:
            delivery.isMute = true
            if dice.chance(1, of: 2) { queue.schedule(.delivery(delivery), at: now + latency()) }
            fail(.unavailable, after: 2 * latency())
        case .slow:
            let time = 300_000 + dice.below(10_000_000)
            if time > timeout {
                delivery.isMute = true
                fail(.timeout, after: timeout)
            }
            queue.schedule(.delivery(delivery), at: now + time)
        case nil:
            guard isFaulty, now >= calmUntil else {
                return queue.schedule(.delivery(delivery), at: now + latency())
            }
            sendFaulty(delivery, timeout)
        }
    }

    private mutating func sendFaulty(_ delivery: Delivery, _ timeout: Int) {
        var delivery = delivery
        let failure = RegistryFailure(.timeout, "timeout")
        let isLost = dice.chance(plan.lostRequests, of: 100)
        let isLate = dice.chance(plan.late, of: 100)
        delivery.isMute = isLost || isLate || dice.chance(plan.lostAnswers, of: 100)
        delivery.isDoubled = dice.chance(plan.doubled, of: 100)
        if delivery.isMute {
            if case .write = delivery.request { reached.uncertain += 1 }
            queue.schedule(
                .answer(delivery.process, delivery.id, .failed(failure)), at: now + timeout)
        }
        guard !isLost else { return }
        let late = isLate ? timeout + dice.below(plan.latestEffect) : 0
        if isLate { reached.lateEffects += 1 }
        queue.schedule(.delivery(delivery), at: now + latency() + late)
    }

    mutating func deliver(_ delivery: Delivery) throws {
        let isBlind = mutation == .blindUpdates
        let before = registry.leader
        var answer = registry.perform(delivery.request, isBlind: isBlind)
        // A transport that tried twice hears what came of the second try.
        if delivery.isDoubled { answer = registry.perform(delivery.request, isBlind: isBlind) }
        note(
            "registry: \(delivery.request.summary) of node \(delivery.process.node + 1): "
                + answer.summary)
        try checkUpdate(delivery, from: before)
        if let entry = registry.leader, entry.state == .formed, !everFormed.contains(entry.cluster)
        {
            everFormed.append(entry.cluster)
        }
        guard !delivery.isMute else { return }
        queue.schedule(.answer(delivery.process, delivery.id, answer), at: now + latency())
    }

    mutating func receive(_ answer: RegistryAnswer, _ id: RegistryRequestID, _ k: Int) throws {
        nodes[k].requests.removeAll { $0.id == id }
        switch id.owner {
        case .formation: try step(k, formation: { $0.answered(answer, to: id) })
        case .keeper: try step(k, keeper: { $0.answered(answer, to: id) })
        }
    }

    // MARK: What others do to it

    /// Everything is lost, but only when there is nothing to lose yet, or when whoever keeps the
    /// entry can reach the registry: the stated limit of what can be protected.
    mutating func wipe() {
        if adoptions.isEmpty, registry.leader?.state != .formed {
            if mayBeStarting { return }
        } else {
            guard keeperIsReady else { return }
            calmUntil = now + 2_500_000
        }
        reached.wipes += 1
        note("the registry is wiped")
        registry.wipe()
    }

    /// Some node may have its claim *formed* without knowing it yet.
    private var mayBeStarting: Bool {
        nodes.contains { node in
            guard let state = try? RegistryState(decoding: node.stored) else { return true }
            return state.founding != nil || !node.writes.isEmpty
        }
    }

    /// A leader, or a founder without one, is there and is not waiting for an answer that may take
    /// longer than others take to believe that there is no entry.
    private var keeperIsReady: Bool {
        nodes.indices.contains { k in
            let node = nodes[k]
            guard node.isUp, node.stoppedUntil == nil, node.backlog.isEmpty, condition(k) == nil,
                node.requests.allSatisfy({ $0.deadline < now + 260_000 })
            else { return false }
            if let term = node.leads {
                return leaders.contains { $0.node == k && $0.term == term }
            }
            return node.adopted != nil && !node.hasHeardLeader && leaders.isEmpty
        }
    }

    /// Claims the key if it is free, and never goes on.
    mutating func claimAsRival() {
        guard registry[RecordName.leader] == nil, adoptions.isEmpty else { return }
        let id = RandomID(high: 0xFFFF, low: UInt64(now))
        let member = Member(
            id: NodeID("rival"), incarnation: Incarnation(id),
            address: PeerAddress("10.1.0.1:4002"), suffrage: .voter)
        registry.put(
            RecordName.leader,
            LeaderEntry(
                id: member.id, apiURL: nil, address: member.address, cluster: ClusterID(id),
                state: .forming, nonce: id, term: .zero, founders: [member]
            ).encoded())
    }
}
