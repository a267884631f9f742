import NodeLogic
import Raft
import Replication
import Time

/// Rules of single steps, checked as they are taken: whoever breaks one need not have lost anything yet, and
/// the luck that it takes to lose something is not needed to notice it. `Invariants` has what follows
/// from them.
struct Conduct {
    /// What was seen of a node last.
    private struct Sight {
        var run = -1
        var shown: MachineSighting?
        var membership = Membership()
        var formerMembership = Membership()
        /// How many members were known when the membership was settled last; nil: it was not.
        var settledAmong: Int?
        /// Where the log ended behind each of the last ticks in which it has led this term, oldest first.
        var ends: [LogIndex] = []

        var term: Term { shown?.term ?? .zero }
        var role: RoleName { shown?.role ?? .follower }
        var commitIndex: LogIndex { shown?.commitIndex ?? .zero }
        var membershipIndex: LogIndex { shown?.membershipIndex ?? .zero }

        /// A tick may have passed, and nothing else.
        mutating func tick(_ now: MachineSighting) {
            guard now.nextTick != shown?.nextTick else { return }
            shown = now
            if now.role == .leader { noteEnd(now.lastPosition.index) }
        }

        mutating func noteEnd(_ index: LogIndex) {
            if ends.count >= Conduct.endCount { ends.removeFirst() }
            ends.append(index)
        }
    }

    /// As many ticks as an election timeout has: twice what a leader may look back for what a learner must hold.
    private static let endCount = 10

    private struct Question: Hashable {
        var candidate: NodeID
        var term: Term
    }

    private var sights: [Sight]
    /// The furthest that each node's disk ever held.
    private var durable: [NodeIdentity: LogIndex] = [:]
    /// Of that, what was noted of each node last, so that each step need not look it up.
    private var synced: [(incarnation: Incarnation?, index: LogIndex)]
    /// The furthest that a leader committed.
    private var committed = LogIndex.zero
    /// Who said that the candidate could win the term.
    private var granters: [Question: [NodeID]] = [:]
    private var memberships: [LogPosition: Membership] = [:]
    private var rounds = ReadRounds()
    private var members: Set<NodeIdentity> = []
    /// Whom a committed membership names no more.
    private var removed: Set<NodeIdentity> = []

    init(nodeCount: Int) {
        sights = Array(repeating: Sight(), count: nodeCount)
        synced = Array(repeating: (nil, .zero), count: nodeCount)
    }

    /// - Parameter isExact: nothing was lost that takes back what was committed.
    /// - Returns: which rule the node broke; nil: none.
    mutating func observe(_ node: SimulatedNode, isExact: Bool) -> String? {
        noteDurable(node)
        guard let shown = node.sighting, shown.takesPart else { return nil }
        guard !isKnown(shown, of: node) else {
            sights[node.slot].tick(shown)
            return (isExact ? breachOfOrder(shown, node) : nil).map { "\(node.id) \($0)" }
        }
        guard let raft = node.machine?.replicated?.raft else { return nil }
        let former = sights[node.slot].run == node.run ? sights[node.slot] : Sight()
        note(raft, shown, former, node)
        var breach = breachOfCommit(raft, former) ?? breachOfQuorum(raft, former)
        let leads = raft.role == .leader || former.role == .leader
        if leads { committed = max(committed, raft.commitIndex) }
        if isExact { breach = breach ?? breachOfOrder(shown, node) }
        breach = breach ?? breachOfMembership(raft, former)
        return breach.map { "\(node.id) \($0)" }
    }

    private mutating func noteDurable(_ node: SimulatedNode) {
        let incarnation = node.identity.incarnation
        let last = synced[node.slot]
        guard last.incarnation != incarnation || last.index < node.syncedIndex else { return }
        synced[node.slot] = (incarnation, node.syncedIndex)
        durable[node.identity] = max(durable[node.identity] ?? .zero, node.syncedIndex)
    }

    /// Whether the node was seen as it is now: then no rule can be broken that is about how it came to be so.
    private func isKnown(_ shown: MachineSighting, of node: SimulatedNode) -> Bool {
        guard sights[node.slot].run == node.run else { return false }
        return sights[node.slot].shown?.isAlike(shown) ?? false
    }

    private mutating func note(
        _ raft: RaftMachine, _ shown: MachineSighting, _ former: Sight, _ node: SimulatedNode
    ) {
        let isNew = shown.membershipIndex != former.membershipIndex || former.run != node.run
        let leads = shown.role == .leader && former.role == .leader && shown.term == former.term
        var sight = Sight(
            run: node.run, shown: shown, membership: raft.membership,
            formerMembership: isNew ? former.membership : former.formerMembership,
            settledAmong: former.membership == raft.membership ? former.settledAmong : nil,
            ends: leads ? former.ends : [])
        if sight.ends.isEmpty || shown.nextTick != former.shown?.nextTick {
            sight.noteEnd(shown.lastPosition.index)
        }
        sights[node.slot] = sight
        if isNew { members.formUnion(raft.membership.members.map(NodeIdentity.init(member:))) }
        if isNew || shown.commitIndex > former.commitIndex {
            if shown.membershipIndex <= shown.commitIndex { settle(raft.membership, node.slot) }
        }
        var index = former.commitIndex.next
        while index <= shown.commitIndex {
            if let term = raft.term(at: index),
                let membership = memberships[LogPosition(index: index, term: term)]
            {
                settle(membership)
            }
            index = index.next
        }
    }

