import Chance
import PeerProtocol
import Raft
import Replication
import Service
import Time
import Wire

/// The machine's side of the router: what requests need of consensus and of the other machines.
extension NodeMachine {
    mutating func dispatch(_ requests: [PendingRequest]) {
        let standing = makeStanding()
        for pending in requests { dispatch(pending, standing) }
    }

    private mutating func dispatch(_ pending: PendingRequest, _ standing: Standing) {
        if case .command(let command, _) = pending.content.request.operation, command.key != nil,
            let older = member(before: .repeats)
        {
            return refuse(pending, because: older, lacks: "remember writes by their keys")
        }
        if let leader = standing.leader, standing.role != .leader,
            let needed = Self.version(ofLoad: pending.content.request.operation),
            isOlder(leader, than: needed)
        {
            return refuse(pending, because: leader, lacks: Self.loading)
        }
        switch router.dispatch(pending, standing, now: now) {
        case nil: break
        case .remove(let id, _):
            guard membership.pendingChanges < Self.mostChanges else {
                return router.answer(pending, .failed(.busy))
            }
            membership.remove(id, pending)
        case .transfer(let key, let target, let wait): transfer(key, to: target, wait: wait)
        case .nodes(let pending, let includeNonvoters):
            let members = (replicated?.raft.membership.members ?? []).filter {
                includeNonvoters || $0.suffrage != .nonvoter
            }
            survey(members, for: pending, isOfLeader: false)
        case .leader(let pending): surveyLeader(for: pending)
        case .readiness(let pending, let check): checkReadiness(pending, check)
        case .limits(let pending, let change): dispatch(change, pending, standing)
        case .apply(let pending, let decision): dispatch(decision, pending, standing)
        case .reseed(let pending): reseed(pending)
        case .drop(let pending, let addresses):
            let refusal = rendezvous.drop(addresses)
            router.answer(pending, refusal.map { .failed(.unsuitable($0)) } ?? .done)
        case .checkpoint(let pending, let keeping): checkpointAsked(pending, keeping)
        case .load(let pending): load(pending, standing)
        }
    }

    private static let loading = "load such a database"

    /// Since when nodes can read a load. An older leader to whom one is sent on takes the sender for broken, and ends all
    /// else that is under way between the two. Nil: it is no load.
    private static func version(ofLoad operation: ClientRequest.Operation) -> ProtocolVersion? {
        switch operation {
        case .loadPart, .loadEnd: .loadParts
        // Older ones take what says so for a size that no file has.
        case .load(let image) where image.needsEmpty: .loadParts
        case .load, .boot: .loads
        default: nil
        }
    }

    /// Who can't read the entry could apply nothing after it.
    private mutating func load(_ pending: PendingRequest, _ standing: Standing) {
        if let needed = Self.version(ofLoad: pending.content.request.operation),
            let older = member(before: needed)
        {
            return refuse(pending, because: older, lacks: Self.loading)
        }
        router.propose(pending, standing)
    }

    /// A member whose program is known to be older than a version of the protocol.
    private func member(before version: ProtocolVersion) -> NodeID? {
        (replicated?.raft.membership.members ?? []).map(\.id).first {
            isOlder($0, than: version)
        }
    }

    private func isOlder(_ id: NodeID, than version: ProtocolVersion) -> Bool {
        guard id != options.identity.id, let known = acquaintances[id] else { return false }
        return !known.versions.protocolVersion.includes(version)
    }

    private mutating func refuse(
        _ pending: PendingRequest, because node: NodeID, lacks ability: String
    ) {
        router.answer(
            pending,
            .failed(
                .unsuitable(
                    "node \(node) has a program that can't \(ability) yet: install this "
                        + "version on all nodes first")))
    }

    /// Requests that wait go on when what they wait for has come to be.
    mutating func retryParked() {
        guard router.mayRetry else { return }
        let standing = makeStanding()
        let waiting = router.retry(standing)
        guard !waiting.isEmpty else { return }
        for pending in waiting { dispatch(pending, standing) }
        router.tried(standing)
    }

