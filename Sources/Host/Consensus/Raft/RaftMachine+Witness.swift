/// What others saw of this node before it started. A disk that went back to an older state (a restored
/// copy, a virtual machine's snapshot) does not know any more what it acknowledged and voted; members
/// that saw it say so when they are asked, and then it keeps those promises without the disk:
///
/// - It votes for nobody whose log is not at least as complete as the one it acknowledged, as if it held
///   that still (thesis §3.6.1), and does not stand for election, until its own log is so complete again.
/// - It votes no more in a term that has a leader, nor in one that others are in and its disk does not know: it may
///   have voted there already, and who led by that vote may have stepped down.
/// - It neither stands nor votes for who holds less as long as its own log lacks what a voter knows to be committed:
///   every leader holds that (thesis §3.6.3), and who saw this node acknowledge it may have been restarted since. A node
///   that merely lags could not be elected either.
///
/// What it acknowledges is what its log holds, so a leader may count it. Nothing of this is kept on the
/// disk, and it counts for this node alone: of a whole cluster that was restored from copies nobody is
/// there to say more, so it starts; and where all who saw more are gone for good, a restart of this
/// node lets what is left count. `docs/decisions/0070` has the reasons.
extension RaftMachine {
    /// What another member, asked at this node's start, knows of the time before.
    package struct Testimony: Equatable, Sendable {
        /// The member's term.
        package var term: Term
        /// That term has a leader.
        package var hasLeader: Bool
        /// The last entry that this node acknowledged to the member, as its leader then or before.
        package var acknowledged: LogPosition?
        /// The last entry that the member, which may lead, knows to be committed.
        package var committed: LogPosition?

        package init(
            term: Term, hasLeader: Bool, acknowledged: LogPosition?, committed: LogPosition? = nil
        ) {
            self.term = term
            self.hasLeader = hasLeader
            self.acknowledged = acknowledged
            self.committed = committed
        }
    }

    /// The end of the log that this node acknowledged in an earlier run and does not hold; nil if it holds
    /// all that anybody saw.
    package var missing: LogPosition? {
        guard let witnessed, !log.lastPosition.isUpToDate(with: witnessed) else { return nil }
        return witnessed
    }

    /// An entry that others know to be committed, and this node's log does not hold; nil: it holds all of them.
    package var lackedCommitted: LogPosition? {
        guard let committedElsewhere, !log.lastPosition.isUpToDate(with: committedElsewhere) else {
            return nil
        }
        return committedElsewhere
    }

    /// Another member saw what this node promised before it started.
    /// - Returns: what no member says that keeps to the protocol; then it is not believed.
    package mutating func heard(_ testimony: Testimony) -> DropReason? {
        // One of the two was recovered by hand since: what was said before does not count.
        guard testimony.term.epoch == term.epoch else { return nil }
        for position in [testimony.acknowledged, testimony.committed].compactMap(\.self) {
            guard position.index <= Reach.lastIndex, position.term <= testimony.term else {
                return .malformed
            }
            guard position.index.distance(from: log.lastIndex) <= Reach.indexes else {
                return .indexTooFar
            }
        }
        if let breach = termBreach(testimony.term, isFromLeader: false) { return breach }
        if let acknowledged = testimony.acknowledged,
            witnessed.map({ !$0.isUpToDate(with: acknowledged) }) ?? true
        {
            witnessed = acknowledged
        }
        if let committed = testimony.committed,
            committedElsewhere.map({ !$0.isUpToDate(with: committed) }) ?? true
        {
            committedElsewhere = committed
        }
        if testimony.hasLeader || testimony.term > term { settle(testimony.term) }
        switch roleState {
        case .preCandidate, .candidate:
            if missing != nil || lackedCommitted != nil {
                becomeFollower(term: term, leader: nil, because: nil)
            }
        case .follower, .leader: break
        }
        return nil
    }

    /// This node's leadership ends. What was promised to it holds all the same, and the member that comes back
    /// on an older state of its disk may ask when nobody leads, or when this node leads anew.
    mutating func keepAcknowledgements(to former: Leader) {
        // Another data directory of the same ID promised nothing.
        acknowledgedBefore = acknowledgedBefore.filter { identity, _ in
            membership[identity.id]?.incarnation == identity.incarnation
        }
        for peer in former.progress where peer.acknowledged.index > .zero {
            guard let member = membership[peer.id] else { continue }
            let identity = NodeIdentity(member: member)
            let isNewer =
                acknowledgedBefore[identity].map { peer.acknowledged.isUpToDate(with: $0) } ?? true
            if isNewer { acknowledgedBefore[identity] = peer.acknowledged }
        }
    }

    /// Others have been in the term without this node, as far as its disk knows, or one leads it: this node's vote in
    /// it is spent, given or not.
    private mutating func settle(_ other: Term) {
        guard other > term || (other == term && missing != nil && leader == nil) else { return }
        if other > term {
            termAllowance.spend(other.rawValue - term.rawValue)
            becomeFollower(term: other, leader: nil, because: .higherTerm)
        }
        guard hardState.votedFor == nil else { return }
        let own = HardState.Vote(candidate: identity.id, incarnation: identity.incarnation)
        setHardState(HardState(term: other, votedFor: own))
    }
}
