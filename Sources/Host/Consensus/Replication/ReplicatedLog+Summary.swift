package import Raft

/// What a driver has to know of a log after each of its turns, read at one time: each question that is
/// asked of a large value from afar may copy it first.
package struct LogSummary: Sendable {
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
    /// A received snapshot is being put in the place of log and database.
    package let isInstalling: Bool
    /// Something goes on as soon as the batch handed out last is applied.
    package let awaitsApplied: Bool
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
    /// Every entry up to it is applied in the database.
    package let appliedIndex: LogIndex
    /// Everything through here is durable in this node's log.
    package let durableIndex: LogIndex
    /// What the last finished checkpoint of the database covers.
    package let checkpointedIndex: LogIndex
}

extension ReplicatedLog {
    /// `mutating`, though nothing changes: so it is read where it lies.
    package mutating func summary() -> LogSummary {
        let (role, term, leader) = (raft.role, raft.term, raft.leader)
        return LogSummary(
            role: role, term: term, leader: leader, membershipIndex: raft.membershipIndex,
            isReadyLeader: raft.isReadyLeader, isInstalling: isInstalling,
            awaitsApplied: awaitsApplied, isVoter: raft.membership.isVoter(raft.identity.id),
            ticksSinceLeader: raft.ticksSinceLeader, commitIndex: raft.commitIndex,
            knownCommitIndex: raft.knownCommitIndex,
            knowsCommitOfTerm: raft.term(at: raft.commitIndex) == term,
            lastPosition: raft.lastPosition, appliedIndex: appliedIndex, durableIndex: durableIndex,
            checkpointedIndex: checkpointedIndex)
    }
}
