import Chance
package import Raft

/// How a node without cluster state becomes a member of the one cluster.
///
/// It always tries to *join* first: every candidate is asked who it is (hello), all at once, and a
/// cluster that any of them knows is joined through it. Otherwise the candidates agree on *one*
/// bootstrap by single-decree consensus (Paxos's synod; Lamport, "Paxos Made Simple", 2001):
///
/// - The value is a random cluster ID with N members (`BootstrapValue`), N being
///   `-bootstrap-expect`.
/// - The acceptors are incarnations: data directories, not names or addresses (`Acceptor`). What
///   they promise and accept is durable before it is said (`AcceptorState`).
/// - A quorum is max(N, K − N + 1) of the K listed addresses, so any two quorums meet, and every
///   set of N meets a quorum. It must be a quorum of every list that its acceptors took part for
///   (`CandidateList`, `Proposal`).
/// - A ballot begins the moment that N voters and a quorum are known. The voter with the lowest ID
///   goes first, the others a short turn later each, so that proposers seldom collide.
/// - Whoever learns the chosen value starts Raft if the value names it, and joins if not.
///
/// A plain `-join` is the same machine with expect 0: it never proposes.
///
/// The machine is a value. Its shell calls `tick` with the time since the start, at `nextDeadline`
/// and right before every other input, and then performs `takeEffects()`. After the last effect
/// (see `FormationEffect`) the shell drops it; a member answers further requests with
/// `FormationMessage.answer(to:fromMemberOf:value:)`.
package struct Formation: Sendable {
    /// As it was made with; they don't change.
    package let settings: FormationSettings
    var acceptor: Acceptor
    var roster = Roster()
    var survey: Survey
    var proposal: Proposal?
    var now: Duration = .zero
    var jitter: SplitMix64
    /// Each proposal of this run gets a cluster ID made from it.
    let freshClusterID: RandomID

    /// Every candidate has had the time to answer.
    var isSurveyOver = false
    /// Since when a ballot could begin.
    var eligibleSince: Duration?
    /// Another proposer is at work, or a ballot of ours just failed.
    var holdOffUntil: Duration = .zero
    /// Failed ballots in a row.
    var failures = 0
    /// A list that an earlier ballot was held for and that keeps the present one from a quorum.
    var missedList: CandidateList? {
        didSet { isExplanationDue = true }
    }
    /// Nodes that were not told of all that was dropped here, as they answered to a ballot.
    var unaware: [(id: NodeID, address: PeerAddress)] = []
    /// A bootstrap that others hold to, and that this node has left for good.
    var leftBehind: ClusterID? {
        didSet { if leftBehind != oldValue { isExplanationDue = true } }
    }
    /// A bootstrap learnt as one of its members, until it is durable.
    var starting: (ticket: PersistTicket, campaign: Bool)?
    /// Joins under way, by the address asked.
    var joins: [JoinAttempt] = []
    /// Somebody has told of candidates, be it that there are none.
    var isListKnown = false
    var learntAt: Duration?
    /// Until then candidates are asked again soon: one of them is about to be in a cluster.
    private var eagerUntil: Duration = .zero
    var contradictions: [(refusal: FormationRefusal, since: Duration)] = []
    var explanation = ""
    var isExplanationDue = true
    /// It has found a cluster or given up, and takes no more events.
    package internal(set) var isFinished = false

    private var lastTicket = PersistTicket(0)
    private var persistedTicket = PersistTicket(0)
    private var held: [HeldAnswer] = []
    private var pending: [FormationEffect] = []

    struct JoinAttempt: Sendable {
        let address: PeerAddress
        /// The candidate that led here.
        let origin: PeerAddress
        let startedAt: Duration
        let redirects: Int
    }

    private struct HeldAnswer: Sendable {
        let after: PersistTicket
        let message: FormationMessage
        let id: FormationRequestID
    }

    /// - Parameters:
    ///   - state: as it was stored, or a fresh one in a new data directory.
    ///   - freshClusterID: random bits, new in every run.
    ///   - seed: decides pauses only.
    package init(
        _ settings: FormationSettings, state: AcceptorState, freshClusterID: RandomID, seed: UInt64
    ) {
        self.settings = settings
        acceptor = Acceptor(introduction: settings.introduction, state: state)
        self.freshClusterID = freshClusterID
        jitter = SplitMix64(seed: seed)
        survey = Survey(of: roster, for: settings.introduction)
        if let chosen = state.chosen { follow(chosen, campaign: false) }
    }

    var introduction: FormationIntroduction { settings.introduction }
    var identity: NodeIdentity { settings.introduction.identity }
    var expect: Int { settings.introduction.expect }
    /// What must be on the disk before any answer that builds on it goes out.
    package var state: AcceptorState { acceptor.state }

    // MARK: Inputs

    /// Time passes; `now` counts from the start of the formation.
    package mutating func tick(_ now: Duration) {
        self.now = max(self.now, now)
        drive()
    }

    /// The addresses of `-join` or of a resolver.
    package mutating func candidatesChanged(_ addresses: [PeerAddress]) {
        candidatesChanged(addresses.map { CandidateAddress($0) })
    }

    /// The candidates of `-join` or of a resolver: addresses, with the names that led to them, and
    /// names that lead nowhere yet (`CandidateNames`).
    package mutating func candidatesChanged(_ candidates: [CandidateAddress]) {
        // Once the founders are known there are no more ballots, and they are asked as well: the
        // list may have lost them.
        let founders = state.chosen.map { $0.members.map(\.address) } ?? []
        isListKnown = true
        let before = roster.candidates.map(\.address)
        roster.replace(by: candidates + founders.map { CandidateAddress($0) }, now: now)
        if roster.candidates.map(\.address) != before { leftBehind = nil }
        failures = 0
        drive()
    }

    /// A candidate said who it is. Ignored from an address that is no candidate's any more.
    /// - Parameter address: the one that was asked, which need not be the one it advertises.
    package mutating func helloAnswered(_ facts: CandidateFacts, from address: PeerAddress) {
        guard !isFinished, let candidate = roster[address], candidate.gap == nil else { return }
        let changed = candidate.identity?.incarnation != facts.introduction.identity.incarnation
        let pause = pauseAfterAnswer(facts)
        roster.update(address) {
            $0.facts = facts
            $0.heardAt = now
            $0.failure = nil
            $0.helloSentAt = nil
            $0.nextHello = now + pause
            if changed { $0.holdsAcceptance = false }
        }
        renewSurvey()
        if facts.cluster != nil {
            approach(address, facts)
        } else {
            inquireIfUseful(address)
        }
        if !joins.contains(where: { $0.origin == address }) {
            roster.update(address) { $0.tries += 1 }
        }
        drive()
    }

    /// The node at the address can't be reached, or did not answer in time. `reason` is for people:
    /// `connection refused`.
    package mutating func unreachable(_ address: PeerAddress, reason: String) {
        guard !isFinished else { return }
        let wasJoining = joinFailed(via: address)
        let pause = pauseAfterFailure(at: address)
        roster.update(address) {
            $0.facts = nil
            $0.holdsAcceptance = false
            $0.failure = reason
            $0.contactedAt = nil
            if $0.helloSentAt != nil || wasJoining { $0.tries += 1 }
            $0.helloSentAt = nil
            $0.nextHello = now + pause
        }
        drive()
    }

    /// Another node has just said hello to this one: candidates that were not there yet may be now.
    package mutating func heard(from node: NodeIdentity) {
        guard !isFinished, expect > 0, node != identity,
            !roster.candidates.contains(where: { $0.identity == node })
        else { return }
        let limit = now - heardPause
        roster.reschedule {
            if $0.facts == nil, $0.helloSentAt == nil, $0.lastHelloAt <= limit {
                $0.nextHello = now
            }
        }
        drive()
    }

    /// There is a cluster, as is known from elsewhere: who of the candidates is in it is asked at
    /// once, and again soon.
    package mutating func askAgain() {
        guard !isFinished else { return }
        eagerUntil = now + settings.eagerPeriod
        roster.reschedule { if $0.helloSentAt == nil { $0.nextHello = now } }
        drive()
    }

    /// A request of another candidate. Its answer comes as an effect once it may leave the node.
    package mutating func requested(_ request: FormationMessage, by id: FormationRequestID) {
        guard held.count < FormationLimits.heldAnswers, !isFinished || state.chosen != nil else {
            return
        }
        if case .prepare(let ballot, _, _) = request, state.chosen == nil,
            !state.isInReach(ballot)
        {
            emit(
                .messageRefused(
                    .request(id), .ballotTooFar(ballot, own: state.counter)))
            return
        }
        if case .chosen(let value) = request, !isFinished { learn(value, campaign: false) }
        let before = acceptor.state
        if case .prepare(let ballot, let list, let sender) = request {
            noteOtherList(list)
            if sender.identity != identity, proposal.map({ $0.ballot < ballot }) ?? true {
                holdOffUntil = max(holdOffUntil, now + jitter.pause(200, 300))
            }
        }
        guard let answer = acceptor.answer(request) else { return }
        if acceptor.state != before { persist() }
        if lastTicket > persistedTicket {
            held.append(HeldAnswer(after: lastTicket, message: answer, id: id))
        } else {
            emit(.answer(answer, to: id))
        }
        drive()
    }

    /// The answer to a message that was sent to this address.
    package mutating func answered(_ answer: FormationMessage, from address: PeerAddress) {
        guard !isFinished else { return }
        switch answer {
        case .promise(let promise):
            noteAware(promise.acceptor.identity.id)
            proposal?.receive(promise, at: address)
        case .accepted(let ballot, let incarnation):
            if proposal?.ballot == ballot { proposal?.receiveAcceptance(by: incarnation) }
        case .outpaced(_, let promised) where !state.isInReach(promised):
            emit(
                .messageRefused(
                    .answer(from: address), .ballotTooFar(promised, own: state.counter)))
        case .outpaced(let ballot, let promised):
            acceptor.state.counter = max(acceptor.state.counter, promised.counter)
            if proposal?.ballot == ballot { endProposal(pause: jitter.pause(50, 150)) }
        case .formed(let cluster, let value): formed(cluster, value, at: address)
        case .unformed(let holdsAcceptance):
            roster.update(address) {
                $0.holdsAcceptance = holdsAcceptance
                $0.contactedAt = nil
            }
        case .refused(_, let refusal): refused(refusal)
        case .prepare, .accept, .chosen, .inquiry: return
        }
        drive()
    }

    /// The cluster took this node in.
    package mutating func joined(_ cluster: ClusterID) {
        guard !isFinished else { return }
        isFinished = true
        emit(.joined(cluster))
    }

    /// The node asked did not take this one in; it may know who will.
    package mutating func joinRefused(
        via address: PeerAddress, reason: String, leader: PeerAddress?
    ) {
        guard !isFinished else { return }
        redirectJoin(from: address, reason: reason, to: leader)
        drive()
    }

    /// The write named by the ticket, and all before it, are durable.
    package mutating func persisted(_ ticket: PersistTicket) {
        persistedTicket = max(persistedTicket, ticket)
        for answer in held where answer.after <= persistedTicket {
            emit(.answer(answer.message, to: answer.id))
        }
        held.removeAll { $0.after <= persistedTicket }
        if let starting, starting.ticket <= persistedTicket, let chosen = state.chosen {
            self.starting = nil
            isFinished = true
            emit(.start(chosen, campaign: starting.campaign))
        }
        drive()
    }

    /// What is to be done, in this order, since the last call. To be asked after every input.
    package mutating func takeEffects() -> [FormationEffect] {
        defer { pending = [] }
        return pending
    }

    // MARK: Queries

    /// When `tick` is due next, unless an input comes first; nil when nothing is left to do.
    package var nextDeadline: Duration? {
        guard !isFinished else { return nil }
        var next = now + settings.passInterval
        func consider(_ deadline: Duration) {
            if deadline > now, deadline < next { next = deadline }
        }
        for candidate in roster.candidates {
            if let sent = candidate.helloSentAt {
                consider(sent + settings.answerPatience)
            } else {
                consider(candidate.nextHello)
            }
            if candidate.facts != nil {
                consider(candidate.heardAt + settings.silenceLimit + .milliseconds(1))
            }
        }
        if let proposal {
            consider(proposal.startedAt + settings.ballotPatience)
            consider(proposal.resendAt)
        } else if let turn = turnToPropose {
            consider(turn)
        }
        if !isSurveyOver { consider(surveyEnd) }
        if case .time(let limit) = settings.limit { consider(limit) }
        for contradiction in contradictions {
            consider(contradiction.since + settings.refusalPatience)
        }
        for join in joins { consider(join.startedAt + joinPatience) }
        return next
    }

    /// What it waits for now, for `/status`.
    package var waitingFor: String { explanation.isEmpty ? Self.noCandidate : explanation }

    /// A cluster has been asked to take this node in and has not answered yet.
    package var isJoining: Bool { !joins.isEmpty }

    // MARK: Effects

    mutating func emit(_ effect: FormationEffect) { pending.append(effect) }

    /// Hands the acceptor's state to the disk; whatever is said from now on waits for it.
    @discardableResult
    mutating func persist() -> PersistTicket {
        lastTicket = PersistTicket(lastTicket.rawValue + 1)
        emit(.persist(acceptor.state.encoded(), lastTicket))
        return lastTicket
    }

    func isDurable(_ ticket: PersistTicket) -> Bool { ticket <= persistedTicket }

    // MARK: Driving

    private mutating func drive() {
        guard !isFinished else { return }
        roster.forget(silentSince: now - settings.silenceLimit)
        renewSurvey()
        expireJoins()
        sayHello()
        renewSurvey()
        reviewContradictions()
        guard !isFinished else { return }
        driveProposal()
        guard !isFinished else { return }
        explain()
        giveUpIfDue()
    }

    private mutating func renewSurvey() {
        if roster.isChanged {
            survey = Survey(of: roster, for: introduction)
            roster.surveyed()
            isExplanationDue = true
        }
        if !isSurveyOver, survey.isComplete || now >= surveyEnd {
            isSurveyOver = true
            isExplanationDue = true
        }
    }

    private mutating func sayHello() {
        var limit = Int.max
        if case .attempts(let attempts, _) = settings.limit { limit = attempts }
        for address in roster.due(now, patience: settings.answerPatience, tries: limit) {
            emit(.sendHello(address))
        }
        var pause = settings.passInterval
        if case .attempts(_, let interval) = settings.limit { pause = interval }
        for address in roster.dueNames(now, tries: limit) {
            roster.update(address) {
                $0.tries += 1
                $0.nextHello = now + pause
            }
        }
    }

    // MARK: Pauses

    /// Hellos of others make this node ask the absent again, but not more often.
    private var heardPause: Duration { .milliseconds(20) }

    private mutating func pauseAfterAnswer(_ facts: CandidateFacts) -> Duration {
        if case .attempts(_, let interval) = settings.limit { return interval }
        let isEager =
            now < eagerUntil || learntAt.map { now < $0 + settings.eagerPeriod } ?? false
        if isEager || facts.cluster != nil { return jitter.pause(100, 200) }
        return ordinaryPause()
    }

    private mutating func pauseAfterFailure(at address: PeerAddress) -> Duration {
        if case .attempts(_, let interval) = settings.limit { return interval }
        let listed = roster[address]?.listedAt ?? .zero
        return now < listed + settings.eagerPeriod ? jitter.pause(100, 200) : ordinaryPause()
    }

    private mutating func ordinaryPause() -> Duration {
        settings.passInterval * Int(jitter.next() % 401 + 800) / 1_000
    }

    private mutating func giveUpIfDue() {
        switch settings.limit {
        case .none: return
        case .time(let limit):
            guard now >= limit else { return }
            giveUp("no cluster after \(limit.components.seconds) s: \(explanation)")
        case .attempts(let limit, _):
            guard !roster.candidates.isEmpty, joins.isEmpty,
                roster.candidates.allSatisfy({
                    $0.tries >= limit && $0.helloSentAt == nil && $0.contactedAt == nil
                })
            else { return }
            giveUp("no cluster joined after \(limit) attempts: \(explanation)")
        }
    }

    private mutating func giveUp(_ text: String) {
        isFinished = true
        emit(.gaveUp(text))
    }
}
