package import Chance
import PeerProtocol
package import Raft
import Registry
package import Replication
import Service
package import Time
import Wire

/// What a node decides, as one value: events in, ordered effects out. The daemon and the simulator
/// drive it alike; it knows no clock, thread, socket or file, and names what it waits for by IDs.
///
/// It is put together of machines with state of their own: `ReplicatedLog` (consensus and the
/// positions of log and database), `RequestRouter`, `MembershipDesk`, `Rendezvous`,
/// `SnapshotTraffic`, `Enquiries` and `Shutdown`. Each gives out decisions; this type passes between
/// them what one has to tell another, and turns the rest into effects.
///
/// The driver's duties:
///
/// 1. `begin` with what the disk says, then `turn` with all events that wait, at `nextTick` at the
///    latest; after each of them `takeEffects()`, carried out in their order.
/// 2. Work for the log is done in its order, and so is work for the database; both may go on beside
///    each other and beside the network. Each reports what it did as an event.
/// 3. After `failed` or `stopped` the machine takes no more events.
package struct NodeMachine: Sendable {
    /// What the operator chose, and who the data directory says the node is.
    package let options: NodeOptions
    /// Nil until the node belongs to a cluster.
    package internal(set) var replicated: ReplicatedLog?
    /// Nil until the node belongs to a cluster; then it never changes in a run.
    package internal(set) var cluster: ClusterID?
    var router: RequestRouter
    var membership: MembershipDesk
    @Aside var rendezvous: Rendezvous
    var snapshots: SnapshotTraffic
    var enquiries = Enquiries()
    var shutdown = Shutdown()
    var acquaintances = Acquaintances()
    var followerContact = FollowerContact()
    var troubles = Troubles()
    var checksums: ChecksumDesk
    package internal(set) var quarantine = Quarantine()
    /// An operator wants this node to be seeded.
    var isSeedingWanted = false
    var askedForSeedAt: MonotonicTime?
    /// Databases of other nodes, until the log names them.
    var seeds: [RecordID: (generation: Generation, mark: SnapshotMark)] = [:]
    /// What the log says as soon as it names the seed.
    var trustedNext: Quarantine?
    /// When members of the cluster were heard last.
    var spokeAt: [NodeID: MonotonicTime] = [:]
    /// When data directories that are no members were told so last, by the ID of which each is none.
    var disownedAt: [NodeID: MonotonicTime] = [:]
    /// Who asked what of the agreement, of late.
    var askers: [(question: PeerQuestionID, identity: NodeIdentity)] = []
    /// The leader that the committed membership does not name: forgotten when another leads.
    var removedLeader: NodeID?
    /// Who was given an address because it spoke, though the log does not name it; the latest last.
    var unnamed: [NodeID] = []
    /// Since when no leader is known; nil while one is.
    var leaderlessSince: MonotonicTime?
    var identityWatch: IdentityWatch
    var firstCampaign = FirstCampaign()
    /// What the node goes on with once it knows that nobody else bears its identity. `campaigns`: at once.
    var beginning: (restored: RestoredState, cluster: ClusterID, campaigns: Bool)?
    /// Whether the node was removed from its cluster and knows it.
    package internal(set) var exclusion = Exclusion.none

    /// Why other nodes were asked, until they answer.
    var calls: [PeerCallID: CallPurpose] = [:]
    /// What is waited for until metadata are durable.
    var records: [RecordID: Rendezvous.Record] = [:]
    /// Who waits until leadership has moved.
    var transferWaiters: [RequestKey] = []
    var checkpoints = CheckpointWaiters()

    // Positions that gate what may be served.
    /// The commitIndex found at start: what was served before the restart is not unlearnt.
    var servableFrom: LogIndex = .zero
    /// The commitIndex when this node became ready to lead.
    var leaderReadsFrom: LogIndex?
    /// Since when this node has applied nothing although something is committed, and where it stands.
    var behindSince: MonotonicTime?
    var appliedWhenBehind = LogIndex.zero
    var isLogFull = false
    var isDatabaseFull = false
    /// Why this node applies nothing more, while it doesn't.
    var halt: ApplyHalt?
    /// When a leader that applies nothing last looked for another node to lead.
    var soughtSuccessorAt = MonotonicTime(nanoseconds: 0)
    /// … and since when it has done so without a break.
    var soughtSince: MonotonicTime?
    /// Since when others have answered, whenever they were asked, that they could lead in this node's place.
    var ableSince: [NodeID: MonotonicTime] = [:]
    /// What the log holds of a cluster that the database doesn't know yet.
    var unestablished: RestoredState?
    /// Skips of a recovery by hand that this run, as leader, has not put into the log: whoever joins
    /// later learns of them there.
    var unrecordedSkips: [EntrySkip] = []
    /// The limits on writes as of the entries that are applied.
    var limits = WriteLimits.initial
    /// Changes of the limits that are being applied, and who waits for them, by index.
    var awaitedDecisions: [(index: LogIndex, pending: PendingRequest)] = []
    var fault: String?
    var droppedMessages: [DropReason: Int] = [:]
    var reapings = Reapings()
    var confirmedReads = ConfirmedReads()

    /// When the last turn was taken.
    var now: MonotonicTime
    /// Of the wall clock, in milliseconds since 1970; for the stamps of entries alone.
    var wallMilliseconds: Int64 = 0
    /// The clock of the log when it was ahead of the wall clock last, in milliseconds since 1970.
    var logClock: Int64 = 0
    var chance: Xoshiro256
    /// For how long the machine was suspended since the last tick.
    private var sleptFor = Duration.zero
    /// When `turn` is due, unless an event comes first.
    package private(set) var nextTick: MonotonicTime
    private var lastID: UInt64 = 0
    private var effects: [NodeEffect] = []
    /// Messages of this turn, until something else must go first.
    private var outgoing: [Message] = []

    /// Why another node was asked.
    enum CallPurpose {
        case rendezvous(Rendezvous.Purpose, PeerAddress)
        case membership
        /// To learn a member's API URL and versions.
        case acquaintance(NodeID)
        case survey
        case readiness
        /// Could this member lead in this node's place?
        case successor(NodeID)
        /// Before this node takes part: does anybody else bear its identity?
        case ownIdentity
        /// What did this node promise before it started?
        case testimony
        /// Is a newcomer's identity alive where it was known?
        case otherIdentity
        /// What did it find at the last markers?
        case checksums(NodeID)
        case seed
        /// The same, as an operator wants who waits for the answer.
        case reseed(PendingRequest)
        /// To tell a data directory that it is no member.
        case disowned
    }

    /// - Parameter chance: 256 bits that no other run has.
    package init(_ options: NodeOptions, chance: Xoshiro256, now: MonotonicTime) {
        self.options = options
        self.now = now
        nextTick = now + options.tick
        router = RequestRouter(applyTimeout: options.applyTimeout, limits: options.router)
        membership = MembershipDesk(options)
        snapshots = SnapshotTraffic(options)
        checksums = ChecksumDesk(options.checksums)
        var chance = chance
        let own = Xoshiro256((chance.next(), chance.next(), chance.next(), chance.next() | 1))
        let run = chance.nextID()
        self.chance = chance
        identityWatch = IdentityWatch(options, run: run)
        var rendezvous = Rendezvous(options, chance: own)
        rendezvous.now = now
        rendezvous.run = run
        self.rendezvous = rendezvous
    }

    mutating func newID() -> UInt64 {
        lastID += 1
        return lastID
    }

    // MARK: Driving

    /// Takes what happened since the last turn, and the time.
    /// - Parameter wallMilliseconds: what the wall clock says; it may jump.
    package mutating func turn(
        _ events: [NodeEvent], at now: MonotonicTime, wallMilliseconds: Int64
    ) {
        guard !isOver else { return }
        self.now = now
        self.wallMilliseconds = wallMilliseconds
        rendezvous.now = now
        // What the network and the disk say comes before what clients ask: after a stall the node
        // first learns that it was deposed.
        // Of all that hung up together, for each look costs as much as there is that waits.
        var gone: Set<RequestKey> = []
        for event in events {
            switch event {
            case .requests: break
            case .cancelled(let keys): gone.formUnion(keys)
            default: take(event)
            }
        }
        if !gone.isEmpty {
            router.cancelled(gone)
            enquiries.cancelled(gone)
        }
        settle()
        if now >= nextTick { tick() }
        for event in events {
            guard case .requests(let requests) = event else { continue }
            // A client may have hung up before its request was taken.
            dispatch(gone.isEmpty ? requests : requests.filter { !gone.contains($0.key) })
        }
        settle()
        updateLeadership()
        tellTroubles()
    }

    /// The machine was suspended, which the clock of `turn` does not count: the node heard nobody meanwhile, as where the
    /// process stood still. Before the next turn.
    package mutating func slept(_ time: Duration) {
        sleptFor = sleptFor + time
        // Ticks in which a leader misses its followers, before it answers anybody.
        nextTick = nextTick + (Duration.zero - min(time, options.quorumTime * 2))
    }

    /// The node has ended: by its own failure, or because it was asked to.
    package internal(set) var isOver = false

    /// What is to be done since the last call, in this order. To be asked after every event.
    package mutating func takeEffects() -> [NodeEffect] {
        flushMessages()
        defer { effects = [] }
        return effects
    }

    private mutating func take(_ event: NodeEvent) {
        switch event {
        case .requests, .cancelled: break
        case .forwardEnded(let keys): router.forwardEnded(keys)
        case .forwardBegan(let keys): router.forwardBegan(keys)
        case .forwardRefused(let keys): router.forwardRefused(keys)
        case .messages(let messages):
            heard(messages)
            meetCandidates(messages)
            if exclusion != .stopped { replicated?.receive(messages) }
        case .brokeProtocol(let identity, let cause): brokeProtocol(identity, cause)
        case .spoke(let identity, let address): spoke(identity, at: address)
        case .unreachable(let peer):
            acquaintances.unreachable(peer)
            replicated?.peerUnreachable(peer)
        case .peerAsked(let id, let request, let caller): peerAsked(id, request, caller)
        case .answered(let id, let result): answered(id, result)
        case .candidates(let list): rendezvous.candidatesChanged(list)
        case .discoveryTrouble(let kind, let problem): rendezvous.note(kind, problem)
        case .nameLookedUp(let host, let answer): rendezvous.nameLookedUp(host, answer)
        case .helloHeard(let identity): rendezvous.helloHeard(identity)
        case .registryAnswered(let request, let id, let reply):
            rendezvous.registryAnswered(request, id, reply)
        case .registryWatched(let outcome): rendezvous.registryWatched(outcome)
        case .keepLog(let index, let wish, let bytes):
            replicated?.keep(behind: index, wishing: wish, atMost: bytes)
        case .log(let report): take(report)
        case .database(let report): take(report)
        case .snapshot(let report): take(report)
        case .fault(let text): failed(text)
        case .leave: beginLeaving()
        case .stop: shutdown.beginStopping(deadline: now + options.quorumTime * 2)
        }
    }

    private mutating func tick() {
        // After a stall the machine catches up, so that a leader that stood still for longer than an
        // election timeout steps down before it answers anybody.
        var due = 0
        while nextTick <= now, due <= options.raft.quorumTicks {
            nextTick = nextTick + options.tick
            due += 1
            if exclusion != .stopped { replicated?.tick() }
        }
        if nextTick <= now || sleptFor > .zero {
            // More would tell elections nothing; but what this node knows of its leader is as old as that.
            let time = max(Duration.zero, now - nextTick) + sleptFor
            replicated?.stoodStill(ticks: Int(time / options.tick) + 1)
            sleptFor = .zero
            nextTick = now + options.tick
        }
        if firstCampaign.isDue(hasLeader: replicated?.raft.leader != nil, now) {
            replicated?.campaign()
        }
        settle()
        rendezvous.tick(situation, now)
        membership.advance(
            replicated?.raft, leader: leaderHint, busy: snapshots.receiver, now: now)
        snapshots.tick(now: now)
        router.review(replicated?.raft.leader, now)
        if router.isExpiryDue(now) { router.expire(makeStanding(), now: now) }
        expireCheckpoints()
        settle()
        retryParked()
        reviewProgress()
        reviewTroubles()
        answerDecisions()
        handOverIfHalted()
        reviewChecksums()
        askAcquaintances()
        askForTestimony()
        emit(.growReaders)
        tickShutdown()
        settle()
    }

    /// Passes on what the machines decided until none has anything to say.
    mutating func settle() {
        var isDone = false
        while !isDone {
            isDone = true
            while let output = replicated?.takeEffects(), !output.isEmpty {
                isDone = false
                for effect in output { perform(effect) }
            }
            if performRendezvous() { isDone = false }
            if performMembership() { isDone = false }
            if performSnapshots() { isDone = false }
            if performRequests() { isDone = false }
        }
    }

    // MARK: Effects

    mutating func emit(_ effect: NodeEffect) {
        effects.append(effect)
    }

    mutating func say(
        _ level: NodeNote.Level, _ text: String, _ details: KeyValuePairs<String, String> = [:]
    ) {
        effects.append(.say(NodeNote(level, text, details)))
    }

    mutating func send(_ messages: [Message]) { outgoing.append(contentsOf: messages) }

    /// Replication goes out before the own disk is asked, so that both work at once.
    mutating func flushMessages() {
        guard !outgoing.isEmpty else { return }
        effects.append(.send(outgoing))
        outgoing = []
    }

    /// - Parameter node: who is asked, where the answer does not tell whose it is.
    mutating func call(
        _ purpose: CallPurpose, _ request: PeerRequest, at address: PeerAddress,
        of node: NodeIdentity? = nil, timeout: Duration, id: PeerCallID? = nil
    ) {
        let id = id ?? PeerCallID(newID())
        calls[id] = purpose
        emit(.call(id, request, at: address, of: node, timeout: timeout))
    }

    /// The node can't go on: it stops taking part at once, and says why.
    mutating func failed(_ text: String) {
        guard fault == nil else { return }
        fault = text
        isOver = true
        say(.error, "node failed", ["cause": text])
        emit(.failed(text))
    }
}
