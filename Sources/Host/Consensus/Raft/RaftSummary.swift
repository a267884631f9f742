/// What a driver has to know of the core after each of its turns, read at one time: each question that is
/// asked of a large value from afar may copy it first.
package struct RaftSummary: Sendable {
    /// What this node is in its cluster.
    package let role: RoleName
    /// Of this node's hard state.
    package let term: Term
    /// Nil while none is known; this node, if it leads.
    package let leader: NodeID?
    /// Where the membership in force stands in the log.
    package let membershipIndex: LogIndex
    /// It leads, and an entry of its own term is committed.
    package let isReadyLeader: Bool
    /// The membership in force names it as a voter.
    package let isVoter: Bool
    /// Since the leader was last heard, zero on the leader; nil when never in this run.
    package let ticksSinceLeader: Int?
    /// What is committed, and in this node's log.
    package let commitIndex: LogIndex
    /// The most that this node knows to be committed, in its log or not.
    package let knownCommitIndex: LogIndex
    /// An entry of the present term is known to be committed.
    package let knowsCommitOfTerm: Bool
    /// The end of the log, durable or not.
    package let lastPosition: LogPosition
}

extension RaftMachine {
    /// `mutating`, though nothing changes: so it is read where it lies.
    package mutating func summary() -> RaftSummary {
        RaftSummary(
            role: role, term: term, leader: leader, membershipIndex: membershipIndex,
            isReadyLeader: isReadyLeader, isVoter: membership.isVoter(identity.id),
            ticksSinceLeader: ticksSinceLeader, commitIndex: commitIndex,
            knownCommitIndex: knownCommitIndex,
            knowsCommitOfTerm: log.term(at: commitIndex) == term, lastPosition: lastPosition)
    }
}
