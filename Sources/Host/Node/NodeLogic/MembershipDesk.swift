import PeerProtocol
import Raft
import Time

/// What a leader does about the membership: it lets nodes join, moves and removes them, and reaps
/// those that were silent for too long. It owns every join that was asked for and not answered, and
/// the queue of changes; it decides one change at a time.
///
/// Who can't be reached would only weaken the cluster, so a joiner is asked back at the address it
/// gives before anything changes. And an identity that is alive at the address where it is known is
/// never moved, nor replaced: two processes with one data directory, or one `-node-id`, must not both
/// act as the member.
struct MembershipDesk {
    /// What the desk wants done, in order.
    enum Decision {
        case answer(PeerQuestionID, PeerAnswer)
        /// Ask who is there; the answer comes back through `answered`.
        case askHello(PeerCallID, at: PeerAddress)
        case propose(MembershipChange)
        /// A removal that a client asked for has come to its end.
        case removed(RequestKey)
        case removalRefused(RequestKey, Refusal)
        /// It was not committed in its client's time.
        case removalLate(RequestKey)
        /// This node does not lead any more: the request goes to who does.
        case park(PendingRequest)
        case reaped(NodeID, wasVoting: Bool)
        case reapingFailed(NodeID, wasVoting: Bool, cause: String)
        case joined(JoinRequest, Suffrage)
        case twoNodesWithOneID(NodeID, member: PeerAddress, joiner: PeerAddress)
    }

    /// A join that waits for somebody's answer to a hello.
    private struct Check {
        enum Stage {
            /// Is the joiner where it says?
            case dialBack
            /// Is the member with this identity, or this ID, alive where it is known?
            case namesake(PeerAddress)
        }

        var request: JoinRequest
        var question: PeerQuestionID
        /// Who was the member of its ID when it asked; nil: nobody.
        var replaced: Member?
        var stage: Stage
        /// The joiner bears the very identity of a member that is known elsewhere.
        var isCopy = false
    }

    /// What the node knows of where members are.
    struct Places {
        /// Where they were last met.
        var met: Acquaintances
        /// Where they spoke from, and were found nowhere else.
        var heard: [NodeID: IdentityWatch.Place]

        /// The member was heard where the membership says: whatever else bears its identity is a copy,
        /// and hears so when it speaks.
        func isPlain(_ member: Member) -> Bool {
            heard[member.id]
                == IdentityWatch.Place(incarnation: member.incarnation, address: member.address)
        }
    }

    /// How long a join may wait for its turn and its commit.
    static var joinTime: Duration { .seconds(10) }
    static var dialBackTime: Duration { .seconds(2) }
    /// A change that can't be committed for so long is given up; it is tried again as much later
    /// if the member is still due.
    static var reapTime: Duration { .seconds(10) }

    let identity: NodeIdentity
    let address: PeerAddress
    let reaper: Reaper
    private let tick: Duration
    private let quorumTicks: Int
    let extensions: @Sendable (String) -> (own: String, other: String)?
    private var queue = MembershipQueue()
    private var checks: [PeerCallID: Check] = [:]
    /// Members whose reaping was begun, and whether they vote.
    private var reaping: [NodeID: Bool] = [:]
    /// Members whose reaping failed, and until when it isn't tried again.
    private var reapingPausedUntil: [NodeID: MonotonicTime] = [:]
    private var decisions: [Decision] = []
    private(set) var joins = Joins()

    init(_ options: NodeOptions) {
        identity = options.identity
        address = options.address
        reaper = Reaper(timeouts: options.reapTimeouts)
        tick = options.tick
        quorumTicks = options.raft.quorumTicks
        extensions = { options.otherExtensions(options.engine, $0) }
    }

    var pendingChanges: Int { queue.count }

    mutating func takeDecisions() -> [Decision] {
        guard !decisions.isEmpty else { return [] }
        defer { decisions = [] }
        return decisions
    }

