import Cluster
import PeerProtocol
import Raft
import Replication
import Service
import Telemetry
import Time
import Transport
import Wire

/// The one thread that owns the consensus state of a node. It takes what arrived, lets the
/// machines decide, and hands out what follows in batches: to the log's thread, the state machine's
/// thread, the readers, the network and the clients' event loops. It never blocks on any of them.
///
/// Not `Sendable`: it is made on its thread and stays there.
final class Core {
    let options: NodeOptions
    let links: Links
    /// Nil until the node belongs to a cluster.
    var replicated: ReplicatedLog?
    var cluster: ClusterID?
    var formation: FormationDriver?
    /// Nil without a registry.
    var registry: RegistryDriver?
    /// What this node promised on the way to its cluster; it goes on telling others of the outcome.
    var acceptorState = AcceptorState()
    var pendingMembership: PendingMembership?
    /// The membership with which a joiner begins. Empty, for the log will tell; but a founder that
    /// joins before it heard of the founding is a voter already, and no entry may say so.
    var admission = Membership()
    var candidates: Candidates?
    /// Since when this member has no leader.
    var lostSince: MonotonicTime?
    /// Since when the leader is known.
    var ledSince: MonotonicTime?
    /// In this run the node became a member, or a leader took it for one.
    var isRecognized = false
    var exclusion: Exclusion = .none

    // Requests whose fate is open.
    var openProposals: [ProposalID: OpenProposal] = [:]
    var openReads: [ReadID: [PendingRequest]] = [:]
    /// Can't go anywhere now; tried again at each tick and when the leader changes.
    var parked: [PendingRequest] = []
    var membershipQueue = MembershipQueue()
    /// Members whose reaping was begun, and whether they vote.
    var reaping: [NodeID: Bool] = [:]
    /// Members whose reaping failed, and until when it isn't tried again.
    var reapingPausedUntil: [NodeID: MonotonicTime] = [:]
    var transferWaiters: [PendingRequest] = []
    private var lastID: UInt64 = 0

    // What one turn gathers.
    var turnProposals: [(id: ProposalID, bytes: [UInt8])] = []
    var turnReads: [PendingRequest] = []
    var readJobs: [ReadJob] = []
    var outgoing: [Message] = []
    var replies = ReplyBatch()

    /// What other members said of themselves.
    var acquaintances: [NodeID: Hello] = [:]
    /// Where members are, by the membership or, for a joiner, by what the leader said.
    var addressHints: [NodeID: PeerAddress] = [:]
    var acquaintanceAsked: [NodeID: MonotonicTime] = [:]
    var snapshots = SnapshotTraffic()

    // Positions that gate what may be served.
    /// The commitIndex found at start: what was served before the restart is not unlearnt.
    var servableFrom: LogIndex = .zero
    /// The commitIndex when this node became ready to lead.
    var leaderReadsFrom: LogIndex?
    var isLogFull = false
    var isDatabaseFull = false
    var fault: String?
    var leaving: Leaving?
    var stopping: Stopping?

    var now = MonotonicTime.now
    private var nextTick: MonotonicTime
    var isStopped = false

    /// The threads and services that the core hands work to.
    struct Links {
        var mailbox: Mailbox<CoreEvent>
        var log: LogThread
        var apply: ApplyThread
        var readers: ReaderPool
        var transport: Transport
        var forwarder: Forwarder
        var registry: (any RegistryAccess)?
        var gate: ReadGate
        var board: StatusBoard
        var logger: Logger
    }

    init(options: NodeOptions, links: Links) {
        self.options = options
        self.links = links
        nextTick = now + options.tick
    }

    func newID() -> UInt64 {
        lastID += 1
        return lastID
    }

    // MARK: The loop

    func run() {
        while !isStopped {
            turn(links.mailbox.take(until: nextTick))
        }
    }