    /// - Returns: whether there was something to do.
    mutating func performRequests() -> Bool {
        guard router.hasDecided else { return false }
        let decisions = router.takeDecisions()
        if !decisions.proposals.isEmpty {
            propose(decisions.proposals.map { (.command($0), $0.encoded) })
        }
        if !decisions.confirmations.isEmpty {
            let id = ReadID(newID())
            router.confirming(id, decisions.confirmations)
            confirmedReads.began(id, at: now)
            replicated?.requestRead(id)
        }
        if !decisions.reads.isEmpty { emit(.read(decisions.reads)) }
        for forward in decisions.forwards {
            emit(.forward(forward.requests, to: forward.address))
        }
        // First who waits is answered: what still comes of an answer that is recalled finds nobody.
        if !decisions.answers.isEmpty { emit(.answer(decisions.answers)) }
        for recall in decisions.recalls { emit(.recall(recall.keys, at: recall.address)) }
        return true
    }

    /// Stamps commands with time and seed, and proposes them together.
    mutating func propose(_ commands: [(RequestRouter.OpenProposal, bytes: [UInt8])]) {
        var batch: [(id: ProposalID, bytes: [UInt8])] = []
        batch.reserveCapacity(commands.count)
        for (proposal, bytes) in commands {
            let id = ProposalID(newID())
            router.proposed(id, proposal)
            var bytes = bytes
            LogCommand.stamp(&bytes, milliseconds: wallMilliseconds, seed: chance.next())
            batch.append((id, bytes))
        }
        replicated?.propose(batch)
    }

    // MARK: What the node is

    /// `mutating`, though nothing changes: see `ReplicatedLog.summary`.
    mutating func makeStanding() -> Standing {
        var standing = Standing()
        standing.isDiskFull = isLogFull || isDatabaseFull
        standing.isExcluded = exclusion != .none
        standing.halt =
            quarantineText.map { "this node's database is not to be trusted: \($0)" } ?? haltText
        let log = replicated?.summary()
        standing.canServeLocally = servesLocally(log)
        standing.canServeAsLeader = servesAsLeader(log)
        guard let log else {
            standing.waitingFor = waitingFor
            return standing
        }
        standing.isInCluster = true
        standing.cluster = cluster
        standing.epoch = log.raft.term.epoch
        standing.role = log.raft.role
        standing.leader = log.raft.leader
        if let leader = log.raft.leader, leader != options.identity.id {
            standing.leaderAddress = address(of: leader)
            standing.leaderURL = acquaintances[leader]?.apiURL
        }
        standing.isVoter = log.raft.isVoter
        standing.commitIndex = log.raft.commitIndex
        standing.knownCommitIndex = log.raft.knownCommitIndex
        standing.knowsCommitOfTerm = log.raft.knowsCommitOfTerm
        standing.appliedIndex = log.appliedIndex
        standing.sinceLeader = log.raft.ticksSinceLeader.map { options.tick * $0 }
        if log.raft.leader == nil { standing.waitingFor = waitingFor }
        return standing
    }

    /// Reads at level `none` may see this database.
    var canServeLocally: Bool {
        var replicated = replicated
        return servesLocally(replicated?.summary())
    }

    /// This node leads, by all it knows, and has applied what it must have.
    var canServeAsLeader: Bool {
        var replicated = replicated
        return servesAsLeader(replicated?.summary())
    }

    // Inlined, as both are asked at each turn, and a call that reads a machine may copy it first.

    /// See `canServeLocally`.
    /// - Parameter log: nil where the node has none.
    @inline(__always)
    func servesLocally(_ log: LogSummary?) -> Bool {
        // A node that forms a cluster has an empty database to show; one that does not know yet
        // whether it may take part has not.
        guard let log else { return beginning == nil }
        return !servesNothing && !log.isInstalling && log.appliedIndex >= servableFrom
    }

    /// See `canServeAsLeader`.
    /// - Parameter log: nil where the node has none.
    @inline(__always)
    func servesAsLeader(_ log: LogSummary?) -> Bool {
        guard let log, let from = leaderReadsFrom, !servesNothing else { return false }
        return log.raft.isReadyLeader && log.appliedIndex >= from
    }

    // MARK: Describing members

    private mutating func surveyLeader(for pending: PendingRequest) {
        guard let raft = replicated?.raft, let leader = raft.leader,
            let member = raft.membership[leader]
        else {
            return router.answer(pending, .failed(.noLeader(waitingFor: waitingFor)))
        }
        survey([member], for: pending, isOfLeader: true)
    }

