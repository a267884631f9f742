import Service
import Telemetry

/// How long requests took, by operation and, where clients choose one, by consistency level: from a
/// request's head until the answer to it, or the first part of that, was there. The registry has them
/// as `OPERATION` or `OPERATION/LEVEL`.
package struct RequestTimes: Sendable {
    /// The module under which the registry has them.
    package static let module = "http.seconds"

    /// One for each level, or one alone.
    private let histograms: [ObjectIdentifier: [Histogram]]

    init(_ metrics: MetricRegistry) {
        func histogram(_ name: String) -> Histogram { metrics.histogram(Self.module, name) }
        var histograms: [ObjectIdentifier: [Histogram]] = [:]
        for operation in OperationTable.all {
            histograms[ObjectIdentifier(operation)] =
                operation.takesLevel
                ? Self.levels.map { histogram("\(operation.name)/\($0)") }
                : [histogram(operation.name)]
        }
        self.histograms = histograms
    }

    /// In the order of `ConsistencyLevel`'s values.
    private static let levels = ["none", "weak", "linearizable", "strong", "auto"]

    /// From any thread; takes no lock.
    func record(_ pending: PendingReply) {
        guard let found = histograms[ObjectIdentifier(pending.operation)] else { return }
        let place = found.count > 1 ? Int(pending.parameters.level.rawValue) : 0
        found[place].record(pending.elapsed)
    }
}

extension HTTPOperation {
    /// Clients say by `level` how sure they want to be of seeing the latest writes.
    fileprivate var takesLevel: Bool { need == .level || need == .levelOrLog }
}
