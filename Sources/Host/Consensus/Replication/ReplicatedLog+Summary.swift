package import Raft

/// What a driver has to know of a log after each of its turns, read at one time: each question that is
/// asked of a large value from afar may copy it first.
package struct LogSummary: Sendable {
    /// Of the consensus core.
    package let raft: RaftSummary
    /// A received snapshot is being put in the place of log and database.
    package let isInstalling: Bool
    /// Something goes on as soon as the batch handed out last is applied.
    package let awaitsApplied: Bool
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
        LogSummary(
            raft: raft.summary(), isInstalling: isInstalling, awaitsApplied: awaitsApplied,
            appliedIndex: appliedIndex, durableIndex: durableIndex,
            checkpointedIndex: checkpointedIndex)
    }
}
