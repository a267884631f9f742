import Raft
import Replication

/// Membership churn and leadership transfers, and the replacement of a node that lost its data.
extension Simulation {

    func operate() {
        schedule(.operatorActs, in: random.within(200...2000))
        guard let leader = random.pick(nodes.filter { $0.replicated?.raft.role == .leader }),
            let membership = leader.replicated?.raft.membership
        else { return }
        if let lostSlot {
            guard now >= recoveryBegins else { return }
            recover(lostSlot, membership, through: leader)
        } else if !isCalm {
            churn(membership, through: leader)
        }
    }

    /// Remove, add again under the new incarnation; the leader promotes it.
    private func recover(
        _ slot: Int, _ membership: Membership, through leader: SimulatedNode
    ) {
        let node = nodes[slot]
        guard node.identity.incarnation != lostIncarnation else {
            // The damage was not found at the start: it may be found at any time.
            guard node.isUp else { return }
            stop(slot, losingPower: false)
            return replace(slot)
        }
        guard let member = membership[node.id] else {
            return request(.change(.add(node.member)), of: leader)
        }
        if member.incarnation != node.identity.incarnation {
            request(.change(.remove(node.id)), of: leader)
        }
    }

    private func churn(_ membership: Membership, through leader: SimulatedNode) {
        switch random.below(4) {
        case 0:
            let target = random.chance(1, of: 2) ? nil : random.pick(membership.voters)?.id
            request(.transfer(target), of: leader)
        case 1:
            guard membership.voters.count > 2 || membership.members.count > membership.voters.count,
                let member = random.pick(membership.members),
                member.suffrage != .voter || membership.voters.count > 2
            else { return }
            request(.change(.remove(member.id)), of: leader)
        default:
            guard let node = random.pick(nodes.filter { !membership.contains($0.id) }) else {
                return
            }
            var member = node.member
            if random.chance(1, of: 4) { member.suffrage = .nonvoter }
            request(.change(.add(member)), of: leader)
        }
    }

    private func request(_ wish: ClientRequest.Wish, of leader: SimulatedNode) {
        let id = lostSlot == nil ? ClientRequest.churnID : ClientRequest.operatorID
        if case .change = wish { faults.membershipChanges += 1 }
        schedule(
            .deliver(slot: leader.slot, .request(ClientRequest(id: id, wish: wish))),
            in: random.within(1...20))
    }
}
