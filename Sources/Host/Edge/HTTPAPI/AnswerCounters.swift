import NIOHTTP1
import Telemetry

/// Counts answers by the first digit of their status. An answer in parts counts when it begins.
package struct AnswerCounters: Sendable {
    /// The module under which the registry has them, each named as `2xx`.
    package static let module = "http.answers"

    private let counters: [Counter]

    init(_ metrics: MetricRegistry) {
        counters = (1...5).map { metrics.counter(Self.module, "\($0)xx") }
    }

    func count(_ status: HTTPResponseStatus) {
        let place = Int(status.code) / 100 - 1
        if counters.indices.contains(place) { counters[place].add() }
    }
}
