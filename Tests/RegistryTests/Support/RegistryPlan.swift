import Chance
import Simulator

/// What one seed decides beforehand: the nodes, and which faults are possible until when. Times are
/// microseconds.
struct RegistryPlan {
    /// How the registry, or the way to it, is for a while.
    enum Condition: CaseIterable {
        /// Refuses connections.
        case down
        /// Takes requests and never answers.
        case silent
        /// Does as it is asked, up to ten seconds later.
        case slow
        /// Answers nonsense; may have done as it was asked.
        case garbage
    }

    struct Window {
        var from: Int
        var to: Int
        var condition: Condition
        /// Nil: for all nodes.
        var node: Int?
    }

    struct Restart {
        var node: Int
        var at: Int
        var downFor: Int
        var moves: Bool
    }

    var expect = 0
    var voters: [Bool] = []
    var startTimes: [Int] = []
    var restarts: [Restart] = []
    var windows: [Window] = []
    /// Never up again once the faults end.
    var lost: [Int] = []
    var faultsEnd = 0
    /// Per mille of a node's steps after which it crashes, or stops for a while.
    var crashRate = 0
    var stopRate = 0
    /// The longest stop.
    var longestStop = 0
    /// Per cent of the requests to the registry.
    var lostRequests = 0
    var lostAnswers = 0
    var doubled = 0
    /// They take effect long after they were given up.
    var late = 0
    var latestEffect = 0
    var registryLatency = 0
    var networkLoss = 0
    var writeTime = 0
    /// When the registry loses everything, if a leader is there to put its entry back.
    var wipes: [Int] = []
    /// So soon after the first founder has started, the registry loses everything.
    var wipeAfterFounding: Int?
    /// When a rival that never goes on claims the key, if it is free.
    var rivals: [Int] = []
    /// What happens to the formed cluster, at last.
    var lastCondition = Condition.down
    var lastConditionTime = 0

    var nodeCount: Int { voters.count }

    init(seed: UInt64) {
        var dice = SplitMix64(seed: seed)
        expect = [0, 0, 0, 1, 2, 3, 3, 5][dice.below(8)]
        let count = max(max(1, expect), 1 + dice.below(7))
        let nonvoters = dice.chance(25, of: 100) ? dice.below(count - max(1, expect) + 1) : 0
        voters = (0..<count).map { $0 < count - nonvoters }
        let spread = [1_000, 50_000, 3_000_000][dice.below(3)]
        startTimes = (0..<count).map { _ in dice.below(spread) }
        faultsEnd = 2_000_000 + dice.below(28_000_000)
        registryLatency = [200, 2_000, 20_000, 50_000][dice.below(4)]
        writeTime = [100, 2_000, 20_000][dice.below(3)]
        planLastCondition(&dice)
        guard !dice.chance(8, of: 100) else { return }
        planRequests(&dice)
        planNodes(&dice)
        planRegistry(&dice)
    }

    private mutating func planLastCondition(_ dice: inout SplitMix64) {
        let all = Condition.allCases
        lastCondition = all[dice.below(all.count)]
        lastConditionTime = [3_000_000, 30_000_000, 120_000_000][dice.below(3)]
    }

    private mutating func planRequests(_ dice: inout SplitMix64) {
        lostRequests = [0, 0, 10][dice.below(3)]
        lostAnswers = [0, 10, 30][dice.below(3)]
        doubled = [0, 10, 30][dice.below(3)]
        late = [0, 0, 10][dice.below(3)]
        latestEffect = [1_000_000, 20_000_000, 3_600_000_000][dice.below(3)]
        networkLoss = [0, 0, 5, 30][dice.below(4)]
    }

    private mutating func planNodes(_ dice: inout SplitMix64) {
        crashRate = [0, 3, 15, 60][dice.below(4)]
        stopRate = [0, 3, 15, 60][dice.below(4)]
        longestStop = [50_000, 3_000_000, 20_000_000, 20_000_000, 60_000_000][dice.below(5)]
        // A stop of an hour in some seeds: it costs an hour of virtual time.
        if dice.chance(3, of: 100) {
            longestStop = 3_600_000_000
            stopRate = 10
            faultsEnd = 600_000_000 + dice.below(3_600_000_000)
        }
        for _ in 0..<dice.below(4) {
            restarts.append(
                Restart(
                    node: dice.below(nodeCount), at: dice.below(min(faultsEnd, 30_000_000)),
                    downFor: 1_000 + dice.below([500_000, 20_000_000][dice.below(2)]),
                    moves: dice.chance(50, of: 100)))
        }
        if dice.chance(15, of: 100) {
            lost = (0..<nodeCount).filter { _ in dice.chance(25, of: 100) }
        }
    }

    private mutating func planRegistry(_ dice: inout SplitMix64) {
        let all = Condition.allCases
        for _ in 0..<dice.below(4) {
            let from = dice.below(min(faultsEnd, 30_000_000))
            windows.append(
                Window(
                    from: from, to: from + 10_000 + dice.below(10_000_000),
                    condition: all[dice.below(all.count)],
                    node: dice.chance(50, of: 100) ? dice.below(nodeCount) : nil))
        }
        let early = min(faultsEnd, 30_000_000)
        if dice.chance(50, of: 100) {
            wipes = (0..<1 + dice.below(4)).map { _ in dice.below(early) }
        }
        if dice.chance(15, of: 100) { wipeAfterFounding = dice.below(100_000) }
        if dice.chance(20, of: 100) {
            rivals = (0..<1 + dice.below(2)).map { _ in dice.below(early) }
        }
    }
}