    private mutating func survey(
        _ members: [Member], for pending: PendingRequest, isOfLeader: Bool
    ) {
        let asksOthers = members.contains { $0.id != options.identity.id }
        let sought = isOfLeader ? members.first?.id : nil
        let connections = options.maxConnections
        guard !asksOthers || !enquiries.hasMostQuestions(of: sought, besides: connections) else {
            return router.answer(pending, .failed(.busy))
        }
        let leader = replicated?.raft.leader
        let timeout = Enquiries.time(until: pending.deadline, now: now)
        var own: NodeDescription?
        var asking: [PeerCallID: Member] = [:]
        for member in members {
            if member.id == options.identity.id {
                own = describeSelf(member, leads: leader == member.id)
                continue
            }
            let id = PeerCallID(newID())
            asking[id] = member
            call(.survey, .hello, at: member.address, timeout: timeout, id: id)
        }
        let survey = Enquiries.Survey(
            key: pending.key, begun: now, leader: leader, isOfLeader: isOfLeader,
            expected: members.count)
        enquiries.begin(survey, own: own, asking: asking)
        if let answer = enquiries.finishLast() { router.answer(answer.key, answer.outcome) }
    }

    private func describeSelf(_ member: Member, leads: Bool) -> NodeDescription {
        NodeDescription(
            id: member.id, apiURL: options.apiURL, address: member.address,
            version: options.version, isVoter: member.suffrage == .voter, isReachable: true,
            isLeader: leads, elapsed: .zero, error: nil)
    }

    // MARK: Readiness

    /// The checks of `/readyz`, one after the other; the first that fails is the answer.
    private mutating func checkReadiness(
        _ pending: PendingRequest, _ check: ClientRequest.ReadinessCheck
    ) {
        if check.nodeOnly { return answer(pending, .nodeOnly) }
        guard !shutdown.isLeaving else {
            return answer(pending, .storeNotReady("the node is stopping"))
        }
        if let quarantineText {
            return answer(
                pending,
                .storeNotReady("this node's database is not to be trusted: \(quarantineText)"))
        }
        if let haltText { return answer(pending, .storeNotReady(haltText)) }
        guard let raft = replicated?.raft, let leader = raft.leader,
            let address = address(of: leader)
        else { return answer(pending, .noLeader(waitingFor: waitingFor)) }
        if let index = pending.syncIndex {
            guard replicated.map({ $0.appliedIndex >= index }) ?? false else {
                return park(pending, until: index)
            }
            return emit(.probeDatabase(pending.key, synced: true))
        }
        guard leader != options.identity.id else {
            return leaderAnswered(pending, sync: check.sync, raft.commitIndex)
        }
        guard !enquiries.hasMostChecks(of: leader) else {
            let cause = "\(Enquiries.mostChecks) checks wait for its word already"
            return answer(pending, .leaderUnreachable(cause))
        }
        let id = PeerCallID(newID())
        enquiries.begin(
            Enquiries.Check(pending: pending, sync: check.sync, leader: leader), call: id)
        let timeout = Enquiries.time(until: pending.deadline, now: now)
        call(.readiness, .hello, at: address, timeout: timeout, id: id)
    }

    mutating func readinessAnswered(_ id: PeerCallID, _ result: PeerResult) {
        guard let check = enquiries.checked(id) else { return }
        switch result {
        case .success(.hello(let hello)) where hello.identity.id == check.leader:
            leaderAnswered(check.pending, sync: check.sync, hello.commitIndex)
        case .success(.hello(let hello)):
            let found = "node \(hello.identity.id) answers where it should be"
            answer(check.pending, .leaderUnreachable(found))
        case .success: answer(check.pending, .leaderUnreachable("it gave no hello"))
        case .failure(let failure):
            answer(check.pending, .leaderUnreachable("\(failure)"))
        }
    }

    /// - Parameter commitIndex: what the leader has committed.
    private mutating func leaderAnswered(
        _ pending: PendingRequest, sync: Bool, _ commitIndex: LogIndex
    ) {
        if isLogFull || isDatabaseFull {
            return answer(pending, .storeNotReady("the disk is full"))
        }
        guard isReady else { return answer(pending, .storeNotReady(waitingFor)) }
        if sync, let applied = replicated?.appliedIndex, applied < commitIndex {
            return park(pending, until: commitIndex)
        }
        emit(.probeDatabase(pending.key, synced: sync))
    }

    /// Thousands may wait, and the database goes on all the time: see `RequestRouter.retry`.
    private mutating func park(_ pending: PendingRequest, until index: LogIndex) {
        var waiting = pending
        waiting.syncIndex = index
        waiting.awaited = index
        waiting.waitsForDatabase = true
        router.park(waiting)
    }

    private mutating func answer(_ pending: PendingRequest, _ readiness: Readiness) {
        router.answer(pending, .readiness(readiness))
    }
}
