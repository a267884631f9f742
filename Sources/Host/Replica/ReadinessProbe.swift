import Raft
import Service
import Transport
import Wire

/// Goes through the checks of `/readyz` after the leader was found, and answers with the first
/// that fails.
struct ReadinessProbe: Sendable {
    var pending: PendingRequest
    var check: ClientRequest.ReadinessCheck
    var board: StatusBoard
    var readers: ReaderPool
    var mailbox: Mailbox<CoreEvent>

    func leaderFailed(_ cause: String) {
        answer(.leaderUnreachable(cause))
    }

    /// - Parameter commitIndex: what the leader has committed.
    func leaderAnswered(_ commitIndex: LogIndex) {
        let status = board.status
        if status.isDiskFull { return answer(.storeNotReady("the disk is full")) }
        guard status.isReady else { return answer(.storeNotReady(status.waitingFor)) }
        if check.sync, status.appliedIndex < commitIndex {
            var waiting = pending
            waiting.syncIndex = commitIndex
            return mailbox.post(.retry(waiting))
        }
        checkDatabase()
    }

    func checkDatabase() {
        let sink = DatabaseCheck(probe: self)
        let query = Command(kind: .query, statements: [Statement("SELECT 1")])
        let request = ClientRequest(
            id: pending.target.id, operation: .command(query, ReadOptions(level: .none)))
        readers.post([ReadJob(PendingRequest(request, sink: sink, now: .now))])
    }

    private func answer(_ readiness: Readiness) {
        let target = pending.target
        target.sink.deliver([Reply(id: target.id, outcome: .readiness(readiness))])
    }

    private final class DatabaseCheck: ReplySink {
        private let probe: ReadinessProbe

        init(probe: ReadinessProbe) { self.probe = probe }

        func deliver(_ replies: [Reply]) {
            for reply in replies {
                guard case .results(let result) = reply.outcome, result.error == nil,
                    case .rows(let rows) = result.statements.first?.outcome, rows.rowCount == 1
                else {
                    probe.answer(.databaseFailed("SELECT 1 failed: \(reply.outcome)"))
                    continue
                }
                probe.answer(.ready(synced: probe.check.sync))
            }
        }
    }
}
