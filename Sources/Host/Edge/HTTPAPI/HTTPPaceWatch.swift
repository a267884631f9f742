/// What was moved over a connection so far.
struct HTTPTraffic {
    /// Bytes that came from the client.
    var received = 0
    /// Bytes that the client's side has taken.
    var taken = 0
    /// Bytes that are written and not yet taken.
    var unsent = 0
    /// A part of a head may have come.
    var isMidHead = false
}

extension HTTPTraffic {
    /// Of a connection with a socket. The end of an answer that is all in the socket counts as taken: it is there for a
    /// round trip at least, so that of a client which asks for little at the beat of these looks each may see one, if
    /// never the same.
    /// - Parameters:
    ///   - written: bytes for the client so far.
    ///   - waiting: those of them that the socket has not taken.
    ///   - unacknowledged: those that the socket has taken, and the other side has not.
    init(
        received: Int, written: Int, waiting: Int, unacknowledged: Int, isMidHead: Bool,
        _ limits: HTTPPaceLimits
    ) {
        let isEnd = waiting == 0 && unacknowledged < limits.takenBytes
        let unsent = isEnd ? 0 : waiting + unacknowledged
        self.init(
            received: received, taken: written - unsent, unsent: unsent, isMidHead: isMidHead)
    }
}

/// How slow a client may be. A rate is so many bytes within a window: a steady client reaches it
/// however slow its network is, one that only keeps the connection busy does not.
struct HTTPPaceLimits: Equatable, Sendable {
    /// A connection on which nothing is under way is closed after this.
    var idle: Duration = .seconds(300)
    /// From the first byte of a head to its last.
    var head: Duration = .seconds(60)
    /// From a head to the last byte of its body, and a second more for each `bodyRate` of its bytes: a database
    /// may take longer, however steady it comes.
    var body: Duration = .seconds(3600)
    var bodyRate = 16 * 1024
    /// In which a body must grow by `bodyBytes`.
    var bodyWindow: Duration = .seconds(60)
    var bodyBytes = 512
    /// In which the client must take `takenBytes`, or all there is. Long, because a receiver with
    /// a large buffer tells only now and then that it took something.
    var takingWindow: Duration = .seconds(300)
    var takenBytes = 4096

    init() {}

    /// How often the time is looked at.
    var tickPeriod: Duration { min(shortest / 4, .seconds(15)) }

    private var shortest: Duration { [idle, head, body, bodyWindow, takingWindow].min() ?? idle }
}

/// Compares what a client does with what it must do.
struct HTTPPaceWatch {
    enum Phase {
        case idle
        /// The client waits for us.
        case waiting
        case sendingHead
        case sendingBody
        case taking
    }

    private var phase = Phase.idle
    /// Since when the phase lasts.
    private var since: Duration
    private var windowStart: Duration
    private var bytesAtStart = 0
    private var lastActivity: Duration
    private var lastSeen = 0
    /// When the head of the request came that is being received.
    private var headAt: Duration
    /// What had come at the first look since then.
    private var receivedAtHead: Int?

    init(now: Duration) {
        since = now
        windowStart = now
        lastActivity = now
        headAt = now
    }

    mutating func headReceived(at now: Duration) {
        headAt = now
        receivedAtHead = nil
        lastActivity = now
        // What has come of the next one has its own time.
        if phase == .sendingHead { since = now }
    }

    mutating func requestEnded(at now: Duration) { lastActivity = now }

    /// - Returns: why the connection must end; nil when it may go on.
    mutating func judge(
        _ phase: Phase, _ traffic: HTTPTraffic, _ limits: HTTPPaceLimits, at now: Duration
    ) -> HTTPConnectionEnd? {
        let seen = traffic.received + traffic.taken
        if seen != lastSeen {
            lastSeen = seen
            lastActivity = now
        }
        let moved = phase == .taking ? traffic.taken : traffic.received
        let start = receivedAtHead ?? traffic.received
        receivedAtHead = start
        if phase != self.phase {
            // After waiting for us, a client has all its time again.
            if self.phase == .waiting || self.phase == .taking { lastActivity = now }
            self.phase = phase
            since = now
            windowStart = now
            bytesAtStart = moved
        }
        switch phase {
        case .waiting: return nil
        case .idle: return now - lastActivity >= limits.idle ? .idle : nil
        case .sendingHead: return now - since >= limits.head ? .headTooSlow : nil
        case .sendingBody:
            let more = Duration.seconds((traffic.received - start) / limits.bodyRate)
            if now - headAt >= limits.body + more { return .bodyTooSlow }
            return isTooSlow(moved, limits.bodyWindow, limits.bodyBytes, now)
                ? .bodyTooSlow : nil
        case .taking:
            return isTooSlow(moved, limits.takingWindow, limits.takenBytes, now)
                ? .takesTooSlowly : nil
        }
    }

    private mutating func isTooSlow(
        _ moved: Int, _ window: Duration, _ bytes: Int, _ now: Duration
    ) -> Bool {
        guard now - windowStart >= window else { return false }
        defer {
            windowStart = now
            bytesAtStart = moved
        }
        return moved - bytesAtStart < bytes
    }
}
