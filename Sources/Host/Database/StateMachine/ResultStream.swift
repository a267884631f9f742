package import Wire

/// Where a reader hands an answer on in parts when it is larger than what is gathered. Called on the
/// reader's thread, which it may hold up while nobody asks for more.
package protocol ResultStream: AnyObject {
    /// The answer will come in parts: nothing of it was handed over so far.
    func begin() -> ResultStreamBeginning

    /// Waits until the part is asked for; the last part does not wait.
    func send(_ part: ResultPart) -> ResultStreamStep
}

/// Whether an answer may come in parts.
package enum ResultStreamBeginning: Equatable, Sendable {
    /// - deadline: when SQLite must stop working on the read; nil: never. Waiting is not counted.
    case began(deadline: ContinuousClock.Instant?)
    /// There are as many as there may be.
    case refused
}

/// What became of a part.
package enum ResultStreamStep: Equatable, Sendable {
    /// - waited: how long nobody asked for it.
    case sent(waited: Duration)
    /// Nobody wants what comes after, or the read must end. The part was dropped.
    case ended
}
