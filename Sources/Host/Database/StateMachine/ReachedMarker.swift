package import Raft
package import Wire

/// A marker for checksums that the database stands at.
package struct ReachedMarker: Equatable, Sendable {
    /// The marker's own.
    package var position: LogPosition
    /// What it asks for.
    package var marker: ChecksumMarker
    /// The trace of all rows written before it; nil: this node has none.
    package var trace: Digest?
}
