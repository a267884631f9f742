import Chance
import NodeLogic
import Raft
import Replication

/// The leader's disk is full, or hangs, or that of its database alone does, for longer than anybody waits, while
/// all else is well and others have room: writes must go on meanwhile, not only afterwards.
extension Simulation {
    /// Until then another node leads that can write.
    private static var handOverTime: Int { 10_000 }
    /// By then, where its database alone hangs, and whoever waits for that has given up.
    private static var databaseTime: Int { 40_000 }
    /// In each such time some write is acknowledged.
    private static var progressTime: Int { 5000 }

    /// Between the faults of the safety phase and the proof of liveness, in some histories.
    func besiegeLeader() {
        guard invariants.violation == nil, random.chance(1, of: 6) else { return }
        let isLong = random.chance(1, of: 8)
        let isWhole = advance(through: now + 20_000) {
            self.canSpareLeadersDisk && self.isCaughtUp
        }
        guard invariants.violation == nil, isWhole, let leader = presentLeader else { return }
        let struck = leader.slot
        switch random.below(3) {
        case 0: leader.disk.capacity = 0
        case 1:
            leader.isDiskHung = true
            faults.hungDisks += 1
        default:
            leader.isDatabaseHung = true
            faults.hungDisks += 1
        }
        let patience = leader.isDatabaseHung ? Self.databaseTime : Self.handOverTime
        advance(through: now + patience) { false }
        let rest = isLong ? 180_000 : 15_000
        let end = now + rest
        while invariants.violation == nil, now < end {
            let first = clients.operations.count
            advance(through: now + Self.progressTime) { false }
            let isProgress = clients.operations[first...].contains {
                !$0.action.isRead && $0.state == .done
            }
            guard isProgress || invariants.violation != nil else {
                return invariants.broke(
                    "nothing is committed while the disk of \(leader.id) can't be written: "
                        + summary)
            }
        }
        guard invariants.violation == nil else { return }
        if nodes[struck].machine?.replicated?.isStorageStalled == true {
            if nodes[struck].machine?.replicated?.raft.role == .leader {
                invariants.broke("\(leader.id) leads though its disk can't be written")
            }
            faults.sieges += 1
        }
        if leader.isDatabaseHung, leader.machine?.replicated?.raft.role == .leader {
            invariants.broke("\(leader.id) leads though its database stands still")
        }
        leader.isDiskHung = false
        leader.endDatabaseHang(at: now)
        leader.disk.capacity = nil
    }

    /// No large entries are on their way: what is behind them could be committed by nobody meanwhile.
    private var isCaughtUp: Bool {
        guard let raft = presentLeader?.machine?.replicated?.raft else { return false }
        let isShort = raft.lastPosition.index.rawValue < raft.commitIndex.rawValue + 16
        return isShort && raft.commitIndex >= floodedThrough
            && raft.progress.allSatisfy {
                $0.id == raft.identity.id || !raft.membership.isVoter($0.id)
                    || $0.acknowledged.index >= floodedThrough
                        && $0.acknowledged.index.rawValue + 16 > raft.commitIndex.rawValue
            }
    }

    /// Three voters or more are there and in step.
    var canSpareLeadersDisk: Bool {
        guard let raft = presentLeader?.machine?.replicated?.raft,
            raft.membershipIndex <= raft.commitIndex,
            raft.membership.voters.count >= 3
        else { return false }
        return raft.membership.voters.allSatisfy { voter in
            guard let slot = slot(of: voter.id), nodes[slot].isUp,
                nodes[slot].identity == NodeIdentity(member: voter)
            else { return false }
            return raft.identity.id == voter.id
                || raft.progress.contains {
                    $0.id == voter.id && $0.state == .replicate && $0.ticksSinceAnswer < 5
                }
        }
    }
}
