import NodeLogic
import Raft
import Replication

/// The whole directory of a follower goes back to an older state, as with a virtual machine's snapshot.
///
/// Nothing on its own disk says that it has forgotten acknowledgements and votes: a leader that saw
/// more of it must be there to say so (decision 70). So nothing else goes wrong until it has caught up;
/// with another fault at the same time acknowledged writes could be gone, whatever anybody did.
extension Simulation {
    /// A node goes back in time, and nothing else goes wrong.
    var isTruce: Bool { weather != nil }

    func ageDirectory(_ slot: Int) {
        let node = nodes[slot]
        guard let copy = node.copy, copy.identity == node.identity,
            let raft = node.machine?.replicated?.raft,
            copy.databases?.contains(where: { $0.live.cluster == raft.cluster }) == true,
            let leader = presentLeader, leader.slot != slot,
            nodes.allSatisfy({ !$0.isEnding && pausedUntil[$0.slot] <= now })
        else { return }
        faults.directoriesAged += 1
        beginTruce()
        lose(slot)
        damage = .old(raft.lastPosition.index)
        recoveryBegins = now + 8000
        stop(slot, losingPower: false)
        node.restore(copy)
        // What it said before binds it as others tell it, and not by its disk.
        node.wipes += 1
    }

    private func beginTruce() {
        weather = network
        network.calm()
        for node in nodes {
            node.disk.forgetPlans()
            node.disk.capacity = nil
            node.isDiskHung = false
            if case .once = node.databaseFault { node.databaseFault = .none }
        }
    }

    func endTruce() {
        guard let weather else { return }
        self.weather = nil
        guard !isCalm else { return }
        network.lossRate = weather.lossRate
        network.duplicationRate = weather.duplicationRate
        network.longDelayRate = weather.longDelayRate
        network.delay = weather.delay
    }

    /// It is no older than it was, and than what the cluster has committed.
    func reviewAge(_ node: SimulatedNode, _ index: LogIndex) {
        guard let raft = node.machine?.replicated?.raft, raft.commitIndex >= index,
            node.syncedIndex >= index
        else { return }
        findAgain()
        endTruce()
    }
}
