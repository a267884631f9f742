import Chance
import Cluster
import Raft
import Registry
import Simulator

/// Nodes that form a cluster, and keep it, by way of a simulated registry. Raft is reduced to its
/// outcome: a cluster has one leader at a time while a majority of its founders run and know of it;
/// a leader that lost that may believe otherwise for a little while.
struct RegistrySimulation {
    /// A rule broken on purpose.
    enum Mutation: String, CaseIterable {
        /// Writes whatever stands there, as rqlite does.
        case blindUpdates
        /// Raft starts when the claim is written, before it is *formed*.
        case startsBeforeFormed
        /// One look is enough to believe that there is no entry, and a claim is completed at once.
        case noWaiting
        /// A claim is completed as soon as it is written.
        case noProbation
        /// A claim stands for twice the time of the answers and hardly more: less than a leader needs
        /// whose entry is lost while it waits for a request that hangs.
        case shortProbation
        /// Another's claim is never replaced.
        case noTakeover
        /// Founders don't put the entry back until there is a leader.
        case foundersDontKeep
        /// The claim is written to the registry before it is on the disk.
        case claimNotDurable
    }

    /// A run of a node, so that nothing of an earlier run reaches a later one.
    struct Process: Equatable {
        var node: Int
        var run: Int
    }

    enum Payload {
        case hello
        case join
    }

    enum PeerReply {
        case hello(CandidateFacts)
        case joined(ClusterID)
        case joinRefused(leader: PeerAddress?)
        case unreachable(String)
    }

    /// A request on its way to the registry.
    struct Delivery {
        var request: RegistryRequest
        var id: RegistryRequestID
        var process: Process
        /// Nobody waits for it any more, or its answer is to get lost.
        var isMute = false
        var isDoubled = false
    }

    enum Event {
        case launch(Int)
        case crash(Int, downFor: Int, moves: Bool)
        case resume(Process)
        case wake(Process)
        case delivery(Delivery)
        case answer(Process, RegistryRequestID, RegistryAnswer)
        case request(Process, PeerAddress, Payload)
        case response(Process, PeerAddress, PeerReply)
        case written(Process)
        case deposed(Process, Term)
        case review
        case wipe
        case rival
        case faultsEnd
        case episode(Int)
        case check(String)
    }

    enum Effect {
        case formation(RegistryFormationEffect)
        case keeper(RegistryKeeperEffect)
    }

    struct Write {
        var at: Int
        var ticket: PersistTicket
        var bytes: [UInt8] = []
        /// The cluster state, if it is not a write of the formation.
        var start: BootstrapValue?
        var joined: ClusterID?
    }

    struct Node {
        var identity: NodeIdentity
        var address: PeerAddress
        var suffrage: Suffrage
        var isUp = false
        var run = 0
        var launchedAt = 0
        var stoppedUntil: Int?
        /// What has reached it since it was stopped.
        var deferred: [Event] = []
        var formation: RegistryFormation?
        var keeper: RegistryKeeper?
        var backlog: [Effect] = []
        // The disk.
        var stored: [UInt8]
        var writes: [Write] = []
        var adopted: BootstrapValue?
        var joined: ClusterID?
        var hasHeardLeader = false

        /// As far as the node itself knows.
        var leads: Term?
        var nextWake = Int.max
        /// Requests under way, with their deadlines.
        var requests: [(id: RegistryRequestID, deadline: Int)] = []
        var lastRequests: [Int] = []
        var waiting = ""

        var cluster: ClusterID? { adopted?.cluster ?? joined }
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }

    let plan: RegistryPlan
    let mutation: Mutation?
    var dice: SplitMix64
    var nodes: [Node] = []
    var registry = SimulatedRegistry()
    var queue = EventQueue<Event>()
    var now = 0
    var isFaulty = true
    /// No new fault begins: a wipe is only allowed where the leader can put its entry back.
    var calmUntil = 0
    /// How the registry is in the last episode.
    var lastCondition: RegistryPlan.Condition?
    var addressCount = 0
    /// Every bootstrap that any node started with.
    var adoptions: [BootstrapValue] = []
    var leaders: [(cluster: ClusterID, node: Int, term: Term)] = []
    var electionAt = Int.max
    var lastTerm = 0
    /// The clusters that the registry has ever held as *formed*.
    var everFormed: [ClusterID] = []
    var isFormedSince: Int?
    var finished: Outcome?
    var reached = Reached()
    /// What happened, for the replay of one seed; nil where nobody wants to know.
    var history: History?

