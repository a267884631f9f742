import Raft
import Service
import StateMachine
import Synchronization
import Threads
import Time
import Wire

/// The place of one reader's thread: what it is at, and the answers that it has not delivered yet.
/// Thread-safe. A job is answered once: by its reader, or by who gave the reader up.
///
/// An answer that goes out in parts holds the thread until its end: while nobody asks for more, it
/// sleeps.
final class ReaderSlot: Sendable {
    struct Running {
        let job: ReadJob
        let startedAt: ContinuousClock.Instant
        var deadline: ContinuousClock.Instant?
        /// Since when it should have ended for another reason than its deadline.
        var endsSince: ContinuousClock.Instant?
        /// Its answer goes out in parts, of which so many bytes are asked for.
        var demand: Int?
        /// What its thread had read from a disk when it was last looked at, and when that was more
        /// than before.
        var blocksRead: Int?
        var loadedAt: ContinuousClock.Instant?
        /// It has a turn, and works until then.
        var turnEnd: ContinuousClock.Instant?
        /// Since when nobody asks for more.
        var waitsSince: ContinuousClock.Instant?
        /// What the database had applied before it was looked at.
        var first: LogIndex
    }

    private struct State {
        var running: Running?
        var replies = ReplyBatch()
        var replyCount = 0
        var isGivenUp = false
        /// Counts among the answers in parts.
        var holdsStream = false
    }

    private enum Sending {
        case to(ReplyTarget, ReadSight?)
        case notYet
        case ended
    }

    /// Answers that are delivered together: enough to wake the event loop once for several.
    static let batch = 16

    let number: Int
    let activity = ReaderActivity()
    private let state = Mutex(State())
    /// Looked at where a lock would cost more.
    private let hasReplies = Atomic<Bool>(false)

    /// It has a turn, or waits for one.
    let asksForTurns = Atomic<Bool>(false)

    /// For the thread while it sleeps: there is something to look at.
    private let bell = Mailbox<Bool>()
    private let admits: @Sendable () -> Bool
    private let rests: @Sendable (ReaderSlot) -> Void
    private let commits: CommitBoard

    /// - Parameters:
    ///   - admits: whether one more answer may go out in parts; called on the thread.
    ///   - rests: called on the thread before it waits until more is asked for.
    init(
        number: Int, commits: CommitBoard = CommitBoard(),
        admits: @escaping @Sendable () -> Bool = { true },
        rests: @escaping @Sendable (ReaderSlot) -> Void = { _ in }
    ) {
        self.number = number
        self.admits = admits
        self.rests = rests
        self.commits = commits
    }

    /// - Returns: when SQLite must stop.
    func begin(_ job: ReadJob) -> ContinuousClock.Instant? {
        state.withLock { state in
            activity.reset()
            let now = ContinuousClock.now
            let deadline = job.deadline(from: now)
            state.running = Running(
                job: job, startedAt: now, deadline: deadline, first: commits.applied)
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
                state.replies.add(
                    outcome, sight: commits.sight(since: running.first), to: running.job.target)
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
        bell.post(true)
    }

    /// Ends what it is at with an error that says that it held back the checkpoint.
    /// - Parameter instant: when SQLite began with it.
    func evict(begunAt instant: ContinuousClock.Instant) {
        activity.evict(begunAt: instant)
        bell.post(true)
    }

    var isGivenUp: Bool { state.withLock(\.isGivenUp) }

    // MARK: Turns

    /// It is its turn.
    func wake() { bell.post(true) }

    /// Whether its long read lets others come in between now: not during its turn, and never while it checks the node.
    func needsTurn(at now: ContinuousClock.Instant) -> Bool {
        state.withLock { state in
            guard state.running?.job.isUrgent == false else { return false }
            return state.running?.turnEnd.map { now >= $0 } ?? true
        }
    }

    /// Its turn lasts until then; nil: it has none.
    func works(until end: ContinuousClock.Instant?) {
        state.withLock { $0.running?.turnEnd = end }
    }

    /// Whether the read waits for the disk: it has lately had more read from there.
    /// - Parameter blocksRead: what its thread has had read so far.
    func loads(blocksRead: Int) -> Bool {
        state.withLock { state in
            let now = ContinuousClock.now
            if let before = state.running?.blocksRead, before != blocksRead {
                state.running?.loadedAt = now
            }
            state.running?.blocksRead = blocksRead
            guard let loadedAt = state.running?.loadedAt else { return false }
            return now - loadedAt < Self.loadingTime
        }
    }

    /// A read that has had nothing read from the disk for so long waits for it no longer.
    private static var loadingTime: Duration { .milliseconds(50) }

    /// On the thread: sleeps until something is said, or the read must end.
    /// - Returns: false: it must end.
    func sleep() -> Bool {
        let now = ContinuousClock.now
        let end = state.withLock { state -> ContinuousClock.Instant? in
            guard !state.isGivenUp, !activity.isCancelled, !activity.isEvicted else { return nil }
            let look = now + .seconds(1)
            return state.running?.deadline.map { min($0, look) } ?? look
        }
        guard let end, end > now else { return false }
        _ = bell.take(until: .now + now.duration(to: end))
        return true
    }

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
            // While nobody asks for more, SQLite's time does not run.
            guard running.waitsSince == nil else { return false }
            if let deadline = running.deadline, now - deadline > grace { return true }
            return false
        }
    }

    /// Answers the job in the reader's place. The reader ends when it comes back.
    /// - Returns: false when it has come back already.
    func giveUp() -> Bool {
        let found = state.withLock { state -> Running? in
            defer { state.running = nil }
            if state.running != nil { state.isGivenUp = true }
            return state.running
        }
        guard let found else { return false }
        bell.post(true)
        let target = found.job.target
        let result = StatementResult(.failed(Reader.timeoutText), isRead: true)
        let outcome: Outcome =
            found.demand == nil
            ? .results(CommandResult([result]))
            : .failed(.timedOut(waitingFor: "a reader that does not come back"))
        target.sink.deliver([Reply(id: target.id, outcome: outcome)])
        return true
    }
}

