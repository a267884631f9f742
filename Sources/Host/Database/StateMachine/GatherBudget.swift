internal import Synchronization

/// Memory that all readers together may fill with rows that are not handed over yet. Thread-safe.
package final class GatherBudget: Sendable {
    /// In bytes.
    package let limit: Int
    private let used = Atomic<Int>(0)

    /// - Parameter limit: in bytes.
    package init(limit: Int) { self.limit = limit }

    /// Whether so many bytes were left; if so they are taken.
    func take(_ bytes: Int) -> Bool {
        if used.add(bytes, ordering: .relaxed).newValue <= limit { return true }
        used.subtract(bytes, ordering: .relaxed)
        return false
    }

    func giveBack(_ bytes: Int) { used.subtract(bytes, ordering: .relaxed) }

    /// In bytes.
    package var inUse: Int { used.load(ordering: .relaxed) }
}

/// What one request has taken of the budget.
struct GatherShare {
    /// Taken at a time, so that small results cost nothing.
    static let step = 1 << 20

    let budget: GatherBudget?
    private(set) var taken = 0
    /// Bytes of the results that are complete.
    private var kept = 0
    /// The budget was exhausted.
    private(set) var isRefused = false

    init(of budget: GatherBudget?) { self.budget = budget }

    /// A result of so many bytes is complete.
    mutating func keep(_ bytes: Int) { kept += bytes }

    /// Whether there is room for so many bytes of the result that is being gathered.
    mutating func cover(_ result: Int) -> Bool {
        let bytes = kept + result
        guard bytes > taken + Self.step, let budget else { return true }
        let more = bytes - taken
        guard budget.take(more) else {
            isRefused = true
            return false
        }
        taken += more
        return true
    }

    mutating func end() {
        if taken > 0 { budget?.giveBack(taken) }
        taken = 0
    }
}