    /// Which rare things have happened.
    struct Reached: Equatable {
        var crashes = 0
        var stops = 0
        var hours = 0
        var wipes = 0
        var takeovers = 0
        var uncertain = 0
        var dropped = 0
        var lateEffects = 0
        var restores = 0

        var isEverything: Bool {
            [
                crashes, stops, hours, wipes, takeovers, uncertain, dropped, lateEffects, restores,
            ].allSatisfy { $0 > 0 }
        }

        static func + (a: Reached, b: Reached) -> Reached {
            Reached(
                crashes: a.crashes + b.crashes, stops: a.stops + b.stops,
                hours: a.hours + b.hours, wipes: a.wipes + b.wipes,
                takeovers: a.takeovers + b.takeovers, uncertain: a.uncertain + b.uncertain,
                dropped: a.dropped + b.dropped, lateEffects: a.lateEffects + b.lateEffects,
                restores: a.restores + b.restores)
        }
    }

    final class History {
        var lines: [String] = []
    }

    enum Outcome: Equatable {
        /// Microseconds from the end of the faults, or the last start, to a cluster of all.
        case formed(after: Int)
        case excused(String)
    }

    init(seed: UInt64, mutation: Mutation? = nil) {
        self.init(RegistryPlan(seed: seed), seed: seed, mutation: mutation)
    }

    init(_ plan: RegistryPlan, seed: UInt64, mutation: Mutation? = nil) {
        self.plan = plan
        self.mutation = mutation
        dice = SplitMix64(seed: seed ^ 0xABCD_EF01)
        for k in 0..<plan.nodeCount {
            nodes.append(
                Node(
                    identity: NodeIdentity(
                        id: NodeID("\(k + 1)"),
                        incarnation: Incarnation(RandomID(high: 0, low: UInt64(k + 1)))),
                    address: freshAddress(), suffrage: plan.voters[k] ? .voter : .nonvoter,
                    stored: RegistryState().encoded()))
            queue.schedule(.launch(k), at: plan.startTimes[k])
        }
        for restart in plan.restarts {
            queue.schedule(
                .crash(restart.node, downFor: restart.downFor, moves: restart.moves),
                at: restart.at)
        }
        for time in plan.wipes { queue.schedule(.wipe, at: time) }
        for time in plan.rivals { queue.schedule(.rival, at: time) }
        queue.schedule(.review, at: 0)
        queue.schedule(.faultsEnd, at: plan.faultsEnd)
    }

    mutating func freshAddress() -> PeerAddress {
        addressCount += 1
        return PeerAddress("10.0.0.\(addressCount):4002")
    }

    // MARK: Events

    mutating func handle(_ event: Event) throws {
        switch event {
        case .launch(let k): try launch(k)
        case .crash(let k, let downFor, let moves):
            guard isFaulty, now >= calmUntil, nodes[k].isUp else { return }
            crash(k)
            if moves { nodes[k].address = freshAddress() }
            queue.schedule(.launch(k), at: now + downFor)
        case .resume(let process):
            guard isRunning(process), let until = nodes[process.node].stoppedUntil, until <= now
            else { return }
            nodes[process.node].stoppedUntil = nil
            for event in nodes[process.node].deferred { queue.schedule(event, at: now) }
            nodes[process.node].deferred = []
            try performBacklog(process.node)
            try step(process.node)
        case .wake(let process):
            guard !isDeferred(process, event), nodes[process.node].nextWake <= now else { return }
            nodes[process.node].nextWake = Int.max
            try step(process.node)
        case .delivery(let delivery): try deliver(delivery)
        case .answer(let process, let id, let answer):
            guard !isDeferred(process, event) else { return }
            try receive(answer, id, process.node)
        case .request(let sender, let address, let payload):
            try serve(payload, at: address, from: sender)
        case .response(let process, let address, let reply):
            guard !isDeferred(process, event) else { return }
            try take(reply, from: address, process.node)
        case .written(let process): try written(process)
        case .deposed(let process, let term):
            guard !isDeferred(process, event) else { return }
            if nodes[process.node].leads == term { nodes[process.node].leads = nil }
            try step(process.node)
        case .review: try review()
        case .wipe: wipe()
        case .rival: claimAsRival()
        case .faultsEnd: try endFaults()
        case .episode(let number): try begin(number)
        case .check(let what): try checkEntry(what)
        }
    }