    private func turn(_ events: [CoreEvent]) {
        now = .now
        var requests: [PendingRequest] = []
        // What the network and the disk say comes before what clients ask: after a stall the node
        // first learns that it was deposed.
        for event in events {
            if case .requests(let batch) = event {
                requests.append(contentsOf: batch)
            } else {
                take(event)
            }
        }
        performEffects()
        if now >= nextTick { tick() }
        for request in requests { dispatch(request) }
        flushRequests()
        performEffects()
        handOut()
        publish()
    }

    private func take(_ event: CoreEvent) {
        switch event {
        case .requests: break
        case .needsWrite(var request):
            request.isWrite = true
            request.encode()
            dispatch(request)
        case .retry(let request): parked.append(request)
        case .messages(let messages, _): if exclusion != .stopped { replicated?.receive(messages) }
        case .unreachable(let peer): replicated?.peerUnreachable(peer)
        case .joinAsked(let request, let reply): joinAsked(request, reply)
        case .joinerAnswered(let request, let result, let reply):
            joinerAnswered(request, result, reply)
        case .namesakeAnswered(let request, let hello, let address, let result, let reply):
            namesakeAnswered(request, hello, address, result, reply)
        case .formationAsked(let bytes, let caller, let reply):
            formationAsked(bytes, from: caller, reply)
        case .answered(let address, let call, let result): answered(address, call, result)
        case .helloHeard(let identity): helloHeard(identity)
        case .registryAnswered(let request, let id, let reply):
            registryAnswered(request, id, reply)
        case .registryWatched(let outcome): registryWatched(outcome)
        case .candidates(let list): candidatesChanged(list)
        case .written(let ticket): replicated?.persisted(ticket)
        case .fetched(let fetch, let entries): replicated?.fetched(entries, for: fetch)
        case .compacted(let base): replicated?.compacted(through: base)
        case .recorded(let id): recorded(id)
        case .logReset(let mark, let generation): links.apply.post(.switchTo(generation, mark))
        case .logFull(let isFull): isLogFull = isFull
        case .applied(let index): replicated?.applied(through: index)
        case .checkpointed(let index): replicated?.checkpointed(through: index)
        case .readersHoldCheckpoint: links.readers.evictOldest()
        case .databaseFull(let isFull): isDatabaseFull = isFull
        case .snapshotOpened(let sending): snapshotOpened(sending)
        case .databasePrepared(let mark, let result): databasePrepared(mark, result)
        case .databaseSwitched(let mark, let path): databaseSwitched(mark, path)
        case .established: established()
        case .snapshotSent(let peer, let index): snapshotSent(to: peer, through: index)
        case .snapshotReceived(let arrival): snapshotReceived(arrival)
        case .fault(let text): failed(text)
        case .leave(let done): beginLeaving(done)
        case .stop(let done): beginStop(done)
        }
    }

    private func tick() {
        // After a stall the core catches up, so that a leader that stood still for longer than an
        // election timeout steps down before it answers anybody.
        var due = 0
        while nextTick <= now, due <= options.raft.quorumTicks {
            nextTick = nextTick + options.tick
            due += 1
            if exclusion != .stopped { replicated?.tick() }
        }
        if nextTick <= now { nextTick = now + options.tick }
        performEffects()
        tickFormation()
        tickRegistry()
        tickReaping()
        tickMembership()
        expireRequests()
        retryParked()
        tickAcquaintances()
        links.readers.grow()
        tickLeaving()
        tickStop()
    }

    /// Sends what the turn gathered, each destination once.
    private func handOut() {
        if !outgoing.isEmpty {
            links.transport.send(outgoing)
            outgoing.removeAll(keepingCapacity: true)
        }
        if !readJobs.isEmpty {
            links.readers.post(readJobs)
            readJobs.removeAll(keepingCapacity: true)
        }
        links.forwarder.flush()
        replies.deliver()
    }

    // MARK: Failing

    /// The node can't go on: it stops taking part at once, says why, and ends the process through
    /// its owner.
    func failed(_ text: String) {
        guard fault == nil else { return }
        fault = text
        links.logger.error("node failed", ["cause": text])
        isStopped = true
        links.board.fail(text)
    }
}
