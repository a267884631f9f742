import Chance
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
    var disk: SimulatedDisk
    /// How often it lost all it had.
    var wipes = 0
    private(set) var keptCluster: ClusterID?
    /// Database files by their names, ascending.
    var databases: [ModelDatabase] = []
    /// Files in the making, or parts of some that are gone.
    var incoming: [String] = []
    /// What its files were once, as an operator kept them.
    var copy: DirectoryCopy?
    /// What can't be read of the database.
    var databaseFault = DatabaseFault.none

    // What the operator says at its next start.

    /// Where it listens, now or in its next run.
    var address: PeerAddress
    var plan = FormationPlan.alone
    var candidates: [PeerAddress] = []
    var hasRegistry = false
    var reapTimeouts = ReapTimeouts()
    /// It proposes markers for checksums while it leads.
    var comparesChecksums = false
    /// Some node does.
    var meetsMarkers = false
    /// What stands in `raft/peers.json`.
    var peers: PeersRecovery?

    /// The newest state that a reader at level `none` saw here.
    var lastShown = LogIndex.zero

    // What ends with a run of the process.

    var run = 0
    /// The database file that counts.
    var live = Generation.first
    /// Its name is gone, by a node that breaks a rule.
    var isLiveRemoved = false
    var machine: NodeMachine? {
        didSet { isSightingOld = true }
    }
    /// Of the machine, unless it has changed since.
    private var lastSighting: MachineSighting?
    private var isSightingOld = true
    var log: SegmentedLog<SimulatedDisk>?
    var inbox: [NodeEvent] = []
    var isTurnScheduled = false
    var tickScheduledAt = -1
    var logKeeper = LogKeeper()
    /// Its thread sleeps; which of its sleeps this is.
    var logWait: Int? = 0
    var lastLogWait = 0
    /// It is about to wake up, or waits for a sync.
    var isLogBusy = false
    var applyKeeper = ApplyKeeper(
        ApplyKeeper.Limits(
            checkpointBytes: 0, checkpointEntries: 0, checkpointInterval: .zero, holdBytes: 0),
        generation: .first, applied: .zero, now: .zero)
    /// What the database's thread is at.
    var databaseStep: ApplyStep?
    var databaseWait: Int? = 0
    var lastDatabaseWait = 0
    /// What the last finished checkpoint of this run covers.
    var covered = LogIndex.zero
    /// The database as it is held for snapshots that go out, and since when.
    var holds: [(id: SnapshotSendID, state: ModelState, since: Int)] = []
    /// Of what was applied in this run since a marker said so; nil: it has none.
    var trace: UInt64?
    /// Snapshots that come in.
    var receipts: [SnapshotReceipt] = []
    var lastReceipt: UInt64 = 0
    /// Where other members are to be reached.
    var book: [NodeID: PeerAddress] = [:]
    /// Whom it takes nothing more from, for a while.
    var refused: [(identity: NodeIdentity, address: PeerAddress, until: Int)] = []
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
    /// Term and vote as its disk holds them for certain, across runs; nil once the disk is another or
    /// was damaged.
    var syncedHardState: HardState?

    // What the world does to it.

    var random: SplitMix64
    var syncDelay = 1...6
    var databaseDelay = 0...4
    /// How fast its clock goes, in thousandths, and how far it has jumped ahead.
    let clockRate: Int
    var clockJump = 0
    /// What its wall clock shows before or after the true time.
    var wallOffset = 0
    /// Whatever its log asks of the disk takes until this ends.
    var isDiskHung = false
    /// So does whatever its database asks, which may lie on another.
    var isDatabaseHung = false
    /// Now and then something fails that may.
    var isMishapPossible = true
    var output: [NodeOutput] = []
    /// Lists that were emptied, to be filled again: a new one for each step would cost more than what it holds.
    var spareOutput: [NodeOutput] = []
    var spareInbox: [NodeEvent] = []
    var counts = FaultCounts()

    static let folder = "/node"
    static let directory = "/node/log"
    static let tick = Duration.milliseconds(50)
    static let caughtUpEntries = 8

    /// Pages of the database that can't be read.
    enum DatabaseFault {
        case none
        /// Whoever reads next fails.
        case once
        /// Now and then somebody comes upon it, until the disk is replaced.
        case latent
    }

    /// A snapshot on its way in, as a file of its own.
    struct SnapshotReceipt {
        var id: SnapshotReceiptID
        var offer: SnapshotOffer
        var isForeign = false
        var isAccepted = false
        /// Bytes that arrived.
        var byteCount = 0
        /// The content, once all of it is there and durable.
        var state: ModelState?
        /// What arrives is no database of the mark that was offered.
        var isFalse = false
    }

    init(
        slot: Int, id: NodeID? = nil, address: PeerAddress, mutation: Mutation?,
        random: inout SplitMix64
    ) {
        self.slot = slot
        self.id = id ?? NodeID("\(slot + 1)")
        self.address = address
        self.mutation = mutation
        self.random = SplitMix64(seed: random.next())
        identity = Self.newIdentity(self.id, &random)
        disk = SimulatedDisk(seed: random.next())
        clockRate = random.within(930...1070)
    }

    private static func newIdentity(
        _ id: NodeID, _ random: inout SplitMix64
    ) -> NodeIdentity {
        NodeIdentity(
            id: id, incarnation: Incarnation(RandomID(high: random.next(), low: random.next())))
    }

    var isUp: Bool { machine != nil }
    var term: Term { sighting?.term ?? .zero }
    /// Where the live file stands among all.
    var current: Int { databases.firstIndex { $0.generation == live } ?? 0 }
    var database: ModelDatabase { databases[current] }

    /// What the machine is now; nil: it is down.
    var sighting: MachineSighting? {
        guard isSightingOld else { return lastSighting }
        let nextTick = machine?.nextTick ?? .zero
        let turn = machine?.lastTurn()
        lastSighting = turn.map { MachineSighting($0, nextTick: nextTick) }
        isSightingOld = false
        return lastSighting
    }

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

    // MARK: Ending

    /// The process ends; with `losingPower` the machine too.
    func stop(losingPower: Bool) {
        if isLiveRemoved { databases.removeAll { $0.generation == live } }
        isLiveRemoved = false
        machine = nil
        log = nil
        inbox = []
        isTurnScheduled = false
        tickScheduledAt = -1
        logKeeper = LogKeeper()
        logWait = 0
        isLogBusy = false
        databaseStep = nil
        databaseWait = 0
        holds = []
        trace = nil
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
        syncedHardState = nil
        databases = []
        incoming = []
        copy = nil
        peers = nil
        databaseFault = .none
        lastShown = .zero
    }

    /// The copy of another node's directory is this one's.
    func become(_ copy: DirectoryCopy) {
        identity = copy.identity
        restore(copy)
    }

    /// It is started as the other node is.
    func follow(_ other: SimulatedNode) {
        plan = other.plan
        candidates = other.candidates
        hasRegistry = other.hasRegistry
        reapTimeouts = other.reapTimeouts
        comparesChecksums = other.comparesChecksums
        meetsMarkers = other.meetsMarkers
    }

    func collectDiskFaults() {
        counts.lostSectors += disk.faults.lostSectors
        counts.tornSectors += disk.faults.tornSectors
        counts.lostNameChanges += disk.faults.lostNameChanges
        counts.fullDisks += disk.faults.refusedForSpace
        counts.failedReads += disk.faults.failedReads
    }
}