    func note(_ text: @autoclosure () -> String) {
        guard let history else { return }
        let digits = String(now % 1_000_000 + 1_000_000).dropFirst()
        history.lines.append("\(now / 1_000_000).\(digits)  \(text())")
    }

    func isRunning(_ process: Process) -> Bool {
        nodes[process.node].isUp && nodes[process.node].run == process.run
    }

    /// Nothing reaches a process that has ended; what reaches a stopped one waits.
    mutating func isDeferred(_ process: Process, _ event: Event) -> Bool {
        guard isRunning(process) else { return true }
        guard nodes[process.node].stoppedUntil != nil else { return false }
        nodes[process.node].deferred.append(event)
        return true
    }

    private mutating func launch(_ k: Int) throws {
        guard !nodes[k].isUp, isFaulty || !plan.lost.contains(k) else { return }
        nodes[k].isUp = true
        note("node \(k + 1) starts at \(nodes[k].address)")
        nodes[k].run += 1
        nodes[k].launchedAt = now
        nodes[k].nextWake = Int.max
        nodes[k].keeper = RegistryKeeper(
            record(k), nonce: RandomID(high: dice.next(), low: dice.next()), seed: dice.next())
        if nodes[k].cluster == nil {
            let state = try RegistryState(decoding: nodes[k].stored)
            nodes[k].formation = RegistryFormation(
                settings(k), state: state,
                freshID: RandomID(high: dice.next(), low: dice.next()), seed: dice.next())
        }
        try step(k)
    }

    private func settings(_ k: Int) -> RegistryFormationSettings {
        var settings = RegistryFormationSettings(
            introduction(k), apiURL: apiURL(k), limit: nil)
        settings.refusalPatience = .seconds(60)
        if mutation == .noWaiting { settings.absence = .zero }
        if mutation == .noProbation || mutation == .noWaiting {
            settings.probation = .zero
            settings.probationAfterFailure = .zero
        }
        // Rarer looks leave more time for others between the claim and its completion.
        if mutation == .startsBeforeFormed {
            settings.absence = .milliseconds(1_500)
            settings.probation = .milliseconds(1_500)
            settings.eagerPeriod = .zero
        }
        if mutation == .shortProbation {
            settings.probation = .milliseconds(20)
            settings.probationAfterFailure = .milliseconds(20)
        }
        if mutation == .noTakeover { settings.takeover = .seconds(1_000_000) }
        return settings
    }

    mutating func crash(_ k: Int) {
        reached.crashes += 1
        note("node \(k + 1) crashes")
        // Any number of the writes under way, in their order, has reached the disk.
        for write in nodes[k].writes.prefix(dice.below(nodes[k].writes.count + 1)) {
            commit(write, k)
        }
        nodes[k].writes = []
        nodes[k].isUp = false
        nodes[k].formation = nil
        nodes[k].keeper = nil
        nodes[k].backlog = []
        nodes[k].requests = []
        nodes[k].stoppedUntil = nil
        nodes[k].deferred = []
        nodes[k].leads = nil
    }

    mutating func stop(_ k: Int) {
        reached.stops += 1
        if plan.longestStop >= 3_600_000_000 { reached.hours += 1 }
        let longest = [1_000, 1_000_000, plan.longestStop, plan.longestStop][dice.below(4)]
        let until = now + 1 + dice.below(min(longest, plan.longestStop))
        nodes[k].stoppedUntil = until
        note("node \(k + 1) stops for \((until - now) / 1_000) ms")
        queue.schedule(.resume(Process(node: k, run: nodes[k].run)), at: until)
    }

    private mutating func endFaults() throws {
        isFaulty = false
        for k in nodes.indices {
            if plan.lost.contains(k) {
                if nodes[k].isUp { crash(k) }
            } else if nodes[k].isUp {
                if nodes[k].stoppedUntil != nil {
                    nodes[k].stoppedUntil = now
                    queue.schedule(.resume(Process(node: k, run: nodes[k].run)), at: now)
                }
            } else {
                try launch(k)
            }
        }
    }
}
