/// Bounds of the state machine on this node. Those that decide results are not here: they are the
/// same on every node of a cluster, and come through the log (`WriteLimits`) or are constants.
package struct ApplierLimits: Sendable {
    /// Bytes of rows in one result that is gathered, and of one row in a result that goes out in
    /// parts.
    package var resultBytes = 1 << 30
    /// From so many bytes on an answer to a read goes out in parts, where parts are taken.
    package var gatheredBytes = 1 << 20
    /// What one statement of a read may hold in temporary files, in bytes: they lie on the disk of log and
    /// database.
    package var readTemporaryBytes: Int64 = 4 << 30
    /// What those of all readers of this process may hold together, in bytes.
    package var allReadsTemporaryBytes: Int64 = 16 << 30
    /// What reads of this process may hold in memory together, in bytes, beside 16 MiB for each.
    package var allReadsMemoryBytes: Int64 = 4 << 30
    /// Prepared statements kept per connection.
    package var keptStatements = 64
    /// Readers that keep so much of the write-ahead log from being copied must end; or 16 times as much
    /// from starting over.
    package var walEvictionBytes: Int64 = 256 << 20

    package init() {}
}
