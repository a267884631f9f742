import Glibc
import NodeMachine
import Service
import StateMachine
import Synchronization
import Threads
import Time
import Wire

/// A read that may be served from this node's database now.
struct ReadJob: Sendable {
    var pending: PendingRequest
    var target: ReplyTarget

    init(_ pending: PendingRequest, _ target: ReplyTarget) {
        self.pending = pending
        self.target = target
    }

    var command: Command? {
        guard case .command(let command, _) = pending.request.operation else { return nil }
        return command
    }

    /// SQLite stops working on it at this moment: the client's own limit, or when nobody waits.
    var deadline: ContinuousClock.Instant {
        var limit = pending.deadline - .now
        if case .command(_, let options) = pending.request.operation,
            let database = options.databaseTimeout
        {
            limit = min(limit, database)
        }
        return .now + limit
    }
}

/// Threads that serve reads, each over a connection of its own. Two at first; another one is added
/// when reads wait and all threads are busy with long ones, up to the limit.
final class ReaderPool: Sendable {
    private struct State {
        var threads: [NamedThread] = []
        var busy = 0
        var path: String
        /// Counts changes of the database file: readers of an older one open the new one.
        var generation: UInt64 = 0
        var isClosed = false
        var activities: [ReaderActivity] = []
    }

    private enum Work: Sendable {
        case read(ReadJob)
        case stop
    }

    /// Reads that one thread takes at a time: few enough to share the work, enough to wake the
    /// event loop once for several answers.
    private static var batch: Int { 16 }

    private let queue = Mailbox<Work>()
    private let state: Mutex<State>
    private let core: Mailbox<NodeEvent>
    private let open: OpenRequests
    private let limit: Int

    init(path: String, limit: Int, core: Mailbox<NodeEvent>, open: OpenRequests) {
        state = Mutex(State(path: path))
        self.core = core
        self.open = open
        self.limit = max(1, limit)
        for _ in 0..<min(2, self.limit) { addThread() }
    }

    func post(_ jobs: [ReadJob]) {
        queue.post(jobs.map { .read($0) })
    }

    /// Adds a thread when reads wait behind long ones.
    func grow() {
        guard queue.count > 0 else { return }
        let mayGrow = state.withLock { state in
            !state.isClosed && state.busy == state.threads.count && state.threads.count < limit
        }
        if mayGrow { addThread() }
    }

    /// From here on reads see the database at `path`.
    func switchTo(_ path: String) {
        state.withLock { state in
            state.path = path
            state.generation += 1
        }
    }

    /// Ends all threads once they finished what they are at.
    func stop() {
        let threads = state.withLock { state in
            state.isClosed = true
            return state.threads
        }
        queue.post(threads.map { _ in .stop })
        for thread in threads { thread.join() }
    }

    /// Ends the longest running read with an error: it keeps SQLite's log from being checkpointed.
    func evictOldest() {
        let running = state.withLock { $0.activities.filter { $0.startedAt != nil } }
        running.min { ($0.startedAt ?? .now) < ($1.startedAt ?? .now) }?.evict()
    }

    var counts: (threads: Int, busy: Int, waiting: Int) {
        let waiting = queue.count
        return state.withLock { ($0.threads.count, $0.busy, waiting) }
    }

    /// Without threads for more readers those that there are serve all reads; without any the node
    /// can't go on.
    private func addThread() {
        let shortage: ThreadShortage? = state.withLock { state in
            do throws(ThreadShortage) {
                let name = "reader-\(state.threads.count + 1)"
                state.threads.append(try NamedThread(name) { [self] in serve() })
                return nil
            } catch {
                return state.threads.isEmpty ? error : nil
            }
        }
        if let shortage { core.post(.fault("\(shortage)")) }
    }

    private func serve() {
        var reader: Reader?
        var generation: UInt64?
        while true {
            let work = queue.take(atMost: Self.batch)
            let (path, current) = state.withLock { state in
                state.busy += 1
                return (state.path, state.generation)
            }
            defer { state.withLock { $0.busy -= 1 } }
            if generation != current || reader == nil {
                do {
                    reader = try openReader(path, replacing: reader)
                    generation = current
                } catch {
                    core.post(.fault("can't open \(path) for reading: \(error)"))
                }
            }
            var replies = ReplyBatch()
            var stops = 0
            for item in work {
                switch item {
                case .stop: stops += 1
                case .read(let job): serve(job, with: reader, &replies)
                }
            }
            replies.deliver()
            if stops > 0 {
                // One word for each thread: those taken along belong to the others.
                return queue.post((1..<stops).map { _ in .stop })
            }
        }
    }

    private func openReader(_ path: String, replacing old: Reader?) throws(ApplyFault) -> Reader {
        let reader = try Reader(path: path)
        state.withLock { state in
            state.activities.removeAll { $0 === old?.activity }
            state.activities.append(reader.activity)
        }
        return reader
    }

    private func serve(_ job: ReadJob, with reader: Reader?, _ replies: inout ReplyBatch) {
        guard let reader, let command = job.command else {
            return replies.add(
                .failed(.notReady("the database is not open")), to: job.target)
        }
        switch reader.run(command, deadline: job.deadline) {
        case .result(let result): replies.add(.results(result), to: job.target)
        case .needsWrite: handBack(job)
        }
    }

    /// The request writes: the machine must see to it.
    private func handBack(_ job: ReadJob) {
        var pending = job.pending
        pending.key = open.add(job.target)
        pending.isWrite = true
        pending.encode()
        core.post(.requests([pending]))
    }
}
