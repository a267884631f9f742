import Cluster
import NodeLogic
import PeerProtocol
import Raft
import Registry
import Replication
import Service
import Time
import Wire
import WriteAheadLog

/// A node: the production machine and log, and in the place of the daemon's threads what carries out
/// their effects one step at a time. It decides nothing of its own. Its disk outlives its runs.
///
/// The machine takes events from its mailbox in batches; the log's thread covers all writes that
/// wait with one sync; the database's thread does one job after the other. Each step is an event in
/// simulated time, so a crash may fall between any two.
final class SimulatedNode {
    let slot: Int
    let id: NodeID
    let mutation: Mutation?
    private(set) var identity: NodeIdentity
    private(set) var disk: SimulatedDisk
    /// How often it lost all it had.
    private(set) var wipes = 0
    private var keptCluster: ClusterID?
    var databases: [ModelDatabase] = []

    // What the operator says at its next start.

    /// Where it listens, now or in its next run.
    var address: PeerAddress
    var plan = FormationPlan.alone
    var candidates: [PeerAddress] = []
    var hasRegistry = false

    /// The newest state that a reader at level `none` saw here.
    var lastShown = LogIndex.zero

    // What ends with a run of the process.

    private(set) var run = 0
    var machine: NodeMachine?
    var log: SegmentedLog<SimulatedDisk>?
    var inbox: [NodeEvent] = []
    var isTurnScheduled = false
    var tickScheduledAt = -1
    var logJobs: [LogWork] = []
    var isLogBusy = false
    var unsynced: [NodeEvent] = []
    var isLogFull = false
    var databaseJobs: [DatabaseWork] = []
    var isDatabaseBusy = false
    /// The database as it is held for snapshots that go out, and since when.
    var holds: [(id: SnapshotSendID, state: ModelState, since: Int)] = []
    /// Snapshots that come in.
    var receipts: [SnapshotReceipt] = []
    var lastReceipt: UInt64 = 0
    /// Where other members are to be reached.
    var book: [NodeID: PeerAddress] = [:]
    /// Whom it takes nothing more from.
    var refused: [(identity: NodeIdentity, address: PeerAddress)] = []
    var open: [RequestKey: RequestOrigin] = [:]
    var lastKey: UInt64 = 0
    var sentOn: Set<RequestKey> = []
    /// What requests ask for, for a shell that answers too early.
    var earlyKeys: [(key: RequestKey, statements: [Statement])] = []
    /// Until when reads need not ask the machine (`ReadGate`).
    var localReadsUntil = MonotonicTime.zero
    var leaderReadsUntil = MonotonicTime.zero
    /// Asked to end in order.
    var isEnding = false
    /// Terms of the entries that the machine asked to be written, from `shadowBase` on.
    var shadowTerms: [Term] = []
    var shadowBase = LogPosition.zero
    /// What is on the disk for certain.
    var syncedTerm = Term.zero
    var syncedIndex = LogIndex.zero

    // What the world does to it.

    var random: SeededGenerator
    var syncDelay = 1...6
    var databaseDelay = 0...4
    /// How fast its clock goes, in thousandths, and how far it has jumped ahead.
    let clockRate: Int
    var clockJump = 0
    /// What its wall clock shows before or after the true time.
    var wallOffset = 0
    /// Whatever its log asks of the disk takes until this ends.
    var isDiskHung = false
    /// Now and then something fails that may.
    var isMishapPossible = true
    var output: [NodeOutput] = []
    var counts = FaultCounts()

    static let directory = "/node/log"
    static let tick = Duration.milliseconds(50)

    /// A snapshot on its way in, as a file of its own.
    struct SnapshotReceipt {
        var id: SnapshotReceiptID
        var offer: SnapshotOffer
        var isAccepted = false
        /// Bytes that arrived.
        var byteCount = 0
        /// The content, once all of it is there and durable.
        var state: ModelState?
    }

    init(
        slot: Int, address: PeerAddress, mutation: Mutation?, random: inout SeededGenerator
    ) {
        self.slot = slot
        id = NodeID("\(slot + 1)")
        self.address = address
        self.mutation = mutation
        self.random = SeededGenerator(seed: random.next())
        identity = Self.newIdentity(id, &random)
        disk = SimulatedDisk(seed: random.next())
        clockRate = random.within(930...1070)
    }

    private static func newIdentity(
        _ id: NodeID, _ random: inout SeededGenerator
    ) -> NodeIdentity {
        NodeIdentity(
            id: id, incarnation: Incarnation(RandomID(high: random.next(), low: random.next())))
    }

