import NodeLogic
import Service
import StateMachine
import Synchronization
import Threads
import Time
import Wire

/// Threads that serve reads, each over a connection of its own. Two at first; another one is added
/// when a read waits and all threads are caught in long ones, up to the limit, and ends when it
/// was not needed for a while.
///
/// An answer that goes out in parts keeps its thread until its end, beside those that serve others;
/// there are so many of them at most.
///
/// Reads that take long work in turns, a few at once, so that however many there are the node's other
/// threads find a processor.
///
/// A reader that does not come back when it should is given up: its client gets its answer, another
/// thread takes its place, and it ends when the step of SQLite that holds it does.
final class ReaderPool: Sendable {
    /// How many threads, and for how long.
    struct Limits: Sendable {
        var threads: Int
        var idleThreads = 2
        /// A thread beyond the idle ones ends after this.
        var idleTime: Duration = .seconds(30)
        /// How late a reader may be before it is given up.
        var grace: Duration = .seconds(1)
        /// Readers that are given up and still run. Beyond, none is replaced.
        var givenUp = 32
        /// Before another try after the system refused a thread or a file.
        var pause: Duration = .seconds(1)
        /// Bytes that all results may take while they are gathered.
        var gatheredBytes = 2 << 30
        /// Answers that go out in parts. Each may be `ResultWindow.bytes` ahead of its receiver.
        var streams = 64
        /// When there are as many, one that nobody asked for more of in this time makes room.
        var streamPatience: Duration = .seconds(10)
        /// Long reads that work at once.
        var atWork: Int
        /// Threads that open the database at once because reads wait.
        var opening = 2

        /// - Parameter spare: threads beside `threads`: a third of them for readers that are given up, the others for
        ///   answers that go out in parts, as far as so many are of use.
        init(threads: Int, atWork: Int = 4, spare: Int = 96) {
            self.threads = max(1, threads)
            self.atWork = atWork
            givenUp = max(1, min(givenUp, spare / 3))
            streams = max(1, min(streams, spare - givenUp))
        }
    }

    /// Where the database stands that they read.
    let commits = CommitBoard()

    private struct State {
        var slots: [ReaderSlot] = []
        /// Threads that have not come for a job yet.
        var starting = 0
        /// Those that open the database.
        var opening = 0
        var givenUp = 0
        /// Those of `slots` whose answer goes out in parts.
        var streams = 0
        var lastNumber = 0
        var path: String
        /// Counts changes of the database file: readers of an older one open the new one.
        var generation: UInt64 = 0
        var isClosed = false
        /// Threads for what waits.
        var serving: Int { slots.count - streams }

        /// - Returns: whether more threads than that serve what waits; then this one is none of the pool any more.
        mutating func dismiss(_ slot: ReaderSlot, beyond count: Int) -> Bool {
            guard serving > count, let place = slots.firstIndex(where: { $0 === slot })
            else { return false }
            slots.remove(at: place)
            return true
        }

        /// No thread is added before.
        var mayGrowAt: ContinuousClock.Instant = .now
        var lastRefusal: String?
    }

    private let system: System
    /// Nil: nobody asks what was read.
    private let counters: DatabaseCounters?
    private let queue = ReaderQueue()
    private let state: Mutex<State>
    private let core: Mailbox<NodeEvent>
    private let open: OpenRequests
    let limits: Limits
    private let budget: GatherBudget
    private let recent = Mutex(RecentCancellations())
    private let kept: KeptCopies
    private let turns: TurnBoard
    private let gate: CompilationGate
    /// What the schema takes in each reader, as far as any has found that out.
    let schemaBytes = Atomic<Int>(0)
    /// Told by each thread that ends.
    private let ended = Mailbox<Int>()

    init(
        path: String, limits: Limits, core: Mailbox<NodeEvent>, open: OpenRequests,
        counters: DatabaseCounters? = nil, system: System = System(),
        kept: KeptCopies = KeptCopies()
    ) {
        self.kept = kept
        self.system = system
        self.counters = counters
        state = Mutex(State(path: path))
        self.core = core
        self.open = open
        self.limits = limits
        budget = GatherBudget(limit: limits.gatheredBytes)
        turns = TurnBoard(places: limits.atWork)
        gate = CompilationGate(places: limits.atWork)
        for _ in 0..<min(limits.idleThreads, limits.threads) { addThread() }
    }

    // MARK: Jobs

    func post(_ jobs: [ReadJob]) {
        guard queue.post(jobs) else { return answer(jobs, .notReady("the node is stopping")) }
        if jobs.contains(where: \.isUrgent) { growIfNeeded() }
    }

