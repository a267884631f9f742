/// When the clients of a budget must keep to a share of it, and how large that is.
///
/// A client is *starved* when it is refused for want of anything left, though it has no more than half of what
/// one client may have, and the others have more than half of all. So a client that is alone starves nobody,
/// and may have all there is. From a starvation on, until there was none for `patience`, a client that has
/// its share gets no more; the share is half of the budget at first, and half as much again with each
/// second in which that was not enough.
///
/// A value without a clock; times are since any fixed moment.
struct Pressure: Sendable {
    /// How long a share is to be kept to behind the last starvation: longer than `Retry-After` has a
    /// starved client wait.
    static let patience = Duration.seconds(5)
    /// Between two halvings: what clients have in use goes back by and by.
    static let step = Duration.seconds(1)

    private let limit: Int
    private let least: Int
    private let patience: Duration
    /// What one client may have; nil: whatever is left.
    private(set) var share: Int?
    private var end = Duration.zero
    private var nextHalving = Duration.zero

    /// - Parameters:
    ///   - limit: of the budget.
    ///   - least: no share is smaller; half of the limit at most.
    init(_ limit: Int, least: Int, patience: Duration = Pressure.patience) {
        self.limit = limit
        self.least = max(1, min(least, limit / 2))
        self.patience = patience
    }

    /// A client that had so many was refused for want of anything left, while the others had so many.
    mutating func refused(holding held: Int, others: Int, at now: Duration) {
        guard others > limit / 2 else { return }
        passed(to: now)
        let smaller = (share ?? limit) / 2
        if smaller >= least, held <= smaller, now >= nextHalving {
            share = smaller
            nextHalving = now + Self.step
        }
        if let share, held < share { end = now + patience }
    }

    /// Time has passed, and may have ended it.
    mutating func passed(to now: Duration) {
        guard share != nil, now >= end else { return }
        share = nil
        nextHalving = now
    }
}
