import Chance
import NodeLogic
import Raft
import Replication

/// A whole cluster comes back with copies of its directories of different ages.
///
/// What was acknowledged since the oldest of them may be gone, for nobody is there who saw more. It
/// starts with what the first quorum holds; a node that has more of the past than that says so, with
/// what to do, and the operator does it. None waits in silence.
///
/// All copies are of one term: an election between two of them could give a number of a term to two
/// leaders, one of them forgotten, and entries of one place and term could differ.
extension Simulation {
    func restoreAll() {
        guard let term = presentLeader?.term, nodes.allSatisfy(\.isUp) else { return }
        for slot in shuffledSlots() {
            advance(through: now + random.below(1500)) { false }
            guard invariants.violation == nil else { return }
            nodes[slot].copy = nodes[slot].copyFiles()
        }
        advance(through: now + random.below(2000)) { false }
        clients.isStopped = true
        advance(through: now + 10_000) { !self.clients.hasOpen }
        guard invariants.violation == nil, isWhole, nodes.allSatisfy({ $0.term == term }) else {
            return resumeClients()
        }
        faults.restorations += 1
        toleratesLoss = true
        for node in nodes {
            stop(node.slot, losingPower: random.chance(1, of: 2))
            if let copy = node.copy { node.restore(copy) }
            node.wipes += 1
        }
        invariants.beginAgain()
        startRestored()
        guard awaitWhole(or: "a cluster restored from copies waits for something it does not name")
        else { return }
        // One that came last may hear the leader before it hears what contradicts it.
        advance(through: now + 3000) { false }
        guard awaitWhole(or: "a node that is ahead of a restored cluster waits in silence") else {
            return
        }
        toleratesLoss = false
        resumeClients()
    }

    private func shuffledSlots() -> [Int] {
        var slots = Array(nodes.indices)
        for place in slots.indices.reversed() { slots.swapAt(place, random.below(place + 1)) }
        return slots
    }

    private func startRestored() {
        let isStaggered = random.chance(1, of: 2)
        for (place, slot) in shuffledSlots().enumerated() {
            schedule(
                .restart(slot: slot), in: isStaggered ? place * 4000 : random.within(0...400))
            startsFrom[slot] = isStaggered ? now + place * 4000 : 0
        }
    }

    func resumeClients() {
        clients.isStopped = false
        for client in 0..<clients.count { schedule(.clientActs(client), in: random.below(100)) }
    }

    /// The first entry of a leader is committed: what it holds is what the cluster has kept.
    func settleRestoration(_ index: LogIndex) {
        let lost = clients.forget(after: index, at: now)
        faults.writesLost += lost
        tell("\(lost) acknowledged writes after \(index) are gone with the time before the copies")
    }

    /// The operator does what the node says.
    func obeyRestored(_ node: SimulatedNode, _ reason: String) {
        guard toleratesLoss, !retired.contains(node.slot) else { return }
        faults.restorationsNamed += 1
        guard reason.contains("move its data directory away and let it join again") else {
            return invariants.broke("\(node.id) does not say what to do: \(reason)")
        }
        schedule(.startAnew(slot: node.slot, run: node.run), in: random.within(200...3000))
    }

    func startAnew(_ slot: Int, _ run: Int) {
        guard nodes[slot].run == run, toleratesLoss else { return }
        stop(slot, losingPower: false)
        nodes[slot].wipe()
        Founding.letJoin(nodes[slot], founding.listed(nodes.map(\.address)))
        boots[slot] = RandomID(high: random.next(), low: random.next())
    }
}
