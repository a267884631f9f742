import Synchronization

/// Holds the last value of something that goes up and down.
package final class Gauge: Sendable {
    private let value = Atomic<Int64>(0)

    package init() {}

    package func set(_ newValue: Int) {
        value.store(Int64(newValue), ordering: .relaxed)
    }

    package func add(_ difference: Int) {
        value.wrappingAdd(Int64(difference), ordering: .relaxed)
    }

    package var current: Int64 { value.load(ordering: .relaxed) }
}