    /// Nobody waits for these any more. Each is answered all the same.
    func cancel(_ ids: [RequestID], from sink: any ReplySink) {
        // First of all: a job that is nowhere to be found may be on its way.
        recent.withLock { $0.add(ids, from: sink) }
        answer(queue.remove(ids, of: sink), .timedOut(waitingFor: "a reader"))
        let ids = Set(ids)
        for slot in state.withLock({ $0.slots }) { slot.cancel(ids, from: sink) }
    }

    /// More of answers in parts is asked for.
    /// - Returns: what is not answered from here.
    func demand(_ demands: [PartDemand], from sink: any ReplySink) -> [PartDemand] {
        let slots = state.withLock { $0.slots }
        return demands.filter { demand in
            !slots.contains { $0.demand(demand, from: sink) }
        }
    }

    private func answer(_ jobs: [ReadJob], _ error: ServiceError) {
        var replies = ReplyBatch()
        for job in jobs { replies.add(.failed(error), to: job.target) }
        replies.deliver()
    }

    // MARK: Life

    /// Looks after the readers; to be called about every tick.
    func grow() {
        let now = ContinuousClock.now
        if kept.isDue(at: now) { endCopies() }
        turns.replaceLate(at: now)
        // Who would do it may be in one long step.
        queue.handOver()
        queue.endOverdue(at: now)
        let slots = state.withLock { $0.slots }
        for slot in slots {
            // What is answered does not wait for the read after it.
            slot.flush()
            if slot.isOverdue(by: limits.grace, at: now) { giveUp(slot) }
        }
        // Readers that get through what waits are enough: more of them only stand in each other's
        // way.
        let areCaught = slots.allSatisfy { slot in
            slot.isGivenUp || slot.startedAt.map { now - $0 > Self.longRead } ?? false
        }
        if areCaught || queue.hasUrgent { growIfNeeded() }
    }

    /// What ends sooner is worth no thread of its own.
    private static var longRead: Duration { .milliseconds(20) }

    /// Not here: who looks after the readers has no time for a disk. Nor to wait for a thread with each tick.
    private func endCopies() {
        guard state.withLock({ $0.mayGrowAt <= .now }) else { return }
        do throws(ThreadShortage) {
            try system.startThread("copies") { [kept] in kept.expire(at: .now) }
        } catch {
            refused("\(error)")
        }
    }

    /// Its client has the answer; another thread takes its place, unless too many are held already.
    private func giveUp(_ slot: ReaderSlot) {
        guard slot.giveUp() else { return }
        turns.leave(slot)
        let heldStream = slot.releaseStream()
        state.withLock { state in
            if heldStream { state.streams -= 1 }
            guard state.givenUp < limits.givenUp,
                let place = state.slots.firstIndex(where: { $0 === slot })
            else { return }
            state.slots.remove(at: place)
            state.givenUp += 1
        }
    }

    /// Adds a thread when a read waits that no thread will take soon.
    private func growIfNeeded() {
        guard queue.count > 0, !queue.hasSleeper else { return }
        let hasUrgent = queue.hasUrgent
        let (mayGrow, isEmpty) = state.withLock { state in
            let limit = growthLimit(
                beside: state.serving, starting: state.starting, hasUrgent: hasUrgent)
            // What is on its way may be enough; and to open the database takes time from those that
            // have.
            let mayStart = hasUrgent || state.starting + state.opening < limits.opening
            let hasRoom =
                state.serving < limit && state.starting < queue.count && mayStart
                && state.mayGrowAt <= .now
            return (!state.isClosed && hasRoom, state.slots.isEmpty)
        }
        let hasGrown = mayGrow && addThread()
        guard isEmpty, !hasGrown else { return }
        // Nobody will come for them.
        let cause = state.withLock { $0.lastRefusal } ?? "no reader is left"
        answer(queue.removeAll(), .notReady(cause))
    }

    /// From here on reads see the database at `path`.
    func switchTo(_ path: String) {
        state.withLock { state in
            state.path = path
            state.generation += 1
        }
    }

    /// Ends all threads once they finished what they are at; long reads after `patience`, and those
    /// that can't be ended are left behind.
    func stop(patience: Duration = .seconds(5)) {
        state.withLock { $0.isClosed = true }
        queue.close()
        waitForEnd(until: .now + patience)
        answer(queue.removeAll(), .notReady("the node is stopping"))
        for slot in state.withLock({ $0.slots }) { slot.cancel() }
        waitForEnd(until: .now + limits.grace)
        for slot in state.withLock({ $0.slots }) { _ = slot.giveUp() }
        kept.close()
    }

