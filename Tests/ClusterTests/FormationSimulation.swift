import Chance
import Cluster
import Raft
import Simulator

/// Nodes that form a cluster over a simulated network and disk. Raft is reduced to its outcome: a
/// cluster has a leader when a majority of its members are up and know of it.
struct FormationSimulation {
    enum Rule {
        /// The formation machine.
        case agreement
        /// Each node counts for itself and bootstraps with the nodes it has seen, as rqlite does.
        case countingForItself
    }

    enum Payload {
        case hello
        case formation(FormationMessage)
        case join
    }

    enum Answer {
        case hello(CandidateFacts)
        case formation(FormationMessage)
        case joined(ClusterID)
        case joinRefused(leader: PeerAddress?)
        case unreachable(String)
    }

    /// A run of a node, so that nothing of an earlier run reaches a later one.
    struct Process: Equatable {
        var node: Int
        var run: Int
    }

    enum Event {
        case launch(Int)
        case crash(Int, downFor: Int, moves: Bool)
        case wake(Process)
        /// A member without a leader looks for the others.
        case seek(Process)
        case request(Process, PeerAddress, Payload)
        case response(Process, PeerAddress, Answer)
        case written(Process)
        case listChanged([PeerAddress])
        case listSeen(Int, version: Int)
        case drop(Int, places: UInt64)
        case paste(Int)
        case faultsEnd
    }

    struct Write {
        var at: Int
        var ticket: PersistTicket
        var bytes: [UInt8]
        /// The cluster state, if it is not a write of the formation.
        var start: BootstrapValue?
        var joined: ClusterID?
    }

    struct Node {
        var introduction: FormationIntroduction
        var addresses: [PeerAddress]
        var isUp = false
        var run = 0
        var machine: Formation?
        var stored: [UInt8]
        var writes: [Write] = []
        var adopted: BootstrapValue?
        var joined: ClusterID?
        var listVersion = 0
        var nextWake = Int.max
        /// Under `countingForItself`: the voters seen.
        var seen: [FormationIntroduction] = []

        var cluster: ClusterID? { adopted?.cluster ?? joined }
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    let plan: FormationPlan
    let rule: Rule
    var dice: SplitMix64
    var nodes: [Node] = []
    var lists: [[PeerAddress]] = []
    var queue = EventQueue<Event>()
    var now = 0
    var isFaulty = true
    var pendingRequests: [UInt64: (Process, PeerAddress)] = [:]
    var requestCount: UInt64 = 0
    var addressCount = 0
    /// Every bootstrap that any node started with.
    var adoptions: [BootstrapValue] = []
    var ledAt: Int?
    var crashes = 0
    /// Messages of ballots that count on a drop.
    var droppingMessages = 0
    /// Cut off from all others while faults last.
    var starter: Int?
    var waiting: [Int: String] = [:]

    init(seed: UInt64, rule: Rule = .agreement) {
        self.init(FormationPlan(seed: seed), seed: seed, rule: rule)
    }

    init(_ plan: FormationPlan, seed: UInt64, rule: Rule = .agreement) {
        self.plan = plan
        self.rule = rule
        dice = SplitMix64(seed: seed ^ 0xABCD_EF01)
        var list: [PeerAddress] = []
        for k in 0..<plan.nodeCount {
            let addresses = (0..<(plan.hasTwoAddresses ? 2 : 1)).map { _ in freshAddress() }
            if plan.addedLater != k { list += addresses }
            nodes.append(
                Node(
                    introduction: introduction(k, at: addresses[0]), addresses: addresses,
                    stored: AcceptorState().encoded()))
            queue.schedule(.launch(k), at: plan.startTimes[k])
        }
        for _ in 0..<plan.deadAddresses { list.append(freshAddress()) }
        lists = [list]
        for restart in plan.restarts {
            queue.schedule(
                .crash(restart.node, downFor: restart.downFor, moves: restart.moves),
                at: restart.at)
        }
        for drop in plan.drops {
            queue.schedule(.drop(drop.node, places: drop.places), at: drop.at)
        }
        for k in 0..<plan.nodeCount {
            for at in plan.pastes { queue.schedule(.paste(k), at: at + k) }
        }
        planListChange(list)
        queue.schedule(.faultsEnd, at: plan.faultsEnd)
    }

    private mutating func planListChange(_ list: [PeerAddress]) {
        if let added = plan.addedLater {
            queue.schedule(.listChanged(nodes[added].addresses), at: plan.changeAt)
        } else if let removed = plan.removedLater {
            let gone = removed < 0 ? Array(list.suffix(1)) : nodes[removed].addresses
            queue.schedule(.listChanged(gone), at: plan.changeAt)
        }
    }

