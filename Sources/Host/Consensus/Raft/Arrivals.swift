/// How long entries take to a member, so that what is large, and overtaken by a heartbeat that finds a gap,
/// isn't sent again while it is on its way: on a slow link each copy delays the next.
///
/// Ticks are counted from when the first copy of what is not acknowledged was sent (Karn's rule is to measure
/// no repetition: here an answer to a later copy tells too long a time, never one too short).
struct Arrivals: Equatable, Sendable {
    private struct Batch: Equatable, Sendable {
        var bytes: Int
        var ticks = 0
    }

    /// What was sent and not acknowledged yet.
    private var flight: Batch?
    /// The last that arrived of at least half the size of the largest before.
    private var measured = Batch(bytes: 0)

    /// - Parameter again: in place of what is on its way, and not behind it.
    mutating func sent(_ bytes: Int, again: Bool) {
        let before = again ? 0 : flight?.bytes ?? 0
        flight = Batch(bytes: before + bytes, ticks: flight?.ticks ?? 0)
    }

    /// - Parameter rest: bytes that were sent behind what arrived.
    mutating func arrived(rest: Int) {
        guard let flight else { return }
        let bytes = flight.bytes - min(rest, flight.bytes)
        if bytes > 0, bytes >= measured.bytes / 2 {
            measured = Batch(bytes: bytes, ticks: flight.ticks)
        }
        self.flight = rest > 0 ? Batch(bytes: rest) : nil
    }

    /// What was sent won't arrive: its connection is gone.
    mutating func lost() { flight = nil }

    /// What was sent is not twice as long on its way yet as what was measured. No larger time is
    /// foreseen for what is larger than all that was measured: that is left to growing pauses.
    /// - Parameter limit: ticks that are waited at most: a member that was away for long made the last one late.
    func mayBeOnTheirWay(limit: Int) -> Bool {
        guard let flight, measured.bytes > 0 else { return false }
        let patience = 2 * measured.ticks * min(flight.bytes, measured.bytes) / measured.bytes
        return flight.ticks < min(patience, limit)
    }

    mutating func tick() { flight?.ticks += 1 }
}
