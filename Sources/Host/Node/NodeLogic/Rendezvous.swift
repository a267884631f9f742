import Chance
import Cluster
import PeerProtocol
import Raft
import Registry
import Time
import WriteAheadLog

/// How a node without a cluster comes to one, and how a member finds the others again after some, or
/// all, have moved. It owns the machines that decide it, whether addresses come from the operator, a
/// resolver or a registry, and what the disk must remember of it.
struct Rendezvous {
    /// What it wants done, in order.
    enum Decision {
        case call(Purpose, PeerRequest, at: PeerAddress, timeout: Duration)
        case answer(PeerQuestionID, PeerAnswer)
        case askRegistry(RegistryRequest, RegistryRequestID, timeout: Duration)
        /// Find the addresses of a host's name; answered by `nameLookedUp`.
        case lookUp(String)
        case watchRegistry(token: [UInt8], timeout: Duration)
        case record([MetadataRecord], Record)
        /// Log and database shall say that the node belongs to the cluster.
        case establish(ClusterID, Membership)
        /// They do: the node begins to take part.
        case begin(ClusterID, Membership, campaign: Bool)
        /// The node is no member of its cluster any more, which never had a leader.
        case leaveBootstrap
        /// A cluster took this node in and says who its members are.
        case introduced(JoinAcceptance)
        /// A candidate that this node's membership may know.
        case met(Hello)
        case wasRemoved(cause: String)
        /// Who asked this breaks the protocol.
        case brokeProtocol(PeerQuestionID, cause: String)
        /// Who answered from there does.
        case answeredFalsely(PeerAddress, cause: String)
        case say(NodeNote)
        case fail(String)
    }

    /// Why another node is asked.
    enum Purpose: Equatable {
        case hello
        case formation
        case join
    }

    /// What a durable record is waited for.
    enum Record: Equatable {
        case formation(PersistTicket)
        case registry(PersistTicket)
        case membership
        case disposal
    }

    /// What of the node it depends on.
    struct Situation {
        var cluster: ClusterID?
        /// The consensus core runs: the node is not only about to belong to the cluster.
        var takesPart = false
        var role = RoleName.follower
        var term = Term.zero
        /// Nil while none is known.
        var leader: NodeID?
        /// A leader that can't be answered is as good as none.
        var reachesLeader = false
        var membership = Membership()
        var isLogEmpty = true
        var hasVoted = false
        /// Where a member was last met, if elsewhere than the membership says.
        var places: [NodeID: PeerAddress] = [:]
        /// The node is on its way out: it looks for nobody any more.
        var isStopping = false
        var exclusion = Exclusion.none
    }

    enum Goal {
        /// The node has no cluster yet.
        case form
        /// The node has one, but no contact with its leader or another address than the cluster
        /// knows: it introduces itself again.
        case rejoin
    }

    /// The agreement's machine and what goes with a run of it.
    struct Search {
        var goal: Goal
        var machine: Formation
        var start: MonotonicTime
        var lastRequest: UInt64 = 0
        /// More than answers can be held for the disk.
        static let mostQuestions: UInt64 = 4096
        /// Who waits for the answers to the agreement's messages, of the last so many.
        var questions: [FormationRequestID: PeerQuestionID] = [:]
    }

    /// A cluster that this node is about to belong to, once log and database say so.
    struct Pending {
        var cluster: ClusterID
        var membership: Membership
        var campaign: Bool
    }

    static var helloTime: Duration { .seconds(2) }
    static var joinPatience: Duration { .seconds(15) }
    /// A member without a leader for so long looks for the others at the candidates' addresses.
    static var rejoinAfter: Duration { .seconds(1) }
    /// A member that a leader took in again doesn't ask anew for so long: its own log tells only when it has
    /// caught up.
    static var acceptedFor: Duration { .seconds(2) }