    private mutating func freshAddress() -> PeerAddress {
        addressCount += 1
        return PeerAddress("10.0.0.\(addressCount):4002")
    }

    private func introduction(_ k: Int, at address: PeerAddress) -> FormationIntroduction {
        FormationIntroduction(
            identity: NodeIdentity(id: NodeID("\(k)"), incarnation: incarnation(k + 1)),
            address: address, suffrage: plan.voters[k] ? .voter : .nonvoter, expect: plan.expect)
    }

    // MARK: Events

    mutating func handle(_ event: Event) throws {
        switch event {
        case .launch(let k): launch(k)
        case .crash(let k, let downFor, let moves):
            guard isFaulty, nodes[k].isUp else { return }
            crash(k)
            if moves { move(k) }
            queue.schedule(.launch(k), at: now + downFor)
        case .wake(let process):
            guard isRunning(process), nodes[process.node].nextWake <= now else { return }
            nodes[process.node].nextWake = Int.max
            try step(process.node) { _ in }
        case .seek(let process): seek(process)
        case .request(let sender, let address, let payload):
            try receive(payload, at: address, from: sender)
        case .response(let process, let address, let answer):
            try deliver(answer, from: address, to: process)
        case .written(let process): try written(process)
        case .listChanged(let entries): changeList(by: entries)
        case .listSeen(let k, let version): try see(version, k)
        case .drop(let k, let places): try drop(places, k)
        case .paste(let k): try paste(k)
        case .faultsEnd: endFaults()
        }
    }

    /// What answers is refused; then the operator drops the rest.
    private mutating func drop(_ places: UInt64, _ k: Int) throws {
        let list = lists.last ?? []
        for (place, address) in list.enumerated() where places >> UInt64(place % 64) & 1 == 1 {
            try step(k) { try? $0.drop([address]) }
        }
    }

    private mutating func paste(_ k: Int) throws {
        try step(k) { machine in
            let silent = machine.droppable
            if !silent.isEmpty { try? machine.drop(silent) }
        }
    }

    func isRunning(_ process: Process) -> Bool {
        nodes[process.node].isUp && nodes[process.node].run == process.run
    }

    private mutating func launch(_ k: Int) {
        guard !nodes[k].isUp, isFaulty || !plan.lost.contains(k) else { return }
        nodes[k].isUp = true
        nodes[k].run += 1
        nodes[k].nextWake = Int.max
        nodes[k].seen = []
        scheduleSeeking(k)
        guard nodes[k].cluster == nil, let state = try? AcceptorState(decoding: nodes[k].stored)
        else { return }
        var settings = FormationSettings(nodes[k].introduction, limit: .none)
        settings.refusalPatience = .seconds(60)
        var machine = Formation(
            settings, state: state,
            freshClusterID: RandomID(high: dice.next(), low: dice.next()), seed: dice.next())
        machine.tick(time)
        nodes[k].machine = machine
        queue.schedule(.listSeen(k, version: nodes[k].listVersion), at: now)
    }

    private mutating func scheduleSeeking(_ k: Int) {
        guard nodes[k].adopted != nil else { return }
        queue.schedule(.seek(Process(node: k, run: nodes[k].run)), at: now + 1_000_000)
    }

    private mutating func crash(_ k: Int) {
        // Any number of the writes under way, in their order, has reached the disk.
        for write in nodes[k].writes.prefix(dice.below(nodes[k].writes.count + 1)) {
            commit(write, k)
        }
        nodes[k].writes = []
        nodes[k].isUp = false
        nodes[k].machine = nil
    }

    /// The node comes back elsewhere; the list gets the new address and later loses the old one.
    private mutating func move(_ k: Int) {
        let old = nodes[k].addresses
        let isListed = lists.last?.contains(old[0]) ?? false
        nodes[k].addresses = [freshAddress()]
        nodes[k].introduction = introduction(k, at: nodes[k].addresses[0])
        guard isListed else { return }
        changeList(by: nodes[k].addresses)
        queue.schedule(.listChanged(old), at: now + dice.below(1_000_000))
    }

    /// Adds what is not listed and removes what is.
    private mutating func changeList(by entries: [PeerAddress]) {
        var list = lists.last ?? []
        for entry in entries {
            if list.contains(entry) {
                list.removeAll { $0 == entry }
            } else {
                list.append(entry)
            }
        }
        lists.append(list)
        for k in nodes.indices {
            queue.schedule(.listSeen(k, version: lists.count - 1), at: now + plan.lag[k])
        }
    }

