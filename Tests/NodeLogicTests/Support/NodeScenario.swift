import Raft
import Replication
import ScenarioTesting
import Service
import Time
import Wire

@testable import NodeLogic

/// The language of the transcripts, on an ensemble.
struct NodeScenario {
    var ensemble = Ensemble()
    /// Disks as they were, for restoring.
    private var saved: [Int: EnsembleDisk] = [:]

    /// Three nodes, led by 1, where x is 8. 3 is down, and so far behind that it needs a snapshot.
    static func lagging() -> NodeScenario {
        var scenario = NodeScenario()
        let nodes = (1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1 threshold=5" }
        let writes = (1...8).map { "write 1 x:\($0)" }
        _ = scenario.run(nodes + ["run 1500", "kill 3", "run 1500"] + writes + ["run 500"])
        return scenario
    }

    mutating func run(_ commands: [String]) -> [String] {
        ensemble.output = []
        for line in commands { run(ScenarioCommand(line)) }
        return ensemble.output.isEmpty ? ["ok"] : ensemble.output
    }

    /// Hands a node an event.
    /// - Returns: what all print at once.
    @discardableResult
    mutating func say(_ event: NodeEvent, to number: Int) -> [String] {
        ensemble.output = []
        ensemble.post(event, to: number)
        ensemble.settle()
        return ensemble.output
    }

    private mutating func run(_ command: ScenarioCommand) {
        switch command.name {
        case "node": add(command)
        case "start":
            if let at = command["at"] { move(command.node, to: at) }
            ensemble.start(command.node)
            tell(command)
        case "rot":
            let parts = command.words[1].split(separator: ":").map(String.init)
            ensemble.nodes[command.node]?.disk.rows[parts[0]] = parts[1]
        case "stray": ensemble.nodes[command.node]?.disk.note("stray")
        case "corrupt": ensemble.nodes[command.node]?.disk.isCorrupt = true
        case "kill": ensemble.kill(command.node)
        case "copy":
            // A data directory, with the identity in it.
            guard var copy = ensemble.nodes[command.node] else { return }
            copy.machine = nil
            copy.inbox = []
            ensemble.nodes[command.second] = copy
            if let at = command["at"] { move(command.second, to: at) }
        case "save": saved[command.node] = ensemble.nodes[command.node]?.disk
        case "restore":
            if let disk = saved[command.node] { ensemble.nodes[command.node]?.disk = disk }
        case "wipe": wipe(command.node)
        case "run": ensemble.run(milliseconds: command.node)
        case "show": show(command)
        case "mislead":
            ensemble.nodes[command.node]?.machine?.wasRemoved("said one that is behind")
            ensemble.settle()
        case "cut": for pair in pairs(command) { ensemble.cuts.insert(pair) }
        case "heal": ensemble.cuts = []
        case "hang": hang(command)
        case "revive": revive(command.node)
        case "stall": stall(command)
        case "full":
            ensemble.post(.log(.full(command.words.last == "on")), to: command.node)
            ensemble.settle()
        case "dbfull": fillDatabase(command)
        case "poison":
            let index = Int(command.words.last ?? "") ?? 0
            ensemble.nodes[command.node]?.disk.poison = LogIndex(UInt64(index))
        case "hold": ensemble.holdsSnapshots = command.words.last == "on"
        case "deliver": deliver(command)
        case "leave", "stop":
            ensemble.post(command.name == "leave" ? .leave : .stop, to: command.node)
            ensemble.settle()
        case "readers":
            if command.words.last == "on" {
                ensemble.releaseReads()
            } else {
                ensemble.holdsReads = true
            }
            ensemble.settle()
        case "part", "refused":
            if command.name == "part" {
                ensemble.beginParts(of: command.node)
            } else {
                ensemble.refuseForwards(of: command.node)
            }
            ensemble.settle()
        case "cancel": cancel(command)
        case "status": status()
        default: request(command)
        }
    }

    // MARK: Nodes

    /// What happened meanwhile is taken with what happens next.
    private mutating func stall(_ command: ScenarioCommand) {
        ensemble.nodes[command.node]?.isStalled = true
        ensemble.run(milliseconds: command.second)
        ensemble.nodes[command.node]?.isStalled = false
    }

    private mutating func fillDatabase(_ command: ScenarioCommand) {
        if command.words.last == "on" {
            ensemble.nodes[command.node]?.waitingForRoom = []
        } else {
            ensemble.makeRoom(at: command.node)
        }
        ensemble.settle()
    }

    private mutating func add(_ command: ScenarioCommand) {
        let number = command.node
        let address = PeerAddress(command["at"] ?? "n\(number):1")
        var settings = MachineSettings(
            explicitID: nil, fallbackID: NodeID("\(number)"), address: address,
            apiURL: "http://n\(number)", dataDirectory: "", version: "test")
        settings.plan = plan(command["plan"] ?? "alone", command)
        settings.stopsWhenRemoved = command["stops"] == "removed"
        if let limit = command["reap"].flatMap({ Int($0) }) {
            settings.reapTimeouts = ReapTimeouts(
                voter: .milliseconds(limit), nonvoter: .milliseconds(limit))
        }
        if let limit = command["parked"].flatMap({ Int($0) }) {
            settings.router.parkedRequests = limit
        }
        if let limit = command["uncommitted"].flatMap({ Int($0) }) {
            settings.raft.maxUncommittedBytes = limit
        }
        if let limit = command["send"].flatMap({ Int($0) }) {
            settings.snapshotSendTime = .milliseconds(limit)
        }
        if let interval = command["checksums"].flatMap({ Int($0) }) {
            settings.checksums.isOn = true
            settings.checksums.interval = .milliseconds(interval)
            settings.checksums.scrubInterval = .milliseconds(interval * 3)
            settings.checksums.seedsItself = command["seeds"] != "no"
        }
        if let limit = command["threshold"].flatMap({ Int($0) }) {
            settings.replication.compactionThreshold = limit
            settings.replication.trailingEntries = 0
        }
        ensemble.lastIncarnation += 1
        let identity = NodeIdentity(
            id: NodeID(command["id"] ?? "\(number)"),
            incarnation: Incarnation(RandomID(high: 0, low: ensemble.lastIncarnation)))
        ensemble.nodes[number] = Ensemble.Node(
            options: NodeOptions(identity: identity, engine: "e", settings: settings))
        ensemble.start(number)
        tell(command)
    }

    private func plan(_ text: String, _ command: ScenarioCommand) -> FormationPlan {
        let suffrage: Suffrage = command["replica"] == "yes" ? .nonvoter : .voter
        let parts = text.split(separator: ":").map(String.init)
        switch parts.first {
        case "join": return .join(attempts: 5, interval: .seconds(1), suffrage: suffrage)
        case "expect":
            return .bootstrap(
                expect: Int(parts.last ?? "") ?? 1, timeout: .seconds(60), suffrage: suffrage)
        default: return .alone
        }
    }

    private mutating func tell(_ command: ScenarioCommand) {
        guard let list = command["join"] else { return }
        let addresses = list.split(separator: ",").map { PeerAddress(String($0)) }
        ensemble.post(.candidates(Candidates(addresses)), to: command.node)
        ensemble.settle()
    }

    private mutating func move(_ number: Int, to address: String) {
        guard let node = ensemble.nodes[number] else { return }
        var settings = node.options.settings
        settings.address = PeerAddress(address)
        ensemble.nodes[number]?.options = NodeOptions(
            identity: node.options.identity, engine: "e", settings: settings)
    }

    private mutating func wipe(_ number: Int) {
        guard let node = ensemble.nodes[number] else { return }
        ensemble.kill(number)
        ensemble.lastIncarnation += 1
        let identity = NodeIdentity(
            id: node.options.identity.id,
            incarnation: Incarnation(RandomID(high: 0, low: ensemble.lastIncarnation)))
        ensemble.nodes[number]?.disk = EnsembleDisk()
        ensemble.nodes[number]?.options = NodeOptions(
            identity: identity, engine: "e", settings: node.options.settings)
    }

    /// All of its disk, or its database alone.
    private mutating func hang(_ command: ScenarioCommand) {
        let isDatabase = command.words.last == "database"
        ensemble.nodes[command.node]?.isDatabaseHung = isDatabase
        ensemble.nodes[command.node]?.isHung = !isDatabase
    }

    private mutating func revive(_ number: Int) {
        ensemble.nodes[number]?.isHung = false
        ensemble.nodes[number]?.isDatabaseHung = false
        let held = ensemble.nodes[number]?.held ?? []
        ensemble.nodes[number]?.held = []
        for effect in held { ensemble.perform(effect, of: number) }
        ensemble.settle()
    }

    private mutating func deliver(_ command: ScenarioCommand) {
        for id in ensemble.transfers.keys.sorted(by: { $0.rawValue < $1.rawValue })
        where ensemble.transfers[id]?.to == command.node { ensemble.deliver(id) }
        ensemble.settle()
    }

    private func pairs(_ command: ScenarioCommand) -> [[Int]] {
        let sides = command.words.map(ScenarioCommand.list)
        guard sides.count == 2 else { return [] }
        return sides[0].flatMap { one in sides[1].map { [one, $0].sorted() } }
    }

    private mutating func show(_ command: ScenarioCommand) {
        ensemble.shows = Set(command.words.compactMap { NodeNote.Level(rawValue: $0) })
    }

    // MARK: Requests

    private mutating func request(_ command: ScenarioCommand) {
        guard let operation = operation(command) else {
            ensemble.output.append("unknown command \(command.name)")
            return
        }
        let key = RequestKey(ensemble.newID())
        let count = Int(command["count"] ?? "") ?? 1
        let forwards = command["forward"] != "no"
        let timeout = Int(command["timeout"] ?? "") ?? 30_000
        var pending: [PendingRequest] = []
        for place in 0..<count {
            let own = place == 0 ? key : RequestKey(ensemble.newID())
            let words = command.words.dropFirst().joined(separator: " ")
            let text = "\(command.name) \(command.node)\(words.isEmpty ? "" : " \(words)")"
            ensemble.requests[own] = count == 1 ? text : "\(text) #\(place + 1)"
            var request = PendingRequest(
                ClientRequest(
                    id: RequestID(own.rawValue), operation: operation, forward: forwards,
                    timeout: .milliseconds(timeout)), key: own, now: ensemble.now)
            request.encode()
            pending.append(request)
        }
        guard ensemble.nodes[command.node]?.machine != nil else {
            ensemble.output.append("node \(command.node) does not run")
            return
        }
        ensemble.post(.requests(pending), to: command.node)
        if command["hangs"] == "up" {
            for request in pending { ensemble.requests[request.key] = nil }
            ensemble.post(.cancelled(pending.map(\.key)), to: command.node)
        }
        ensemble.settle()
    }

    private func operation(_ command: ScenarioCommand) -> ClientRequest.Operation? {
        let second = command.words.count > 1 ? command.words[1] : ""
        switch command.name {
        case "write":
            let text = second.replacingOccurrences(":", with: "=")
            var write = Command(kind: .execute, statements: [Statement(text)])
            if let key = command["key"] { write.key = RepeatKey(key, of: "", for: write) }
            return .command(write, ReadOptions())
        case "read":
            var options = ReadOptions(level: level(command["level"] ?? "weak"))
            if let limit = command["fresh"].flatMap({ Int($0) }) {
                options.freshness = Freshness(limit: .milliseconds(limit))
            }
            options.demand = command["min"].flatMap { CommitDemand(scenario: $0) }
            if let limit = command["wait"].flatMap({ Int($0) }) {
                options.linearizableTimeout = .milliseconds(limit)
            }
            return .command(Command(kind: .query, statements: [Statement(second)]), options)
        case "backup":
            return .backup(
                BackupRequest(), ReadOptions(level: level(command["level"] ?? "linearizable")))
        case "load":
            var image = DatabaseImage(byteCount: 1, packed: [1])
            image.needsEmpty = command["empty"] == "yes"
            return .load(image)
        case "piece":
            let part = LoadPart(id: LoadID(high: 1, low: 1), number: 0, byteCount: 9, bytes: [1])
            return .loadPart(part, isBoot: command["boot"] == "yes")
        case "dump":
            return .loadDump(Command(kind: .execute, statements: [Statement("dumped=1")]))
        case "boot": return .boot(DatabaseImage(byteCount: 1, packed: [1]))
        case "reseed": return .reseed
        case "drop": return .drop(second.split(separator: ",").map { PeerAddress(String($0)) })
        case "checkpoint": return .checkpoint(keeping: command["keep"].flatMap { UInt64($0) })
        case "remove": return .remove(NodeID(second))
        case "transfer":
            return .transferLeadership(
                to: second.isEmpty ? nil : NodeID(second), wait: command["wait"] == "yes")
        case "retry": return .applyDecision(.tryAgain)
        case "skip":
            return .applyDecision(.skip(skip(command, UInt64(second) ?? 0), isChecked: false))
        case "limits":
            guard let steps = command["steps"].flatMap({ UInt64($0) }) else { return .limits(nil) }
            return .limits(WriteLimitsChange(steps: steps))
        case "nodes": return .nodes(includeNonvoters: true)
        case "leader": return .leader
        case "ready":
            return .readiness(
                .init(nodeOnly: false, sync: command["sync"] == "yes"))
        default: return nil
        }
    }

    /// With the hash that the entry has, unless another is given.
    private func skip(_ command: ScenarioCommand, _ index: UInt64) -> EntrySkip {
        let entry = ensemble.nodes[command.node]?.disk.entries.first { $0.index.rawValue == index }
        var hash = UInt32(command["hash"] ?? "") ?? 0
        if hash == 0, case .command(let bytes)? = entry?.payload { hash = CRC32C(bytes).value }
        return EntrySkip(index: index, hash: hash)
    }

    private func level(_ text: String) -> ConsistencyLevel {
        switch text {
        case "none": .none
        case "linearizable": .linearizable
        case "strong": .strong
        case "auto": .auto
        default: .weak
        }
    }

    private mutating func cancel(_ command: ScenarioCommand) {
        let keys = ensemble.requests.keys.sorted()
        ensemble.post(.cancelled(keys), to: command.node)
        for key in keys { ensemble.requests[key] = nil }
        ensemble.settle()
    }

    private mutating func status() {
        for number in ensemble.nodes.keys.sorted() {
            guard let machine = ensemble.nodes[number]?.machine else {
                ensemble.output.append("\(number) down")
                continue
            }
            let status = machine.status
            let members = status.membership.members.map { "\($0.id)@\($0.address)" }
                .joined(separator: ",")
            ensemble.output.append(
                "\(number) \(status.role.rawValue) term=\(status.term)"
                    + " applied=\(status.appliedIndex) ready=\(status.isReady)"
                    + " members=\(members)"
                    + (status.isReady ? "" : " waits for \(status.waitingFor)"))
        }
    }
}

extension String {
    fileprivate func replacingOccurrences(_ one: Character, with other: Character) -> String {
        String(map { $0 == one ? other : $0 })
    }
}

extension CommitDemand {
    /// An index; with `other:` before it, of another cluster.
    fileprivate init?(scenario text: String) {
        let words = text.split(separator: ":")
        guard let index = words.last.flatMap({ UInt64($0) }).map({ LogIndex($0) }) else {
            return nil
        }
        let cluster = ClusterID(RandomID(high: 0, low: 0))
        self =
            words.count == 1
            ? .index(index) : .mark(CommitMark(cluster: cluster, epoch: 0, index: index))
    }
}
