/// Names one offered snapshot and the transfer it becomes. Given by the node, counted up, never used
/// again while the process lives.
package struct IncomingSnapshotID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    package var description: String { "\(rawValue)" }
}

/// What a node says to an offered snapshot.
package enum SnapshotDecision: Equatable, Sendable {
    /// It shall be written to a new file at `path`, at which nothing may stand.
    case accept(IncomingSnapshotID, path: String)
    /// It isn't wanted; the text goes to the sender.
    case refuse(String)
}
