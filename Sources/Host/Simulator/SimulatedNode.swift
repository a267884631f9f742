import Raft
import Replication
import WriteAheadLog

/// A node: the production log and consensus under a shell that does what the daemon's threads do,
/// one step at a time. Its disk outlives its runs.
///
/// A core takes events from its mailbox in batches; the log's thread covers all writes that wait
/// with one sync; the state machine's thread does one job after the other. Each step is an event in
/// simulated time, so a crash may fall between any two.
final class SimulatedNode {
    let slot: Int
    let id: NodeID
    let cluster: ClusterID
    let mutation: Mutation?
    private(set) var identity: NodeIdentity
    private(set) var disk: SimulatedDisk
    /// Comes back empty: it founds no cluster.
    private(set) var wasReplaced = false
    var databases: [ModelDatabase] = []

    // What ends with a run of the process.

    private(set) var run = 0
    var replicated: ReplicatedLog?
    var log: WriteAheadLog<SimulatedDisk>?
    var inbox: [CoreEvent] = []
    var isTurnScheduled = false
    var nextTick = 0
    var logJobs: [LogJob] = []
    var isLogBusy = false
    var unsynced: [CoreEvent] = []
    var isLogFull = false
    var applyJobs: [ApplyJob] = []
    var isApplyBusy = false
    var snapshots = SnapshotTraffic()
    /// Terms of the entries that the core asked to be written, from `shadowBase` on.
    var shadowTerms: [Term] = []
    var shadowBase = LogPosition.zero
    /// What is on the disk for certain.
    var syncedTerm = Term.zero
    var syncedIndex = LogIndex.zero
    /// Operations acknowledged too early, so not again.
    var early: Set<UInt64> = []

    // What the world does to it.

    var random: SeededGenerator
    var syncDelay = 1...6
    var applyDelay = 0...4
    var tickInterval: Int
    /// Whatever its log asks of the disk takes until this ends.
    var isDiskHung = false
    var output: [NodeOutput] = []
    var counts = FaultCounts()

    static let directory = "/node/log"

    init(slot: Int, cluster: ClusterID, mutation: Mutation?, random: inout SeededGenerator) {
        self.slot = slot
        id = NodeID("\(slot + 1)")
        self.cluster = cluster
        self.mutation = mutation
        self.random = SeededGenerator(seed: random.next())
        identity = Self.newIdentity(id, &random)
        disk = SimulatedDisk(seed: random.next())
        tickInterval = random.within(45...55)
    }

    private static func newIdentity(
        _ id: NodeID, _ random: inout SeededGenerator
    ) -> NodeIdentity {
        NodeIdentity(
            id: id, incarnation: Incarnation(RandomID(high: random.next(), low: random.next())))
    }

    var isUp: Bool { replicated != nil }
    var member: Member {
        Member(
            id: id, incarnation: identity.incarnation, address: PeerAddress("node\(id):4002"),
            suffrage: .voter)
    }
    var database: ModelDatabase { databases[databases.count - 1] }

    var hasOperatorRequest: Bool {
        inbox.contains {
            if case .request(let request) = $0 {
                request.id >= ClientRequest.operatorID
            } else {
                false
            }
        }
    }

    // MARK: Starting

    enum StartFailure: Error {
        /// The disk fails the start; another may go well.
        case disk(LogError)
        /// The data are damaged: the node must be replaced.
        case damaged
        case broken(String)
    }

    /// - Parameter bootstrap: the membership a node of a fresh cluster writes down at first.
    func start(at now: Int, boot: RandomID, bootstrap: Membership?) throws(StartFailure) {
        let opened: LogState
        let tail: [Entry]
        do throws(LogError) {
            log = try .open(
                on: disk, directory: Self.directory,
                limits: LogLimits(segmentBytes: 8192), bootID: boot)
            guard var log = log.take() else { return }
            if log.state.identity == nil { try establish(&log, bootstrap) }
            opened = log.state
            if opened.mustCatchUpBeforeVoting {
                throw LogError.corrupt(file: "", offset: 0, reason: "")
            }
            selectDatabase(opened.generation)
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
    private func establish(
        _ log: inout WriteAheadLog<SimulatedDisk>, _ bootstrap: Membership?
    ) throws(LogError) {
        var state = ModelState()
        var records: [MetadataRecord] = [.identity(identity), .cluster(cluster)]
        if let bootstrap {
            state.membership = bootstrap
            records.append(.bootstrapMembership(bootstrap))
        }
        databases = [ModelDatabase(generation: 0, state: state)]
        try log.append(LogBatch(records: records))
        try log.sync()
    }

    /// Files of other generations are remains of an interrupted change.
    private func selectDatabase(_ generation: UInt64) {
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
        guard log.cluster == cluster, log.identity == identity else {
            throw .broken("cluster or identity changed on disk")
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
        var settings = RaftSettings()
        settings.electionTicks = 10
        settings.heartbeatTicks = 2
        settings.quorumTicks = 10
        settings.stallTicks = mutation == .leadsWithoutDisk ? .max : 20
        settings.maxMessageEntries = 16
        settings.maxMessageBytes = 2048
        settings.maxInflightMessages = 4
        settings.maxUncommittedBytes = 64 << 10
        settings.maxCachedBytes = 2048
        settings.caughtUpEntries = 8
        var limits = ReplicationSettings()
        limits.maxApplyEntries = 16
        limits.compactionThreshold = 20
        limits.trailingEntries = 10
        replicated = ReplicatedLog(
            raft: Raft(
                identity: identity, cluster: cluster, settings: settings, restored: restored,
                seed: random.next()),
            restored: restored, settings: limits)
        let expected = max(opened.commitIndex, restored.appliedIndex)
        guard replicated?.raft.commitIndex == expected else {
            throw .broken("commitIndex does not begin at \(expected)")
        }
        nextTick = now + random.within(0...tickInterval)
        output.append(.after(nextTick - now, .tick))
        performEffects()
    }

    // MARK: Ending

    /// The process ends; with `losingPower` the machine too.
    func stop(losingPower: Bool) {
        replicated = nil
        log = nil
        inbox = []
        isTurnScheduled = false
        logJobs = []
        isLogBusy = false
        unsynced = []
        isLogFull = false
        applyJobs = []
        isApplyBusy = false
        snapshots = SnapshotTraffic()
        early = []
        run += 1
        if losingPower {
            disk.crash()
            for i in databases.indices where databases[i].losePower(&random) {
                counts.databaseRollbacks += 1
            }
        } else {
            disk.kill()
        }
    }

    /// The node loses all it had and comes back empty, as another incarnation.
    func wipe() {
        collectDiskFaults()
        identity = Self.newIdentity(id, &random)
        disk = SimulatedDisk(seed: random.next())
        databases = []
        wasReplaced = true
    }

    func collectDiskFaults() {
        counts.lostSectors += disk.faults.lostSectors
        counts.tornSectors += disk.faults.tornSectors
        counts.lostNameChanges += disk.faults.lostNameChanges
        counts.fullDisks += disk.faults.refusedForSpace
    }
}
