package import Raft
package import WriteAheadLog

/// What the log's thread does next, by the word of `LogKeeper`. All but `wait`, `report`, `fail` and
/// `end` are carried out on the log (`LogKeeper.perform`).
package enum LogStep: Equatable, Sendable {
    /// Sleep until something is posted; at most so long, or without an end.
    case wait(Duration?)
    /// Write behind all else; the report is due when a sync has covered it.
    case append(LogBatch, then: LogReport)
    /// Make all that was written durable.
    case sync
    case fetch(Effects.LogFetch)
    /// Drop entries through this one, or as far as the log reaches.
    case compact(through: LogIndex)
    case reset(SnapshotMark, Generation)
    /// Let the next start know that nothing was under way.
    case markClean
    /// Tell the machine, in this order.
    case report([LogReport])
    /// The log can't be used any more: tell the machine, and end the thread.
    case fail(LogError)
    /// All is done: end the thread.
    case end
}
