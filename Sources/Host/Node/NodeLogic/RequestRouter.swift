import Raft
import Replication
import Service
import Time
import Wire

/// How clients' requests find their way: to the readers, into the log, to the leader, or nowhere yet.
/// It owns every request whose fate is open, and answers each exactly once:
///
/// - *open proposals*: in the log, until they are applied or discarded;
/// - *open reads*: at level `linearizable`, until a quorum confirmed the leadership;
/// - *parked*: they can't go anywhere now, and wait for a leader or for the database;
/// - *forwarded*: sent on to the leader, once. Only what certainly had no effect goes another way,
///   and nothing of whose answer a part was passed on. Who waits no longer is made known there.
///
/// What one turn decides is gathered, and handed out together by `takeDecisions`.
struct RequestRouter {
    let limits: RouterLimits
    let applyTimeout: Duration
    var openProposals: [ProposalID: OpenProposal] = [:]
    var openReads: [ReadID: [PendingRequest]] = [:]
    var parked: [PendingRequest] = []
    var parkedBytes = 0
    /// Of `parked`, those that wait for the database.
    private var behindCount = 0
    var forwarded: [RequestKey: Forwarded] = [:]
    /// Who led when that was last looked at.
    var lastLeader: NodeID?
    /// What the standing was when what is parked was last tried …
    private var triedAt: Standing.Gate?
    /// … of which these are the first so many; what was parked since then was not.
    private var triedCount = 0
    private var decisions = Decisions()
    /// Nothing that is open can be late before.
    var nextExpiry = MonotonicTime(nanoseconds: .max)

    init(applyTimeout: Duration, limits: RouterLimits = RouterLimits()) {
        self.applyTimeout = applyTimeout
        self.limits = limits
    }

    var hasDecided: Bool { !decisions.isEmpty }

    mutating func takeDecisions() -> Decisions {
        defer { decisions = Decisions() }
        return decisions
    }

    /// Nothing waits for its fate. An answer of which parts were passed on has met it.
    var isIdle: Bool {
        openProposals.isEmpty && openReads.isEmpty && parked.isEmpty
            && forwarded.values.allSatisfy(\.hasBegun)
    }

    // MARK: Requests

    /// - Returns: what others must decide; nil: it is on its way.
    mutating func dispatch(
        _ pending: PendingRequest, _ standing: Standing, now: MonotonicTime
    ) -> Handover? {
        switch pending.content.request.operation {
        case .command(let command, let options):
            let need = need(pending, command, options, standing)
            dispatch(pending, need, standing, now)
            return nil
        case .backup(_, let options):
            dispatch(pending, readNeed(options, standing), standing, now)
            return nil
        case .boot, .loadPart(_, isBoot: true), .loadEnd(_, isBoot: true):
            // Never sent on: who asks means the node that leads.
            if standing.role == .leader { return .load(pending) }
            answer(pending, .failed(.notLeader(leaderURL: standing.leaderURL)))
            return nil
        case .loadDump:
            dispatch(pending, .proposal, standing, now)
            return nil
        case .load, .loadPart, .loadEnd:
            guard leads(pending, standing, now) else { return nil }
            return .load(pending)
        case .remove(let id):
            guard leads(pending, standing, now) else { return nil }
            return .remove(id, pending.key)
        case .transferLeadership(let target, let wait):
            guard leads(pending, standing, now) else { return nil }
            return .transfer(pending.key, to: target, wait: wait)
        case .nodes(let includeNonvoters):
            return .nodes(pending, includeNonvoters: includeNonvoters)
        case .leader: return .leader(pending)
        case .readiness(let check): return .readiness(pending, check)
        case .limits(let change): return .limits(pending, change)
        case .applyDecision(let decision): return .apply(pending, decision)
        case .reseed: return .reseed(pending)
        case .drop(let addresses): return .drop(pending, addresses)
        case .checkpoint(let keeping): return .checkpoint(pending, keeping: keeping)
        }
    }

