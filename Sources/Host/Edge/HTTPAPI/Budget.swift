import Synchronization

/// A number of things that all connections of the process share. Thread-safe.
final class Budget: Sendable {
    let limit: Int
    private let used = Atomic<Int>(0)
    private let whole: Budget?

    /// - Parameter whole: of which this is a part: what is taken here is taken there too.
    init(_ limit: Int, within whole: Budget? = nil) {
        self.limit = limit
        self.whole = whole
    }

    var inUse: Int { used.load(ordering: .relaxed) }

    /// Whether so many were left; if so they are taken.
    func take(_ count: Int) -> Bool {
        let total = used.add(count, ordering: .relaxed).newValue
        if total <= limit, whole?.take(count) ?? true { return true }
        used.subtract(count, ordering: .relaxed)
        return false
    }

    func giveBack(_ count: Int) {
        let left = used.subtract(count, ordering: .relaxed).newValue
        precondition(left >= 0, "\(-left) more given back than taken")
        whole?.giveBack(count)
    }
}

/// What one request has taken of a budget; it goes back when nobody holds it any more. Owned by
/// one thread at a time.
final class Share: @unchecked Sendable {
    // `@unchecked`: `count` changes only while a request is put together, on its event loop.
    private let budget: Budget
    private var count = 0

    init(of budget: Budget) { self.budget = budget }

    /// Whether so many more were left; if so they are taken.
    func grow(by more: Int) -> Bool {
        guard budget.take(more) else { return false }
        count += more
        return true
    }

    deinit { if count > 0 { budget.giveBack(count) } }
}

/// What the edge holds for all its clients together, within the bounds of `HTTPLimits`.
struct EdgeBudgets: Sendable {
    let connections: Budget
    var bodyBytes: Budget
    let uploads: Budget
    let requests: Budget
    let answerBytes: Budget

    init(_ limits: HTTPLimits) {
        connections = Budget(limits.connections + limits.observerConnections)
        bodyBytes = Budget(limits.bodyBytesInFlight)
        uploads = Budget(limits.uploads)
        requests = Budget(limits.requestsInFlight)
        answerBytes = Budget(limits.answerBytesInFlight)
    }
}
