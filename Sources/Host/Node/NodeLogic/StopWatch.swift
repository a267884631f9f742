package import Time

/// For how long the end of a process is waited for that stops in order. A disk may hang, or what is being applied take an
/// hour. What a stop does behind handing over makes the next start quicker, and nothing depends on it.
package struct StopWatch: Equatable, Sendable {
    /// What is to be done now.
    package enum Verdict: Equatable, Sendable {
        case waits
        /// Worth a word to whoever waits; said once.
        case isSlow
        /// At once, whatever is under way.
        case ends
    }

    /// A signal that comes so soon behind the first is the same wish: a terminal sends it to all of its processes, and
    /// whoever started them passes it on.
    static let echo = Duration.seconds(2)
    /// In order, a node with a few large files is through by then.
    static let slow = Duration.seconds(15)
    static let longest = Duration.seconds(600)

    private let begun: MonotonicTime
    private var hasTold = false

    /// - Parameter now: when the stop begins.
    package init(at now: MonotonicTime) { begun = now }

    /// To be asked again and again.
    /// - Parameter isAsked: a signal asked for the end since the last time.
    package mutating func look(at now: MonotonicTime, isAsked: Bool) -> Verdict {
        let time = now - begun
        if isAsked && time >= Self.echo || time >= Self.longest { return .ends }
        guard time >= Self.slow, !hasTold else { return .waits }
        hasTold = true
        return .isSlow
    }
}
