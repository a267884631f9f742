import Chance
import NodeLogic
import PeerProtocol
import Raft
import Replication
import Service

/// Membership churn and leadership transfers, and the care for nodes that lost their data or were
/// removed.
extension Simulation {
    func operate() {
        schedule(.operatorActs, in: random.within(200...2000))
        inviteBack()
        recoverQuorum()
        if let lostSlot {
            if now >= recoveryBegins { recover(lostSlot) }
        } else if !isCalm, quorumLoss == nil {
            churn()
        }
    }

    /// The damage was not found at the start: it may be found at any time. Who has it goes on with it while
    /// there are too few voters, for others were removed since.
    private func recover(_ slot: Int) {
        let node = nodes[slot]
        let membership = presentLeader?.machine?.replicated?.raft.membership
        guard node.identity.incarnation == lostIncarnation, node.isUp,
            membership.map(Self.canSpareOne) ?? true
        else { return }
        stop(slot, losingPower: false)
        replace(slot)
    }

    /// A node that knows of its removal joins again when it is started to do so.
    private func inviteBack() {
        guard isCalm || random.chance(1, of: 4),
            let node = random.pick(nodes.filter { $0.machine?.exclusion == .removed })
        else { return }
        Founding.instructToJoin(node, founding.listed(nodes.map(\.address)))
        stop(node.slot, losingPower: false)
    }

    private func churn() {
        guard
            let leader = random.pick(nodes.filter { $0.machine?.replicated?.raft.role == .leader }),
            let membership = leader.machine?.replicated?.raft.membership
        else { return }
        switch random.below(4) {
        case 0:
            let target = random.chance(1, of: 2) ? nil : random.pick(membership.voters)?.id
            ask(.transferLeadership(to: target, wait: random.chance(1, of: 2)))
        case 1:
            guard membership.voters.count > 2 || membership.members.count > membership.voters.count,
                let member = random.pick(membership.members),
                member.suffrage != .voter || membership.voters.count > 2
            else { return }
            faults.membershipChanges += 1
            ask(.remove(member.id))
        case 2: ask(.nodes(includeNonvoters: true))
        default:
            ask(random.chance(1, of: 2) ? .leader : .readiness(.init(nodeOnly: false, sync: true)))
        }
    }

    /// Any node may be asked: it sends on what another must do.
    private func ask(_ operation: ClientRequest.Operation) {
        var request = ClientRequest(id: RequestID(0), operation: operation)
        request.timeout = .seconds(3)
        schedule(
            .submit(slot: random.below(nodes.count), request, .operator),
            in: random.within(1...20))
    }
}