    @Aside private(set) var options: NodeOptions
    /// Of this process.
    var run: RandomID?
    @Aside var search: Search?
    /// Nil without a registry.
    var registry: RegistryDriver?
    /// What this node promised on the way to its cluster; it goes on telling others of the outcome.
    var acceptor = AcceptorState()
    var pending: Pending?
    /// Whether the bootstrap that this node waits for is needed still.
    var disposal = BootstrapDisposal()
    /// The membership with which a joiner begins. Empty, for the log will tell; but a founder that
    /// joins before it heard of the founding is a voter already, and no entry may say so.
    var admission = Membership()
    var candidates: Candidates?
    /// Why discovery was not read again when an operator wanted it.
    var reloadProblem: String?
    /// Why the registry is taken for one that other nodes can't see into.
    var sharingProblem: String?
    /// What the names among the candidates lead to.
    var names: CandidateNames
    /// What the list had a moment ago.
    var recent = RecentCandidates()
    /// Since when this member has no leader that it can answer.
    var lostSince: MonotonicTime?
    /// When a leader took this member in again.
    var acceptedAt: MonotonicTime?
    /// Since when the leader is known.
    var ledSince: MonotonicTime?
    /// A leader does not count what this node says; until somebody tells whether it is a member.
    var isDoubted = false
    /// In this run the node became a member, or a leader took it for one.
    var isRecognized = false
    /// Clusters, not more than `mostWorking`, of which nodes were met that know of something committed there.
    private var working: Set<ClusterID> = []
    var situation = Situation()
    var now = MonotonicTime.zero
    var chance: Xoshiro256
    var decisions: [Decision] = []

    init(_ options: NodeOptions, chance: Xoshiro256) {
        self.options = options
        names = CandidateNames(
            own: OwnPlace(options.address, apiURL: options.apiURL), chance: chance)
        self.chance = chance
    }

    mutating func takeDecisions() -> [Decision] {
        guard !decisions.isEmpty else { return [] }
        defer { decisions = [] }
        return decisions
    }

    mutating func say(
        _ level: NodeNote.Level, _ text: String, _ details: KeyValuePairs<String, String> = [:]
    ) {
        decisions.append(.say(NodeNote(level, text, details)))
    }

    // MARK: Beginning

    /// The node has no cluster: it comes to one by the operator's plan.
    mutating func beginForming() {
        switch options.plan {
        case .alone:
            say(.info, "bootstrapping single new node")
            let own = Member(
                id: options.identity.id, incarnation: options.identity.incarnation,
                address: options.address, suffrage: .voter)
            become(member: Membership([own]), of: ClusterID(chance.nextID()), campaign: true)
        case .join(let attempts, let interval, _):
            startSearch(.form, limit: .attempts(attempts, interval: interval))
        case .bootstrap(_, let timeout, _): startSearch(.form, limit: .time(timeout))
        case .registry(_, let timeout, _): beginRegistryFormation(limit: timeout)
        }
    }

    /// The node stopped between the two records of a new membership: the log says it, the database
    /// not yet.
    mutating func resume(_ cluster: ClusterID, _ membership: Membership) {
        pending = Pending(cluster: cluster, membership: membership, campaign: false)
        decisions.append(.establish(cluster, membership))
    }

    // MARK: Becoming a member

    /// Writes cluster ID and membership durably, into the log and then into the database; the node
    /// takes part when that is done.
    mutating func become(
        member membership: Membership, of cluster: ClusterID, campaign: Bool
    ) {
        pending = Pending(cluster: cluster, membership: membership, campaign: campaign)
        var records: [MetadataRecord] = [.cluster(cluster)]
        if !membership.members.isEmpty { records.append(.bootstrapMembership(membership)) }
        decisions.append(.record(records, .membership))
    }

    mutating func recorded(_ record: Record) {
        switch record {
        case .membership:
            guard let pending else { return }
            decisions.append(.establish(pending.cluster, pending.membership))
        case .disposal: beginForming()
        case .formation(let ticket): step { $0.machine.persisted(ticket) }
        case .registry(let ticket): stepRegistry { $0.formation?.persisted(ticket) }
        }
    }

    /// Log and database know the cluster.
    mutating func established() {
        guard let pending else { return }
        self.pending = nil
        search = nil
        isRecognized = true
        decisions.append(
            .begin(pending.cluster, pending.membership, campaign: pending.campaign))
    }

