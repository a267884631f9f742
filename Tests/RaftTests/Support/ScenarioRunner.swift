@testable import Raft
import ScenarioTesting

/// Understands the commands of transcripts:
///
///     set electionTicks=10 …            before `nodes`
///     nodes 4 voters=(1,2,3)            the others are empty
///     restore 1 term=3 log=(1,2)        a log by the terms of its entries
///     run 10                            ticks of all, each followed by `stabilize`
///     campaign 1 | tick 1 count=5 | tick all count=electionTicks | heartbeat 1
///     stabilize                         delivers everything
///     trace                             the same, and prints it
///     deliver 1                         what is on its way to node 1 now, and prints it
///     lose                              whatever is on its way
///     partition (1) (2,3) | cut 1 2 | heal
///     propose 1 a b | read 1 7 | transfer 1 to=2 | unreachable 1 2 | retire 1
///     add 1 4 as=learner | promote 1 4 | remove 1 4 | move 1 4 to=host:1
///     slow 1 | persist 1 count=1 | fast 1 | stall 1 | unstall 1
///     forge 2 1 append term=max previous=1:3 commit=max      from the first to the second node
///     forget 2 after=3                  its disk lost what follows, and nobody noticed
///     crash 1 | restart 1 | wipe 1 | compact 1 through=5 | recover 1 voters=(1,2)
///     snapshots off | snapshot 1 2 through=5 | snapshot 1 2
///     status | log 1 | progress 1
///
/// What the nodes report is printed in order, with the node in front.
struct ScenarioRunner {
    private var cluster = TestCluster(settings: ScenarioRunner.settings)
    private var output: [String] = []

    private static var settings: RaftSettings {
        var settings = RaftSettings()
        settings.electionTicks = 10
        settings.heartbeatTicks = 2
        settings.quorumTicks = 10
        return settings
    }

    mutating func run(_ commands: [String]) -> [String] {
        output = []
        for command in commands {
            perform(ScenarioCommand(command))
            for event in cluster.events { output.append("\(event.node): \(event.text)") }
            cluster.events = []
        }
        return output.isEmpty ? ["ok"] : output
    }

    private mutating func perform(_ command: ScenarioCommand) {
        switch command.name {
        case "set", "nodes", "restore", "status", "log", "progress": describe(command)
        case "stabilize", "trace", "deliver", "lose", "partition", "cut", "heal":
            network(command)
        case "snapshots", "snapshot": snapshot(command)
        case "slow", "fast", "persist", "crash", "restart", "wipe", "compact", "recover", "forget":
            disk(command)
        case "forge": forge(command)
        case "tick", "heartbeat": tick(command)
        case "run":
            for _ in 0..<command.node {
                tick(ScenarioCommand("tick all"))
                network(ScenarioCommand("stabilize"))
            }
        default: input(command)
        }
    }

    private func place(_ node: Int) -> Int {
        guard let place = cluster.place(node) else { preconditionFailure("no node \(node)") }
        return place
    }

    // MARK: Set-up and looks

    private mutating func describe(_ command: ScenarioCommand) {
        switch command.name {
        case "set": for (name, value) in command.options { set(name, value) }
        case "nodes": makeNodes(command)
        case "restore": restore(command)
        case "status":
            for node in cluster.nodes { output.append(node.isDown ? node.downText : node.status) }
        case "log":
            let disk = cluster.nodes[place(command.node)].disk
            output.append("after \(disk.base)")
            output += disk.entries.map(\.text)
        default:
            for peer in cluster.nodes[place(command.node)].raft.progress {
                output.append(
                    "\(peer.id) \(peer.state.rawValue) match=\(peer.matchIndex) "
                        + "silent=\(peer.ticksSinceAnswer)")
            }
        }
    }

    private mutating func set(_ name: String, _ value: String) {
        guard let number = Int(value) else { preconditionFailure("\(name)=\(value)") }
        switch name {
        case "electionTicks": cluster.settings.electionTicks = number
        case "quorumTicks": cluster.settings.quorumTicks = number
        case "stallTicks": cluster.settings.stallTicks = number
        case "maxUncommittedBytes": cluster.settings.maxUncommittedBytes = number
        case "maxCachedBytes": cluster.settings.maxCachedBytes = number
        case "maxEntryBytes": cluster.settings.maxEntryBytes = number
        case "maxMessageEntries": cluster.settings.maxMessageEntries = number
        case "maxInflightMessages": cluster.settings.maxInflightMessages = number
        case "caughtUpEntries": cluster.settings.caughtUpEntries = number
        default: preconditionFailure("no setting \(name)")
        }
    }

