/// Bounds of what is in the hands of the shell at one time.
package struct ReplicationSettings: Sendable {
    /// Entries of one apply batch and their bytes; a single larger entry goes alone.
    package var maxApplyEntries: Int = 1024
    /// Bytes of entries in one batch for the database; one entry at least.
    package var maxApplyBytes: Int = 4 << 20
    /// The log is compacted when this many entries could go.
    package var compactionThreshold: Int = 8192
    /// Ticks until a compaction is proposed again that did not move the log's base: there was no
    /// room for the record of it.
    package var compactionRetryTicks: Int = 500
    /// Ticks for which what is still to be copied elsewhere stays beside a database without room, behind the last word of who
    /// copies.
    package var copyingTicks: Int = 6000
    /// Entries kept behind a compaction for followers that lag.
    package var trailingEntries: Int = 10240

    package init() {}
}
