import NodeLogic
import Service
import Threads
import Time
import Wire

/// A read that may be served from this node's database now.
struct ReadJob: Sendable {
    var pending: PendingRequest
    var target: ReplyTarget
    /// A check of the node: it goes before all others, and has a thread when all are busy.
    var isUrgent = false
    /// A reader could not open the database; it is not tried a third time.
    var wasPutBack = false
    /// Until when it waits for a reader; nil: as long as its client does.
    let waitsUntil: ContinuousClock.Instant?

    init(_ pending: PendingRequest, _ target: ReplyTarget, isUrgent: Bool = false) {
        self.pending = pending
        self.target = target
        self.isUrgent = isUrgent
        let time = pending.content.request.operation.readOptions?.databaseTimeout
        waitsUntil = time.map { ContinuousClock.now + $0 + Self.patience }
    }

    /// It waits for a reader a little longer than its statement may take.
    private static var patience: Duration { .seconds(1) }

    var command: Command? {
        guard case .command(let command, _) = pending.content.request.operation else { return nil }
        return command
    }

    /// When SQLite must stop working on it: at the client's limit for the database. `timeout` is
    /// for waiting on other nodes, and so bounds only what another node waits for.
    func deadline(from start: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        var deadline = databaseDeadline(from: start)
        if target.sink.isRemote {
            let end = start + (pending.deadline - .now)
            deadline = deadline.map { min($0, end) } ?? end
        }
        return deadline
    }

    /// At the client's limit for the database; nil: there is none.
    func databaseDeadline(from start: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        guard let options = pending.content.request.operation.readOptions else { return nil }
        return options.databaseTimeout.map { start + $0 }
    }
}
