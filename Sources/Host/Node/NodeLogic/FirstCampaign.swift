import Time

/// The founder of a cluster campaigns as soon as it takes part; the others may not yet, and don't hear
/// it. So it asks again soon, rather than after an election timeout; and then ever more rarely, for an
/// answer may take long, and the next campaign doesn't count those of the last.
struct FirstCampaign {
    private static var firstPause: Duration { .milliseconds(50) }
    private static var patience: Duration { .seconds(2) }

    private var next: MonotonicTime?
    private var end = MonotonicTime.zero
    private var pause = Self.firstPause

    mutating func begin(_ now: MonotonicTime) {
        pause = Self.firstPause
        next = now + pause
        end = now + Self.patience
    }

    /// Whether to campaign now. It is over when there is a leader.
    mutating func isDue(hasLeader: Bool, _ now: MonotonicTime) -> Bool {
        guard let due = next else { return false }
        guard !hasLeader, now < end else {
            next = nil
            return false
        }
        guard due <= now else { return false }
        pause = pause * 2
        next = now + pause
        return true
    }
}
