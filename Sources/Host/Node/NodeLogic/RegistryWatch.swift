import Time

/// Decides when to watch the registry's record `leader`: from the state that a read has shown, one
/// watch at a time, and not too often where the registry fails or says too early that something
/// changed. The machines look by themselves, too; a watch only lets them see sooner.
struct RegistryWatch: Equatable {
    /// How long one watch waits.
    static var timeout: Duration { .seconds(30) }
    private static var pauseAfterChange: Duration { .milliseconds(100) }
    private static var pauseAfterFailure: Duration { .seconds(5) }

    private var token: [UInt8] = []
    private var notBefore = MonotonicTime(nanoseconds: 0)
    /// When the last one began.
    private var begunAt = MonotonicTime(nanoseconds: 0)
    private(set) var isUnderWay = false
    private var isOff = false

    /// A read showed this state.
    mutating func seen(token: [UInt8]) {
        if !token.isEmpty { self.token = token }
    }

    /// The plugin was read again: what it could not do before it may be able to.
    mutating func renewed() { isOff = false }

    /// The state to watch from, if a watch shall begin now; it then counts as under way.
    mutating func begin(now: MonotonicTime) -> [UInt8]? {
        guard !isUnderWay, !isOff, !token.isEmpty, now >= notBefore else { return nil }
        isUnderWay = true
        begunAt = now
        return token
    }

    mutating func ended(_ outcome: RegistryWatchOutcome, now: MonotonicTime) {
        isUnderWay = false
        switch outcome {
        case .changed(let token):
            self.token = token
            notBefore = now + Self.pauseAfterChange
        // Before its time that is a failure, too, whatever the plugin calls it (decision 205).
        case .unchanged: notBefore = begunAt + Self.pauseAfterFailure
        case .failed: notBefore = now + Self.pauseAfterFailure
        case .unsupported: isOff = true
        }
    }
}