    // MARK: Coming late

    private static var mostWorking: Int { 16 }

    /// A candidate said who it is, while this node has no cluster.
    mutating func noteWork(of hello: Hello) {
        guard situation.cluster == nil, let cluster = hello.cluster, hello.commitIndex > .zero,
            working.count < Self.mostWorking
        else { return }
        working.insert(cluster)
    }

    /// The cluster was not founded just now: its members may have seen more of this node than its disk knows.
    func hasWorked(_ cluster: ClusterID) -> Bool {
        working.contains(cluster) || registry?.hasHadLeader(cluster) ?? false
    }

    // MARK: A member's contact with the others

    mutating func tick(_ situation: Situation, _ now: MonotonicTime) {
        self.situation = situation
        self.now = now
        if situation.takesPart { reviewContact() }
        lookUpNames()
        step { _ in }
        tickRegistry()
    }

    /// A member that lost its leader, or moved, introduces itself to the candidates until the
    /// cluster knows it again.
    private mutating func reviewContact() {
        // One that was removed asks no more, unless it hears a leader all the same.
        guard !situation.isStopping,
            situation.exclusion == .none || situation.exclusion == .removed && isDoubted,
            options.plan != .alone || situation.membership.members.count > 1 || hasMoved
        else { return }
        reviewRecognition()
        let hasLost = situation.leader != nil && !situation.reachesLeader || situation.leader == nil
        if hasLost { lostSince = lostSince ?? now } else { lostSince = nil }
        let isAccepted = acceptedAt.map { now - $0 < Self.acceptedFor } ?? false
        if isLost, !isAccepted, search == nil, situation.role != .leader || hasMoved {
            startSearch(.rejoin, limit: .none)
        } else if !isLost, search?.goal == .rejoin {
            search = nil
        }
    }

    /// A message may have waited in another node's queue since before this one was removed; who is
    /// led for two election timeouts has heard newer ones.
    private mutating func reviewRecognition() {
        guard !isRecognized, let ledSince else { return }
        isRecognized = now - ledSince > options.tick * (2 * options.raft.electionTicks)
    }

    /// This member has another address than its cluster knows.
    var hasMoved: Bool {
        guard let known = situation.membership[options.identity.id] else { return false }
        return known.address != options.address
    }

    /// This member must be found again, or find the others.
    var isLost: Bool {
        hasMoved || isDoubted || lostSince.map { now - $0 > Self.rejoinAfter } ?? false
    }

    mutating func leaderChanged(_ leader: NodeID?, _ now: MonotonicTime) {
        isDoubted = false
        ledSince = leader == nil ? nil : now
    }

    /// The leader, or this node's own log, says that it is no member any more.
    mutating func excluded() {
        search = nil
        isDoubted = false
    }

    /// What a node without a cluster waits for; nil if nothing of this.
    var waitingFor: String? {
        guard let text = search?.machine.waitingFor ?? registry?.waitingFor else { return nil }
        return ([text] + [candidates?.problem, sharingProblem, reloadProblem].compactMap(\.self))
            .joined(separator: "; ")
    }

    /// Why resolver or registry can't be used now.
    var discoveryProblem: String? {
        let use =
            candidates?.problem
            ?? registry?.keeper.failure.map { "the registry can't be used: \($0)" }
        let problems = [use, sharingProblem, reloadProblem].compactMap(\.self)
        return problems.isEmpty ? nil : problems.joined(separator: "; ")
    }

    mutating func note(_ trouble: DiscoveryTrouble, _ problem: String?) {
        switch trouble {
        case .notReloaded:
            reloadProblem = problem
            if problem == nil { registry?.watch.renewed() }
        case .notShared:
            guard problem != sharingProblem else { return }
            if let problem {
                say(.error, "discovery service needs attention", ["cause": problem])
            } else {
                say(.info, "the discovery service shows other processes what this node writes")
            }
            sharingProblem = problem
        }
    }

    /// More candidates would be of use now.
    var isSeeking: Bool { search != nil || registry?.formation != nil }
}
