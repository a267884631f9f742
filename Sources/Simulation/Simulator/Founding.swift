import Chance
import NodeLogic
import PeerProtocol
import Raft

/// How a history's cluster comes to be: how many nodes there are, and what their operator tells them.
struct Founding {
    enum Mode {
        /// The first node alone, the others join it.
        case alone
        /// All together, by agreement.
        case bootstrap(expect: Int)
        /// By way of a registry, with so many voters, or by whoever comes first.
        case registry(expect: Int?)
    }

    /// How the operator's list names the nodes.
    enum Naming {
        case addresses
        /// Each by a name of its own.
        case names
        /// All by one, as a headless service has it.
        case oneName
    }

    enum Checksums { case off, on, mixed }

    let mode: Mode
    let naming: Naming
    /// Which nodes have others compare checksums while they lead: none, all, or every second.
    let checksums: Checksums
    /// How long silent members are kept.
    let reapTimeouts: ReapTimeouts
    let nodeCount: Int
    /// The last node is a read replica.
    let hasReplica: Bool
    /// When a node gives up to form a cluster; it is started again then.
    let patience: Duration

    /// - Parameter nodeCount: nil: as chance decides.
    init(_ random: inout SplitMix64, nodeCount wanted: Int?) {
        let drawn = [3, 3, 3, 3, 5, 5, 4, 2, 1][random.below(9)]
        let wantsReplica = random.chance(1, of: 3)
        hasReplica = wantsReplica && wanted.map { $0 > drawn } ?? true
        let voters = max(1, min(drawn, wanted ?? drawn))
        nodeCount = voters + (hasReplica ? 1 : 0)
        naming = [.addresses, .addresses, .addresses, .names, .names, .oneName][random.below(6)]
        reapTimeouts = Self.reapTimeouts(&random)
        checksums = [.off, .off, .on, .mixed][random.below(4)]
        patience =
            random.chance(1, of: 3) ? .milliseconds(random.within(2000...8000)) : .seconds(100)
        switch random.below(4) {
        case 0: mode = .alone
        case 1: mode = .registry(expect: random.chance(1, of: 2) ? voters : nil)
        default: mode = .bootstrap(expect: voters)
        }
    }

    private static func reapTimeouts(_ random: inout SplitMix64) -> ReapTimeouts {
        guard random.chance(1, of: 4) else { return ReapTimeouts() }
        let voter = Duration.milliseconds(random.within(2000...6000))
        let replica = Duration.milliseconds(random.within(1500...4000))
        return ReapTimeouts(
            voter: random.chance(2, of: 3) ? voter : nil,
            nonvoter: random.chance(2, of: 3) ? replica : nil)
    }

    static var oneName: String { "nodes.sim" }

    /// The operator's list of the nodes, by their places.
    func listed(_ addresses: [PeerAddress]) -> [PeerAddress] {
        switch naming {
        case .addresses: addresses
        case .names: (0..<nodeCount).map { PeerAddress("n\($0 + 1).sim:4002") }
        case .oneName: [PeerAddress("\(Self.oneName):4002")]
        }
    }

    /// What the operator says at a node's first start.
    func instruct(_ node: SimulatedNode, _ addresses: [PeerAddress]) {
        let isReplica = hasReplica && node.slot == nodeCount - 1
        let suffrage: Suffrage = isReplica ? .nonvoter : .voter
        node.reapTimeouts = reapTimeouts
        node.meetsMarkers = checksums != .off
        node.comparesChecksums = checksums == .on || checksums == .mixed && node.slot % 2 == 0
        node.candidates = listed(addresses)
        switch mode {
        case .alone where node.slot == 0:
            node.plan = .alone
            node.candidates = []
        case .alone:
            node.plan = .join(attempts: 200, interval: .milliseconds(500), suffrage: suffrage)
        case .bootstrap(let expect):
            node.plan = .bootstrap(expect: expect, timeout: patience, suffrage: suffrage)
        case .registry(let expect):
            node.plan = .registry(expect: expect, timeout: patience, suffrage: suffrage)
            node.candidates = []
            node.hasRegistry = true
        }
    }

    /// Whatever it was told at first: there is a cluster now.
    static func letJoin(_ node: SimulatedNode, _ addresses: [PeerAddress]) {
        node.plan = .join(
            attempts: 200, interval: .milliseconds(500), suffrage: node.plan.suffrage)
        node.candidates = addresses
        node.hasRegistry = false
    }

    /// The founder was wiped or removed: it must not found another cluster.
    static func instructToJoin(_ node: SimulatedNode, _ addresses: [PeerAddress]) {
        guard node.plan == .alone else { return }
        node.plan = .join(attempts: 200, interval: .milliseconds(500), suffrage: .voter)
        node.candidates = addresses
    }
}
