import NodeLogic
import Service
import Time
import Wire

/// The last check of `/readyz`: the database answers a query through a reader.
final class DatabaseProbe: ReplySink {
    private let target: ReplyTarget
    private let synced: Bool
    /// A database that takes longer is none to send clients to.
    private static let databaseTimeout: Duration = .seconds(30)

    init(target: ReplyTarget, synced: Bool) {
        self.target = target
        self.synced = synced
    }

    func run(on readers: ReaderPool, now: MonotonicTime) {
        let query = Command(kind: .query, statements: [Statement("SELECT 1")])
        let request = ClientRequest(
            id: target.id,
            operation: .command(
                query, ReadOptions(level: .none, databaseTimeout: Self.databaseTimeout)))
        let pending = PendingRequest(request, key: RequestKey(0), now: now)
        readers.post([ReadJob(pending, ReplyTarget(sink: self, id: target.id), isUrgent: true)])
    }

    func deliver(_ replies: [Reply]) {
        for reply in replies {
            let isSound: Bool
            if case .results(let result) = reply.outcome, result.error == nil,
                case .rows(let rows) = result.statements.first?.outcome
            {
                isSound = rows.rowCount == 1
            } else {
                isSound = false
            }
            let readiness: Readiness =
                isSound
                ? .ready(synced: synced) : .databaseFailed("SELECT 1 failed: \(reply.outcome)")
            target.sink.deliver([Reply(id: target.id, outcome: .readiness(readiness))])
        }
    }
}
