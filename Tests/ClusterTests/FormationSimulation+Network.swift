import Chance
import Cluster
import Raft
import Simulator

/// The network of the simulation, the nodes' answers, and what must hold.
extension FormationSimulation {
    // MARK: The network

    private mutating func latency() -> Int {
        let base = plan.faults.latency / 2 + dice.below(plan.faults.latency)
        return isFaulty && dice.chance(plan.faults.slowPercent, of: 100)
            ? base + dice.below(400_000) : base
    }

    private func isCut(_ a: Int, _ b: Int) -> Bool {
        guard isFaulty, a != b else { return false }
        return starter == a || starter == b
            || now < plan.isolatedUntil && plan.isolated.contains(a) != plan.isolated.contains(b)
    }

    private mutating func isLost() -> Bool {
        isFaulty && dice.chance(plan.faults.lossPercent, of: 100)
    }

    mutating func send(_ payload: Payload, to address: PeerAddress, from sender: Process) {
        guard !isLost() else {
            return queue.schedule(
                .response(sender, address, .unreachable("timed out")), at: now + 700_000)
        }
        queue.schedule(.request(sender, address, payload), at: now + latency())
        if isFaulty, dice.chance(plan.faults.duplicatePercent, of: 100) {
            queue.schedule(.request(sender, address, payload), at: now + latency() * 3)
        }
    }

    mutating func respond(
        _ answer: Answer, from address: PeerAddress, of k: Int, to asker: Process
    ) {
        if isLost() || isCut(k, asker.node) {
            queue.schedule(.response(asker, address, .unreachable("timed out")), at: now + 700_000)
        } else {
            queue.schedule(.response(asker, address, answer), at: now + latency())
        }
    }

    mutating func receive(
        _ payload: Payload, at address: PeerAddress, from sender: Process
    ) throws {
        guard let k = nodes.firstIndex(where: { $0.isUp && $0.addresses.contains(address) }),
            !isCut(k, sender.node)
        else {
            return queue.schedule(
                .response(sender, address, .unreachable("connection refused")),
                at: now + latency())
        }
        switch payload {
        case .hello:
            respond(.hello(facts(of: k)), from: address, of: k, to: sender)
            let caller = nodes[sender.node].introduction.identity
            try step(k) { $0.heard(from: caller) }
        case .join: respond(answerJoin(k), from: address, of: k, to: sender)
        case .formation(let message):
            if let cluster = nodes[k].cluster {
                let answer = FormationMessage.answer(
                    to: message, fromMemberOf: cluster, value: nodes[k].adopted)
                if let answer { respond(.formation(answer), from: address, of: k, to: sender) }
            } else {
                requestCount += 1
                let id = requestCount
                pendingRequests[id] = (sender, address)
                try step(k) { $0.requested(message, by: FormationRequestID(id)) }
            }
        }
    }

    private func facts(of k: Int) -> CandidateFacts {
        CandidateFacts(
            introduction: nodes[k].introduction, cluster: nodes[k].cluster,
            leader: nodes[k].cluster.flatMap { leader(of: $0) }.map { nodes[$0].addresses[0] })
    }

    private func answerJoin(_ k: Int) -> Answer {
        guard let cluster = nodes[k].cluster, let leader = leader(of: cluster) else {
            return .joinRefused(leader: nil)
        }
        return leader == k ? .joined(cluster) : .joinRefused(leader: nodes[leader].addresses[0])
    }

    /// As `Rendezvous` does: once a second, at the addresses of the founding and of the list.
    mutating func seek(_ process: Process) {
        let k = process.node
        guard isRunning(process), let founding = nodes[k].adopted else { return }
        queue.schedule(.seek(process), at: now + 1_000_000)
        guard rule == .agreement, leader(of: founding.cluster) == nil else { return }
        var addresses = founding.members.map(\.address)
        for address in lists[nodes[k].listVersion] where !addresses.contains(address) {
            addresses.append(address)
        }
        for address in addresses where !nodes[k].addresses.contains(address) {
            send(.hello, to: address, from: process)
        }
    }

    mutating func deliver(
        _ answer: Answer, from address: PeerAddress, to process: Process
    ) throws {
        guard isRunning(process) else { return }
        let k = process.node
        if let founding = nodes[k].adopted {
            if rule == .agreement, case .hello(let facts) = answer,
                let news = FormationMessage.news(of: founding, for: facts)
            {
                send(.formation(news), to: address, from: process)
            }
            return
        }
        switch answer {
        case .hello(let facts):
            if rule == .countingForItself { count(facts, k) }
            try step(k) { $0.helloAnswered(facts, from: address) }
        case .formation(let message): try step(k) { $0.answered(message, from: address) }
        case .joined(let cluster): try step(k) { $0.joined(cluster) }
        case .joinRefused(let leader):
            try step(k) { $0.joinRefused(via: address, reason: "no leader", leader: leader) }
        case .unreachable(let reason):
            try step(k) { $0.unreachable(address, reason: reason) }
        }
    }