    private mutating func makeNodes(_ command: ScenarioCommand) {
        cluster = TestCluster(settings: cluster.settings)
        let voters = command.list("voters") ?? Array(1...command.node)
        let others = (command.list("nonvoters") ?? []).map { member($0, .nonvoter) }
        let membership = Membership(voters.map { member($0) } + others)
        for node in 1...command.node {
            let isMember = membership.contains(nodeID(node))
            cluster.add(node, disk: isMember ? .bootstrapped(membership) : TestDisk())
        }
    }

    private mutating func restore(_ command: ScenarioCommand) {
        var disk = cluster.nodes[place(command.node)].disk
        disk.hardState = HardState(term: Term(command["term"].flatMap(UInt64.init) ?? 1))
        let terms = command.list("log") ?? []
        disk.entries = [disk.entries[0]]
        for (offset, term) in terms.enumerated().dropFirst() {
            disk.entries.append(
                Entry(UInt64(offset + 1), UInt64(term), "\(command.node)-\(offset + 1)"))
        }
        cluster.add(command.node, disk: disk)
    }

    // MARK: Time and network

    private mutating func tick(_ command: ScenarioCommand) {
        let places =
            command.words.first == "all" ? Array(cluster.nodes.indices) : [place(command.node)]
        let count =
            switch command["count"] {
            case "electionTicks": cluster.settings.electionTicks
            case "longest": cluster.settings.electionTicks * 3 / 2
            case let text?: Int(text) ?? 1
            case nil: command.name == "heartbeat" ? cluster.settings.heartbeatTicks : 1
            }
        for _ in 0..<count {
            for place in places where !cluster.nodes[place].isDown {
                cluster.nodes[place].raft.tick()
                cluster.drain(place)
            }
        }
    }

    private mutating func network(_ command: ScenarioCommand) {
        switch command.name {
        case "heal": cluster.cuts = []
        case "cut": cluster.cuts.insert([nodeID(command.node), nodeID(command.second)])
        case "lose": cluster.network = []
        case "deliver":
            let to = nodeID(command.node)
            let messages = cluster.network.filter { $0.to == to }
            cluster.network.removeAll { $0.to == to }
            for message in messages { deliver(message, prints: true) }
        case "partition":
            let sides = command.words.map(ScenarioCommand.list)
            for a in sides {
                for b in sides where a != b {
                    for from in a {
                        for to in b { cluster.cuts.insert([nodeID(from), nodeID(to)]) }
                    }
                }
            }
        default:
            var budget = 2000
            while !cluster.network.isEmpty && budget > 0 {
                deliver(cluster.network.removeFirst(), prints: command.name == "trace")
                budget -= 1
            }
            if budget == 0 { output.append("still talking") }
        }
    }

    private mutating func deliver(_ message: Message, prints: Bool) {
        let isLost = cluster.isCut(message.from.id, message.to)
        if prints { output.append(message.text + (isLost ? " (lost)" : "")) }
        cluster.deliver(message)
        if prints {
            for event in cluster.events { output.append("\(event.node): \(event.text)") }
            cluster.events = []
        }
    }

    // MARK: Disks

