package import Raft
import Replication
package import Wire

/// What the database's thread does next, by the word of `ApplyKeeper`. Each but `wait`, `answer`, `decide`,
/// `tryAgain`, `removeReplaced`, `report`, `fail` and `end` is answered by one call before the next is asked for.
package enum ApplyStep: Sendable {
    /// Sleep until something is posted; at most so long, or without an end. Answered by `woke`.
    case wait(Duration?)
    /// Apply these, and answer who waits for them after COMMIT. Answered by `limited`, and then by
    /// `applied` or `stopped`.
    case apply([Entry], [AppliedAnswer])
    /// Leave these entries out when their turn comes.
    case decide([EntrySkip])
    /// Apply the entry that is in doubt once more.
    case tryAgain
    /// Answered by `established` or `failed`.
    case establish(ClusterID, Membership)
    /// Copy SQLite's log into the main file, and wait for reads as long as `ApplyKeeper.patience` says. Answered
    /// by `checkpointed` or `notCheckpointed`.
    case checkpoint
    /// Hold the main file as it is for a snapshot, and wait for reads as long as `ApplyKeeper.openingPatience`
    /// says. Answered by `opened` or `notOpened`.
    case openSnapshot(SnapshotSendID)
    /// Forget the snapshot; the database is held for it still, or not any more. Answered by `closed`.
    case closeSnapshot(SnapshotSendID, isHeld: Bool)
    /// Make a file of the generation of what was received, complete and durable. Answered by
    /// `prepared`.
    case prepare(SnapshotReceiptID, SnapshotMark, as: Generation)
    /// From now on the database is the file of the generation, for readers too. Answered by
    /// `switched`, `notSwitched` or `failed`.
    case switchTo(Generation, SnapshotMark)
    /// Delete what was received. Answered by `discarded`.
    case discard(SnapshotReceiptID)
    /// Delete the file of a generation that a snapshot replaced.
    case removeReplaced(Generation)
    case answer([ClientAnswer])
    /// Tell the machine, in this order.
    case report([DatabaseReport])
    /// The database can't be used any more: tell the machine, and end the thread.
    case fail(String)
    /// All is done: end the thread.
    case end
}

/// Why a step on the database came to nothing, or not to its end. What comes of that `ApplyKeeper` decides.
package enum DatabaseTrouble: Error, Equatable, Sendable, CustomStringConvertible {
    /// The disk is full: nothing of what was open was kept, and the same can be done again.
    case noRoom
    /// An entry must not be applied.
    case halted(ApplyHalt)
    /// SQLite finds the file damaged; what it says.
    case damaged(String)
    /// The file, the machine or the program failed; why, for the operator.
    case failed(String)

    package var description: String {
        switch self {
        case .noRoom: "the disk is full"
        case .halted(.suspected(let entry)): entry.text
        case .halted(.appliedSkipped(let skip)):
            "log entry \(skip.index), which is left out, was applied"
        case .damaged(let cause), .failed(let cause): cause
        }
    }
}