    private enum Need {
        /// This database as it is.
        case localRead(Freshness)
        /// The database of a node that leads by all it knows.
        case leaderRead
        /// The leader's, with leadership confirmed by a quorum after the request came.
        case confirmedRead
        /// An entry in the log.
        case proposal
    }

    private func need(
        _ pending: PendingRequest, _ command: Command, _ options: ReadOptions, _ standing: Standing
    ) -> Need {
        if command.isEntry || pending.isWrite { return .proposal }
        return options.level == .strong ? .proposal : readNeed(options, standing)
    }

    /// Of what changes nothing. What can't go through the log is confirmed instead, which sees as
    /// much.
    private func readNeed(_ options: ReadOptions, _ standing: Standing) -> Need {
        switch options.level {
        case .none: .localRead(options.freshness)
        case .weak: .leaderRead
        case .linearizable, .strong: .confirmedRead
        case .auto: standing.isVoter ?? true ? .leaderRead : .localRead(options.freshness)
        }
    }

    private mutating func dispatch(
        _ pending: PendingRequest, _ need: Need, _ standing: Standing, _ now: MonotonicTime
    ) {
        switch need {
        case .localRead(let freshness):
            guard !isHalted(pending, standing) else { return }
            guard standing.canServeLocally else { return park(pending) }
            guard standing.isFresh(freshness) else { return answer(pending, .failed(.staleRead)) }
            guard hasSeen(pending, standing) else { return }
            decisions.reads.append(pending)
        case .leaderRead:
            guard leads(pending, standing, now), !isHalted(pending, standing) else { return }
            guard hasSeen(pending, standing) else { return }
            if standing.canServeAsLeader {
                decisions.reads.append(pending)
            } else {
                park(pending)
            }
        case .confirmedRead:
            guard leads(pending, standing, now), !isHalted(pending, standing),
                hasSeen(pending, standing)
            else { return }
            decisions.confirmations.append(pending)
        case .proposal:
            guard leads(pending, standing, now), !isHalted(pending, standing),
                hasSeen(pending, standing)
            else { return }
            propose(pending, standing)
        }
    }

    /// Whether this database has what the read must have seen; otherwise the read waits for it, or is
    /// refused where it can't come.
    private mutating func hasSeen(_ pending: PendingRequest, _ standing: Standing) -> Bool {
        guard let options = pending.content.request.operation.readOptions,
            let demand = options.demand
        else {
            return true
        }
        if case .mark(let mark) = demand, let cluster = standing.cluster,
            mark.cluster != cluster || mark.epoch != standing.epoch
        {
            answer(pending, .failed(.otherHistory(wanted: mark)))
            return false
        }
        if standing.cluster != nil, demand.index <= standing.appliedIndex { return true }
        var waiting = pending
        // Whether the database is fresh is looked at again whenever it has gone on.
        if options.freshness.limit == nil { waiting.awaited = demand.index }
        waiting.waitsForDatabase = true
        park(waiting)
        return false
    }

    /// On the leader.
    mutating func propose(_ pending: PendingRequest, _ standing: Standing) {
        guard !isHalted(pending, standing) else { return }
        guard !standing.isDiskFull else { return answer(pending, .failed(.diskFull)) }
        decisions.proposals.append(pending)
    }

    /// Whether this node applies nothing; then the request, which needs its database, is refused.
    private mutating func isHalted(_ pending: PendingRequest, _ standing: Standing) -> Bool {
        guard let halt = standing.halt else { return false }
        answer(pending, .failed(.notReady(halt)))
        return true
    }

    /// Whether this node leads; otherwise the request is sent on, parked, or refused.
    mutating func leads(
        _ pending: PendingRequest, _ standing: Standing, _ now: MonotonicTime
    ) -> Bool {
        if standing.role == .leader { return true }
        guard let leader = standing.leader, let address = standing.leaderAddress else {
            if standing.isExcluded {
                answer(pending, .failed(.noLeader(waitingFor: standing.waitingFor)))
            } else {
                park(pending)
            }
            return false
        }
        guard pending.content.request.forward else {
            answer(pending, .failed(.notLeader(leaderURL: standing.leaderURL)))
            return false
        }
        forward(pending, to: leader, at: address, now)
        return false
    }