    private mutating func disk(_ command: ScenarioCommand) {
        let place = place(command.node)
        switch command.name {
        case "slow": cluster.nodes[place].hasSlowDisk = true
        case "fast":
            cluster.nodes[place].hasSlowDisk = false
            cluster.persist(place)
        case "persist": cluster.persist(place, count: command["count"].flatMap(Int.init) ?? .max)
        case "crash":
            cluster.nodes[place].isDown = true
            cluster.nodes[place].disk.appliedIndex = cluster.nodes[place].appliedIndex
        case "restart": cluster.restart(place, seed: UInt64(command.node))
        case "forget":
            let kept = command["after"].flatMap(UInt64.init) ?? 0
            cluster.nodes[place].disk.entries.removeAll { $0.index > LogIndex(kept) }
            cluster.nodes[place].disk.appliedIndex = min(
                cluster.nodes[place].appliedIndex, LogIndex(kept))
            cluster.restart(place, seed: UInt64(command.node))
        case "recover":
            let voters = command.list("voters") ?? [command.node]
            cluster.nodes[place].disk.recover(Membership(voters.map { member($0) }))
        case "wipe":
            let number = cluster.nodes[place].identity.incarnation.id.low
            cluster.add(command.node, incarnation: Int(number) + 1, disk: TestDisk())
        default:
            let index = LogIndex(command["through"].flatMap(UInt64.init) ?? 0)
            cluster.nodes[place].disk.compact(through: index)
            cluster.nodes[place].raft.compacted(through: cluster.nodes[place].disk.base)
            cluster.drain(place)
        }
    }

    private mutating func snapshot(_ command: ScenarioCommand) {
        if command.name == "snapshots" {
            cluster.sendsSnapshots = command.words.first == "on"
            return
        }
        let place = place(command.node)
        let index = command["through"].flatMap(UInt64.init).map { LogIndex($0) }
        if let mark = index.flatMap({ cluster.nodes[place].disk.snapshot(at: $0) }) {
            cluster.install(mark, on: self.place(command.second))
        }
        cluster.nodes[place].raft.snapshotSent(to: nodeID(command.second), through: index)
        cluster.drain(place)
    }

    // MARK: Inputs

    private mutating func forge(_ command: ScenarioCommand) {
        let receiver = cluster.nodes[place(command.second)]
        cluster.deliver(Self.forgery(command, term: receiver.raft.term))
    }

    private mutating func input(_ command: ScenarioCommand) {
        let place = place(command.node)
        do throws(Refusal) {
            switch command.name {
            case "stall": cluster.nodes[place].raft.storageStalled(true)
            case "unstall": cluster.nodes[place].raft.storageStalled(false)
            case "retire": cluster.nodes[place].raft.retire()
            case "campaign": cluster.nodes[place].raft.campaign()
            case "propose":
                let texts = command.words.dropFirst().map { Array($0.utf8) }
                let at = try cluster.nodes[place].raft.propose(texts)
                output.append("at \(at)")
            case "read":
                try cluster.nodes[place].raft.requestRead(ReadID(UInt64(command.second)))
            case "transfer":
                let target = command["to"].map { NodeID($0) }
                try cluster.nodes[place].raft.transferLeadership(to: target)
            case "unreachable":
                cluster.nodes[place].raft.peerUnreachable(nodeID(command.second))
            default:
                let at = try cluster.nodes[place].raft.propose(change(command))
                output.append("at \(at)")
            }
        } catch {
            output.append("refused: \(error.text)")
        }
        cluster.drain(place)
    }

    private func change(_ command: ScenarioCommand) -> MembershipChange {
        let id = nodeID(command.second)
        switch command.name {
        case "add":
            let number = cluster.nodes[place(command.second)].identity.incarnation.id.low
            let suffrage: Suffrage =
                switch command["as"] {
                case "nonvoter": .nonvoter
                case "learner": .learner
                default: .voter
                }
            return .add(member(command.second, suffrage, incarnation: Int(number)))
        case "promote": return .promote(id)
        case "remove": return .remove(id)
        case "move": return .move(id, to: PeerAddress(command["to"] ?? ""))
        default: preconditionFailure("no command \(command.name)")
        }
    }
}

extension TestNode {
    fileprivate var status: String {
        "\(identity.id) \(raft.role.rawValue) term=\(raft.term) last=\(raft.lastPosition) "
            + "commit=\(raft.commitIndex) applied=\(appliedIndex) \(raft.membership.text)"
    }

    fileprivate var downText: String { "\(identity.id) down" }
}

extension Refusal {
    fileprivate var text: String {
        switch self {
        case .notLeader(let leader): "notLeader, leader is \(leader?.rawValue ?? "unknown")"
        case .entryTooLarge(let limit): "entryTooLarge, limit \(limit)"
        default: "\(self)"
        }
    }
}
