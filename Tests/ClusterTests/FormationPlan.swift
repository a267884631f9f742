import Chance
import Cluster
import Raft

/// What one seed decides beforehand: the nodes, the faults, and how the candidate list changes.
/// Times are microseconds.
struct FormationPlan {
    struct Restart {
        var node: Int
        var at: Int
        var downFor: Int
        var moves: Bool
    }

    /// An operator tells a node that some of the listed addresses are gone for good, be it true or not.
    struct Drop {
        var node: Int
        var at: Int
        /// Which of the list's addresses: a bit each.
        var places: UInt64
    }

    struct ListChange {
        var at: Int
        var list: [PeerAddress]
    }

    struct Faults {
        var lossPercent = 0
        var duplicatePercent = 0
        var slowPercent = 0
        var latency = 200
        var writeTime = 1_000
    }

    var expect = 3
    var voters: [Bool] = []
    var startTimes: [Int] = []
    var restarts: [Restart] = []
    /// Never up again once the faults end.
    var lost: [Int] = []
    var faults = Faults()
    var faultsEnd = 0
    /// Nodes listed under two addresses.
    var hasTwoAddresses = false
    var deadAddresses = 0
    /// Not in the list at first; added at a random time.
    var addedLater: Int?
    /// Taken out of the list at a random time: a node, or -1 for a dead address.
    var removedLater: Int?
    var changeAt = 0
    /// A split of the network in two until the given time.
    var isolated: [Int] = []
    var isolatedUntil = 0
    /// Per mille of a node's steps after which it crashes at once, but for the first few.
    var crashRate = 0
    /// The first node to start is cut off at that moment, before anyone has heard of it.
    var isolatesStarter = false
    /// How late each node sees a new list.
    var lag: [Int] = []

    var drops: [Drop] = []
    /// When the operator pastes what each waiting node prints, on that node.
    var pastes: [Int] = []

    var nodeCount: Int { voters.count }

    /// Healthy nodes started within a tenth of a second.
    init(healthy count: Int, expect: Int, deadAddresses: Int, seed: UInt64) {
        var dice = SplitMix64(seed: seed)
        self.expect = expect
        self.deadAddresses = deadAddresses
        voters = Array(repeating: true, count: count)
        lag = Array(repeating: 0, count: count)
        startTimes = (0..<count).map { _ in dice.below(100_000) }
        faultsEnd = startTimes.max() ?? 0
    }

    init(seed: UInt64) {
        var dice = SplitMix64(seed: seed)
        expect = [1, 3, 3, 5][dice.below(4)]
        let count = max(3, expect) + dice.below(10 - max(3, expect))
        let nonvoters = dice.chance(25, of: 100) ? dice.below(min(3, count - expect + 1)) : 0
        voters = (0..<count).map { $0 < count - nonvoters }
        let isSudden = dice.chance(40, of: 100)
        startTimes = (0..<count).map { _ in dice.below(isSudden ? 20_000 : 1_500_000) }
        faultsEnd = 300_000 + dice.below(2_000_000)
        lag = (0..<count).map { _ in dice.below(600_000) }
        faults.latency = [50, 200, 2_000, 20_000][dice.below(4)]
        faults.writeTime = [100, 1_000, 10_000][dice.below(3)]
        guard !dice.chance(10, of: 100) else { return }
        faults.lossPercent = [0, 5, 30][dice.below(3)]
        faults.duplicatePercent = [0, 20][dice.below(2)]
        faults.slowPercent = [0, 10][dice.below(2)]
        planList(&dice)
        planCrashes(&dice)
        planDrops(seed)
    }

    /// Of dice of its own, so that all else of a seed stays as it is. Lists that change are left out:
    /// who drops says that all nodes were given the same list.
    private mutating func planDrops(_ seed: UInt64) {
        var dice = SplitMix64(seed: seed ^ 0x0D0D_0D0D)
        guard addedLater == nil, removedLater == nil, !restarts.contains(where: \.moves),
            dice.chance(60, of: 100)
        else { return }
        let end = faultsEnd + 1_500_000
        for _ in 0..<dice.below(8) {
            let at = dice.below(end)
            // One command for many nodes, at about one time, or for one.
            let many = dice.chance(50, of: 100)
            let places = dice.next()
            for node in 0..<nodeCount where many ? dice.chance(70, of: 100) : node == 0 {
                drops.append(
                    Drop(
                        node: many ? node : dice.below(nodeCount),
                        at: at + dice.below(many ? 200_000 : 1), places: places))
            }
        }
        for _ in 0..<dice.below(4) { pastes.append(dice.below(end)) }
        if dice.chance(50, of: 100) { pastes.append(faultsEnd + 600_000) }
    }

    private mutating func planList(_ dice: inout SplitMix64) {
        changeAt = dice.below(faultsEnd)
        deadAddresses = dice.chance(30, of: 100) ? 1 + dice.below(2) : 0
        switch dice.below(6) {
        case 0 where nodeCount > expect: addedLater = dice.below(nodeCount)
        case 1 where nodeCount > expect: removedLater = dice.below(nodeCount)
        case 2 where deadAddresses > 0: removedLater = -1
        case 3: hasTwoAddresses = true
        default: break
        }
        // The voters that stay listed can found a cluster.
        if let changed = addedLater ?? removedLater, changed >= 0,
            voters.indices.filter({ voters[$0] && $0 != changed }).count < expect
        {
            addedLater = nil
            removedLater = nil
        }
    }

    private mutating func planCrashes(_ dice: inout SplitMix64) {
        let moves = !hasTwoAddresses && dice.chance(50, of: 100)
        for _ in 0..<dice.below(5) {
            restarts.append(
                Restart(
                    node: dice.below(nodeCount), at: dice.below(faultsEnd),
                    downFor: 1_000 + dice.below(600_000), moves: moves && dice.chance(60, of: 100)))
        }
        crashRate = [0, 0, 5, 20][dice.below(4)]
        isolatesStarter = dice.chance(15, of: 100)
        if dice.chance(25, of: 100) {
            lost = (0..<nodeCount).filter { _ in dice.chance(25, of: 100) }
        }
        if dice.chance(30, of: 100) {
            isolated = (0..<nodeCount).filter { _ in dice.chance(40, of: 100) }
            isolatedUntil = dice.below(faultsEnd)
        }
    }
}