    var isUp: Bool { machine != nil }
    var term: Term { machine?.replicated?.raft.term ?? .zero }
    var database: ModelDatabase { databases[databases.count - 1] }

    // MARK: Clocks

    /// What its monotonic clock shows.
    func clock(_ now: Int) -> MonotonicTime {
        let microseconds = now * clockRate + clockJump * 1000
        return MonotonicTime(nanoseconds: 1_000_000_000_000 + UInt64(microseconds) * 1000)
    }

    /// When its monotonic clock will show it.
    func moment(_ time: MonotonicTime) -> Int {
        let nanoseconds = Int(time.nanoseconds) - 1_000_000_000_000
        let milliseconds = nanoseconds / 1000 - clockJump * 1000
        return (milliseconds + clockRate - 1) / clockRate
    }

    func wall(_ now: Int) -> Int64 { Int64(1_764_000_000_000 + now + wallOffset) }

    // MARK: Starting

    enum StartFailure: Error {
        /// The disk fails the start; another may go well.
        case disk(LogError)
        /// The data are damaged: the node must be replaced.
        case damaged
        case broken(String)
    }

    func start(at now: Int, boot: RandomID) throws(StartFailure) {
        let opened: LogState
        let tail: [Entry]
        do throws(LogError) {
            log = try .open(
                on: disk, directory: Self.directory,
                limits: LogLimits(segmentBytes: 8192), bootID: boot)
            guard var log = log.take() else { return }
            if log.state.identity == nil { try establish(&log) }
            opened = log.state
            if opened.mustCatchUpBeforeVoting {
                throw LogError.corrupt(file: "", offset: 0, reason: "")
            }
            selectDatabase(max(.first, Generation(opened.generation)))
            guard let database = databases.last else {
                throw .corrupt(file: "", offset: 0, reason: "no database")
            }
            tail = try log.tail(after: database.live.position.index)
            self.log = consume log
        } catch {
            log = nil
            if case .corrupt = error { throw StartFailure.damaged }
            throw StartFailure.disk(error)
        }
        try begin(try restored(opened, tail), opened, at: now)
    }

    /// The first start: database, then identity.
    private func establish(_ log: inout SegmentedLog<SimulatedDisk>) throws(LogError) {
        var state = ModelState()
        var records: [MetadataRecord] = [
            .identity(identity), .generation(Generation.first.rawValue),
        ]
        if let keptCluster {
            state.cluster = keptCluster
            records.append(.cluster(keptCluster))
        }
        databases = [ModelDatabase(generation: .first, state: state)]
        try log.append(LogBatch(records: records))
        try log.sync()
    }

    /// Files of other generations are remains of an interrupted change.
    private func selectDatabase(_ generation: Generation) {
        databases.removeAll { $0.generation != generation }
    }

    private func restored(
        _ log: LogState, _ tail: [Entry]
    ) throws(StartFailure) -> RestoredState {
        var live = database.live
        if mutation == .skipsReapplying, log.commitIndex > live.position.index,
            let term = log.term(at: log.commitIndex)
        {
            live.position = LogPosition(index: log.commitIndex, term: term)
            databases[databases.count - 1].pretend(live.position)
        }
        let applied = live.position.index
        guard applied <= log.lastIndex else {
            throw .broken("database at \(applied) ahead of the log, which ends at \(log.lastIndex)")
        }
        guard applied >= log.base.index else {
            throw .broken("database at \(applied) behind the log, which begins at \(log.base)")
        }
        guard log.identity == identity else { throw .broken("identity changed on disk") }
        if let one = log.cluster, let other = live.cluster, one != other {
            throw .broken("log of cluster \(one), database of \(other)")
        }
        let databaseIsNewer = live.membershipIndex > log.membershipIndex
        var state = RestoredState(
            hardState: log.hardState, base: log.base, termRuns: log.termRuns,
            lastIndex: log.lastIndex, tail: tail.filter { $0.index > applied },
            membership: databaseIsNewer ? live.membership : log.membership,
            membershipIndex: max(live.membershipIndex, log.membershipIndex),
            appliedMembership: live.membership, appliedMembershipIndex: live.membershipIndex,
            commitIndex: max(log.commitIndex, applied), appliedIndex: applied)
        guard state.commitIndex <= state.lastIndex else {
            throw .broken("committed through \(state.commitIndex), log ends at \(log.last)")
        }
        if mutation == .forgetsHardState { state.hardState = HardState() }
        if mutation == .forgetsVote { state.hardState.votedFor = nil }
        return state
    }