    /// Who is known becomes ever more: the same membership says nothing new of the same members.
    private mutating func settle(_ membership: Membership, _ slot: Int) {
        guard sights[slot].settledAmong != members.count else { return }
        sights[slot].settledAmong = members.count
        settle(membership)
    }

    private mutating func settle(_ membership: Membership) {
        removed.formUnion(
            members.subtracting(membership.members.map(NodeIdentity.init(member:))))
    }

    /// Thesis §3.6.2: entries of earlier terms become committed with one of the leader's own.
    private func breachOfCommit(_ raft: RaftMachine, _ former: Sight) -> String? {
        guard raft.role == .leader, former.role == .leader, former.term == raft.term,
            raft.commitIndex > former.commitIndex,
            let term = raft.term(at: raft.commitIndex), term != raft.term
        else { return nil }
        return "commits \(raft.commitIndex) of term \(term) by counting, in term \(raft.term)"
    }

    /// What a leader commits lies on the disks of a quorum: of the members as they were when it counted,
    /// which are these or, if the commit let another change begin, those before.
    private func breachOfQuorum(_ raft: RaftMachine, _ former: Sight) -> String? {
        guard raft.role == .leader, former.role == .leader, former.term == raft.term,
            raft.commitIndex > former.commitIndex
        else { return nil }
        let isHeld = [raft.membership, former.membership].contains { membership in
            let holders = membership.voters.count {
                durable[NodeIdentity(member: $0)] ?? .zero >= raft.commitIndex
            }
            return holders >= membership.quorum
        }
        return isHeld ? nil : "commits \(raft.commitIndex), which no quorum of voters holds"
    }

    private func breachOfOrder(_ shown: MachineSighting, _ node: SimulatedNode) -> String? {
        guard shown.term.epoch == 0 else { return nil }
        if shown.commitIndex > committed {
            return "takes \(shown.commitIndex) for committed, and no leader has committed it"
        }
        guard shown.exclusion != .none, !removed.contains(node.identity) else {
            return nil
        }
        return "takes itself for removed, by a membership that is not committed"
    }

    /// Thesis chapter 4 and its correction.
    private func breachOfMembership(_ raft: RaftMachine, _ former: Sight) -> String? {
        let index = raft.membershipIndex
        guard raft.role == .leader, index > .zero, raft.term(at: index) == raft.term else {
            return nil
        }
        guard raft.isReadyLeader else {
            return "changes the membership at \(index) before it has committed an entry of its term"
        }
        guard former.role == .leader, former.term == raft.term, former.membershipIndex < index
        else { return nil }
        for member in raft.membership.voters
        where former.membership[member.id]?.suffrage == .learner {
            let held = durable[NodeIdentity(member: member)] ?? .zero
            let lacksMany = index.previous.distance(from: held) > SimulatedNode.caughtUpEntries
            let lacksOld = former.ends.first.map { held < $0 } ?? true
            if lacksMany && lacksOld || held < former.membershipIndex {
                return "promotes \(member.id) at \(index), whose log ends at \(held)"
            }
        }
        return nil
    }

    mutating func arrived(_ message: Message, slot: Int) { rounds.arrived(message, slot: slot) }

    /// A linearizable read is served that was asked for then.
    /// - Returns: which rule that breaks; nil: none.
    func confirmed(_ node: SimulatedNode, asked: Int) -> String? {
        let sight = sights[node.slot]
        let memberships = [sight.membership, sight.formerMembership]
        return rounds.confirm(node, since: asked, memberships)
            ? nil : "\(node.id) serves a read for which no quorum confirmed it since it was asked"
    }

    /// - Returns: which rule the message breaks; nil: none.
    mutating func sent(_ message: Message, slot: Int, at now: Int) -> String? {
        rounds.sent(message, slot: slot, at: now)
        switch message.body {
        case .voteAnswer(let answer) where answer.isPreVote && answer.granted:
            let question = Question(candidate: message.to, term: message.term)
            if granters[question]?.contains(message.from.id) != true {
                granters[question, default: []].append(message.from.id)
            }
            return nil
        case .voteRequest(let request) where !request.isPreVote && !request.isTransfer:
            let sight = sights[slot]
            let question = Question(candidate: message.from.id, term: message.term)
            let granted = [message.from.id] + (granters[question] ?? [])
            let isBacked = [sight.membership, sight.formerMembership].contains { membership in
                membership.voters.count { granted.contains($0.id) } >= membership.quorum
            }
            return isBacked
                ? nil
                : "\(message.from.id) stands for term \(message.term) without a quorum's pre-votes"
        default: return nil
        }
    }

    mutating func wrote(_ entries: [Entry]) {
        for entry in entries {
            if case .membership(let membership) = entry.payload {
                memberships[entry.position] = membership
            }
        }
    }
}
