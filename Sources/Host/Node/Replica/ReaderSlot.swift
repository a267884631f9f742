import Service
import StateMachine
import Synchronization
import Wire

/// The place of one reader's thread: what it is at, and the answers that it has not delivered yet.
/// Thread-safe. A job is answered once: by its reader, or by who gave the reader up.
final class ReaderSlot: Sendable {
    struct Running {
        let job: ReadJob
        let startedAt: ContinuousClock.Instant
        let deadline: ContinuousClock.Instant?
        /// Since when it should have ended for another reason than its deadline.
        var endsSince: ContinuousClock.Instant?
    }

    private struct State {
        var running: Running?
        var replies = ReplyBatch()
        var replyCount = 0
        var isGivenUp = false
    }

    /// Answers that are delivered together: enough to wake the event loop once for several.
    static let batch = 16

    let number: Int
    let activity = ReaderActivity()
    private let state = Mutex(State())
    /// Looked at where a lock would cost more.
    private let hasReplies = Atomic<Bool>(false)

    init(number: Int) { self.number = number }

    /// - Returns: when SQLite must stop.
    func begin(_ job: ReadJob) -> ContinuousClock.Instant? {
        state.withLock { state in
            activity.reset()
            let now = ContinuousClock.now
            let deadline = job.deadline(from: now)
            state.running = Running(job: job, startedAt: now, deadline: deadline)
            return deadline
        }
    }

    /// The reader came back.
    /// - Parameter outcome: nil: the job is answered by somebody else.
    /// - Returns: false when it was given up meanwhile: it must end.
    func finish(_ outcome: Outcome?) -> Bool {
        let (mayGoOn, isFull) = state.withLock { state -> (Bool, Bool) in
            if state.isGivenUp { return (false, false) }
            if let running = state.running, let outcome {
                state.replies.add(outcome, to: running.job.target)
                state.replyCount += 1
                hasReplies.store(true, ordering: .relaxed)
            }
            state.running = nil
            return (true, state.replyCount >= Self.batch)
        }
        if isFull { flush() }
        return mayGoOn
    }

    /// Delivers what is answered.
    func flush() {
        guard hasReplies.load(ordering: .relaxed) else { return }
        var replies = state.withLock { state in
            hasReplies.store(false, ordering: .relaxed)
            state.replyCount = 0
            defer { state.replies = ReplyBatch() }
            return state.replies
        }
        replies.deliver()
    }

    /// Ends the job if it is this one.
    func cancel(_ ids: Set<RequestID>, from sink: any ReplySink) {
        state.withLock { state in
            guard let target = state.running?.job.target, target.sink === sink,
                ids.contains(target.id)
            else { return }
            end(&state)
        }
    }

    /// Ends whatever it is at.
    func cancel() {
        state.withLock { if $0.running != nil { end(&$0) } }
    }

    private func end(_ state: inout State) {
        activity.cancel()
        if state.running?.endsSince == nil { state.running?.endsSince = .now }
    }

    var isGivenUp: Bool { state.withLock(\.isGivenUp) }

    /// Since when the reader works on its job; nil: it has none.
    var startedAt: ContinuousClock.Instant? { state.withLock { $0.running?.startedAt } }

    /// It should have ended so long ago that it is held by a step that nothing can end.
    func isOverdue(by grace: Duration, at now: ContinuousClock.Instant) -> Bool {
        state.withLock { state in
            guard var running = state.running else { return false }
            if activity.isEvicted, running.endsSince == nil {
                running.endsSince = now
                state.running = running
            }
            if let since = running.endsSince, now - since > grace { return true }
            if let deadline = running.deadline, now - deadline > grace { return true }
            return false
        }
    }

    /// Answers the job in the reader's place. The reader ends when it comes back.
    /// - Returns: false when it has come back already.
    func giveUp() -> Bool {
        let target = state.withLock { state -> ReplyTarget? in
            guard let running = state.running else { return nil }
            state.running = nil
            state.isGivenUp = true
            return running.job.target
        }
        guard let target else { return false }
        let result = StatementResult(.failed(Reader.timeoutText), isRead: true)
        target.sink.deliver([Reply(id: target.id, outcome: .results(CommandResult([result])))])
        return true
    }
}
