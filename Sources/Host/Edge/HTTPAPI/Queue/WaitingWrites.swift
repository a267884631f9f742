import NIOCore

/// Writes for which the queue has no place yet: those of each client in the order in which they came, and the
/// clients in turn, so that one with thousands of them keeps nobody from the next place.
struct WaitingWrites: Sendable {
    typealias Arrival = WriteQueueMachine.Arrival

    /// By `Arrival.owner`; none is empty.
    private var lines: [Int: CircularBuffer<Arrival>] = [:]
    /// Whose turn is next, in front; each owner of a line once.
    private var turns = CircularBuffer<Int>()
    private(set) var count = 0

    var isEmpty: Bool { turns.isEmpty }

    /// Whose turn it is; nil: nobody waits.
    var first: Arrival? { turns.first.flatMap { lines[$0]?.first } }

    mutating func append(_ arrival: Arrival) {
        count += 1
        if lines[arrival.owner] == nil { turns.append(arrival.owner) }
        // In its place: a second owner of the line would make appending copy it.
        lines[arrival.owner, default: CircularBuffer()].append(arrival)
    }

    /// Takes `first` out; the next of its owner comes behind those of the others.
    mutating func popFirst() -> Arrival? {
        guard let owner = turns.popFirst(), let arrival = lines[owner]?.popFirst() else {
            return nil
        }
        count -= 1
        if lines[owner]?.isEmpty ?? true { lines[owner] = nil } else { turns.append(owner) }
        return arrival
    }

    /// When the first of them gives up; nil: nobody waits.
    var firstDeadline: Duration? {
        lines.values.lazy.compactMap { $0.lazy.map(\.deadline).min() }.min()
    }

    /// Those whose time is over, in the order in which they came; they don't wait any more.
    mutating func removeLate(at now: Duration) -> [Arrival] {
        guard let first = firstDeadline, first <= now else { return [] }
        return remove { $0.deadline <= now }
    }

    /// All, in the order in which they came.
    mutating func removeAll() -> [Arrival] { remove { _ in true } }

    private mutating func remove(_ isGone: (Arrival) -> Bool) -> [Arrival] {
        var gone: [Arrival] = []
        var left = CircularBuffer<Int>()
        for owner in turns {
            guard let line = lines[owner] else { continue }
            gone += line.filter(isGone)
            let rest: CircularBuffer<Arrival> = line.filter { !isGone($0) }
            lines[owner] = rest.isEmpty ? nil : rest
            if !rest.isEmpty { left.append(owner) }
        }
        turns = left
        count -= gone.count
        return gone.sorted { $0.client.number < $1.client.number }
    }
}
