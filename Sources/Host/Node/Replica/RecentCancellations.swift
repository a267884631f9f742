import Service

/// Requests that were cancelled of late. One that is not found anywhere may still be on its way to a
/// reader: it waits for a leader, or for its leadership to be confirmed.
struct RecentCancellations {
    private struct Key: Hashable {
        let sink: ObjectIdentifier
        let id: RequestID
    }

    /// Kept at most; older ones are forgotten first.
    static let limit = 4096

    private var known: Set<Key> = []
    private var order: [Key] = []
    private var front = 0

    /// What is in `contains` is unique per sink, and sinks live as long as their requests.
    mutating func add(_ ids: [RequestID], from sink: any ReplySink) {
        for id in ids {
            let key = Key(sink: ObjectIdentifier(sink), id: id)
            guard known.insert(key).inserted else { continue }
            order.append(key)
        }
        while order.count - front > Self.limit {
            known.remove(order[front])
            front += 1
        }
        if front > Self.limit {
            order.removeFirst(front)
            front = 0
        }
    }

    func contains(_ target: ReplyTarget) -> Bool {
        guard !known.isEmpty else { return false }
        return known.contains(Key(sink: ObjectIdentifier(target.sink), id: target.id))
    }
}
