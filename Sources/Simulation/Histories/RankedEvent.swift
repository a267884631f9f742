/// An event of a place that changes step by step, with the number of the state behind it: of a change
/// its own number, of a read the number of changes that it saw.
struct RankedEvent {
    var rank: Int
    /// In microseconds since the run began.
    var invoked: Int
    /// Nil where nobody knows when it was over.
    var returned: Int?
    var isChange: Bool

    /// The attempts whose values stand in `order`, each with its value's first place there, from 1. What
    /// was refused is none.
    static func changes(_ attempts: [Attempt], in order: [Int]) -> [RankedEvent] {
        var places: [Int: Int] = [:]
        for (place, value) in order.enumerated() where places[value] == nil {
            places[value] = place + 1
        }
        return attempts.compactMap { attempt in
            guard attempt.outcome != .refused, let place = places[attempt.value] else { return nil }
            return RankedEvent(
                rank: place, invoked: attempt.invoked, returned: attempt.returned, isChange: true)
        }
    }

    /// Whether each event can be given a moment between its begin and its end. As the order of the
    /// changes is known, that is so if nothing that was over before another began comes behind it.
    /// - Returns: the first that contradict each other, at most one for each event.
    static func violations(_ events: [RankedEvent], name: String) -> [Violation] {
        var over = events.compactMap { event in event.returned.map { (at: $0, rank: event.rank) } }
            .sorted { $0.at < $1.at }[...]
        var newest = 0
        var violations: [Violation] = []
        for event in events.sorted(by: { $0.invoked < $1.invoked }) {
            while let first = over.first, first.at < event.invoked {
                newest = max(newest, first.rank)
                over.removeFirst()
            }
            let bound = event.isChange ? event.rank - 1 : event.rank
            guard newest > bound else { continue }
            let what = event.isChange ? "change \(event.rank)" : "a read of \(event.rank) changes"
            violations.append(
                Violation(
                    .contradiction,
                    "\(name): \(what), begun at \(event.invoked), comes behind state \(newest), "
                        + "which somebody knew before"))
        }
        return violations
    }
}
