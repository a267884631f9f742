import Chance

/// One thing that befalls a cluster for a while.
enum NemesisFault: Sendable, CustomStringConvertible {
    /// Packets are lost; what is left of the network is whole.
    case losses(String, [NodeNetwork.Loss])
    /// Processes stand still.
    case pause([Int])
    /// Processes are killed, and started again when the fault ends.
    case kill([Int])
    case fullDisk(Int, spare: Int)
    case hungWrites(Int)

    static let kinds = [
        "partition", "one way", "loss", "pause", "kill", "kill of a majority", "full disk",
        "hung writes",
    ]

    /// The place of this one in `kinds`.
    var kind: String {
        switch self {
        case .losses(let kind, _): kind
        case .pause: "pause"
        case .kill(let nodes): nodes.count > 1 ? "kill of a majority" : "kill"
        case .fullDisk: "full disk"
        case .hungWrites: "hung writes"
        }
    }

    var description: String {
        switch self {
        case .losses(let kind, let losses):
            "\(kind) " + losses.map { "\($0.node + 1)/\($0.others.map { $0 + 1 })" }.joined()
        case .pause(let nodes), .kill(let nodes): "\(kind) of \(nodes.map { $0 + 1 })"
        case .fullDisk(let node, let spare): "\(kind) of \(node + 1) but \(spare) bytes"
        case .hungWrites(let node): "\(kind) of \(node + 1)"
        }
    }

    /// Whether it may begin while the other lasts: not two of what one node has once.
    func agrees(with other: NemesisFault) -> Bool {
        switch (self, other) {
        case (.losses, .losses), (.pause, .kill), (.kill, .pause), (.pause, .pause),
            (.kill, .kill), (.fullDisk, .kill), (.kill, .fullDisk), (.fullDisk, .fullDisk),
            (.hungWrites, .hungWrites):
            false
        default: true
        }
    }

    /// - Parameters:
    ///   - kind: a place in `kinds`.
    ///   - leader: who leads, where somebody is known to; every second fault is aimed at it.
    init(kind: Int, nodes: Int, leader: Int?, from random: inout SplitMix64) {
        let all = Array(0..<nodes)
        let target = random.chance(1, of: 2) ? leader ?? random.below(nodes) : random.below(nodes)
        let others = all.filter { $0 != target }
        let majority = nodes / 2 + 1
        switch kind {
        case 0:
            // A side with the target that is no majority, and the rest.
            let size = 1 + random.below(majority - 1)
            let side = Set([target] + others.prefix(size - 1))
            let rest = all.filter { !side.contains($0) }
            self = .losses(
                "partition",
                side.sorted().flatMap { node in
                    [NodeNetwork.Loss.Direction.input, .output].map {
                        NodeNetwork.Loss(node: node, others: rest, direction: $0, percent: 100)
                    }
                })
        case 1:
            let direction: NodeNetwork.Loss.Direction = random.chance(1, of: 2) ? .input : .output
            let cut = random.chance(1, of: 2) ? others : [others[random.below(others.count)]]
            self = .losses(
                "one way",
                [.init(node: target, others: cut, direction: direction, percent: 100)])
        case 2:
            let percent = 5 + random.below(40)
            self = .losses(
                "loss",
                all.map { node in
                    .init(
                        node: node, others: all.filter { $0 != node }, direction: .input,
                        percent: percent)
                })
        case 3: self = .pause([target])
        case 4: self = .kill([target])
        case 5: self = .kill(random.chance(1, of: 3) ? all : [target] + others.prefix(majority - 1))
        case 6: self = .fullDisk(target, spare: random.below(1 << 20))
        default: self = .hungWrites(target)
        }
    }
}
