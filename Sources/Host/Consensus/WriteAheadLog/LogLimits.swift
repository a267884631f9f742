package import Raft

/// Bounds of the log.
package struct LogLimits: Sendable {
    /// Room claimed for a segment; one batch that is larger gets a segment of its own size.
    package var segmentBytes: Int
    /// Largest encoded batch.
    package var maxBatchBytes: Int
    /// Which rules are kept: all, unless a simulation breaks one.
    package var rules = RuleBook()

    package init(segmentBytes: Int = 16 << 20, maxBatchBytes: Int = 512 << 20) {
        precondition(segmentBytes >= 4096, "segments of \(segmentBytes) bytes")
        precondition(maxBatchBytes <= Int(Int32.max), "batches of \(maxBatchBytes) bytes")
        self.segmentBytes = segmentBytes
        self.maxBatchBytes = maxBatchBytes
    }
}
