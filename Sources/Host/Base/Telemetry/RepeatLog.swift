import Synchronization

/// Writes lines that may repeat: each at once, its repetitions as a number. For what happens again
/// and again by itself, such as a peer that does not answer; a state that lasts is `StateLog`'s.
/// Any thread may call.
package final class RepeatLog: Sendable {
    private let logger: Logger
    private let limiter: Mutex<RepeatLimiter>
    private let now: @Sendable () -> Duration

    /// - Parameter now: a clock that never goes back, since any moment.
    package init(
        _ logger: Logger, limiter: RepeatLimiter = RepeatLimiter(),
        now: (@Sendable () -> Duration)? = nil
    ) {
        self.logger = logger
        self.limiter = Mutex(limiter)
        let start = ContinuousClock.now
        self.now = now ?? { ContinuousClock.now - start }
    }

    /// Writes the line unless one with this message about this subject was written a short while
    /// ago. One that follows others which were left out says how many (`repeats`).
    /// - Parameter subject: what it is about, such as a node's ID; stands in the line as `about`.
    package func warning(_ message: StaticString, about subject: String, cause: String) {
        let key = "\(message)\u{0}\(subject)"
        let admission = limiter.withLock { $0.admit(key, at: now()) }
        switch admission {
        case .leaveOut: break
        case .write(repeats: 0):
            logger.warning(message, ["about": subject, "cause": cause])
        case .write(let repeats):
            logger.warning(message, ["about": subject, "cause": cause, "repeats": repeats])
        }
    }

    /// To be called every second or so: says of lines that were left out, and that no other one
    /// followed, how many there were.
    package func flush() {
        let due = limiter.withLock { $0.due(at: now()) }
        for (key, repeats) in due {
            let parts = key.split(separator: "\u{0}", maxSplits: 1)
            logger.warning(
                "said again, and left out here",
                [
                    "message": String(parts.first ?? ""),
                    "about": parts.count > 1 ? String(parts[1]) : "", "repeats": repeats,
                ])
        }
    }
}
