import Chance
import NodeLogic
import Raft
import Replication

/// The liveness phase: what a healed majority must achieve.
extension Simulation {
    func proveLiveness() {
        calm()
        advance(through: now + 3000) { false }
        nameOthersToLost()
        let isWhole = advance(through: now + settings.livenessMilliseconds) { self.isWhole }
        guard invariants.violation == nil else { return }
        guard isWhole else {
            return invariants.broke("not every node comes to the cluster: \(summary)")
        }
        playChapter()
        guard invariants.violation == nil else { return }
        besiegeLeader()
        guard invariants.violation == nil else { return }
        chooseAbsent()
        let begun = now
        let firstOperation = clients.operations.count
        let hasCommitted = advance(through: begun + settings.livenessMilliseconds) {
            self.clients.operations[firstOperation...].contains {
                !$0.action.isRead && $0.state == .done
            }
        }
        guard invariants.violation == nil else { return }
        guard hasCommitted else {
            return invariants.broke("nothing is committed after the faults: \(summary)")
        }
        clients.isStopped = true
        let agree = advance(through: now + settings.livenessMilliseconds) {
            !self.clients.hasOpen && self.membersAgree
        }
        if invariants.violation == nil, !agree {
            invariants.broke("the members don't agree after the faults: \(summary)")
        }
        guard invariants.violation == nil else { return }
        if !absent.isEmpty { faults.recoveredWithoutAll += 1 }
        let isAnswered = advance(through: now + 20_000) { self.owesNothing }
        guard invariants.violation == nil, !isAnswered else { return }
        for node in nodes where isCounted(node) {
            guard let key = node.open.keys.min() else { continue }
            invariants.broke("\(node.id) never answers request \(key.rawValue)")
        }
    }

    /// Every request that a node took in is answered.
    private var owesNothing: Bool {
        nodes.allSatisfy { !isCounted($0) || $0.open.isEmpty }
    }

    private func isCounted(_ node: SimulatedNode) -> Bool {
        node.isUp && !absent.contains(node.slot)
    }

    private func calm() {
        isCalm = true
        network.calm()
        registry.isDown = false
        registry.failureRate = 0
        chunkPause = min(chunkPause, 20)
        for node in nodes {
            node.isMishapPossible = false
            node.disk.capacity = nil
            node.isDiskHung = false
            node.endDatabaseHang(at: now)
            node.disk.forgetPlans()
            node.syncDelay = 1...10
            node.databaseDelay = 0...4
            schedule(.restart(slot: node.slot), in: 0)
        }
    }

    /// Who was removed or moved itself while all moved whom it knows finds nobody, and nobody finds it; its
    /// operator names the others, with `-join`.
    private func nameOthersToLost() {
        guard let membership = presentLeader?.machine?.replicated?.raft.membership else { return }
        for node in counted
        where membership[node.id]?.address != node.address && node.candidates.isEmpty {
            node.candidates = founding.listed(nodes.map(\.address))
            schedule(
                .candidates(slot: node.slot, run: node.run, node.candidates), in: 0)
        }
    }

    /// Lets nodes go that every membership in force can spare. They are off, or they speak but
    /// hear nothing, which must not disturb the others.
    private func chooseAbsent() {
        let memberships = nodes.compactMap { $0.machine?.replicated?.raft.membership }
        for _ in 0..<2 {
            let slot = random.below(nodes.count)
            guard !absent.contains(slot), !retired.contains(slot),
                lostSlot == nil || lostSlot == slot
            else { continue }
            let present = nodes.filter { $0.isUp && $0.slot != slot && !absent.contains($0.slot) }
            let isSpared = memberships.allSatisfy { membership in
                let count = membership.voters.count { voter in
                    present.contains { $0.identity == NodeIdentity(member: voter) }
                }
                return membership.voters.isEmpty || count >= membership.quorum
            }
            guard isSpared else { continue }
            absent.insert(slot)
            if random.chance(1, of: 2) {
                stop(slot, losingPower: false)
            } else {
                for other in nodes.indices { network.setCut(true, from: other, to: slot) }
            }
        }
    }

    var presentLeader: SimulatedNode? {
        nodes.filter {
            !absent.contains($0.slot) && $0.machine?.replicated?.raft.isReadyLeader == true
        }.max { $0.term < $1.term }
    }

    /// Every node is a member, as what it wants to be, and ready.
    var isWhole: Bool {
        guard lostSlot == nil, quorumLoss == nil, let leader = presentLeader,
            let membership = leader.machine?.replicated?.raft.membership
        else { return false }
        return counted.allSatisfy { node in
            guard let member = membership[node.id] else { return false }
            return NodeIdentity(member: member) == node.identity && member.suffrage != .learner
                && member.address == node.address && node.machine?.isReady == true
        }
    }

    /// Every node that is present is a member, ready, and has applied all that the leader has.
    private var membersAgree: Bool {
        guard lostSlot == nil || absent.contains(lostSlot ?? 0), let leader = presentLeader,
            let raft = leader.machine?.replicated?.raft,
            raft.commitIndex == raft.lastPosition.index
        else { return false }
        return counted.allSatisfy { node in
            guard !absent.contains(node.slot) else { return true }
            guard let member = raft.membership[node.id] else { return false }
            return NodeIdentity(member: member) == node.identity && node.isUp
                && node.machine?.isReady == true
                && node.database.live.position.index == raft.commitIndex
        }
    }

    /// Where each node stands.
    var summary: String {
        "at \(now): "
            + nodes.map { node in
                let head =
                    "\(node.id)\(absent.contains(node.slot) ? " absent" : "") \(node.address)"
                guard let machine = node.machine else { return "\(head) down" }
                guard let replicated = machine.replicated else {
                    return "\(head) waits for \(machine.status.waitingFor)"
                }
                let raft = replicated.raft
                let members = raft.membership.members.map { "\($0.id)\($0.suffrage)@\($0.address)" }
                return """
                    \(head) \(raft.role) term \(raft.term) last \(raft.lastPosition) \
                    commit \(raft.commitIndex) applied \(replicated.appliedIndex) \
                    \(machine.exclusion) waits for \(machine.status.waitingFor) members \(members)
                    """
            }.joined(separator: "; ")
    }
}
