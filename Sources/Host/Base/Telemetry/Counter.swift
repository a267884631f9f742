import Synchronization

/// Counts events since the process began. Any thread may add.
package final class Counter: Sendable {
    private let value = Atomic<Int64>(0)

    package init() {}

    /// From any thread, without a lock.
    package func add(_ count: Int = 1) {
        value.wrappingAdd(Int64(count), ordering: .relaxed)
    }

    /// May be a moment old on another processor.
    package var current: Int64 { value.load(ordering: .relaxed) }
}
