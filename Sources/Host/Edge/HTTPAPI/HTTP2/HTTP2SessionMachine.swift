/// The life of a connection that speaks HTTP/2, as a value: how many streams it has, when it is told to
/// end, and when it does. What a stream asks and is answered is none of its business.
///
/// Times are distances from any fixed moment. Not thread-safe: a value of one event loop.
struct HTTP2SessionMachine {
    /// What is to be done, in this order.
    enum Effect: Equatable {
        /// Say that no more streams are taken; those that there are go on.
        case goAway
        /// Close when all is written; the client gets time to read.
        case closeWhenWritten
        /// Close at once.
        case close
    }

    private enum Life {
        case open
        /// No more streams are taken; it closes behind the last.
        case ending
        case closed
    }

    private let pace: HTTPPaceLimits
    private var watch: HTTPPaceWatch
    private var life = Life.open
    /// Streams that are open.
    private(set) var streams = 0
    private var effects: [Effect] = []

    init(_ limits: HTTPLimits, now: Duration) {
        pace = limits.pace
        watch = HTTPPaceWatch(now: now)
    }

    /// The effects since they were last taken.
    mutating func takeEffects() -> [Effect] {
        defer { effects = [] }
        return effects
    }

    mutating func streamOpened(at now: Duration) {
        streams += 1
        watch.headReceived(at: now)
    }

    mutating func streamClosed(at now: Duration) {
        precondition(streams > 0, "a stream closed that was not open")
        streams -= 1
        watch.requestEnded(at: now)
        closeIfDone()
    }

    /// The server is about to stop, or nobody has asked anything for long.
    mutating func end() {
        guard case .open = life else { return }
        life = .ending
        effects.append(.goAway)
        closeIfDone()
    }

    /// The client broke the rules, and was told to go away.
    mutating func failed() {
        if case .closed = life { return }
        life = .closed
        effects.append(.closeWhenWritten)
    }

    /// The connection is gone.
    mutating func closed() { life = .closed }

    /// Time passes. To be called a few times within the shortest of the limits.
    mutating func tick(_ traffic: HTTPTraffic, at now: Duration) {
        if case .closed = life { return }
        let phase: HTTPPaceWatch.Phase
        if traffic.unsent > 0 {
            phase = .taking
        } else if traffic.isMidHead {
            phase = .sendingHead
        } else {
            // Each stream is watched by itself.
            phase = streams > 0 ? .waiting : .idle
        }
        switch watch.judge(phase, traffic, pace, at: now) {
        case nil: break
        case .idle: end()
        case .headTooSlow:
            end()
            failed()
        case .bodyTooSlow, .takesTooSlowly, .answerFailed:
            life = .closed
            effects.append(.close)
        }
    }

    private mutating func closeIfDone() {
        guard case .ending = life, streams == 0 else { return }
        life = .closed
        effects.append(.closeWhenWritten)
    }
}
