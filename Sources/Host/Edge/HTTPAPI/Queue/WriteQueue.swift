import NIOCore
import Rights
import Service
import Telemetry
import Wire

/// Carries out what `WriteQueueMachine` decides: hands batches to the node, and answers to clients.
///
/// `@unchecked Sendable`: all mutable state is used on `loop` only; the calls from outside hop there.
final class WriteQueue: ReplySink, @unchecked Sendable {
    typealias Machine = WriteQueueMachine

    private let loop: any EventLoop
    private let service: any NodeService
    private let counters: WriteQueueCounters
    private let leaderFor: @Sendable () -> Bool
    private var machine: Machine
    private var tellers: [Machine.Client: @Sendable (Machine.Verdict) -> Void] = [:]
    private var lastClient: UInt64 = 0
    private var timer: Scheduled<Void>?
    private var drained: EventLoopPromise<Void>?
    private var shown = Machine.Counts()

    /// - Parameters:
    ///   - start: sequence numbers are above it.
    ///   - hasLeader: whether the node knows a leader; called on event loops.
    init(
        _ settings: WriteQueueSettings, start: UInt64, on loop: any EventLoop,
        service: any NodeService, metrics: MetricRegistry,
        hasLeader: @escaping @Sendable () -> Bool
    ) {
        self.loop = loop
        self.service = service
        counters = WriteQueueCounters(metrics)
        leaderFor = hasLeader
        machine = Machine(settings, start: start)
    }

    /// Whether a write may come in that is not content to wait for a leader.
    var hasLeader: Bool { leaderFor() }

    /// From any thread. `tell` is called once, on the queue's loop.
    func put(_ write: QueuedWrite, _ tell: @escaping @Sendable (Machine.Verdict) -> Void) {
        counters.requests.add()
        if write.waits { counters.waits.add() }
        if loop.inEventLoop {
            take(write, tell)
        } else {
            loop.execute { self.take(write, tell) }
        }
    }

    private func take(
        _ write: QueuedWrite, _ tell: @escaping @Sendable (Machine.Verdict) -> Void
    ) {
        lastClient += 1
        let client = Machine.Client(number: lastClient)
        tellers[client] = tell
        machine.put(
            Machine.Arrival(
                client: client, statements: write.statements, credential: write.credential,
                byteCount: write.byteCount, waits: write.waits, deadline: now + write.timeout,
                owner: write.owner),
            at: now)
        perform()
    }

    /// The end is near: batches don't wait until they are full. From any thread.
    func hurry() {
        loop.execute {
            self.machine.hurry(at: self.now)
            self.perform()
        }
    }

    /// What has a place goes to the node before the promise is kept, as far as that takes no longer
    /// than the limit.
    func drain(atMost limit: TimeAmount) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        loop.execute {
            guard self.drained == nil else { return promise.succeed(()) }
            self.drained = promise
            self.machine.stop(at: self.now)
            self.loop.assumeIsolated().scheduleTask(in: limit) {
                self.machine.giveUp()
                self.perform()
            }
            self.perform()
        }
        return promise.futureResult
    }

    // MARK: The node's replies

    func deliver(_ replies: [Reply]) {
        if loop.inEventLoop {
            finish(replies)
        } else {
            loop.execute { self.finish(replies) }
        }
    }

    private func finish(_ replies: [Reply]) {
        // Of an answer in parts the first tells all, and what else is on its way of it means nothing.
        for reply in replies where machine.awaits(reply.id.rawValue) {
            machine.finished(reply.id.rawValue, outcome(of: reply.outcome), at: now)
            // Who leads would keep the rows until they are asked for.
            if !reply.outcome.isLast { service.cancel([reply.id], replyTo: self) }
        }
        perform()
    }

    /// What can't be asked again with another result is over; all else is.
    private func outcome(of outcome: Outcome) -> Machine.Outcome {
        switch outcome {
        case .results(let result): return .executed(error: result.error)
        case .failed(let error):
            counters.count(error)
            switch error {
            case .requestTooLarge, .notAuthorized, .unsuitable:
                return .refused(error)
            case .timedOut: return .late
            default: return .again
            }
        case .part(let part):
            // Rows of what was carried out: what failed as a whole has none, and so few bytes.
            guard case .end(let error, _)? = part.pieces.last else { return .executed(error: nil) }
            return .executed(error: error)
        default: return .executed(error: "the node answered with something else than results")
        }
    }

    // MARK: Effects

    private func perform() {
        var effects = machine.takeEffects()
        while !effects.isEmpty {
            for effect in effects {
                switch effect {
                case .answer(let client, let verdict):
                    if verdict == .waitedTooLong { counters.waitTimeouts.add() }
                    tellers.removeValue(forKey: client)?(verdict)
                case .submit(let submissions): submit(submissions)
                }
            }
            effects = machine.takeEffects()
        }
        counters.waiting.set(machine.waitingCount)
        counters.show(machine.counts, since: shown, completed: machine.completedSequence)
        shown = machine.counts
        schedule()
        if let drained, machine.isIdle { drained.succeed(()) }
    }

    private func submit(_ submissions: [Machine.Submission]) {
        let requests = submissions.map {
            ClientRequest(
                id: RequestID($0.id), operation: .command($0.command, ReadOptions()),
                timeout: $0.timeout, credential: $0.credential)
        }
        service.submit(requests, replyTo: self)
    }

    private func schedule() {
        timer?.cancel()
        timer = nil
        guard let due = machine.nextTick else { return }
        let pause = max(.zero, due - now)
        timer = loop.assumeIsolated().scheduleTask(in: TimeAmount(pause)) {
            self.machine.tick(at: self.now)
            self.perform()
        }
    }

    private var now: Duration {
        .nanoseconds(Int64(clamping: loop.now.uptimeNanoseconds))
    }
}

/// A write for the queue.
struct QueuedWrite: Sendable {
    var statements: [Statement]
    var credential: Credential
    var byteCount: Int
    /// The answer comes when it has been carried out.
    var waits: Bool
    /// It is taken also where no leader is known.
    var needsNoLeader: Bool
    /// How long the client waits.
    var timeout: Duration
    /// See `WriteQueueMachine.Arrival`.
    var owner: Int
}
