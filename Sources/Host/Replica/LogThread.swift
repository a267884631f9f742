import Raft
import Replication
import StateMachine
import WriteAheadLog

/// Work for the log's thread, done in the order in which it was posted.
enum LogJob: Sendable {
    case write(LogWrite)
    /// Metadata that must be durable before `recorded` is reported.
    case record([MetadataRecord], RecordID)
    case fetch(Effects.LogFetch)
    case compact(through: LogIndex)
    case reset(SnapshotMark, Generation)
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
    private typealias Log = WriteAheadLog<PosixDisk>

    private let jobs = Mailbox<LogJob>()
    private let thread: NamedThread

    /// Opens the log on its thread and waits for that.
    static func start(
        directory: String, bootID: RandomID, core: Mailbox<CoreEvent>
    ) throws(LogError) -> (LogThread, OpenedLog) {
        let opening = Mailbox<Result<OpenedLog, LogError>>()
        let thread = LogThread(
            directory: directory, bootID: bootID, core: core, opening: opening)
        return (thread, try opening.take(atMost: 1)[0].get())
    }

    private init(
        directory: String, bootID: RandomID, core: Mailbox<CoreEvent>,
        opening: Mailbox<Result<OpenedLog, LogError>>
    ) {
        let jobs = self.jobs
        thread = NamedThread("log") {
            do throws(LogError) {
                var log = try Log.open(on: PosixDisk(), directory: directory, bootID: bootID)
                opening.post(
                    .success(
                        OpenedLog(state: log.state, torn: log.torn.map { "\($0)" })))
                var worker = Worker(core: core)
                try worker.run(&log, jobs)
            } catch {
                opening.post(.failure(error))
                core.post(.fault("\(error)"))
            }
        }
    }

    func post(_ job: LogJob) { jobs.post(job) }

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
        let core: Mailbox<CoreEvent>
        /// Written but not yet synced.
        var unsynced: [CoreEvent] = []
        var isFull = false
        /// Nobody posts to it: taking from it is a pause.
        private let pause = Mailbox<Never>()

        init(core: Mailbox<CoreEvent>) { self.core = core }

        mutating func run(_ log: inout Log, _ jobs: Mailbox<LogJob>) throws(LogError) {
            while true {
                for job in jobs.take() {
                    if case .stop = job {
                        try settle(&log)
                        return try log.markClean()
                    }
                    try perform(job, &log)
                }
                try settle(&log)
            }
        }

        private mutating func perform(_ job: LogJob, _ log: inout Log) throws(LogError) {
            switch job {
            case .write(let write):
                try append(
                    LogBatch(
                        hardState: write.hardState, entries: write.entries,
                        commitIndex: write.commitIndex), to: &log)
                unsynced.append(.written(write.ticket))
            case .record(let records, let id):
                try append(LogBatch(records: records), to: &log)
                unsynced.append(.recorded(id))
            case .fetch(let fetch):
                core.post(
                    .fetched(fetch, try log.entries(from: fetch.from, byteLimit: fetch.byteLimit)))
            case .recordNow(let records, let answer):
                try append(LogBatch(records: records), to: &log)
                try log.sync()
                answer.post(.success(()))
            case .readTail(let index, let answer):
                answer.post(.success(try log.tail(after: index)))
            case .compact(let index):
                try settle(&log)
                try compact(&log, through: index)
            case .reset(let mark, let generation):
                try settle(&log)
                try withRoom(&log) { (log: inout Log) throws(LogError) in
                    try log.reset(to: mark, generation: generation.rawValue)
                }
                core.post(.logReset(mark, generation))
            case .stop: break
            }
        }

        /// One sync for all that was written since the last.
        private mutating func settle(_ log: inout Log) throws(LogError) {
            guard !unsynced.isEmpty else { return }
            try log.sync()
            core.post(unsynced)
            unsynced.removeAll(keepingCapacity: true)
        }

        private mutating func append(_ batch: LogBatch, to log: inout Log) throws(LogError) {
            try withRoom(&log) { (log: inout Log) throws(LogError) in try log.append(batch) }
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
            core.post(.compacted(log.state.base))
        }

        /// Tries again while the disk is full: a write is never given up, for the node's promises
        /// depend on it.
        private mutating func withRoom(
            _ log: inout Log, _ write: (inout Log) throws(LogError) -> Void
        ) throws(LogError) {
            while true {
                do throws(LogError) {
                    try write(&log)
                    if isFull {
                        isFull = false
                        core.post(.logFull(false))
                    }
                    return
                } catch {
                    guard !error.isFatal else { throw error }
                    if !isFull {
                        isFull = true
                        try settle(&log)
                        core.post(.logFull(true))
                    }
                    _ = pause.take(until: .now + .milliseconds(200))
                }
            }
        }
    }
}
