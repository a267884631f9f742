import Synchronization

/// Says each change of a state once, both ways and with its reason, and keeps what is wrong now for
/// `/readyz` and `/status`, so that all three say the same.
///
///     states.troubled("follower does not answer", about: "2", reason: "connection refused")
///     states.cleared("follower does not answer", about: "2")
///
/// The first writes a line when the trouble begins or its reason becomes another, the second one
/// when it ends, with its length; called again they write nothing. Of a state that changes to and
/// fro, `burst` changes are written in each `quiet`, and the last one always, by `flush`, with the
/// number of those left out. Any thread may call.
package final class StateLog: Sendable {
    /// Something that is wrong now.
    package struct Trouble: Equatable, Sendable {
        /// The message of the line that told of it.
        package var what: String
        /// Which of several, such as a node's ID; empty if there is only one.
        package var subject: String
        /// As it was given last.
        package var reason: String
        /// How long it has lasted.
        package var age: Duration
    }

    private struct Key: Hashable {
        var what: String
        var subject: String
    }

    private struct State {
        var message: StaticString
        /// Of the line that tells of the trouble.
        var level: LogLevel
        /// Nil: nothing is wrong.
        var reason: String?
        var since: Duration
        /// What the last line said; nil: that nothing is wrong.
        var saidReason: String?
        /// The lines of the present stretch of time, and its begin.
        var lines = 0
        var stretchStart: Duration
        /// Since when the trouble that the last line told of lasted.
        var saidSince: Duration
        /// Changes since the last line.
        var leftOut = 0
    }

    private let logger: Logger
    private let quiet: Duration
    private let capacity: Int
    private let states = Mutex<[Key: State]>([:])
    private let now: @Sendable () -> Duration

    /// Lines about one subject within `quiet`.
    private static var burst: Int { 4 }

    /// - Parameters:
    ///   - quiet: the stretch of time in which lines about one subject are counted.
    ///   - capacity: how many subjects are remembered; of those beyond it changes are not said.
    ///   - now: a clock that never goes back, since any moment.
    package init(
        _ logger: Logger, quiet: Duration = .seconds(10), capacity: Int = 1024,
        now: (@Sendable () -> Duration)? = nil
    ) {
        self.logger = logger
        self.quiet = quiet
        self.capacity = capacity
        let start = ContinuousClock.now
        self.now = now ?? { ContinuousClock.now - start }
    }

    /// Something is wrong.
    /// - Parameters:
    ///   - what: a constant that names the state, in the words of its bad side.
    ///   - reason: a change of it is a change of the state.
    ///   - level: of the line; that it is over is a notice.
    package func troubled(
        _ what: StaticString, about subject: String = "", reason: String,
        level: LogLevel = .warning
    ) {
        change(what, subject, to: reason, level)
    }

    /// It is right again, or always was.
    package func cleared(_ what: StaticString, about subject: String = "") {
        change(what, subject, to: nil, .notice)
    }

    /// Nobody is interested in the subject any more, such as a removed node: its state is forgotten
    /// without a line.
    package func forget(_ what: StaticString, about subject: String = "") {
        let key = Key(what: what.description, subject: subject.asFarAsShown)
        states.withLock { $0[key] = nil }
    }

    /// What is wrong now, by message and subject.
    package var troubles: [Trouble] {
        let now = now()
        return states.withLock { states in
            states.compactMap { key, state in
                state.reason.map {
                    Trouble(
                        what: key.what, subject: key.subject, reason: $0, age: now - state.since)
                }
            }
        }.sorted { ($0.what, $0.subject) < ($1.what, $1.subject) }
    }

    /// To be called every second or so: writes the changes that were held back long enough.
    package func flush() {
        let now = now()
        let lines: [Line] = states.withLock { states in
            var lines: [Line] = []
            for (key, state) in states {
                let isOver = now - state.stretchStart >= quiet
                if state.reason != state.saidReason {
                    guard isOver || state.lines < Self.burst else { continue }
                    lines.append(say(&states[key, default: state], key, at: now))
                } else if isOver {
                    // Remembered for as long as it counts for something.
                    states[key]?.leftOut = 0
                    if state.reason == nil { states[key] = nil }
                }
            }
            return lines.sorted { ($0.key.what, $0.key.subject) < ($1.key.what, $1.key.subject) }
        }
        for line in lines { write(line) }
    }

    private func change(
        _ what: StaticString, _ subject: String, to reason: String?, _ level: LogLevel
    ) {
        let now = now()
        let key = Key(what: what.description, subject: subject.asFarAsShown)
        let reason = reason?.asFarAsShown
        let line: Line? = states.withLock { states in
            guard var state = states[key] else {
                guard let reason, states.count < capacity else { return nil }
                var state = State(
                    message: what, level: level, reason: reason, since: now, saidReason: nil,
                    stretchStart: now,
                    saidSince: now)
                defer { states[key] = state }
                return say(&state, key, at: now)
            }
            defer { states[key] = state }
            guard state.reason != reason else { return nil }
            if state.reason == nil { state.since = now }
            state.reason = reason
            guard state.reason != state.saidReason else {
                state.leftOut += 1
                return nil
            }
            guard state.lines < Self.burst || now - state.stretchStart >= quiet else {
                state.leftOut += 1
                return nil
            }
            return say(&state, key, at: now)
        }
        if let line { write(line) }
    }

    private struct Line {
        var key: Key
        var message: StaticString
        var level: LogLevel
        /// Nil: it is right again.
        var reason: String?
        var lasted: Duration
        var leftOut: Int
    }

    private func say(_ state: inout State, _ key: Key, at now: Duration) -> Line {
        let line = Line(
            key: key, message: state.message, level: state.level, reason: state.reason,
            lasted: now - (state.reason == nil ? state.saidSince : state.since),
            leftOut: state.leftOut)
        if state.saidReason == nil { state.saidSince = state.since }
        state.saidReason = state.reason
        if now - state.stretchStart >= quiet { (state.stretchStart, state.lines) = (now, 0) }
        state.lines += 1
        state.leftOut = 0
        return line
    }

    private func write(_ line: Line) {
        let about = line.key.subject
        switch (line.reason, line.leftOut) {
        case (let reason?, 0):
            logger.write(
                line.level, line.message.description, [("about", about), ("cause", reason)])
        case (let reason?, let leftOut):
            logger.write(
                line.level, line.message.description,
                [("about", about), ("cause", reason), ("changes_left_out", "\(leftOut)")])
        case (nil, let leftOut):
            logger.notice(
                "over",
                [
                    "state": line.key.what, "about": about, "lasted": line.lasted.goText,
                    "changes_left_out": leftOut,
                ])
        }
    }
}
