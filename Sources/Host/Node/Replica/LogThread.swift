import NodeLogic
import Raft
import Replication
import Telemetry
import Threads
import Time
import WriteAheadLog

/// What the log's thread is asked to do, in the order in which it was posted.
private enum LogJob: Sendable {
    case work(LogWork)
    case recordNow([MetadataRecord], Mailbox<Result<Void, LogError>>)
    case readTail(after: LogIndex, holding: Int, Mailbox<Result<LogTail, LogError>>)
    case read(from: LogIndex, bytes: Int, Mailbox<Result<[Entry], LogError>>)
    case stop
}

/// What the log held when it was opened.
struct OpenedLog: Sendable {
    var state: LogState
    /// What had to be cut off its end, for the operator's log.
    var torn: String?
}

/// The thread that owns the write-ahead log. What it does is `LogKeeper`'s word: all writes that wait
/// when it wakes become durable with one sync, so the busier the disk, the larger the batches.
final class LogThread: Sendable {
    private typealias Log = SegmentedLog<PosixDisk>

    private let jobs = Mailbox<LogJob>()
    private let thread: NamedThread

    /// Opens the log on its thread and waits for that.
    /// - Throws: `LogError`, or `ThreadShortage`.
    static func start(
        directory: String, bootID: RandomID, core: Mailbox<NodeEvent>, timings: NodeTimings
    ) throws -> (LogThread, OpenedLog) {
        let opening = Mailbox<Result<OpenedLog, LogError>>()
        let log = try LogThread(
            directory: directory, bootID: bootID, core: core, timings: timings, opening: opening)
        let opened = opening.take(atMost: 1)[0]
        // It has ended; nobody else would take back what it holds.
        if case .failure = opened { log.thread.join() }
        return (log, try opened.get())
    }

    private init(
        directory: String, bootID: RandomID, core: Mailbox<NodeEvent>, timings: NodeTimings,
        opening: Mailbox<Result<OpenedLog, LogError>>
    ) throws(ThreadShortage) {
        let jobs = self.jobs
        thread = try NamedThread("log") {
            var log: Log
            do throws(LogError) {
                log = try Log.open(on: PosixDisk(), directory: directory, bootID: bootID)
            } catch {
                // Who waits for it decides what becomes of the node.
                return opening.post(.failure(error))
            }
            opening.post(
                .success(OpenedLog(state: log.state, torn: log.torn.map { "\($0)" })))
            var worker = Worker(core: core, jobs: jobs, timings: timings)
            do throws(LogError) {
                try worker.run(&log)
            } catch {
                core.post(.fault("\(error)"))
                worker.refuse(with: error)
            }
        }
    }

    /// A start that came to nothing leaves no thread behind.
    deinit { jobs.post(.stop) }

    func post(_ work: LogWork) { jobs.post(.work(work)) }

    /// What the start needs of the entries after `index`, read by the thread.
    /// - Throws: what ended the thread, if it has ended.
    func tail(after index: LogIndex, holding byteLimit: Int) throws(LogError) -> LogTail {
        let answer = Mailbox<Result<LogTail, LogError>>()
        jobs.post(.readTail(after: index, holding: byteLimit, answer))
        return try answer.take(atMost: 1)[0].get()
    }

    /// Entries from a place on, for who keeps copies of them elsewhere.
    /// - Parameter byteLimit: where their sizes together reach it no more are read.
    /// - Returns: none where the log no more, or not yet, holds the first of them; nil: the thread gave no
    ///   answer until the deadline, for it has ended, or the disk is slow.
    func entries(
        from index: LogIndex, byteLimit: Int, until deadline: MonotonicTime
    ) throws(LogError) -> [Entry]? {
        let answer = Mailbox<Result<[Entry], LogError>>()
        jobs.post(.read(from: index, bytes: byteLimit, answer))
        return try answer.take(atMost: 1, until: deadline).first?.get()
    }

    /// Makes metadata durable before anything else goes on; for the start only.
    /// - Throws: what ended the thread, if it has ended.
    func recordNow(_ records: [MetadataRecord]) throws(LogError) {
        let answer = Mailbox<Result<Void, LogError>>()
        jobs.post(.recordNow(records, answer))
        try answer.take(atMost: 1)[0].get()
    }

    /// Marks the log clean and ends the thread when all that was posted is done.
    func stop() {
        jobs.post(.stop)
        thread.join()
    }

    /// Carries out what the keeper decides.
    private struct Worker {
        private let core: Mailbox<NodeEvent>
        private let jobs: Mailbox<LogJob>
        private let timings: NodeTimings
        private var keeper = LogKeeper()
        /// Taken out of the mailbox, and not looked at.
        private var unread: ArraySlice<LogJob> = []
        private var isStopping = false

        init(core: Mailbox<NodeEvent>, jobs: Mailbox<LogJob>, timings: NodeTimings) {
            self.timings = timings
            self.core = core
            self.jobs = jobs
        }

        mutating func run(_ log: inout Log) throws(LogError) {
            while true {
                let step = keeper.next()
                switch step {
                case .wait(let limit): try take(limit, &log)
                case .report(let reports): core.post(reports.map { .log($0) })
                case .fail(let error): throw error
                case .end: return
                case .append: perform(step, &log, timings.append)
                case .sync: perform(step, &log, timings.sync)
                case .fetch, .compact, .reset, .markClean:
                    keeper.perform(step, on: &log)
                }
            }
        }

        private mutating func perform(
            _ step: LogStep, _ log: inout Log, _ histogram: Histogram
        ) {
            let start = MonotonicTime.now
            keeper.perform(step, on: &log)
            histogram.record(.now - start)
        }

        /// The log can't be used any more: whoever waits for it hears why, until the node stops.
        mutating func refuse(with error: LogError) {
            while true {
                for job in unread {
                    switch job {
                    case .work: break
                    case .recordNow(_, let answer): answer.post(.failure(error))
                    case .readTail(_, _, let answer): answer.post(.failure(error))
                    case .read(_, _, let answer): answer.post(.failure(error))
                    case .stop: isStopping = true
                    }
                }
                guard !isStopping else { return }
                unread = jobs.take()[...]
            }
        }

        private mutating func take(_ limit: Duration?, _ log: inout Log) throws(LogError) {
            unread = (limit.map { jobs.take(until: .now + $0) } ?? jobs.take())[...]
            let isQuiet = unread.isEmpty
            while let job = unread.first {
                switch job {
                case .work(let work): keeper.post(work)
                case .recordNow(let records, let answer):
                    try log.append(LogBatch(records: records))
                    try log.sync()
                    keeper.wrotePastIt()
                    answer.post(.success(()))
                case .readTail(let index, let byteLimit, let answer):
                    answer.post(.success(try log.tail(after: index, holding: byteLimit)))
                case .read(let index, let byteLimit, let answer):
                    // What can't be read is told to who asked, and to nobody else.
                    do throws(LogError) {
                        let found = try log.entries(from: index, byteLimit: byteLimit)
                        answer.post(.success(found))
                    } catch {
                        answer.post(.failure(error))
                    }
                case .stop:
                    isStopping = true
                    keeper.stop()
                }
                // Not before: what fails is answered by `refuse`.
                unread = unread.dropFirst()
            }
            unread = []
            keeper.woke(isQuiet: isQuiet)
        }
    }
}