    /// rqlite's rule: whoever has seen N voters writes the bootstrap of those it has seen.
    private mutating func count(_ facts: CandidateFacts, _ k: Int) {
        let other = facts.introduction
        guard nodes[k].cluster == nil, nodes[k].writes.isEmpty, facts.cluster == nil,
            plan.voters[k], other.suffrage == .voter,
            !nodes[k].seen.contains(where: { $0.identity == other.identity })
        else { return }
        nodes[k].seen.append(other)
        guard nodes[k].seen.count >= plan.expect else { return }
        let members = nodes[k].seen.map {
            Member(
                id: $0.identity.id, incarnation: $0.identity.incarnation, address: $0.address,
                suffrage: .voter)
        }
        // Equal sets are one cluster, as nothing else tells rqlite's apart.
        let set = members.reduce(UInt64(0)) { $0 | 1 << $1.incarnation.id.low }
        let value = BootstrapValue(
            cluster: ClusterID(RandomID(high: 1, low: set)), members: members)
        write(Write(at: 0, ticket: PersistTicket(0), bytes: [], start: value), k)
    }

    // MARK: What must hold

    /// Raft's outcome: some member that is up together with a majority that know of the cluster.
    func leader(of cluster: ClusterID) -> Int? {
        guard let value = adoptions.first(where: { $0.cluster == cluster }) else { return nil }
        let up = nodes.indices.filter { nodes[$0].isUp && knows($0, value) }
        return up.count > value.members.count / 2 ? up.first : nil
    }

    /// A member that asked to join instead, its leader has taken in as the voter it is.
    private func knows(_ k: Int, _ value: BootstrapValue) -> Bool {
        nodes[k].cluster == value.cluster && value.names(nodes[k].introduction.identity)
    }

    /// Persist before send: what a message promises stands on the sender's disk.
    func checkDurable(_ message: FormationMessage, _ k: Int) throws {
        let isDurable: (AcceptorState) -> Bool
        switch message {
        case .prepare(let ballot, _, _): isDurable = { $0.counter >= ballot.counter }
        case .promise(let promise):
            isDurable = { $0.promised.map { $0 >= promise.ballot } ?? false }
        case .accepted(let ballot, _):
            isDurable = { $0.accepted.map { $0.ballot >= ballot } ?? false }
        default: return
        }
        guard isDurable(try AcceptorState(decoding: nodes[k].stored)) else {
            throw Failure(description: "node \(k) said \(message) before it was durable")
        }
    }

    /// At most one cluster ever has a leader; the agreement even has at most one value.
    mutating func check() throws {
        let able = adoptions.filter { value in
            nodes.indices.filter { knows($0, value) }.count > value.members.count / 2
        }
        guard able.count <= 1, rule == .countingForItself || adoptions.count <= 1 else {
            let text = adoptions.map { "\($0.cluster) of \($0.membership.members.map(\.id))" }
            throw Failure(description: "split: \(text.joined(separator: ", "))")
        }
        if ledAt == nil, let only = able.first, leader(of: only.cluster) != nil { ledAt = now }
    }

    /// Every node that is up and listed is in the cluster, and it has a leader.
    private var isFormed: Bool {
        guard let value = adoptions.first, leader(of: value.cluster) != nil else { return false }
        return nodes.allSatisfy { !$0.isUp || $0.cluster == value.cluster || !isListed($0) }
    }

    private func isListed(_ node: Node) -> Bool {
        node.addresses.contains { lists.last?.contains($0) ?? false }
    }

    /// Why this seed may stay without a cluster: no quorum, or the agreement names lost members.
    private var excuse: String? {
        var attendance = Attendance()
        for node in nodes where node.isUp {
            for address in node.addresses where lists.last?.contains(address) ?? false {
                attendance.seat(node.introduction.identity.incarnation, at: address)
            }
        }
        let states = nodes.filter(\.isUp).compactMap { try? AcceptorState(decoding: $0.stored) }
        if let value = states.compactMap(\.chosen).first ?? adoptions.first {
            let up = nodes.filter { $0.isUp && value.names($0.introduction.identity) }
            if up.count <= value.members.count / 2 { return "a majority of the members is lost" }
        }
        if nodes.contains(where: { $0.isUp && $0.cluster != nil }) { return nil }
        let list = CandidateList(
            expect: plan.expect,
            entries: (lists.last ?? []).map { .init(address: $0, incarnation: nil) })
        if !list.tally(attendance).isQuorum { return "no quorum" }
        let voters = nodes.filter {
            $0.isUp && isListed($0) && $0.introduction.suffrage == .voter
        }
        if voters.isEmpty { return "no voter" }
        if voters.count < plan.expect, states.allSatisfy({ $0.accepted == nil }) {
            return "too few voters"
        }
        let lists = states.flatMap(\.lists)
        return lists.allSatisfy { $0.tally(attendance).isQuorum } ? nil : "no quorum of a list"
    }

    enum Outcome: Equatable {
        /// Microseconds from the end of the faults, or the last start, to a cluster of all.
        case formed(after: Int)
        case excused(String)
    }

    /// Runs to a cluster of all nodes, or, faults being over, to the bound.
    mutating func run(bound: Int = 12_000_000) throws -> Outcome {
        var isExcuseTried = false
        while let (time, event) = queue.next() {
            now = time
            try handle(event)
            if !isFaulty, isFormed { return .formed(after: now - plan.faultsEnd) }
            if now > plan.faultsEnd + 2_500_000, !isExcuseTried {
                isExcuseTried = true
                if let excuse { return .excused(excuse) }
            }
            if now > plan.faultsEnd + bound { break }
        }
        if let excuse { return .excused(excuse) }
        let texts = nodes.indices.map { "\($0): \(waiting[$0] ?? "-")" }
        throw Failure(description: "no cluster by \(now): \(texts.joined(separator: " | "))")
    }
}