    // MARK: Joining

    /// A node asks to become a member, or whether it is one.
    /// - Parameters:
    ///   - call: names the question to the joiner, should one be asked.
    ///   - leader: as far as this node knows, for refusals.
    mutating func joinAsked(
        _ request: JoinRequest, _ question: PeerQuestionID, call: PeerCallID, _ raft: RaftMachine?,
        leader: LeaderHint?
    ) {
        guard let raft else {
            let text = "node \(identity.id) is in no cluster yet"
            return refuse(question, .notFormed, text, leader)
        }
        guard raft.role == .leader else {
            return refuse(question, .notLeader, "not leader", leader)
        }
        if request.intent == .resume, let refusal = refusal(ofReturning: request, raft) {
            return refuse(question, refusal.code, refusal.text, leader)
        }
        if let theirs = request.cluster, theirs != raft.cluster {
            let text = """
                node \(request.identity.id) belongs to cluster \(theirs), this is \(raft.cluster)
                """
            return refuse(question, .otherCluster, text, leader)
        }
        let member = raft.membership[request.identity.id]
        checks[call] = Check(
            request: request, question: question, replaced: member, stage: .dialBack)
        decisions.append(.askHello(call, at: request.address))
    }

    /// What a leader answers a node that thinks itself a member; nil: it is one.
    private func refusal(
        ofReturning request: JoinRequest, _ raft: RaftMachine
    ) -> (code: JoinRefusal.Code, text: String)? {
        guard request.cluster == raft.cluster else { return nil }
        let id = request.identity.id
        let member = raft.membership[id]
        guard member?.incarnation != request.identity.incarnation else { return nil }
        // What is not committed yet may still be undone.
        guard raft.isReadyLeader, raft.membershipIndex <= raft.commitIndex else {
            return (.busy, "a change of membership is under way")
        }
        if let member {
            return (
                .removed,
                "node ID \(id) belongs to another data directory now, at \(member.address); "
                    + "should that one stay, start this one with another -node-id and an empty data "
                    + "directory"
            )
        }
        return (.removed, "node \(id) was removed from the cluster")
    }

    /// What came of the question `call`; nothing happens if the desk did not ask it.
    /// - Parameters:
    ///   - next: names a further question, should one be asked.
    ///   - known: where members are, as far as this node knows.
    mutating func answered(
        _ call: PeerCallID, _ result: PeerResult, next: PeerCallID, _ raft: RaftMachine?,
        known: Places, leader: LeaderHint?, now: MonotonicTime
    ) {
        guard let check = checks.removeValue(forKey: call) else { return }
        guard let raft, raft.role == .leader else {
            return refuse(check.question, .notLeader, "not leader", leader)
        }
        switch check.stage {
        case .dialBack:
            dialedBack(check, result, next: next, raft, known, leader, now)
        case .namesake(let address):
            guard case .success(.hello(let other)) = result,
                isAlive(other, as: check.request, raft)
            else { return admit(check, raft, leader, now) }
            refuseNamesake(check, at: address, leader)
        }
    }

    private mutating func dialedBack(
        _ check: Check, _ result: PeerResult, next: PeerCallID, _ raft: RaftMachine,
        _ known: Places, _ leader: LeaderHint?, _ now: MonotonicTime
    ) {
        let request = check.request
        switch result {
        case .success(.hello(let hello))
        where hello.identity == request.identity && isOther(hello, than: request):
            var check = check
            check.isCopy = true
            refuseNamesake(check, at: hello.address, leader)
        case .success(.hello(let hello)) where hello.identity == request.identity:
            if let text = refusalForExtensions(of: hello, raft) {
                return refuse(check.question, .incompatible, text, leader)
            }
            checkNamesake(check, next: next, raft, known, leader, now)
        case .success(.hello(let hello)):
            let text = """
                node \(request.identity.id) advertises \(request.address), but node \
                \(hello.identity.id) (\(hello.identity.incarnation)) answers there: two nodes with \
                one address or one ID
                """
            refuse(check.question, .idInUse, text, leader)
        case .success:
            refuse(check.question, .incompatible, "\(request.address) gave no hello", leader)
        case .failure(let error):
            let text =
                "node \(request.identity.id) can't be reached at its advertised address \(error)"
            refuse(check.question, .unreachable, text, leader)
        }
    }

