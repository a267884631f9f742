import Chance
import NodeLogic
import Raft
import Replication

/// Which chapter a history has, and those about addresses.
extension Simulation {
    /// By when a cluster whose nodes have all moved must serve again.
    private static var formationTime: Int { 10_000 }

    /// Between the faults of the safety phase and the proof of liveness, in some histories.
    func playChapter() {
        let drawn = random.chance(3, of: 8) ? random.pick(Chapter.allCases) : nil
        guard let chapter = settings.chapter ?? drawn else { return }
        tell("chapter \(chapter.rawValue)")
        switch chapter {
        case .copyBeside: startCopyBeside()
        case .copyFirst: startCopyFirst()
        case .relocation: relocate()
        case .permutation: permute()
        case .rotation: rotate()
        case .restoration: restoreAll()
        case .flood: flood()
        }
    }

    /// - Parameter failure: what is wrong if not every node comes to the cluster.
    @discardableResult
    func awaitWhole(or failure: @autoclosure () -> String, within limit: Int? = nil) -> Bool {
        let end = now + (limit ?? settings.livenessMilliseconds)
        let isWhole = advance(through: end) { self.isWhole }
        guard invariants.violation == nil else { return false }
        if !isWhole { invariants.broke("\(failure()): \(summary)") }
        return isWhole
    }

    /// Nodes that take part in what the history is about now.
    var counted: [SimulatedNode] { nodes.filter { !retired.contains($0.slot) } }

    func newAddress() -> PeerAddress {
        lastAddress += 1
        return PeerAddress("1.0.\(lastAddress / 250).\(lastAddress % 250):4002")
    }

    // MARK: Addresses

    private func relocate() {
        faults.relocations += 1
        stopAll()
        for node in counted {
            node.address = newAddress()
            faults.moves += 1
        }
        awaitService(after: "all nodes came back at new addresses")
    }

    private func permute() {
        guard counted.count > 1 else { return }
        faults.permutations += 1
        stopAll()
        permuteAddresses()
        awaitService(after: "all nodes came back at each other's addresses")
    }

    private func stopAll() {
        for node in counted { stop(node.slot, losingPower: random.chance(1, of: 3)) }
    }

    private func awaitService(after event: String) {
        tellAddresses()
        for node in counted { schedule(.restart(slot: node.slot), in: random.within(0...500)) }
        let isServing = advance(through: now + 500 + Self.formationTime) {
            self.presentLeader != nil
                && self.counted.allSatisfy { $0.machine?.isReady == true }
        }
        guard invariants.violation == nil else { return }
        guard isServing else {
            return invariants.broke("not every node serves 10 s after \(event): \(summary)")
        }
        awaitWhole(or: "the members don't learn that \(event)")
    }

    /// By way of an address that nobody has.
    private func rotate() {
        let order = counted.map(\.slot)
        guard order.count > 1, let first = order.first else { return }
        faults.rotations += 1
        let free = nodes[first].address
        moveAlone(first, to: newAddress())
        var next = free
        for slot in order.dropFirst() {
            let former = nodes[slot].address
            moveAlone(slot, to: next)
            next = former
        }
        moveAlone(first, to: next)
    }

    private func moveAlone(_ slot: Int, to address: PeerAddress) {
        guard invariants.violation == nil else { return }
        stop(slot, losingPower: random.chance(1, of: 3))
        nodes[slot].address = address
        faults.moves += 1
        tellAddresses()
        awaitWhole(or: "\(nodes[slot].id) is not found again where another node was")
    }

    // MARK: Size

    /// What is largest takes seconds on its way; who leads must still be heard meanwhile.
    private func flood() {
        let before = network.bandwidth
        let elections = faults.elections
        let first = clients.operations.count
        network.bandwidth = random.pick([20, 50])
        clients.areHuge = true
        faults.floods += 1
        advance(through: now + 15_000) { false }
        clients.areHuge = false
        clients.isStopped = true
        if let raft = presentLeader?.machine?.replicated?.raft {
            floodedThrough = raft.lastPosition.index
        }
        advance(through: now + 30_000) { !self.clients.hasOpen }
        network.bandwidth = before
        resumeClients()
        guard invariants.violation == nil else { return }
        if faults.elections > elections {
            return invariants.broke("large entries on narrow links end a leader's term: \(summary)")
        }
        let isProgress = clients.operations[first...].contains {
            !$0.action.isRead && $0.state == .done
        }
        if !isProgress { invariants.broke("no large entry gets through a narrow link: \(summary)") }
    }
}