    private mutating func see(_ version: Int, _ k: Int) throws {
        nodes[k].listVersion = max(nodes[k].listVersion, version)
        let list = lists[nodes[k].listVersion]
        try step(k) { $0.candidatesChanged(list) }
    }

    private mutating func endFaults() {
        isFaulty = false
        for k in nodes.indices {
            if plan.lost.contains(k) { if nodes[k].isUp { crash(k) } } else { launch(k) }
        }
    }

    // MARK: The machine

    var time: Duration { .microseconds(now) }

    mutating func step(_ k: Int, _ input: (inout Formation) -> Void) throws {
        guard nodes[k].isUp, var machine = nodes[k].machine else { return }
        nodes[k].machine = nil
        machine.tick(time)
        input(&machine)
        let effects = machine.takeEffects()
        let deadline = machine.nextDeadline
        nodes[k].machine = machine
        for effect in effects {
            if isFaulty, crashes < 6, plan.crashRate > 0, dice.below(1_000) < plan.crashRate {
                crashes += 1
                try handle(.crash(k, downFor: 1_000 + dice.below(300_000), moves: false))
                return
            }
            try perform(effect, k)
        }
        guard nodes[k].machine != nil, let deadline else { return }
        let parts = deadline.components
        let wake = max(
            now + 1, Int(parts.seconds) * 1_000_000 + Int(parts.attoseconds / 1_000_000_000_000))
        if wake < nodes[k].nextWake {
            nodes[k].nextWake = wake
            queue.schedule(.wake(Process(node: k, run: nodes[k].run)), at: wake)
        }
    }

    private mutating func perform(_ effect: FormationEffect, _ k: Int) throws {
        let process = Process(node: k, run: nodes[k].run)
        switch effect {
        case .sendHello(let address): send(.hello, to: address, from: process)
        case .attemptJoin(let address): send(.join, to: address, from: process)
        case .send(let message, let address):
            try checkDurable(message, k)
            if case .prepare(_, let list, _) = message, !list.dropped.isEmpty {
                droppingMessages += 1
            }
            if rule == .agreement { send(.formation(message), to: address, from: process) }
        case .answer(let message, let id):
            try checkDurable(message, k)
            if let (asker, address) = pendingRequests.removeValue(forKey: id.rawValue) {
                respond(.formation(message), from: address, of: k, to: asker)
            }
        case .persist(let bytes, let ticket):
            write(Write(at: 0, ticket: ticket, bytes: bytes), k)
        case .start(let value, _):
            if plan.isolatesStarter, isFaulty, starter == nil { starter = k }
            write(Write(at: 0, ticket: PersistTicket(0), bytes: [], start: value), k)
        case .joined(let cluster):
            write(Write(at: 0, ticket: PersistTicket(0), bytes: [], joined: cluster), k)
        case .waiting(let text): waiting[k] = text
        case .refused(let refusal): throw Failure(description: "node \(k): \(refusal)")
        case .fatal(let refusal): throw Failure(description: "node \(k) ended: \(refusal)")
        case .messageRefused(_, let breach): throw Failure(description: "node \(k): \(breach)")
        case .gaveUp(let text): throw Failure(description: "node \(k) gave up: \(text)")
        }
    }

    // MARK: The disk

    mutating func write(_ write: Write, _ k: Int) {
        var write = write
        let last = nodes[k].writes.last?.at ?? now
        write.at = max(last, now + plan.faults.writeTime / 2 + dice.below(plan.faults.writeTime))
        nodes[k].writes.append(write)
        queue.schedule(.written(Process(node: k, run: nodes[k].run)), at: write.at)
    }

    private mutating func written(_ process: Process) throws {
        let k = process.node
        guard isRunning(process), !nodes[k].writes.isEmpty else { return }
        let write = nodes[k].writes.removeFirst()
        let wasMember = nodes[k].cluster != nil
        commit(write, k)
        if !wasMember { scheduleSeeking(k) }
        if nodes[k].cluster == nil { try step(k) { $0.persisted(write.ticket) } }
        try check()
    }

    private mutating func commit(_ write: Write, _ k: Int) {
        if let value = write.start {
            nodes[k].adopted = value
            if !adoptions.contains(value) { adoptions.append(value) }
        } else if let cluster = write.joined {
            nodes[k].joined = cluster
        } else {
            nodes[k].stored = write.bytes
        }
        if nodes[k].cluster != nil { nodes[k].machine = nil }
    }
}
