import NIOCore
import Synchronization

/// Why nothing was taken of a budget.
enum Shortage: Equatable, Sendable {
    /// All clients together have it in use.
    case ofNode
    /// This client has its share, and others were starved (see `Pressure`).
    case ofClient
}

/// A number of things that all connections of the process share. Thread-safe.
///
/// As long as nobody is starved each client may have all that is left. To take or give back costs an addition to
/// the whole and one to the client's account; the lock is for those that are refused, or would be.
final class Budget: Sendable {
    let limit: Int
    private let used = Atomic<Int>(0)
    private let whole: Budget?
    private let item: BudgetItem?
    private let pressure: Mutex<Pressure>
    /// What `pressure` says of it; `Int.max`: nothing.
    private let share = Atomic<Int>(.max)

    /// - Parameters:
    ///   - item: in which clients have shares; nil: they have none.
    ///   - leastShare: see `Pressure`.
    ///   - patience: see `Pressure`.
    init(
        _ limit: Int, of item: BudgetItem? = nil, leastShare: Int = 1,
        patience: Duration = Pressure.patience
    ) {
        self.limit = limit
        self.item = item
        whole = nil
        pressure = Mutex(Pressure(limit, least: leastShare, patience: patience))
    }

    /// - Parameter whole: of which this is a part: what is taken here is taken there too, and there
    ///   clients have their shares.
    init(_ limit: Int, within whole: Budget) {
        self.limit = limit
        self.whole = whole
        item = nil
        pressure = Mutex(Pressure(limit, least: 1))
    }

    var inUse: Int { used.load(ordering: .relaxed) }

    /// - Parameter account: for whom; nil: for nobody who has a share.
    /// - Returns: nil: so many were left, and are taken.
    func take(_ count: Int, for account: ClientAccount?) -> Shortage? {
        guard let account, let item else {
            guard isLeft(count) else { return .ofNode }
            guard let shortage = whole?.take(count, for: account) else { return nil }
            used.subtract(count, ordering: .relaxed)
            return shortage
        }
        let held = account.add(count, item) - count
        var shortage: Shortage?
        if held >= share.load(ordering: .relaxed), hasShare(held) {
            shortage = .ofClient
        } else if !isLeft(count) {
            refused(holding: held)
            shortage = .ofNode
        }
        if shortage != nil { account.add(-count, item) }
        return shortage
    }

    func giveBack(_ count: Int, for account: ClientAccount?) {
        let left = used.subtract(count, ordering: .relaxed).newValue
        precondition(left >= 0, "\(-left) more given back than taken")
        if let account, let item { account.add(-count, item) }
        whole?.giveBack(count, for: account)
    }

    /// If so many are left they are taken.
    private func isLeft(_ count: Int) -> Bool {
        if used.add(count, ordering: .relaxed).newValue <= limit { return true }
        used.subtract(count, ordering: .relaxed)
        return false
    }

    /// Whether a client that has so many gets no more.
    private func hasShare(_ held: Int) -> Bool {
        pressure.withLock { pressure in
            pressure.passed(to: Self.now)
            let share = pressure.share ?? .max
            self.share.store(share, ordering: .relaxed)
            return held >= share
        }
    }

    private func refused(holding held: Int) {
        pressure.withLock { pressure in
            pressure.refused(holding: held, others: inUse - held, at: Self.now)
            share.store(pressure.share ?? .max, ordering: .relaxed)
        }
    }

    private static var now: Duration { HTTPConnection.time(.now()) }
}

/// What one request has taken of a budget; it goes back when nobody holds it any more. Owned by
/// one thread at a time.
final class Share: @unchecked Sendable {
    // `@unchecked`: `count` changes only while a request is put together, on its event loop.
    private let budget: Budget
    private let account: ClientAccount?
    private var count = 0

    /// - Parameter account: see `Budget.take`.
    init(of budget: Budget, for account: ClientAccount?) {
        self.budget = budget
        self.account = account
    }

    /// - Returns: nil: so many more were left, and are taken.
    func grow(by more: Int) -> Shortage? {
        if let shortage = budget.take(more, for: account) { return shortage }
        count += more
        return nil
    }

    /// So many of them are needed no longer.
    func shrink(by less: Int) {
        precondition(less <= count, "\(less) of \(count) given back")
        count -= less
        budget.giveBack(less, for: account)
    }

    deinit { if count > 0 { budget.giveBack(count, for: account) } }
}

/// What the edge holds for all its clients together, within the bounds of `HTTPLimits`.
struct EdgeBudgets: Sendable {
    let connections: Budget
    /// Of streams of HTTP/2 but the first of each connection; the same as `connections`, unless these are few.
    let furtherStreams: Budget
    /// Of connections, or streams, for which there is no place among these.
    let observers: Budget
    var bodyBytes: Budget
    let uploads: Budget
    let requests: Budget
    let answerBytes: Budget

    init(_ limits: HTTPLimits) {
        func budget(_ limit: Int, of item: BudgetItem, leastShare: Int? = nil) -> Budget {
            Budget(
                limit, of: item, leastShare: leastShare ?? limit / 64,
                patience: limits.sharePatience)
        }
        let connections = budget(limits.connections, of: .connections)
        self.connections = connections
        if let most = limits.furtherStreams {
            furtherStreams = budget(most, of: .furtherStreams)
        } else {
            furtherStreams = connections
        }
        observers = Budget(limits.observerConnections)
        // One body, however large, is a share.
        bodyBytes = budget(
            limits.bodyBytesInFlight, of: .bodyBytes, leastShare: limits.bodyBytes)
        uploads = budget(limits.uploads, of: .uploads)
        requests = budget(limits.requestsInFlight, of: .requests)
        answerBytes = budget(
            limits.answerBytesInFlight, of: .answerBytes,
            leastShare: limits.answerBytesInFlight / 4)
    }
}
