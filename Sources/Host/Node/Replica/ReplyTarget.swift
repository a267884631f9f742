import Raft
import Service

/// Where the reply to a request goes.
struct ReplyTarget: Sendable {
    var sink: any ReplySink
    var id: RequestID

    func reply(_ outcome: Outcome) -> (any ReplySink, Reply) {
        (sink, Reply(id: id, outcome: outcome))
    }
}

/// Gathers replies and hands each sink its own in one batch.
struct ReplyBatch {
    private var batches: [(sink: any ReplySink, replies: [Reply])] = []

    /// - Parameter servedBy: the other node that did the work.
    mutating func add(
        _ outcome: Outcome, servedBy: PeerAddress? = nil, sight: ReadSight? = nil,
        to target: ReplyTarget
    ) {
        let reply = Reply(id: target.id, outcome: outcome, servedBy: servedBy, sight: sight)
        // There are as many sinks as event loops and forwarding connections: a handful.
        for index in batches.indices where batches[index].sink === target.sink {
            batches[index].replies.append(reply)
            return
        }
        batches.append((target.sink, [reply]))
    }

    mutating func deliver() {
        for (sink, replies) in batches { sink.deliver(replies) }
        batches.removeAll(keepingCapacity: true)
    }
}