    private func waitForEnd(until deadline: MonotonicTime) {
        while state.withLock({ !$0.slots.isEmpty }), MonotonicTime.now < deadline {
            _ = ended.take(until: deadline)
        }
    }

    /// Ends the longest running read with an error: it keeps SQLite's log from being checkpointed.
    func evictOldest() {
        let running = state.withLock { $0.slots }
            .compactMap { slot in slot.activity.startedAt.map { ($0, slot) } }
        guard let (startedAt, slot) = running.min(by: { $0.0 < $1.0 }) else { return }
        slot.evict(begunAt: startedAt)
    }

    /// `givenUp` are readers that have not come back; they are none of `threads`. Of those that are
    /// busy `resting` wait for their turn.
    var counts: (threads: Int, busy: Int, waiting: Int, givenUp: Int, resting: Int) {
        let waiting = queue.count
        let (slots, givenUp) = state.withLock { ($0.slots, $0.givenUp) }
        return (slots.count, slots.count { $0.startedAt != nil }, waiting, givenUp, turns.resting)
    }

    /// Answers in parts that nobody asks for more of.
    var stalledStreams: Int {
        state.withLock { $0.slots.count { $0.waitsSince != nil } }
    }

    /// - Returns: false when the system gives none.
    @discardableResult private func addThread() -> Bool {
        let slot = state.withLock { state -> ReaderSlot in
            state.lastNumber += 1
            let slot = ReaderSlot(
                number: state.lastNumber, commits: commits,
                admits: { [weak self] in self?.admitStream() ?? false },
                rests: { [turns] in turns.leave($0) })
            state.slots.append(slot)
            state.starting += 1
            return slot
        }
        do throws(ThreadShortage) {
            try system.startThread("reader-\(slot.number)") { [self] in
                state.withLock { $0.starting -= 1 }
                serve(slot)
                slot.flush()
                leave(slot)
                // Behind the last of many: each had a cache and a result.
                if counts.threads == limits.idleThreads { ProcessMemory.giveBack() }
            }
            return true
        } catch {
            state.withLock { $0.starting -= 1 }
            refused("\(error)")
            leave(slot)
            return false
        }
    }

    private func refused(_ cause: String) {
        state.withLock { state in
            state.mayGrowAt = .now + limits.pause
            state.lastRefusal = cause
        }
    }

    private func leave(_ slot: ReaderSlot) {
        state.withLock { state in
            if let place = state.slots.firstIndex(where: { $0 === slot }) {
                state.slots.remove(at: place)
            } else if slot.isGivenUp {
                state.givenUp -= 1
            }
        }
        ended.post(slot.number)
    }

    /// - Returns: whether the thread is one too many; then it is none of the pool any more.
    private func retire(_ slot: ReaderSlot) -> Bool {
        state.withLock { $0.dismiss(slot, beyond: limits.idleThreads) }
    }
}

// MARK: On a reader's thread

extension ReaderPool {
    private func serve(_ slot: ReaderSlot) {
        var reader: Reader?
        var generation: UInt64?
        // A file that was replaced keeps its room on the disk for as long as somebody has it open.
        func letGo() {
            if generation != state.withLock({ $0.generation }) { reader = nil }
        }
        while let job = next(slot, whileIdle: letGo) {
            // It notes what is applied before it is known which file has that.
            let deadline = slot.begin(job)
            let (path, current) = state.withLock { ($0.path, $0.generation) }
            if recent.withLock({ $0.contains(job.target) }) { slot.cancel() }
            if generation != current || reader == nil {
                reader = nil
                do throws(ApplyFault) {
                    reader = try openReader(path, slot)
                    generation = current
                } catch {
                    return couldNotOpen(job, path, error, slot)
                }
            }
            let outcome = reader.flatMap { run(job, on: $0, slot, deadline) }
            turns.leave(slot)
            if let bytes = reader?.schemaBytes { schemaBytes.store(bytes, ordering: .relaxed) }
            guard let outcome else { return }
            let mayGoOn =
                switch outcome {
                case .result(let result): slot.finish(.results(result))
                case .unchanged: slot.finish(.unchanged)
                case .busy: slot.finish(.failed(.busy))
                case .needsWrite: finishAsWrite(job, slot)
                case .streamed: slot.finish(nil)
                case .abandoned:
                    slot.finish(.failed(.timedOut(waitingFor: "a client that has gone")))
                }
            guard mayGoOn, !endStream(slot), !isOneTooMany(slot, behind: job) else { return }
        }
    }

