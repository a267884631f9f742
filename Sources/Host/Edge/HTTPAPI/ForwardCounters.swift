import Service
import Telemetry

/// Counts what other nodes did for clients of this one, under rqlite's names (module `proxy`).
struct ForwardCounters: Sendable {
    /// By the names of operations.
    private let done: [String: Counter]
    private let failed: [String: Counter]

    init(_ metrics: MetricRegistry) {
        func counter(_ name: String) -> Counter { metrics.counter("proxy", "remote_\(name)") }
        done = [
            HTTPOperation.execute.name: counter("executions"),
            HTTPOperation.query.name: counter("queries"),
            HTTPOperation.request.name: counter("requests"),
            HTTPOperation.backup.name: counter("backups"),
            HTTPOperation.load.name: counter("loads"),
            HTTPOperation.remove.name: counter("remove_node"),
            HTTPOperation.transferLeadership.name: counter("stepdowns"),
        ]
        failed = [
            HTTPOperation.execute.name: counter("executions_failed"),
            HTTPOperation.query.name: counter("queries_failed"),
            HTTPOperation.request.name: counter("requests_failed"),
        ]
    }

    /// - Parameter reply: the last one to a request, or the first of an answer in parts. What this node
    ///   did by itself is not counted.
    func count(_ reply: Reply, to operation: HTTPOperation) {
        switch reply.outcome {
        case .failed(.forwardingFailed): failed[operation.name]?.add()
        case .failed: if reply.servedBy != nil { failed[operation.name]?.add() }
        default: if reply.servedBy != nil { done[operation.name]?.add() }
        }
    }
}
