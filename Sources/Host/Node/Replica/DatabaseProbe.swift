import NodeLogic
import Service
import Synchronization
import Threads
import Time
import Wire

/// The last check of `/readyz`: the database answers a query through a reader. Checks that come while one is under way
/// have the next one together: however many there are, and whether their clients wait or hang up, they take one place
/// in the line of the readers. Thread-safe.
final class DatabaseProbe: ReplySink {
    private struct Check {
        var target: ReplyTarget
        var synced: Bool
    }

    private struct State {
        /// By the queries that are under way.
        var asked: [RequestID: [Check]] = [:]
        var waiting: [Check] = []
        /// Of both.
        var count = 0
        var queries: UInt64 = 0
        var lastBegun = MonotonicTime.zero

        /// - Returns: what the next query is called; nil: there is none now.
        mutating func begin(at now: MonotonicTime) -> RequestID? {
            guard !waiting.isEmpty,
                asked.isEmpty || now - lastBegun >= DatabaseProbe.patience
            else { return nil }
            queries += 1
            let id = RequestID(queries)
            asked[id] = waiting
            waiting = []
            lastBegun = now
            return id
        }
    }

    /// A database that takes longer is none to send clients to.
    private static let databaseTimeout: Duration = .seconds(30)
    /// Beside a query that is under way for so long another one begins: its reader may not come back.
    private static let patience: Duration = .seconds(1)
    /// Checks that may wait, for a query or its answer; those beyond fail.
    private static let mostWaiting = 16_384

    private let post: @Sendable ([ReadJob]) -> Void
    private let state = Mutex(State())

    /// - Parameter post: hands the readers a job, which is answered once.
    init(_ post: @escaping @Sendable ([ReadJob]) -> Void) { self.post = post }

    /// A check has come as far as that. It is answered once.
    func check(_ target: ReplyTarget, synced: Bool, now: MonotonicTime) {
        let check = Check(target: target, synced: synced)
        let (isTaken, next) = state.withLock { state -> (Bool, RequestID?) in
            guard state.count < Self.mostWaiting else { return (false, nil) }
            state.count += 1
            state.waiting.append(check)
            return (true, state.begin(at: now))
        }
        if !isTaken { Self.answer([check], failedBy: "too many checks wait for SELECT 1") }
        if let next { ask(next, now) }
    }

    /// To be called about every tick: who came while a query is held waits for no other check to come.
    func lookAgain(at now: MonotonicTime) {
        if let next = state.withLock({ $0.begin(at: now) }) { ask(next, now) }
    }

    private func ask(_ id: RequestID, _ now: MonotonicTime) {
        let query = Command(kind: .query, statements: [Statement("SELECT 1")])
        let request = ClientRequest(
            id: id,
            operation: .command(
                query, ReadOptions(level: .none, databaseTimeout: Self.databaseTimeout)))
        let pending = PendingRequest(request, key: RequestKey(0), now: now)
        post([ReadJob(pending, ReplyTarget(sink: self, id: id), isUrgent: true)])
    }

    func deliver(_ replies: [Reply]) {
        let now = MonotonicTime.now
        for reply in replies {
            let (checks, next) = state.withLock { state -> ([Check], RequestID?) in
                let checks = state.asked.removeValue(forKey: reply.id) ?? []
                state.count -= checks.count
                return (checks, state.begin(at: now))
            }
            if let next { ask(next, now) }
            Self.answer(checks, failedBy: Self.fault(in: reply.outcome))
        }
    }

    /// - Returns: nil: the database has answered.
    private static func fault(in outcome: Outcome) -> String? {
        if case .results(let result) = outcome, result.error == nil,
            case .rows(let rows) = result.statements.first?.outcome, rows.rowCount == 1
        {
            return nil
        }
        return "SELECT 1 failed: \(outcome)"
    }

    private static func answer(_ checks: [Check], failedBy fault: String?) {
        var batch = ReplyBatch()
        for check in checks {
            let readiness =
                fault.map { Readiness.databaseFailed($0) } ?? .ready(synced: check.synced)
            batch.add(.readiness(readiness), to: check.target)
        }
        batch.deliver()
    }
}
