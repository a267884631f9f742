import Raft
import Service
import Synchronization
import Threads
import Time
import Wire

/// Asks the node on behalf of the daemon itself, on a thread that may wait: one request at a time.
final class NodeEnquiry: ReplySink {
    private let service: any NodeService
    private let replies = Mailbox<Reply>()
    private let lastID = Atomic<UInt64>(0)

    /// How often it is asked whether the answer is still wanted.
    private static let beat = Duration.seconds(1)
    /// A node that is at work on an answer says so every other second.
    static let patience = Duration.seconds(60)

    init(_ service: any NodeService) { self.service = service }

    var takesParts: Bool { true }

    func deliver(_ batch: [Reply]) { replies.post(batch) }

    /// - Parameters:
    ///   - timeout: of the node's own waits.
    ///   - patience: how much longer nothing may come.
    ///   - isWanted: asked now and then.
    ///   - take: the parts of an answer that has some; false: no more is wanted.
    /// - Returns: the outcome that ends it; nil: nothing came any more, or it was not wanted.
    func ask(
        _ operation: ClientRequest.Operation, timeout: Duration,
        patience: Duration = NodeEnquiry.patience, while isWanted: () -> Bool,
        take: (ResultPart) -> Bool = { _ in true }
    ) -> Outcome? {
        let id = RequestID(lastID.wrappingAdd(1, ordering: .relaxed).newValue)
        service.submit(
            [ClientRequest(id: id, operation: operation, forward: false, timeout: timeout)],
            replyTo: self)
        var heard = MonotonicTime.now
        while isWanted(), MonotonicTime.now - heard < timeout + patience {
            for reply in replies.take(until: .now + Self.beat) where reply.id == id {
                heard = .now
                guard case .part(let part) = reply.outcome else { return reply.outcome }
                guard take(part) else {
                    service.cancel([id], replyTo: self)
                    return nil
                }
                if part.isLast { return reply.outcome }
                service.demand([PartDemand(id: id, bytes: part.byteCount)], replyTo: self)
            }
        }
        service.cancel([id], replyTo: self)
        return nil
    }

    /// Whether clients have made nothing in the database, as the level shows it; nil: the node can't
    /// tell.
    func isEmpty(
        at level: ConsistencyLevel, timeout: Duration, while isWanted: () -> Bool
    ) -> Bool? {
        let question = Command(
            kind: .query, statements: [Statement("SELECT 1 FROM sqlite_schema LIMIT 1")])
        let outcome = ask(
            .command(question, ReadOptions(level: level)), timeout: timeout, while: isWanted)
        guard case .results(let result) = outcome,
            case .rows(let rows)? = result.statements.first?.outcome
        else { return nil }
        return rows.rowCount == 0
    }
}