    /// Nil for what is no read.
    private func run(
        _ job: ReadJob, on reader: Reader, _ slot: ReaderSlot, _ deadline: ContinuousClock.Instant?
    ) -> ReadOutcome? {
        let stream = job.target.sink.takesParts ? slot : nil
        if case .backup(let backup, _) = job.pending.content.request.operation {
            return reader.backUp(backup, to: stream)
        }
        let options = job.pending.content.request.operation.readOptions
        if let mark = options?.unless, job.command != nil, commits.isStill(at: mark) {
            return .unchanged
        }
        defer { counters?.add(reader.takeCounts()) }
        return job.command.map { system.run(reader, $0, deadline, stream) }
    }

    /// - Returns: whether the thread is one too many; then it is none of the pool any more.
    private func endStream(_ slot: ReaderSlot) -> Bool {
        guard slot.releaseStream() else { return false }
        return state.withLock { state in
            state.streams -= 1
            return state.dismiss(slot, beyond: mostThreads)
        }
    }

    /// What a check of the node had a thread more for is done: in a long read it would be missed by the next. And the
    /// schema may have grown since there are so many threads.
    /// - Returns: as `endStream`.
    private func isOneTooMany(_ slot: ReaderSlot, behind job: ReadJob) -> Bool {
        let most = mostThreads
        guard job.isUrgent || most < limits.threads, !queue.hasUrgent else { return false }
        return state.withLock { $0.dismiss(slot, beyond: most) }
    }

    /// Whether one more answer may go out in parts; its thread serves nobody else from here on.
    private func admitStream() -> Bool {
        let longest = ContinuousClock.now - limits.streamPatience
        let (isAdmitted, stalled, isMissed) = state.withLock { state -> (Bool, ReaderSlot?, Bool) in
            var stalled: ReaderSlot?
            if state.streams >= mostStreams {
                let waiting = state.slots.compactMap { slot in
                    slot.waitsSince.map { (since: $0, slot) }
                }
                guard let (since, slot) = waiting.min(by: { $0.since < $1.since }),
                    since <= longest
                else { return (false, nil, false) }
                stalled = slot
            }
            state.streams += 1
            return (true, stalled, !state.isClosed && state.serving < limits.idleThreads)
        }
        stalled?.cancel()
        // What comes next shall find a thread that waits for it.
        if isMissed { addThread() }
        return isAdmitted
    }

    /// The request writes: the machine must see to it, unless the client has its answer.
    private func finishAsWrite(_ job: ReadJob, _ slot: ReaderSlot) -> Bool {
        guard slot.finish(nil) else { return false }
        var pending = job.pending
        pending.key = open.add(job.target)
        pending.isWrite = true
        pending.encode()
        core.post(.requests([pending]))
        return true
    }

    /// Waits for a job. Nil: the thread ends.
    /// - Parameter whileIdle: called now and then while there is none.
    private func next(_ slot: ReaderSlot, whileIdle: () -> Void) -> ReadJob? {
        if let job = queue.takeNow() { return job }
        slot.flush()
        while true {
            switch queue.take(until: .now + limits.idleTime) {
            case .job(let job): return job
            case .closed: return nil
            case .nothing:
                if retire(slot) { return nil }
                whileIdle()
            }
        }
    }

    private func openReader(_ path: String, _ slot: ReaderSlot) throws(ApplyFault) -> Reader {
        state.withLock { $0.opening += 1 }
        defer { state.withLock { $0.opening -= 1 } }
        return try Reader(
            path: path, activity: slot.activity, budget: budget, kept: kept, gate: gate
        ) { [weak self, slot] in
            self?.isLong(slot)
        }
    }

    /// The read takes long: what the thread has done already goes out, and what waits goes to
    /// another. Called every millisecond or so of the read.
    private func isLong(_ slot: ReaderSlot) {
        slot.flush()
        if queue.count > 0 { queue.handOver() }
        let now = ContinuousClock.now
        guard let startedAt = slot.startedAt, now - startedAt > Self.longRead else { return }
        if queue.count > 0 { growIfNeeded() }
        if slot.needsTurn(at: now) { turns.take(for: slot) }
    }

    /// The thread ends. Others may serve the job, which have their files open; without any it is
    /// answered with the reason.
    private func couldNotOpen(
        _ job: ReadJob, _ path: String, _ error: ApplyFault, _ slot: ReaderSlot
    ) {
        let cause = "can't open \(path) for reading: \(error)"
        refused(cause)
        let hasOthers = state.withLock { $0.slots.count > 1 }
        if hasOthers, !job.wasPutBack {
            var again = job
            again.wasPutBack = true
            if slot.finish(nil) { queue.putBack(again) }
        } else {
            _ = slot.finish(.failed(.notReady(cause)))
        }
    }
}