    /// A member's place is taken only when nobody lives there: neither a wiped disk's, whose ID is
    /// known with another incarnation, nor the own one under another address.
    private mutating func checkNamesake(
        _ check: Check, next: PeerCallID, _ raft: RaftMachine, _ known: Places,
        _ leader: LeaderHint?, _ now: MonotonicTime
    ) {
        let request = check.request
        guard let member = raft.membership[request.identity.id] else {
            return admit(check, raft, leader, now)
        }
        if member.id == identity.id, member.incarnation != request.identity.incarnation {
            return refuseNamesake(check, at: address, leader)
        }
        if known.isPlain(member), member.address == request.address,
            member.incarnation == request.identity.incarnation
        {
            return admit(check, raft, leader, now)
        }
        let place = known.met.address(of: member) ?? member.address
        // The joiner itself was found at its address.
        guard place != request.address else {
            guard member.address != request.address,
                member.incarnation == request.identity.incarnation
            else { return admit(check, raft, leader, now) }
            return ask(check, at: member.address, isCopy: true, next)
        }
        let isCopy = member.incarnation == request.identity.incarnation
        ask(check, at: place, isCopy: isCopy, next)
    }

    private mutating func ask(
        _ check: Check, at place: PeerAddress, isCopy: Bool, _ call: PeerCallID
    ) {
        var check = check
        check.stage = .namesake(place)
        check.isCopy = isCopy
        checks[call] = check
        decisions.append(.askHello(call, at: place))
    }

    private mutating func refuseNamesake(
        _ check: Check, at address: PeerAddress, _ leader: LeaderHint?
    ) {
        let request = check.request
        let id = request.identity.id
        decisions.append(.twoNodesWithOneID(id, member: address, joiner: request.address))
        let isCopy = check.isCopy
        refuse(
            check.question, isCopy ? .identityInUse : .idInUse,
            isCopy
                ? "the data directory of node \(id) is in use twice: at \(address), where the cluster "
                    + "knows the member, and at \(request.address). One of the two is a copy: stop it, "
                    + "and start it with another -node-id and an empty data directory"
                : "node ID \(id) is in use: by the member at \(address) and by the node at "
                    + "\(request.address), which asks to join. Start the second one with another -node-id "
                    + "and an empty data directory", leader)
    }

    private mutating func admit(
        _ check: Check, _ raft: RaftMachine, _ leader: LeaderHint?, _ now: MonotonicTime
    ) {
        let joiner = check.request.identity
        let isMember = raft.membership[joiner.id]?.incarnation == joiner.incarnation
        guard queue.hasRoomForJoin(ofMember: isMember) else {
            return refuse(check.question, .busy, "too many nodes wait to join", leader)
        }
        queue.append(
            .add(check.request, check.question, replaced: check.replaced),
            deadline: now + Self.joinTime)
    }

    mutating func refuse(
        _ question: PeerQuestionID, _ code: JoinRefusal.Code, _ text: String, _ leader: LeaderHint?
    ) {
        decisions.append(
            .answer(
                question, .joinRefused(JoinRefusal(code: code, text: text, leader: leader))))
    }

    // MARK: Removing

    mutating func remove(_ id: NodeID, _ pending: PendingRequest) {
        queue.append(.remove(id, pending), deadline: pending.deadline)
    }

    // MARK: Reaping

