package import Telemetry

/// How long the node's own work took, for `/metrics` and `/debug/vars`. Each is recorded once per
/// batch by the thread that does the work, so that a loaded node pays no more for it than an idle one.
package struct NodeTimings: Sendable {
    /// The module under which the registry has them.
    package static let module = "node.seconds"

    /// Encoding a batch and writing it to the log's file, without the sync.
    let append: Histogram
    /// One `fdatasync` of the log.
    let sync: Histogram
    /// From the moment the node's core handed entries to its log until it knew them committed.
    let commit: Histogram
    /// A batch of entries, with its COMMIT.
    let apply: Histogram
    let checkpoint: Histogram
    /// Entries that were applied, also those that failed as they will everywhere.
    let appliedEntries: Counter
    /// How often this node learned of a leader that it did not know just before.
    let leaderChanges: Counter
    let peers: PeerRequestCounters
    let database: DatabaseCounters
    let checkpoints: CheckpointCounters
    let entries: EntryCounters
    // Under rqlite's names for `/debug/vars`:
    /// In microseconds, of an entry of the last batch.
    let lastApply: Gauge
    /// Databases that came from another node, and took the place of this one's.
    let restores: Counter
    let failedRestores: Counter
    /// By an operator's list of peers; in a run it is at most one.
    let recoveries: Counter
    /// What the database says of itself could not be read.
    let failedStatistics: Counter

    package init(_ metrics: MetricRegistry) {
        func histogram(_ name: String) -> Histogram { metrics.histogram(Self.module, name) }
        append = histogram("append")
        sync = histogram("sync")
        commit = histogram("commit")
        apply = histogram("apply")
        checkpoint = histogram("checkpoint")
        appliedEntries = metrics.counter(Self.module, "applied_entries")
        leaderChanges = metrics.counter(Self.module, "leader_changes")
        peers = PeerRequestCounters(metrics)
        database = DatabaseCounters(metrics)
        checkpoints = CheckpointCounters(metrics)
        entries = EntryCounters(metrics)
        lastApply = metrics.gauge("store", "fsm_apply_duration_us")
        restores = metrics.counter("store", "num_restores")
        failedRestores = metrics.counter("store", "num_restores_failed")
        recoveries = metrics.counter("store", "num_recoveries")
        failedStatistics = metrics.counter("store", "num_db_stats_errors")
    }
}