// MARK: Answers in parts

extension ReaderSlot: ResultStream {
    func begin() -> ResultStreamBeginning {
        guard admits() else { return .refused }
        return state.withLock { state in
            state.holdsStream = true
            guard var running = state.running else { return .began(deadline: nil) }
            running.demand = ResultWindow.bytes
            // Who waits at another node has the first part.
            running.deadline = running.job.databaseDeadline(from: running.startedAt)
            state.running = running
            return .began(deadline: running.deadline)
        }
    }

    func send(_ part: ResultPart) -> ResultStreamStep {
        let size = part.byteCount
        let begun = ContinuousClock.now
        while true {
            switch state.withLock({ claim(size, isLast: part.isLast, &$0) }) {
            case .ended: return .ended
            case .notYet:
                rests(self)
                _ = bell.take(until: .now + .seconds(1))
            case .to(let target, let sight):
                target.sink.deliver(
                    [Reply(id: target.id, outcome: .part(part), sight: sight)])
                return .sent(waited: begun.duration(to: .now))
            }
        }
    }

    private func claim(_ size: Int, isLast: Bool, _ state: inout State) -> Sending {
        guard !state.isGivenUp, var running = state.running, let demand = running.demand,
            !activity.isCancelled, isLast || !activity.isEvicted
        else { return .ended }
        guard isLast || demand > 0 else {
            if running.waitsSince == nil {
                running.waitsSince = .now
                state.running = running
            }
            return .notYet
        }
        running.demand = demand - size
        if let since = running.waitsSince {
            running.deadline = running.deadline.map { $0 + since.duration(to: .now) }
            running.waitsSince = nil
        }
        state.running = running
        return .to(running.job.target, commits.sight(since: running.first))
    }

    /// More of the answer is asked for.
    /// - Returns: whether it comes from here.
    func demand(_ demand: PartDemand, from sink: any ReplySink) -> Bool {
        let (isMine, mayWait) = state.withLock { state -> (Bool, Bool) in
            guard var running = state.running, running.job.target.sink === sink,
                running.job.target.id == demand.id
            else { return (false, false) }
            guard let open = running.demand else { return (true, false) }
            let more = min(max(0, demand.bytes), ResultWindow.bytes)
            running.demand = min(open + more, ResultWindow.bytes)
            state.running = running
            return (true, open <= 0)
        }
        // Else nobody listens for the bell, and whoever asks again and again would fill it.
        if mayWait { bell.post(true) }
        return isMine
    }

    /// Since when nobody asks for more of its answer; nil: somebody does, or there are no parts.
    var waitsSince: ContinuousClock.Instant? { state.withLock { $0.running?.waitsSince } }

    /// - Returns: whether it counted among the answers in parts, which it does no longer.
    func releaseStream() -> Bool {
        state.withLock { state in
            defer { state.holdsStream = false }
            return state.holdsStream
        }
    }
}
