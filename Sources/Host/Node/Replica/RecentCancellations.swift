import Service

/// Requests that were cancelled of late. One that is not found anywhere may still be on its way to a
/// reader: it waits for a leader, or for its leadership to be confirmed.
struct RecentCancellations {
    private struct Key: Hashable {
        let sink: ObjectIdentifier
        let id: RequestID
    }

    /// Where a sink was that is gone another one may be, which calls its requests the same: that of a
    /// node that was started anew counts from the beginning. So an address alone names nobody.
    private struct Note {
        weak var sink: (any ReplySink)?
        /// How often something was noted before.
        let number: Int
    }

    /// Kept at most; older ones are forgotten first.
    static let limit = 4096

    private var known: [Key: Note] = [:]
    /// When what was noted, the oldest from `front` on.
    private var order: [(key: Key, number: Int)] = []
    private var front = 0
    private var count = 0

    /// A sink calls no two requests the same.
    mutating func add(_ ids: [RequestID], from sink: any ReplySink) {
        for id in ids {
            let key = Key(sink: ObjectIdentifier(sink), id: id)
            guard known[key]?.sink == nil else { continue }
            known[key] = Note(sink: sink, number: count)
            order.append((key, count))
            count += 1
        }
        while order.count - front > Self.limit {
            let oldest = order[front]
            if known[oldest.key]?.number == oldest.number { known[oldest.key] = nil }
            front += 1
        }
        if front > Self.limit {
            order.removeFirst(front)
            front = 0
        }
    }

    func contains(_ target: ReplyTarget) -> Bool {
        guard !known.isEmpty else { return false }
        return known[Key(sink: ObjectIdentifier(target.sink), id: target.id)]?.sink != nil
    }
}
