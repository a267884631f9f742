import Chance
import NodeLogic
import Raft
import Replication
import WriteAheadLog

/// A data directory is copied and started beside its original, or before it: two processes with one
/// identity (decision 18).
///
/// What must hold: the second process ends with a reason that names both, and never takes part; the
/// member stays where it is; nothing that was acknowledged is lost when others crash meanwhile. When
/// the first is gone for good the other takes its place.
extension Simulation {
    /// By when the second process is refused.
    private static var refusalTime: Int { 10_000 }

    func startCopyBeside() {
        guard let original = member(toCopy: "copied"), let copy = copy(of: original) else { return }
        advance(through: now + random.below(3000)) { false }
        guard invariants.violation == nil, nodes.allSatisfy(\.isUp) else { return }
        // Behind one name or relay two processes may even have the same address.
        let place = random.chance(1, of: 4) ? original.address : newAddress()
        let twin = addTwin(of: original, copy, at: place)
        doubled = twin.slot
        guard awaitRefusal(of: twin, beside: original) else { return }
        // It is started again and again, while another node crashes: but not the last one it could ask.
        let known = acquaintances(of: copy, besides: original.id)
        let others = counted.filter { node in
            node.slot != original.slot && node.slot != twin.slot
                && known.contains { $0.id != node.id }
        }
        if let other = random.pick(others) {
            stop(other.slot, losingPower: random.chance(1, of: 2))
        }
        advance(through: now + random.within(2000...8000)) { false }
        retired.insert(twin.slot)
        if twin.isUp { stop(twin.slot, losingPower: false) }
        guard awaitWhole(or: "a copy of \(original.id) disturbs the cluster") else { return }
        doubled = nil
        letCopyTakeOver(twin, from: original)
    }

    func startCopyFirst() {
        guard let original = member(toCopy: "copied"), let copy = copy(of: original) else { return }
        advance(through: now + random.below(2000)) { false }
        guard invariants.violation == nil else { return }
        let isSwap = random.chance(1, of: 3)
        let twin = addTwin(of: original, copy, at: isSwap ? original.address : newAddress())
        if isSwap { original.address = newAddress() }
        guard letCopyTakeOver(twin, from: original) else { return }
        doubled = original.slot
        retired.remove(original.slot)
        schedule(.restart(slot: original.slot), in: random.within(0...500))
        guard awaitRefusal(of: original, beside: twin) else { return }
        retired.insert(original.slot)
        if original.isUp { stop(original.slot, losingPower: false) }
        doubled = nil
        awaitWhole(or: "the original of \(twin.id) disturbs the cluster")
    }

    /// A voter that others can spare.
    private func member(toCopy purpose: String) -> SimulatedNode? {
        let isInStep = advance(through: now + 20_000) { self.canSpareLeadersDisk }
        guard invariants.violation == nil, isInStep,
            let membership = presentLeader?.machine?.replicated?.raft.membership
        else { return nil }
        return random.pick(membership.voters).flatMap { slot(of: $0.id) }.map { nodes[$0] }
    }

    /// As it is now, or as it was kept before.
    private func copy(of node: SimulatedNode) -> DirectoryCopy? {
        if let old = node.copy, old.identity == node.identity, random.chance(1, of: 2),
            old.databases?.contains(where: { $0.live.cluster == invariants.cluster }) == true,
            let log = old.disk.flatMap(Self.inspect), log.cluster == invariants.cluster,
            // One from when the member was alone is a whole cluster of one, and knows of no other; one
            // from before all others moved meets nobody until it asks to join.
            !acquaintances(of: old, besides: node.id).isEmpty
        {
            return old
        }
        return node.copyFiles()
    }

    /// Voters that are where the copy's log says.
    private func acquaintances(of copy: DirectoryCopy, besides id: NodeID) -> [Member] {
        let voters = copy.disk.flatMap(Self.inspect)?.membership.voters ?? []
        return voters.filter { member in
            member.id != id && slot(of: member.id).map { nodes[$0].address } == member.address
        }
    }

    private func addTwin(
        of original: SimulatedNode, _ copy: DirectoryCopy, at address: PeerAddress
    ) -> SimulatedNode {
        let twin = SimulatedNode(
            slot: nodes.count, id: original.id, address: address, mutation: settings.mutation,
            random: &random)
        twin.become(copy)
        twin.follow(original)
        twin.isMishapPossible = false
        twin.syncDelay = 1...10
        twin.databaseDelay = 0...4
        nodes.append(twin)
        boots.append(RandomID(high: random.next(), low: random.next()))
        pausedUntil.append(0)
        tell("\(original.id) has a copy at \(address)")
        tellAddresses()
        return twin
    }

    private func awaitRefusal(of second: SimulatedNode, beside first: SimulatedNode) -> Bool {
        let before = faults.copiesRefused
        schedule(.restart(slot: second.slot), in: 0)
        let isRefused = advance(through: now + Self.refusalTime) {
            self.faults.copiesRefused > before
        }
        guard invariants.violation == nil else { return false }
        if !isRefused {
            invariants.broke(
                "a second process of \(first.id) is not refused: \(summary)")
        }
        return isRefused
    }

    /// The original is gone, and the others have noticed: who sees more than the copy is known then.
    @discardableResult
    private func letCopyTakeOver(_ twin: SimulatedNode, from original: SimulatedNode) -> Bool {
        retired.insert(original.slot)
        retired.insert(twin.slot)
        stop(original.slot, losingPower: random.chance(1, of: 2))
        toleratesLoss = true
        let isLed = advance(through: now + settings.livenessMilliseconds) {
            self.presentLeader.map { $0.slot != original.slot } ?? false
        }
        guard invariants.violation == nil else { return false }
        guard isLed else {
            invariants.broke("nobody leads without \(original.id): \(summary)")
            return false
        }
        retired.remove(twin.slot)
        schedule(.restart(slot: twin.slot), in: random.within(0...3000))
        guard awaitWhole(or: "the copy of \(original.id) does not take its place"),
            awaitPresent(of: twin)
        else { return false }
        faults.copiesInPlace += 1
        toleratesLoss = false
        return true
    }

    /// Who has just heard its leader is ready; that it is older than its original was is found a little
    /// later. Once it holds all that the leader has now there is nothing left to find.
    private func awaitPresent(of twin: SimulatedNode) -> Bool {
        guard let last = presentLeader?.machine?.replicated?.raft.lastPosition.index else {
            return true
        }
        let isPresent = advance(through: now + settings.livenessMilliseconds) {
            twin.syncedIndex >= last
                && twin.machine?.replicated?.raft.commitIndex ?? .zero >= last
        }
        guard invariants.violation == nil else { return false }
        if !isPresent {
            invariants.broke("the copy of \(twin.id) is not caught up: \(summary)")
        }
        return isPresent
    }

    /// Whether the process ended because another bears its identity.
    func isDoubled(_ node: SimulatedNode, _ reason: String) -> Bool {
        guard node.slot == doubled else { return false }
        return reason.contains("another process with the identity")
            || reason.contains("is in use twice")
    }

    /// A second process of an identity never comes so far. A copy from before the member had heard of
    /// anybody knows nobody to ask; it runs until it asks to join, but nobody's log must reach it.
    func reviewCopy(_ node: SimulatedNode) {
        guard node.slot == doubled,
            node.machine?.replicated?.raft.membership.contains(node.id) == true
        else { return }
        invariants.broke("a second process of \(node.id) takes part")
    }
}
