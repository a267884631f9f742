import Synchronization

/// Holds the last value of something that goes up and down.
package final class Gauge: Sendable {
    private let value = Atomic<Int64>(0)

    package init() {}

    /// From any thread; the last one wins.
    package func set(_ newValue: Int) {
        value.store(Int64(newValue), ordering: .relaxed)
    }

    /// From any thread; negative to take away.
    package func add(_ difference: Int) {
        value.wrappingAdd(Int64(difference), ordering: .relaxed)
    }

    /// May be a moment old on another processor.
    package var current: Int64 { value.load(ordering: .relaxed) }
}
