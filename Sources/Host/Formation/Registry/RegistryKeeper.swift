import Chance
package import Cluster
package import Raft

/// What a node does in a registry for as long as it lives: it keeps its own record true, and, while
/// it leads, the record `leader`.
///
/// - Its own record, `nodes/<ID>`, is written at start and on change, looked at every 10 s and put
///   back when it is missing. Where the registry permits the record `leader` only, records of nodes
///   are off, with one warning.
/// - The leader writes the entry at once when it comes to lead, and looks at it four times
///   a second. It puts it back when it is missing, and takes the place of a *forming* entry. An entry *formed* by
///   another cluster it leaves alone, and raises an alarm until that is resolved. An entry of the
///   own cluster with a later term is another leader's, which this node will soon hear of.
/// - The leader erases records that say nothing any more (`StaleRecords`): of nodes of its cluster
///   that are no members, and of nodes without a cluster that don't keep theirs.
/// - A member that follows a leader looks for its entry once a minute: where there is none, the nodes'
///   registries are not one.
/// - A node that was removed from its cluster leaves the registry alone.
/// - Every update and every erasure compares against the revision last read.
/// - A member that lost contact reads the records of its cluster's nodes, for their addresses; where there are
///   none, or none are permitted, the entry, for its leader's.
/// - A founder whose cluster never had a leader looks where the entry of another cluster leads, too.
///
/// At most one request is under way. A registry that is down, slow or answers nonsense costs a
/// request with a short deadline now and then (`RegistryPatience`), and nothing else.
///
/// The machine is a value. Its shell calls `tick` with the time since the start, at `nextDeadline`
/// and right before every other input, and then performs `takeEffects()`.
package struct RegistryKeeper: Sendable {
    /// What the node is in its cluster now.
    package enum Standing: Equatable, Sendable {
        /// In no cluster, or not known yet which.
        case fresh
        /// No member of the record's cluster any more.
        case excluded
        /// In the record's cluster. `isLost`: it has no contact to a leader, or has moved.
        case member(isLost: Bool)
        /// One of those that found the record's cluster, which has not had a leader yet: the entry
        /// is put back if it gets lost, or the other founders would not learn of it. It too is
        /// without contact.
        case founder(BootstrapValue)
        case leader(Term)
    }

    package private(set) var record: NodeRecord
    package private(set) var standing = Standing.fresh
    /// What an operator should look at now, for `/status` and metrics.
    package internal(set) var alarms: [RegistryAlarm] = []
    /// Why the registry can't be used now; nil while it works.
    package internal(set) var failure: String?
    /// Why there are no records of nodes; nil while there are.
    package internal(set) var recordsRefusal: String?
    let nonce: RandomID
    var now: Duration = .zero
    var jitter: SplitMix64
    var patience = RegistryPatience()

    // Requests.
    var request: Request?
    private var requestCount: UInt64 = 0
    /// The registry is left alone until then.
    var notBefore: Duration = .zero

    // The record `leader`.
    /// When it is looked at next; nil while it is none of this node's business.
    var leaderDue: Duration?
    /// Looks in a row that found no entry, of a node that follows.
    var absences = 0
    var lastLeaderLook: Duration = .zero
    /// Writes in a row that found another state than was read before.
    var conflicts = 0
    /// The revision of this node's last write that is known to stand, in this standing.
    var publishedAt: Revision?
    /// An entry of a later term, and since when it has stood there.
    var later: (revision: Revision, since: Duration)?
    /// The founders that the last entry of the own cluster named.
    var founders: [Member] = []

    // The records of nodes.
    var ownDue: Duration = .zero
    /// The own record has stood in the registry in this run.
    var hasOwn = false
    /// It has stood there since it was last found to be written over.
    var isOwnWritten = false
    /// How often in a row it was written over by the record of this very data directory at another address.
    var copies = 0
    /// Refusals of the own record in a row, and the last one's text.
    var refusals = 0
    var refusalText = ""
    var listDue: Duration?
    var candidates: [PeerAddress]?
    /// Where a member that lost contact may find its cluster: by the records of nodes, and by the entry.
    var listed: [PeerAddress] = []
    var leaderPlace: PeerAddress?
    /// The members of the own cluster, for a leader.
    var members: [NodeID] = []
    var stale = StaleRecords()
    /// The entry that was last seen is the own cluster's.
    var ownsEntry = false

    private var pending: [RegistryKeeperEffect] = []

    /// The request under way.
    struct Request: Sendable {
        enum Purpose: Equatable, Sendable {
            case lookAtLeader
            case writeLeader(LeaderEntry)
            case lookAtOwn
            case writeOwn
            case listNodes
            case erase(String)
        }

        let id: RegistryRequestID
        let purpose: Purpose
        let sentAt: Duration
    }

    /// - Parameters:
    ///   - record: as it shall stand in the registry.
    ///   - nonce: random bits, new in every run.
    ///   - seed: decides pauses only.
    package init(_ record: NodeRecord, nonce: RandomID, seed: UInt64) {
        self.record = record
        self.nonce = nonce
        jitter = SplitMix64(seed: seed)
    }

    // MARK: Inputs

    /// Time passes; `now` counts from the start of the keeper.
    package mutating func tick(_ now: Duration) {
        self.now = max(self.now, now)
        drive()
    }

    /// What the node is now. The shell may say so as often as it likes; only a change counts.
    /// Every standing but `fresh` needs a record with a cluster.
    ///
    /// - Parameter members: of its cluster, where the node leads; with none nothing is erased.
    package mutating func update(
        _ record: NodeRecord, _ standing: Standing, members: [NodeID] = []
    ) {
        self.members = members
        if record != self.record {
            // By the founders of another cluster a node would found this one a second time.
            if record.cluster != self.record.cluster { founders = [] }
            self.record = record
            ownDue = now
        }
        if standing != self.standing {
            precondition(
                record.cluster != nil || standing == .fresh, "\(standing) without a cluster")
            self.standing = standing
            stand()
        }
        drive()
    }

    /// What came of the request that an effect asked for.
    package mutating func answered(_ answer: RegistryAnswer, to id: RegistryRequestID) {
        guard let request, request.id == id else { return }
        self.request = nil
        note(answer, request)
        switch request.purpose {
        case .lookAtLeader: sawLeader(answer)
        case .writeLeader(let entry): wroteLeader(entry, answer)
        case .lookAtOwn: sawOwn(answer)
        case .writeOwn: wroteOwn(answer)
        case .listNodes: sawNodes(answer)
        case .erase(let name): erased(name, answer)
        }
        drive()
    }

    /// A watch of the plugin fired: there may be something new to see.
    package mutating func registryChanged() {
        guard keepsLeader, let due = leaderDue else { return }
        leaderDue = min(due, max(now, lastLeaderLook + .milliseconds(100)))
        drive()
    }

    package mutating func takeEffects() -> [RegistryKeeperEffect] {
        defer { pending = [] }
        return pending
    }

    // MARK: Queries

    /// When `tick` is due next, unless an input comes first.
    package var nextDeadline: Duration {
        guard request == nil else { return now + .seconds(1) }
        if isLeaderSoonDue, let leaderDue { return max(leaderDue, notBefore) }
        let own = standing == .excluded ? now + .seconds(1) : ownDue
        let erasure = stale.isEmpty ? own : now
        let due = min(own, leaderDue ?? own, listDue ?? own, erasure)
        return max(due, notBefore)
    }

    /// The entry is this node's to keep right.
    var keepsLeader: Bool {
        switch standing {
        case .leader, .founder: true
        case .fresh, .excluded, .member: false
        }
    }

    // MARK: Effects

    mutating func emit(_ effect: RegistryKeeperEffect) { pending.append(effect) }

    mutating func ask(_ request: RegistryRequest, _ purpose: Request.Purpose) {
        precondition(self.request == nil, "a second request while \(purpose) waits")
        requestCount += 1
        let id = RegistryRequestID(owner: .keeper, number: requestCount)
        self.request = Request(id: id, purpose: purpose, sentAt: now)
        emit(.ask(request, id, timeout: patience.timeout(now)))
    }

    // MARK: Driving

    /// A new standing: what it is about is looked at now, whatever the pause.
    private mutating func stand() {
        leaderDue = nil
        listDue = nil
        later = nil
        publishedAt = nil
        candidates = nil
        listed = []
        leaderPlace = nil
        ownsEntry = false
        stale = StaleRecords()
        ownDue = min(ownDue, now + .seconds(10))
        switch standing {
        case .fresh, .excluded: setAlarms(about: .leaderEntry, [])
        case .member(isLost: false):
            setAlarms(about: .leaderEntry, [])
            absences = 0
            leaderDue = now + Self.firstFollow
        case .member(isLost: true):
            setAlarms(about: .leaderEntry, [])
            listDue = now
        case .founder, .leader:
            leaderDue = now
            listDue = now
            notBefore = now
        }
        if !keepsLeader { setAlarms(about: .otherNodes, []) }
    }

    private mutating func drive() {
        guard request == nil, now >= notBefore else { return }
        if let leaderDue, leaderDue <= now {
            lookAtLeader()
        } else if isLeaderSoonDue,
            standing == .excluded || min(ownDue, listDue ?? ownDue) + .seconds(2) > now
        {
            // Another request would be in the way of the next look.
            return
        } else if ownDue <= now, standing != .excluded {
            lookAtOwn()
        } else if let listDue, listDue <= now {
            ask(.list(prefix: RecordName.nodes), .listNodes)
        } else if let record = stale.next() {
            ask(.erase(record.name, expected: record.revision), .erase(record.name))
        }
    }

    private var isLeaderSoonDue: Bool { leaderDue.map { $0 < now + .milliseconds(100) } ?? false }

    /// What every answer tells of the registry itself.
    private mutating func note(_ answer: RegistryAnswer, _ request: Request) {
        guard case .failed(let failure) = answer else {
            patience.succeeded(after: now - request.sentAt, now)
            if self.failure != nil {
                self.failure = nil
                emit(.working)
            }
            return
        }
        if failure.kind == .forbidden, request.purpose.isAboutNodes { return }
        notBefore = now + patience.failed(failure.kind, isUrgent: keepsLeader, &jitter)
        // One answer that is late by a quarter of a second is no news.
        if failure.kind == .timeout, self.failure == nil, patience.failures < 3 { return }
        if self.failure == nil { emit(.failing(failure.description)) }
        self.failure = failure.description
    }
}

extension RegistryKeeper.Request.Purpose {
    fileprivate var isAboutNodes: Bool {
        switch self {
        case .lookAtLeader, .writeLeader: false
        case .lookAtOwn, .writeOwn, .listNodes, .erase: true
        }
    }
}
