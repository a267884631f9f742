import Chance
import Cluster
package import Raft

/// How a node without cluster state becomes a member of the one cluster, by way of a registry.
///
/// It looks at the record `leader` and at the records of nodes, again and again:
///
/// - `leader` is *formed*: the node joins through it, or through any node whose record is of that
///   cluster; or it starts Raft at once, if the entry names it as a founder with its incarnation.
/// - Nothing is there, seen twice, and no record of a node is of any cluster: a voter *claims*.
///   (a, c) The whole bootstrap (`RegistryState.Claim`) becomes durable on its own disk. (b) It
///   writes the entry as *forming*, if there is still none. (d) When that has stood for a while, it
///   writes it as *formed*, if the entry is still the one it wrote; only then does it start Raft.
///   With `-bootstrap-expect` it
///   claims only when N voters that have records have answered a hello with the incarnation in
///   their record, and the entry names N of them. Where it finds a node of another cluster before
///   (d) it erases its entry, and then drops the claim: the registry had lost what told of that one.
/// - `leader` is *forming*: the node waits. When the entry's revision has not changed for 15 s on
///   the node's own clock, it may claim in its place, at that revision; the other's (d) then finds
///   a conflict. So whoever stops or stalls between (b) and (d) holds nobody up and splits nothing.
///
/// Whatever comes of a write that is not certain, the node looks again: its own claim *formed* is
/// success, its own claim *forming* is (d) again, and it drops the claim only after a look that
/// shows another's entry or none.
///
/// The machine is a value. Its shell calls `tick` with the time since the start, at `nextDeadline`
/// and right before every other input, and then performs `takeEffects()`. After the last effect
/// (see `RegistryFormationEffect`) the shell drops it. It runs on a node without cluster state, and
/// again after a restart until there is cluster state; `RegistryKeeper`, which runs beside it,
/// keeps the node's own record.
package struct RegistryFormation: Sendable {
    /// Fixed for its life.
    package let settings: RegistryFormationSettings
    /// What must be on the disk; the effects say when.
    package internal(set) var state: RegistryState
    /// The node has its cluster, or has given up: nothing more is to be done.
    package internal(set) var isFinished = false
    var now: Duration = .zero
    var jitter: SplitMix64
    /// Joins a cluster that is known; never founds one.
    var joining: Formation
    /// Each claim of this run gets a cluster ID and a nonce made from it.
    let freshID: RandomID
    var claimCount: UInt64 = 0

    // Looking.
    var request: Request?
    private var requestCount: UInt64 = 0
    var nextLook: Duration = .zero
    var view: RegistryView?
    /// Since when looks have shown no leader entry, without one between them that did.
    var absentSince: Duration?
    /// A *forming* entry, and since when its revision is known.
    var watched: (revision: Revision, since: Duration)?
    /// Why the last look failed; nil after one that did not.
    var lookFailure: String?
    var recordsRefused: String?
    /// The longest time that an answer took.
    private var slowestAnswer: Duration = .zero
    /// A look came to its end in this run: the plugin could use what it was given.
    var couldLook = false
    /// The registry was out of reach, or answered too late, at some time in this run.
    private var hasRegistryFailed = false

    // Claiming.
    /// The state of the record `leader` that the claim may replace; nil for a claim of an earlier
    /// run, of which only the outcome counts.
    var basis: Basis?
    var writing: Writing?
    /// The entry's revision in the last look; nil: there was no entry.
    var shown: Revision?
    /// Writes in a row that were refused while looks showed the same.
    var conflicts = 0
    private var lastTicket = PersistTicket(0)
    /// The view, or what hellos showed, has changed since the last decision.
    var isDecisionDue = false

    // Others.
    var hellos: [Acquaintance] = []
    var failures: [(address: PeerAddress, reason: String)] = []
    /// Leaders that refused to take this node in: why is among the failures until they say otherwise.
    var refusers: Set<PeerAddress> = []
    var candidates: [PeerAddress] = []
    var turns = RecordTurns()
    var target = Target.nothing
    var contradictions: [(refusal: FormationRefusal, since: Duration)] = []

    var isExplanationDue = true
    /// Not before.
    var nextExplanation: Duration = .zero
    private var explanation = ""
    private var pending: [RegistryFormationEffect] = []

    /// The request under way.
    struct Request: Sendable {
        enum Purpose: Equatable, Sendable {
            case lookAtLeader
            case lookAtNodes(RegistryView.Leader)
            case writeForming
            case writeFormed
            case eraseForming
        }

        let id: RegistryRequestID
        let purpose: Purpose
        let sentAt: Duration
    }

    enum Basis: Equatable, Sendable {
        case absent
        case revision(Revision)
    }

    /// A write to the own disk under way, and what comes after it.
    struct Writing: Sendable {
        enum Purpose: Equatable, Sendable {
            case claim
            case dropClaim
            case found(BootstrapValue, campaign: Bool)
        }

        let ticket: PersistTicket
        let purpose: Purpose
    }

    /// What a node said of itself at an address.
    struct Acquaintance: Sendable {
        let address: PeerAddress
        var facts: CandidateFacts
        var heardAt: Duration
        /// Since when it is known to be in the cluster that it is in.
        var inClusterSince: Duration?
    }

    /// Which cluster may be joined.
    enum Target: Equatable, Sendable {
        case nothing
        case anything
        case cluster(ClusterID)

        func admits(_ cluster: ClusterID) -> Bool {
            switch self {
            case .nothing: false
            case .anything: true
            case .cluster(let wanted): wanted == cluster
            }
        }
    }

    /// - Parameters:
    ///   - state: as it was stored, or a fresh one in a new data directory.
    ///   - freshID: random bits, new in every run: cluster IDs and nonces are made from it.
    ///   - seed: decides pauses only.
    package init(
        _ settings: RegistryFormationSettings, state: RegistryState, freshID: RandomID,
        seed: UInt64
    ) {
        self.settings = settings
        self.state = state
        self.freshID = freshID
        jitter = SplitMix64(seed: seed)
        let own = settings.introduction
        let joiner = FormationIntroduction(
            identity: own.identity, address: own.address, suffrage: own.suffrage, expect: 0)
        joining = Formation(
            FormationSettings(joiner, limit: .none), state: AcceptorState(),
            freshClusterID: freshID, seed: jitter.next())
    }

    var identity: NodeIdentity { settings.introduction.identity }
    /// How many voters found a cluster.
    var quota: Int { max(1, settings.introduction.expect) }

    /// How long a claim must stand: as long as a leader may need to put its entry back.
    var probation: Duration {
        let usual = settings.probation + slowestAnswer * 2
        return hasRegistryFailed ? max(usual, settings.probationAfterFailure) : usual
    }

    private mutating func measure(_ answer: RegistryAnswer, since start: Duration) {
        if case .failed(let failure) = answer {
            hasRegistryFailed = hasRegistryFailed || failure.kind != .forbidden
        } else if now - start <= settings.requestTimeout {
            // Longer: this process slept, which tells nothing of the registry.
            slowestAnswer = max(slowestAnswer, now - start)
        }
    }

    // MARK: Inputs

    /// Time passes; `now` counts from the start of the formation.
    package mutating func tick(_ now: Duration) {
        self.now = max(self.now, now)
        guard !isFinished else { return }
        joining.tick(self.now)
        drive()
    }

    /// What came of the request that an effect asked for.
    package mutating func answered(_ answer: RegistryAnswer, to id: RegistryRequestID) {
        guard !isFinished, let request, request.id == id else { return }
        self.request = nil
        isExplanationDue = true
        measure(answer, since: request.sentAt)
        switch request.purpose {
        case .lookAtLeader: sawLeader(answer, sentAt: request.sentAt)
        case .lookAtNodes(let leader): sawNodes(answer, leader, sentAt: request.sentAt)
        case .writeForming: wroteForming(answer)
        case .writeFormed: wroteFormed(answer)
        case .eraseForming: erasedForming(answer)
        }
        drive()
    }

    /// A watch of the plugin fired: there may be something new to see.
    package mutating func registryChanged() {
        guard !isFinished else { return }
        let soonest = (view?.endedAt).map { $0 + .milliseconds(30) } ?? .zero
        nextLook = min(nextLook, max(now, soonest))
        drive()
    }

    /// The keeper found that the registry permits no records of nodes.
    package mutating func nodeRecordsOff(_ reason: String) {
        guard !isFinished else { return }
        recordsRefused = reason
        if settings.introduction.suffrage == .voter, quota > 1 {
            finish(
                .fatal(
                    "-bootstrap-expect \(quota) needs records of nodes in the registry, which it "
                        + "refuses: \(reason); permit them, or start without the flag"))
        }
    }

    /// The write named by the ticket, and all before it, are durable.
    package mutating func persisted(_ ticket: PersistTicket) {
        guard !isFinished, let writing, writing.ticket <= ticket else { return }
        self.writing = nil
        isDecisionDue = true
        isExplanationDue = true
        if case .found(let value, let campaign) = writing.purpose {
            finish(.start(value, campaign: campaign))
        }
        drive()
    }

    /// All that is to be done since the last call, in order.
    package mutating func takeEffects() -> [RegistryFormationEffect] {
        defer { pending = [] }
        return pending
    }

    // MARK: Queries

    /// When `tick` is due next, unless an input comes first; nil when nothing is left to do.
    package var nextDeadline: Duration? {
        guard !isFinished else { return nil }
        var next = now + settings.lookInterval
        func consider(_ deadline: Duration?) {
            if let deadline, deadline > now, deadline < next { next = deadline }
        }
        consider(joining.nextDeadline)
        if request == nil { consider(nextLook) }
        consider(settings.limit)
        return next
    }

    /// What it waits for now, for `/status`.
    package var waitingFor: String { explanation }

    // MARK: Effects

    mutating func emit(_ effect: RegistryFormationEffect) { pending.append(effect) }

    mutating func finish(_ effect: RegistryFormationEffect) {
        guard !isFinished else { return }
        isFinished = true
        emit(effect)
    }

    mutating func ask(_ request: RegistryRequest, _ purpose: Request.Purpose) {
        precondition(self.request == nil, "a second request while \(purpose) waits")
        requestCount += 1
        let id = RegistryRequestID(owner: .formation, number: requestCount)
        self.request = Request(id: id, purpose: purpose, sentAt: now)
        emit(.ask(request, id, timeout: settings.requestTimeout))
    }

    /// Hands the state to the disk; nothing else is decided until it is there.
    mutating func persist(_ purpose: Writing.Purpose) {
        precondition(writing == nil, "a second write while one is under way")
        lastTicket = PersistTicket(lastTicket.rawValue + 1)
        writing = Writing(ticket: lastTicket, purpose: purpose)
        emit(.persist(state.encoded(), lastTicket))
    }

    mutating func say(_ text: String) {
        guard text != explanation else { return }
        explanation = text
        emit(.waiting(text))
    }

    // MARK: Driving

    mutating func drive() {
        guard !isFinished else { return }
        if let founding = state.founding, writing == nil {
            // Stopped between the decision and the first record of the cluster.
            return finish(.start(founding, campaign: founding.members.count == 1))
        }
        relayJoining()
        forgetSilent()
        reviewContradictions()
        guard !isFinished else { return }
        if isDecisionDue, request == nil, writing == nil {
            isDecisionDue = false
            decide()
        }
        guard !isFinished else { return }
        lookIfDue()
        relayJoining()
        explain()
        giveUpIfDue()
    }

    private mutating func giveUpIfDue() {
        guard let limit = settings.limit, now >= limit else { return }
        finish(.gaveUp("no cluster after \(limit.components.seconds) s: \(explanation)"))
    }
}
