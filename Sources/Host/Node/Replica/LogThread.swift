import NodeLogic
import Raft
import Replication
import Threads
import Time
import WriteAheadLog

/// What the log's thread is asked to do, in the order in which it was posted.
private enum LogJob: Sendable {
    case work(LogWork)
    case recordNow([MetadataRecord], Mailbox<Result<Void, LogError>>)
    case readTail(after: LogIndex, Mailbox<Result<[Entry], LogError>>)
    case stop
}

/// What the log held when it was opened.
struct OpenedLog: Sendable {
    var state: LogState
    /// What had to be cut off its end, for the operator's log.
    var torn: String?
}

/// The thread that owns the write-ahead log. All writes that wait when it wakes become durable with
/// one sync: the busier the disk, the larger the batches.
final class LogThread: Sendable {
    private typealias Log = SegmentedLog<PosixDisk>

    private let jobs = Mailbox<LogJob>()
    private let thread: NamedThread

    /// Opens the log on its thread and waits for that.
    /// - Throws: `LogError`, or `ThreadShortage`.
    static func start(
        directory: String, bootID: RandomID, core: Mailbox<NodeEvent>
    ) throws -> (LogThread, OpenedLog) {
        let opening = Mailbox<Result<OpenedLog, LogError>>()
        let thread = try LogThread(
            directory: directory, bootID: bootID, core: core, opening: opening)
        return (thread, try opening.take(atMost: 1)[0].get())
    }

    private init(
        directory: String, bootID: RandomID, core: Mailbox<NodeEvent>,
        opening: Mailbox<Result<OpenedLog, LogError>>
    ) throws(ThreadShortage) {
        let jobs = self.jobs
        thread = try NamedThread("log") {
            do throws(LogError) {
                var log = try Log.open(on: PosixDisk(), directory: directory, bootID: bootID)
                opening.post(
                    .success(
                        OpenedLog(state: log.state, torn: log.torn.map { "\($0)" })))
                var worker = Worker(core: core, jobs: jobs)
                try worker.run(&log)
            } catch {
                opening.post(.failure(error))
                core.post(.fault("\(error)"))
            }
        }
    }

    func post(_ work: LogWork) { jobs.post(.work(work)) }

    /// The entries after `index`, read by the thread; for the start only.
    func tail(after index: LogIndex) throws(LogError) -> [Entry] {
        let answer = Mailbox<Result<[Entry], LogError>>()
        jobs.post(.readTail(after: index, answer))
        return try answer.take(atMost: 1)[0].get()
    }

    /// Makes metadata durable before anything else goes on; for the start only.
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

    /// The loop's state between wakes.
    private struct Worker {
        private let core: Mailbox<NodeEvent>
        private let jobs: Mailbox<LogJob>
        /// Taken, but not yet done: in order.
        private var backlog: ArraySlice<LogJob> = []
        /// Written but not yet synced.
        private var unsynced: [NodeEvent] = []
        private var isFull = false
        private var mustStop = false

        /// A log that was quiet for so long is marked clean, so that the next start can tell damage
        /// from a write that never finished.
        private static var quietTime: Duration { .seconds(1) }
        private static var fullDiskPause: Duration { .milliseconds(200) }

        init(core: Mailbox<NodeEvent>, jobs: Mailbox<LogJob>) {
            self.core = core
            self.jobs = jobs
        }

        mutating func run(_ log: inout Log) throws(LogError) {
            while !mustStop {
                backlog = jobs.take(until: .now + Self.quietTime)[...]
                if backlog.isEmpty {
                    try markClean(&log)
                    backlog = jobs.take()[...]
                }
                while let job = backlog.popFirst(), !mustStop { try perform(job, &log) }
                if !mustStop { try settle(&log) }
            }
            try settle(&log)
            try markClean(&log)
        }

        /// A mark may be left out when the disk is full: then the next start knows a little less.
        private func markClean(_ log: inout Log) throws(LogError) {
            do throws(LogError) {
                try log.markClean()
            } catch {
                guard !error.isFatal else { throw error }
            }
        }

        private mutating func perform(_ job: LogJob, _ log: inout Log) throws(LogError) {
            switch job {
            case .work(let work): try perform(work, &log)
            case .recordNow(let records, let answer):
                try log.append(LogBatch(records: records))
                try log.sync()
                answer.post(.success(()))
            case .readTail(let index, let answer):
                answer.post(.success(try log.tail(after: index)))
            case .stop: mustStop = true
            }
        }

        private mutating func perform(_ work: LogWork, _ log: inout Log) throws(LogError) {
            switch work {
            case .write(let write):
                try append(
                    LogBatch(
                        hardState: write.hardState, entries: write.entries,
                        commitIndex: write.commitIndex), to: &log, then: .written(write.ticket))
            case .record(let records, let id):
                try append(LogBatch(records: records), to: &log, then: .recorded(id))
            case .fetch(let fetch):
                var entries: [Entry] = []
                let isRead = try withRoom(&log) { (log: inout Log) throws(LogError) in
                    entries = try log.entries(from: fetch.from, byteLimit: fetch.byteLimit)
                }
                if isRead { core.post(.log(.fetched(fetch, entries))) }
            case .compact(let index):
                try settle(&log)
                try compact(&log, through: index)
            case .reset(let mark, let generation):
                try settle(&log)
                let isReset = try withRoom(&log) { (log: inout Log) throws(LogError) in
                    try log.reset(to: mark, generation: generation.rawValue)
                }
                if isReset { core.post(.log(.reset(mark, generation))) }
            }
        }

        /// One sync for all that was written since the last.
        private mutating func settle(_ log: inout Log) throws(LogError) {
            guard !unsynced.isEmpty else { return }
            try log.sync()
            core.post(unsynced)
            unsynced.removeAll(keepingCapacity: true)
        }

        /// - Parameter report: made once the batch is durable.
        private mutating func append(
            _ batch: LogBatch, to log: inout Log, then report: LogReport
        ) throws(LogError) {
            let isWritten = try withRoom(&log) { (log: inout Log) throws(LogError) in
                try log.append(batch)
            }
            if isWritten { unsynced.append(.log(report)) }
        }

        private func compact(_ log: inout Log, through index: LogIndex) throws(LogError) {
            let target = min(index, log.state.lastIndex)
            do throws(LogError) {
                if let term = log.state.term(at: target) {
                    try log.compact(through: LogPosition(index: target, term: term))
                }
            } catch {
                // Compaction can wait; the next checkpoint proposes it again.
                guard !error.isFatal else { throw error }
            }
            core.post(.log(.compacted(log.state.base)))
        }

        /// Tries again while the disk is full, until the node stops: nothing that depends on the
        /// write is said before it is done. Compaction goes on meanwhile, for it makes room.
        /// - Returns: false when the node stops instead.
        private mutating func withRoom(
            _ log: inout Log, _ write: (inout Log) throws(LogError) -> Void
        ) throws(LogError) -> Bool {
            while !mustStop {
                do throws(LogError) {
                    try write(&log)
                    if isFull {
                        isFull = false
                        core.post(.log(.full(false)))
                    }
                    return true
                } catch {
                    guard !error.isFatal else { throw error }
                    if !isFull {
                        isFull = true
                        try settle(&log)
                        core.post(.log(.full(true)))
                    }
                    backlog += jobs.take(until: .now + Self.fullDiskPause)
                    for position in backlog.indices.reversed() {
                        switch backlog[position] {
                        case .stop: mustStop = true
                        case .work(.compact(let index)):
                            backlog.remove(at: position)
                            try compact(&log, through: index)
                        default: break
                        }
                    }
                }
            }
            return false
        }
    }
}