    /// Silent members with the time that each has left; empty on a node that doesn't lead.
    /// - Parameter busy: gets a snapshot at the moment.
    func reapingDue(_ raft: RaftMachine?, busy: NodeID?) -> [Reaper.Due] {
        guard reaper.timeouts != ReapTimeouts(), let raft, raft.role == .leader else { return [] }
        return reaper.due(
            raft.membership, raft.progress, tick: tick, patience: tick * quorumTicks, busy: busy)
    }

    private mutating func queueReaping(_ raft: RaftMachine?, busy: NodeID?, _ now: MonotonicTime) {
        for due in reapingDue(raft, busy: busy) where due.isOver && !queue.isRemoving(due.id) {
            if let until = reapingPausedUntil[due.id], now < until { continue }
            queue.append(.reap(due.id), deadline: now + Self.reapTime)
        }
    }

    private mutating func failReaping(_ id: NodeID, _ cause: String, _ now: MonotonicTime) {
        let wasVoting = reaping.removeValue(forKey: id) ?? true
        reapingPausedUntil[id] = now + Self.reapTime
        decisions.append(.reapingFailed(id, wasVoting: wasVoting, cause: cause))
    }

    // MARK: Advancing

    /// The change that was proposed is committed, or did not come to be.
    mutating func settled() { queue.settled() }

    /// Gives up what is late, and begins what can begin.
    mutating func advance(
        _ raft: RaftMachine?, leader: LeaderHint?, busy: NodeID?, now: MonotonicTime
    ) {
        queueReaping(raft, busy: busy, now)
        guard !queue.isEmpty else { return }
        let isLeader = raft?.role == .leader
        for operation in queue.expired(now: now, all: !isLeader) {
            giveUp(operation, isLeader: isLeader, raft, leader, now)
        }
        guard let raft else { return }
        while let operation = queue.next, advance(operation, raft, leader, busy, now) {}
    }

    private mutating func giveUp(
        _ operation: MembershipQueue.Operation, isLeader: Bool, _ raft: RaftMachine?,
        _ leader: LeaderHint?, _ now: MonotonicTime
    ) {
        switch operation {
        case .add(_, let question, _):
            refuse(
                question, .busy, "the change of membership was not committed in time", leader)
        case .remove(_, nil): break
        case .remove(let id, let pending?):
            // A leader that removed itself leads no more, and nobody tells it who does.
            let isGone = isGone(id, raft)
            decisions.append(
                isGone
                    ? .removed(pending.key)
                    : isLeader ? .removalLate(pending.key) : .park(pending))
        case .reap(let id):
            // Another leader's clock starts anew; it is no failure of this one.
            guard isLeader else {
                reaping[id] = nil
                return
            }
            failReaping(id, "the change of membership was not committed in time", now)
        }
    }

    /// The committed membership does not name the node.
    private func isGone(_ id: NodeID, _ raft: RaftMachine?) -> Bool {
        guard let raft, raft.membershipIndex <= raft.commitIndex else { return false }
        return !raft.membership.contains(id)
    }

    /// Proposes the next change of the operation, or finishes it.
    /// - Returns: whether the operation is finished and the next may begin.
    private mutating func advance(
        _ operation: MembershipQueue.Operation, _ raft: RaftMachine, _ leader: LeaderHint?,
        _ busy: NodeID?, _ now: MonotonicTime
    ) -> Bool {
        // What a change still on its way will leave behind is not known yet.
        guard raft.membershipIndex <= raft.commitIndex else { return false }
        switch operation {
        case .add(let request, let question, let replaced):
            // Who only returns needs no right to join, and may have been removed since it asked.
            if request.intent == .resume, let refusal = refusal(ofReturning: request, raft) {
                queue.finishFirst()
                refuse(question, refusal.code, refusal.text, leader)
                return true
            }
            if let text = Self.refusal(toAdd: request, replacing: replaced, to: raft.membership) {
                queue.finishFirst()
                refuse(question, .busy, text, leader)
                return true
            }
            guard let change = Self.change(toAdd: request, to: raft.membership) else {
                queue.finishFirst()
                joined(request, question, raft, leader)
                return true
            }
            joins.proposed(change, for: question)
            return propose(change)
        case .remove(_, nil):
            queue.finishFirst()
            return true
        case .remove(let id, let pending?):
            guard raft.membership.contains(id) else {
                queue.finishFirst()
                decisions.append(.removed(pending.key))
                return true
            }
            if let refusal = removalRefusal(id, raft) {
                queue.finishFirst()
                decisions.append(.removalRefused(pending.key, refusal))
                return true
            }
            return propose(.remove(id))
        case .reap(let id): return reap(id, raft, busy, now)
        }
    }