    private mutating func forward(
        _ pending: PendingRequest, to leader: NodeID, at address: PeerAddress, _ now: MonotonicTime
    ) {
        var request = pending.content.request
        request.forward = false
        request.timeout = max(.milliseconds(1), pending.deadline - now)
        forwarded[pending.key] = Forwarded(
            pending: pending, leader: leader, address: address)
        expires(pending.deadline + limits.forwardGrace)
        let sent = ForwardedRequest(pending.key, request, to: leader)
        if let place = decisions.forwards.firstIndex(where: {
            $0.address == address && $0.requests.first?.leader == leader
        }) {
            decisions.forwards[place].requests.append(sent)
        } else {
            decisions.forwards.append((address, [sent]))
        }
    }

    /// Keeps the request until something changes; the process holds a bounded number of bytes so.
    mutating func park(_ pending: PendingRequest) {
        guard parked.count < limits.parkedRequests,
            !pending.waitsForDatabase || behindCount < limits.parkedRequests / 2,
            parkedBytes + pending.byteCount <= limits.parkedBytes
        else { return answer(pending, .failed(.busy)) }
        if pending.waitsForDatabase { behindCount += 1 }
        parkedBytes += pending.byteCount
        parked.append(pending)
        expires(pending.parkedDeadline(applyTimeout: applyTimeout))
    }

    /// Takes out of what is parked what the condition says of a place and of what stands there.
    mutating func unpark(where isDue: (Int, PendingRequest) -> Bool) -> [PendingRequest] {
        var due: [PendingRequest] = []
        var places: [Int] = []
        for (place, pending) in parked.enumerated() where isDue(place, pending) {
            if pending.waitsForDatabase { behindCount -= 1 }
            due.append(pending)
            due[due.count - 1].awaited = nil
            due[due.count - 1].waitsForDatabase = false
            places.append(place)
            parkedBytes -= pending.byteCount
        }
        // As a rule nothing is, and nothing moves.
        guard !due.isEmpty else { return [] }
        var kept: [PendingRequest] = []
        kept.reserveCapacity(parked.count - due.count)
        var next = places[...]
        for (place, pending) in parked.enumerated() {
            if next.first == place { next.removeFirst() } else { kept.append(pending) }
        }
        let triedBefore = triedCount
        triedCount -= places.count { $0 < triedBefore }
        parked = kept
        return due
    }

    /// Whether anything waits that may go on.
    var mayRetry: Bool { !parked.isEmpty || limits.rules.breaks(.resendsForwards) }

    /// Those that may go on since the standing changed; each must be dispatched again. There may be thousands, and
    /// the database goes on all the time: who waits for it alone is not tried before it has come so far.
    mutating func retry(_ standing: Standing) -> [PendingRequest] {
        let gate = standing.gate
        if limits.rules.breaks(.resendsForwards), triedAt != gate { resendAll() }
        let count = triedCount
        let isSame = triedAt == gate
        guard !isSame || count < parked.count else { return [] }
        var former = triedAt
        former?.appliedIndex = gate.appliedIndex
        let isSameButApplied = former == gate
        return unpark { place, pending in
            // What it waits for may have come to be in the very turn in which it was parked.
            guard place < count else { return true }
            guard !isSame else { return false }
            guard isSameButApplied, let awaited = pending.awaited else { return true }
            return awaited <= gate.appliedIndex
        }
    }

    /// As no node may: some of it has had its effect.
    private mutating func resendAll() {
        for (key, sent) in forwarded.sorted(by: { $0.key < $1.key }) where !sent.hasBegun {
            forwarded[key] = nil
            park(sent.pending)
        }
    }

    /// All that could go on with this standing did.
    mutating func tried(_ standing: Standing) {
        triedAt = standing.gate
        triedCount = parked.count
    }

