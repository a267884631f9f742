import Chance
import Cluster
import Raft
import Registry
import Simulator

/// The shell of the simulated nodes: it steps their machines and does what they say.
extension RegistrySimulation {
    func introduction(_ k: Int) -> FormationIntroduction {
        FormationIntroduction(
            identity: nodes[k].identity, address: nodes[k].address, suffrage: nodes[k].suffrage,
            expect: plan.voters[k] ? plan.expect : 0)
    }

    func apiURL(_ k: Int) -> String { "http://\(nodes[k].address)" }

    func record(_ k: Int) -> NodeRecord {
        NodeRecord(
            identity: nodes[k].identity, cluster: nodes[k].cluster, address: nodes[k].address,
            apiURL: apiURL(k), suffrage: nodes[k].suffrage,
            expect: plan.voters[k] ? plan.expect : 0)
    }

    private func standing(_ k: Int) -> RegistryKeeper.Standing {
        guard let cluster = nodes[k].cluster else { return .fresh }
        if let term = nodes[k].leads { return .leader(term) }
        if let founding = nodes[k].adopted, !nodes[k].hasHeardLeader,
            mutation != .foundersDontKeep
        {
            return .founder(founding)
        }
        return .member(isLost: leader(of: cluster) == nil)
    }

    // MARK: Steps

    mutating func step(
        _ k: Int, formation input: ((inout RegistryFormation) -> Void)? = nil,
        keeper other: ((inout RegistryKeeper) -> Void)? = nil
    ) throws {
        guard nodes[k].isUp, var keeper = nodes[k].keeper else { return }
        nodes[k].keeper = nil
        let time = Duration.microseconds(now - nodes[k].launchedAt)
        var deadline = Int.max
        if var formation = nodes[k].formation {
            nodes[k].formation = nil
            formation.tick(time)
            input?(&formation)
            nodes[k].backlog += formation.takeEffects().map { .formation($0) }
            if let next = formation.nextDeadline { deadline = microseconds(next) }
            nodes[k].formation = formation
        }
        keeper.tick(time)
        keeper.update(record(k), standing(k), members: nodes.map(\.identity.id))
        other?(&keeper)
        nodes[k].backlog += keeper.takeEffects().map { .keeper($0) }
        deadline = min(deadline, microseconds(keeper.nextDeadline))
        nodes[k].keeper = keeper
        wake(k, deadline)
        try performBacklog(k)
    }

    private func microseconds(_ duration: Duration) -> Int {
        let parts = duration.components
        return Int(parts.seconds) * 1_000_000 + Int(parts.attoseconds / 1_000_000_000_000)
    }

    private mutating func wake(_ k: Int, _ deadline: Int) {
        guard deadline < Int.max else { return }
        let at = max(now + 1, nodes[k].launchedAt + deadline + 1)
        guard at < nodes[k].nextWake else { return }
        nodes[k].nextWake = at
        queue.schedule(.wake(Process(node: k, run: nodes[k].run)), at: at)
    }

    /// Performs what is to be done; a crash or a stop may come between any two effects.
    mutating func performBacklog(_ k: Int) throws {
        while !nodes[k].backlog.isEmpty, nodes[k].isUp, nodes[k].stoppedUntil == nil {
            let effect = nodes[k].backlog.removeFirst()
            try perform(effect, k)
            guard isFaulty, now >= calmUntil else { continue }
            if dice.chance(plan.crashRate, of: 1_000) {
                crash(k)
                queue.schedule(.launch(k), at: now + 1_000 + dice.below(2_000_000))
            } else if dice.chance(plan.stopRate, of: 1_000) {
                stop(k)
            }
        }
    }

    // MARK: Effects

    private mutating func perform(_ effect: Effect, _ k: Int) throws {
        note("node \(k + 1): \(effect.summary)")
        switch effect {
        case .formation(let effect): try perform(effect, k)
        case .keeper(let effect): try perform(effect, k)
        }
    }