    private mutating func propose(_ change: MembershipChange) -> Bool {
        queue.proposed()
        decisions.append(.propose(change))
        return false
    }

    private mutating func reap(
        _ id: NodeID, _ raft: RaftMachine, _ busy: NodeID?, _ now: MonotonicTime
    ) -> Bool {
        guard raft.membership.contains(id) else {
            queue.finishFirst()
            if let wasVoting = reaping.removeValue(forKey: id) {
                decisions.append(.reaped(id, wasVoting: wasVoting))
            }
            return true
        }
        // The member may have answered while its removal waited for its turn.
        guard reapingDue(raft, busy: busy).contains(where: { $0.id == id && $0.isOver }) else {
            queue.finishFirst()
            reaping[id] = nil
            return true
        }
        reaping[id] = raft.membership[id]?.suffrage != .nonvoter
        if let refusal = removalRefusal(id, raft) {
            queue.finishFirst()
            failReaping(id, Self.cause(refusal), now)
            return true
        }
        return propose(.remove(id))
    }

    private static func cause(_ refusal: Refusal) -> String {
        guard case .wouldLoseQuorum(let silent) = refusal else { return "\(refusal)" }
        let names = silent.map(\.rawValue).joined(separator: ", ")
        return "the others would have no quorum, for these do not answer either: \(names)"
    }

    /// What speaks against the removal, whoever asks for it.
    private func removalRefusal(_ id: NodeID, _ raft: RaftMachine) -> Refusal? {
        if raft.membership.isVoter(id), raft.membership.voters.count == 1 { return .lastVoter }
        let reachability = Reachability(
            leader: identity.id, raft.progress, quorumTicks: quorumTicks)
        return reachability.quorumLost(without: id, in: raft.membership).map {
            .wouldLoseQuorum(silent: $0)
        }
    }

    /// What must change next for the node to be a member as it asks; nil when it is one.
    ///
    /// A member stays what it is: joining again with or without `-raft-non-voter` changes nothing,
    /// as in rqlite, for a vote that goes by a restart is a surprise. Remove the node first.
    static func change(toAdd request: JoinRequest, to membership: Membership) -> MembershipChange? {
        let id = request.identity.id
        guard let member = membership[id] else {
            let suffrage: Suffrage = request.suffrage == .voter ? .learner : request.suffrage
            return .add(
                Member(
                    id: id, incarnation: request.identity.incarnation, address: request.address,
                    suffrage: suffrage))
        }
        // A wiped disk is another acceptor: it comes back as a learner.
        if member.incarnation != request.identity.incarnation { return .remove(id) }
        if member.address != request.address { return .move(id, to: request.address) }
        return nil
    }

    private mutating func joined(
        _ request: JoinRequest, _ question: PeerQuestionID, _ raft: RaftMachine,
        _ leader: LeaderHint?
    ) {
        let suffrage = raft.membership[request.identity.id]?.suffrage ?? .nonvoter
        joins.granted(question)
        decisions.append(.joined(request, suffrage))
        let acceptance = JoinAcceptance(
            cluster: raft.cluster, membership: raft.membership, leader: leader)
        decisions.append(.answer(question, .joined(acceptance)))
    }
}
