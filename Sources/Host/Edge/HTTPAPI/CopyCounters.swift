import Service
import Telemetry
import Wire

/// Counts what of copies, loads and snapshots was done for clients of this node, by whichever node, under rqlite's
/// names (module `store`). An answer in parts counts when it begins.
struct CopyCounters: Sendable {
    /// By the names of operations.
    private let done: [String: Counter]
    private let failedSnapshots: Counter

    init(_ metrics: MetricRegistry) {
        func counter(_ name: String) -> Counter { metrics.counter("store", "num_\(name)") }
        done = [
            HTTPOperation.backup.name: counter("backups"),
            HTTPOperation.boot.name: counter("boots"),
            HTTPOperation.load.name: counter("loads"),
            HTTPOperation.snapshot.name: counter("user_snapshots"),
        ]
        failedSnapshots = counter("user_snapshots_failed")
    }

    /// - Parameter reply: the last one to a request, or the first of an answer in parts.
    func count(_ reply: Reply, to operation: HTTPOperation) {
        // Most requests carry statements, and pay for no look-up.
        guard operation.code != .command else { return }
        switch reply.outcome {
        case .failed: if operation === HTTPOperation.snapshot { failedSnapshots.add() }
        case .results(let result) where result.error != nil: break
        // There was nothing to do.
        case .unchanged: break
        default: done[operation.name]?.add()
        }
    }
}
