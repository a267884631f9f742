import StateMachine
import Telemetry
import Time

/// What checkpoints came to, under rqlite's names for `/debug/vars`. One that is complete stands for the snapshot that
/// rqlite makes, by what its log has brought since the one before.
struct CheckpointCounters: Sendable {
    private let attempts: Counter
    private let completed: Counter
    private let partial: Counter
    private let held: Counter
    private let errors: Counter
    private let pages: Counter
    private let milliseconds: Gauge
    private let snapshots: Counter
    private let increments: Counter
    private let snapshotErrors: Counter
    private let snapshotMilliseconds: Gauge
    private let forSize: Counter
    private let forSizeErrors: Counter

    init(_ metrics: MetricRegistry) {
        attempts = metrics.counter("db", "checkpoint_total")
        completed = metrics.counter("db", "checkpoints")
        partial = metrics.counter("db", "checkpoint_partial")
        held = metrics.counter("db", "checkpoint_busy_errors")
        errors = metrics.counter("db", "checkpoint_errors")
        pages = metrics.counter("db", "checkpointed_moves")
        milliseconds = metrics.gauge("db", "checkpoint_duration_ms")
        snapshots = metrics.counter("store", "num_snapshots")
        increments = metrics.counter("store", "num_snapshots_incremental")
        snapshotErrors = metrics.counter("store", "num_snapshots_failed")
        snapshotMilliseconds = metrics.gauge("store", "snapshot_create_duration")
        forSize = metrics.counter("store", "num_wal_snapshots")
        forSizeErrors = metrics.counter("store", "num_wal_snapshots_failed")
    }

    /// - Parameter isForSize: SQLite's log had outgrown its bound.
    func ended(_ outcome: CheckpointOutcome, isForSize: Bool, after time: Duration) {
        let elapsed = Int(clamping: time.millisecondsClamped)
        attempts.add()
        pages.add(outcome.copiedPages)
        milliseconds.set(elapsed)
        switch outcome.extent {
        case .partial: partial.add()
        case .held: held.add()
        case .complete:
            completed.add()
            snapshots.add()
            increments.add()
            snapshotMilliseconds.set(elapsed)
            if isForSize { forSize.add() }
        }
    }

    func failed(isForSize: Bool) {
        attempts.add()
        errors.add()
        snapshotErrors.add()
        if isForSize { forSizeErrors.add() }
    }
}
