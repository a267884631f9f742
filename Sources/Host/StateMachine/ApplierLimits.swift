/// Bounds of the state machine. Those marked "equal" must be the same on every node of a cluster,
/// for they decide results.
package struct ApplierLimits: Sendable {
    /// Equal. What one command may cost in steps of SQLite's virtual machine: ten to twenty seconds.
    package var stepsPerCommand = 1_000_000_000
    /// Bytes of rows in one result.
    package var resultBytes = 1 << 30
    /// Prepared statements kept per connection.
    package var keptStatements = 64
    /// From this size of the write-ahead log on, readers that hold back the checkpoint must end.
    package var walEvictionBytes: Int64 = 256 << 20

    package init() {}
}