    private mutating func perform(_ effect: RegistryFormationEffect, _ k: Int) throws {
        let process = Process(node: k, run: nodes[k].run)
        switch effect {
        case .ask(let request, let id, let timeout):
            try checkDurable(request, k)
            try send(request, id, microseconds(timeout), k)
            if mutation == .startsBeforeFormed { startEarly(request, k) }
        case .sendHello(let address): ask(.hello, of: address, from: process)
        case .attemptJoin(let address): ask(.join, of: address, from: process)
        case .persist(let bytes, let ticket):
            write(Write(at: 0, ticket: ticket, bytes: bytes), k)
            if mutation == .claimNotDurable {
                try step(k, formation: { $0.persisted(ticket) })
            }
        case .start(let value, _):
            guard try RegistryState(decoding: nodes[k].stored).founding == value else {
                throw Failure("node \(k + 1) starts what is not on its disk")
            }
            write(Write(at: 0, ticket: PersistTicket(0), start: value), k)
        case .joined(let cluster):
            write(Write(at: 0, ticket: PersistTicket(0), joined: cluster), k)
        case .waiting(let text): nodes[k].waiting = text
        case .notice(let text):
            if text.hasPrefix("dropped") { reached.dropped += 1 }
            if text.contains("in the place of") { reached.takeovers += 1 }
        case .refused(let refusal): throw Failure("node \(k + 1): \(refusal)")
        case .fatal(let text), .gaveUp(let text): throw Failure("node \(k + 1) ended: \(text)")
        }
    }

    private mutating func perform(_ effect: RegistryKeeperEffect, _ k: Int) throws {
        switch effect {
        case .ask(let request, let id, let timeout):
            try send(request, id, microseconds(timeout), k)
        case .raised(let alarm):
            // In one cluster there is nothing to alarm anybody, unless a claim was put half-way.
            throw Failure("node \(k + 1): \(alarm)")
        case .nodeRecordsOff(let text): throw Failure("node \(k + 1): \(text)")
        case .restored: reached.restores += 1
        case .erased(let name): throw Failure("node \(k + 1) erased \(name), a live node's")
        case .published, .candidates, .resolved, .failing, .working: break
        }
    }

    /// What a node would do that starts Raft as soon as its claim stands.
    private mutating func startEarly(_ request: RegistryRequest, _ k: Int) {
        guard case .write(_, let value, _) = request,
            case .entry(let entry) = LeaderContent(parsing: value), entry.state == .formed
        else { return }
        nodes[k].formation = nil
        let founding = BootstrapValue(cluster: entry.cluster, members: entry.founders)
        write(Write(at: 0, ticket: PersistTicket(0), start: founding), k)
    }

    // MARK: The disk

    mutating func write(_ write: Write, _ k: Int) {
        var write = write
        let last = nodes[k].writes.last?.at ?? now
        write.at = max(last, now + plan.writeTime / 2 + dice.below(plan.writeTime))
        nodes[k].writes.append(write)
        queue.schedule(.written(Process(node: k, run: nodes[k].run)), at: write.at)
    }

    mutating func written(_ process: Process) throws {
        let k = process.node
        // The disk goes on while the process is stopped, but it hears of it later.
        guard !isDeferred(process, .written(process)), !nodes[k].writes.isEmpty else { return }
        let write = nodes[k].writes.removeFirst()
        if let value = write.start, !everFormed.contains(value.cluster) {
            throw Failure("node \(k + 1) starts \(value.cluster), which the registry never had")
        }
        commit(write, k)
        try checkClusters()
        try step(k, formation: { $0.persisted(write.ticket) })
    }

    mutating func commit(_ write: Write, _ k: Int) {
        if let value = write.start {
            nodes[k].adopted = value
            if adoptions.isEmpty, let pause = plan.wipeAfterFounding {
                queue.schedule(.wipe, at: now + pause)
            }
            if !adoptions.contains(value) { adoptions.append(value) }
        } else if let cluster = write.joined {
            nodes[k].joined = cluster
        } else {
            nodes[k].stored = write.bytes
        }
        if nodes[k].cluster != nil { nodes[k].formation = nil }
    }
}