    private func formation(_ log: LogState) throws(StartFailure) -> StoredFormation {
        do {
            return StoredFormation(
                acceptor: try log.formation.map { try AcceptorState(decoding: $0) }
                    ?? AcceptorState(),
                registry: try log.registry.map { try RegistryState(decoding: $0) }
                    ?? RegistryState())
        } catch {
            throw .broken("what the log says of forming is unreadable: \(error)")
        }
    }

    private func begin(
        _ restored: RestoredState, _ opened: LogState, at now: Int
    ) throws(StartFailure) {
        run += 1
        shadowBase = restored.base
        shadowTerms = []
        var index = restored.base.index.next
        while index <= restored.lastIndex {
            shadowTerms.append(opened.term(at: index) ?? .zero)
            index = index.next
        }
        syncedTerm = opened.hardState.term
        syncedIndex = opened.lastIndex
        let chance = Chance((random.next(), random.next(), random.next(), random.next() | 1))
        let beginning = NodeMachine.Beginning(
            restored: restored, cluster: opened.cluster,
            isEstablished: database.live.cluster != nil, formation: try formation(opened),
            hasRegistry: hasRegistry)
        var machine = NodeMachine(options, chance: chance, now: clock(now))
        machine.begin(beginning)
        let expected = max(opened.commitIndex, restored.appliedIndex)
        if let replicated = machine.replicated, replicated.raft.commitIndex != expected {
            throw .broken("commitIndex does not begin at \(expected)")
        }
        self.machine = machine
        if !candidates.isEmpty { post(.candidates(Candidates(candidates))) }
        carryOut(at: now)
    }

    private var options: NodeOptions {
        var raft = RaftSettings()
        raft.electionTicks = 10
        raft.heartbeatTicks = 2
        raft.quorumTicks = 10
        raft.stallTicks = mutation == .leadsWithoutDisk ? .max : 20
        raft.maxMessageEntries = 16
        raft.maxMessageBytes = 2048
        raft.maxInflightMessages = 4
        raft.maxInflightBytes = 4096
        raft.maxUncommittedBytes = 64 << 10
        raft.maxCachedBytes = 2048
        raft.caughtUpEntries = 8
        var replication = ReplicationSettings()
        replication.maxApplyEntries = 16
        replication.compactionThreshold = 20
        replication.trailingEntries = 10
        replication.compactionRetryTicks = 20
        var configuration = NodeConfiguration(
            explicitID: nil, fallbackID: id, address: address, apiURL: "http://\(address)",
            dataDirectory: "", version: "simulated")
        configuration.raft = raft
        configuration.replication = replication
        configuration.tick = Self.tick
        configuration.applyTimeout = .seconds(3)
        configuration.plan = plan
        configuration.snapshotSendTime = .seconds(6)
        return NodeOptions(identity: identity, engine: "model", configuration: configuration)
    }

    // MARK: Ending

    /// The process ends; with `losingPower` the machine too.
    func stop(losingPower: Bool) {
        machine = nil
        log = nil
        inbox = []
        isTurnScheduled = false
        tickScheduledAt = -1
        logJobs = []
        isLogBusy = false
        unsynced = []
        isLogFull = false
        databaseJobs = []
        isDatabaseBusy = false
        holds = []
        receipts = []
        book = [:]
        refused = []
        open = [:]
        sentOn = []
        earlyKeys = []
        localReadsUntil = .zero
        leaderReadsUntil = .zero
        isEnding = false
        output = []
        run += 1
        if losingPower {
            lastShown = .zero
            disk.crash()
            for i in databases.indices where databases[i].losePower(&random) {
                counts.databaseRollbacks += 1
            }
        } else {
            disk.kill()
        }
    }

    /// The node loses all it had and comes back empty, as another incarnation.
    /// - Parameter cluster: in which it goes on as if nothing had happened, against the rule.
    func wipe(keeping cluster: ClusterID? = nil) {
        collectDiskFaults()
        wipes += 1
        keptCluster = cluster
        if cluster == nil { identity = Self.newIdentity(id, &random) }
        disk = SimulatedDisk(seed: random.next())
        databases = []
        lastShown = .zero
    }

    func collectDiskFaults() {
        counts.lostSectors += disk.faults.lostSectors
        counts.tornSectors += disk.faults.tornSectors
        counts.lostNameChanges += disk.faults.lostNameChanges
        counts.fullDisks += disk.faults.refusedForSpace
    }
}