    mutating func answer(_ pending: PendingRequest, _ outcome: Outcome) {
        answer(pending.key, outcome)
    }

    mutating func answer(_ key: RequestKey, _ outcome: Outcome) {
        decisions.answers.append(ClientAnswer(key, outcome))
    }

    // MARK: Proposals and confirmed reads

    mutating func proposed(_ id: ProposalID, _ proposal: OpenProposal) {
        openProposals[id] = proposal
        if let pending = proposal.pending { expires(pending.deadline) }
    }

    /// The proposal takes effect with the batch that is handed out now.
    mutating func completed(_ id: ProposalID) -> OpenProposal? {
        openProposals.removeValue(forKey: id)
    }

    /// The proposal was never appended.
    /// - Returns: whether it was a change of the membership.
    mutating func refused(_ id: ProposalID, _ refusal: Refusal) -> Bool {
        guard let open = openProposals.removeValue(forKey: id) else { return false }
        guard let pending = open.pending else {
            if case .membership = open { return true }
            return false
        }
        switch refusal {
        case .notLeader, .transferInProgress: park(pending)
        case .entryTooLarge(let limit):
            answer(pending, .failed(.requestTooLarge(limit: limit)))
        default: answer(pending, .failed(.busy))
        }
        return false
    }

    /// The proposal was appended under a leadership that ended; whether it takes effect is unknown.
    /// - Returns: whether it was a change of the membership.
    mutating func discarded(_ id: ProposalID) -> Bool {
        switch openProposals.removeValue(forKey: id) {
        case .command(let pending), .decision(let pending):
            answer(pending, .failed(.leadershipLost))
            return false
        case .membership: return true
        case .own, nil: return false
        }
    }

    mutating func confirming(_ id: ReadID, _ reads: [PendingRequest]) {
        openReads[id] = reads
        for pending in reads { expires(pending.readDeadline) }
    }

    mutating func readable(_ ids: [ReadID]) {
        for id in ids {
            decisions.reads.append(contentsOf: openReads.removeValue(forKey: id) ?? [])
        }
    }

    mutating func readsFailed(_ ids: [ReadID]) {
        for id in ids {
            for pending in openReads.removeValue(forKey: id) ?? [] { park(pending) }
        }
    }

    // MARK: Forwarded requests

    mutating func forwardEnded(_ keys: [RequestKey]) {
        for key in keys { forwarded[key] = nil }
    }

    /// The first part of the answer was passed on; others follow.
    mutating func forwardBegan(_ keys: [RequestKey]) {
        for key in keys { forwarded[key]?.hasBegun = true }
    }

    /// These certainly had no effect: they may go another way.
    mutating func forwardRefused(_ keys: [RequestKey]) {
        for key in keys {
            guard let sent = forwarded.removeValue(forKey: key) else { continue }
            // A client that has seen a part of one answer can't be given another.
            if !sent.hasBegun { park(sent.pending) }
        }
    }

    mutating func recall(_ key: RequestKey) {
        guard let sent = forwarded.removeValue(forKey: key) else { return }
        if let place = decisions.recalls.firstIndex(where: { $0.address == sent.address }) {
            decisions.recalls[place].keys.append(key)
        } else {
            decisions.recalls.append((sent.address, [key]))
        }
    }

    // MARK: Ends

    /// Nobody waits for the requests any more. What is in the log takes its course, and so does what
    /// the other node has in its log; but it hears of it.
    mutating func cancelled(_ gone: Set<RequestKey>) {
        _ = unpark { gone.contains($1.key) }
        for id in openReads.keys.sorted() {
            openReads[id]?.removeAll { gone.contains($0.key) }
        }
        for key in gone.sorted() { recall(key) }
    }

    mutating func expires(_ deadline: MonotonicTime) {
        nextExpiry = min(nextExpiry, deadline)
    }

    /// The node stops: what can't come to its end is answered.
    mutating func refuseAll(_ error: ServiceError) {
        for pending in unpark(where: { _, _ in true }) { answer(pending, .failed(error)) }
    }
}
