import Raft
import Replication

/// The liveness phase: what a healed majority must achieve.
extension Simulation {
    func proveLiveness() {
        calm()
        advance(through: now + 3000) { false }
        besiegeLeader()
        guard invariants.violation == nil else { return }
        chooseAbsent()
        let begun = now
        let firstOperation = clients.operations.count
        let hasCommitted = advance(through: begun + settings.livenessMilliseconds) {
            self.clients.operations[firstOperation...].contains {
                if case .read = $0.action { false } else { $0.state == .done }
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
        if !absent.isEmpty { faults.recoveredWithoutAll += 1 }
    }

    private func calm() {
        isCalm = true
        network.calm()
        for node in nodes {
            node.disk.capacity = nil
            node.isDiskHung = false
            node.disk.forgetPlans()
            node.syncDelay = 1...10
            node.applyDelay = 0...4
            schedule(.restart(slot: node.slot), in: 0)
        }
    }

    /// Lets nodes go that every membership in force can spare. They are off, or they speak but
    /// hear nothing, which must not disturb the others.
    private func chooseAbsent() {
        let memberships = nodes.compactMap { $0.replicated?.raft.membership }
        for _ in 0..<2 {
            let slot = random.below(nodes.count)
            guard !absent.contains(slot), lostSlot == nil || lostSlot == slot else { continue }
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
        nodes.filter { !absent.contains($0.slot) && $0.replicated?.raft.isReadyLeader == true }
            .max { ($0.replicated?.raft.term ?? .zero) < ($1.replicated?.raft.term ?? .zero) }
    }

    /// Every member that is present has applied all that the leader has.
    private var membersAgree: Bool {
        guard let leader = presentLeader, let raft = leader.replicated?.raft,
            raft.commitIndex == raft.lastPosition.index
        else { return false }
        return nodes.allSatisfy { node in
            guard !absent.contains(node.slot),
                let member = raft.membership[node.id],
                NodeIdentity(member: member) == node.identity
            else { return true }
            return node.isUp && node.database.live.position.index == raft.commitIndex
        }
    }

    /// Where each node stands.
    var summary: String {
        nodes.map { node in
            guard let replicated = node.replicated else { return "\(node.id) down" }
            let raft = replicated.raft
            let members = raft.membership.members.map { "\($0.id)\($0.suffrage)" }
            return """
                \(node.id)\(absent.contains(node.slot) ? " absent" : "") \(raft.role) \
                term \(raft.term) last \(raft.lastPosition) commit \(raft.commitIndex) \
                applied \(replicated.appliedIndex) members \(members)
                """
        }.joined(separator: "; ")
    }
}

extension NodeIdentity {
    init(member: Member) { self.init(id: member.id, incarnation: member.incarnation) }
}
