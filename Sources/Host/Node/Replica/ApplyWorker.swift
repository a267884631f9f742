import Glibc
import NodeLogic
import Raft
import Service
import StateMachine
import Telemetry
import Threads
import Time

/// What the state machine's thread does with its jobs, and what it remembers between them.
struct ApplyWorker {
    private var applier: Applier
    private var generation: Generation
    private let links: ApplyThread.Links
    private var results: [AppliedEntry] = []
    private var isFull = false
    private var openSnapshots: [SnapshotSendID] = []
    /// The file of the generation before, after a snapshot was put in its place.
    private var replacedPath: String?
    private var lastCheckpoint: LogIndex
    private var lastCheckpointTime = MonotonicTime.now
    private let jobs: Mailbox<DatabaseJob>
    /// Taken, but not yet done: in order.
    private var backlog: ArraySlice<DatabaseJob> = []
    private var mustStop = false

    private static var fullDiskPause: Duration { .milliseconds(200) }

    init(
        applier: Applier, generation: Generation, links: ApplyThread.Links,
        jobs: Mailbox<DatabaseJob>
    ) {
        self.jobs = jobs
        self.applier = applier
        self.generation = generation
        self.links = links
        lastCheckpoint = applier.applied.position.index
    }

    mutating func run() throws(ApplyFault) {
        publishStatistics()
        while !mustStop {
            backlog = jobs.take()[...]
            while let job = backlog.popFirst(), !mustStop { try perform(job) }
        }
        // So that the next start has little to apply again.
        try checkpoint()
    }

    private mutating func perform(_ job: DatabaseJob) throws(ApplyFault) {
        switch job {
        case .work(let work): try perform(work)
        case .stop: mustStop = true
        }
    }

    private mutating func perform(_ work: DatabaseWork) throws(ApplyFault) {
        switch work {
        case .apply(let entries, let answers): try apply(entries, answers)
        case .establish(let cluster, let membership):
            try applier.establish(cluster: cluster, membership: membership)
            report(.established)
        case .openSnapshot(let id): try openSnapshot(id)
        case .closeSnapshot(let id): closeSnapshot(id)
        case .prepare(let id, let mark): prepare(id, mark)
        case .switchTo(let generation, let mark): try switchTo(generation, mark)
        case .discard(let id):
            if let path = links.snapshots.path(of: id) { unlink(path) }
        }
    }

    private func report(_ report: DatabaseReport) { links.core.post(.database(report)) }

    // MARK: Applying

    private mutating func apply(
        _ entries: [Entry], _ answers: [AppliedAnswer]
    ) throws(ApplyFault) {
        results.removeAll(keepingCapacity: true)
        var remaining = answers[...]
        var isApplied = false
        while !isApplied, !mustStop {
            do throws(ApplyFault) {
                let wanted = answers
                var next = 0
                try applier.apply(
                    entries,
                    reporting: { index in
                        // Entries come in order, and so do those that somebody waits for.
                        while next < wanted.count, wanted[next].index < index { next += 1 }
                        return next < wanted.count && wanted[next].index == index
                    }, into: &results)
                deliver(&remaining)
                isApplied = true
            } catch {
                guard case .diskFull = error else { throw error }
                deliver(&remaining)
                waitForRoom(&remaining)
            }
        }
        guard isApplied else { return }
        if isFull {
            isFull = false
            report(.full(false))
        }
        if let last = entries.last { report(.applied(through: last.index)) }
        if mustCheckpoint { try checkpoint() }
        reviewHold()
    }

    /// Sends the results of what is committed to those who wait for them.
    private mutating func deliver(_ answers: inout ArraySlice<AppliedAnswer>) {
        guard !answers.isEmpty else { return }
        var replies = ReplyBatch()
        for entry in results {
            guard let answer = answers.first, answer.index == entry.index else { continue }
            answers.removeFirst()
            if let result = entry.result, let target = links.open.take(answer.key) {
                replies.add(.results(result), to: target)
            }
        }
        results.removeAll(keepingCapacity: true)
        replies.deliver()
    }

    /// Those whose time is up meanwhile are told so; their writes take effect all the same.
    private mutating func waitForRoom(_ answers: inout ArraySlice<AppliedAnswer>) {
        if !isFull {
            isFull = true
            report(.full(true))
        }
        backlog += jobs.take(until: .now + Self.fullDiskPause)
        for case .stop in backlog { mustStop = true }
        let now = MonotonicTime.now
        var replies = ReplyBatch()
        for answer in answers where answer.deadline <= now {
            guard let target = links.open.take(answer.key) else { continue }
            replies.add(.failed(.timedOut(waitingFor: "room on the disk")), to: target)
        }
        answers.removeAll { $0.deadline <= now }
        replies.deliver()
    }

    /// By the size of SQLite's log, or by the entries that a restart would apply again.
    private var mustCheckpoint: Bool {
        let entries = applier.applied.position.index.distance(from: lastCheckpoint)
        if applier.walBytes > links.checkpointBytes { return true }
        return entries >= links.checkpointEntries
            && .now - lastCheckpointTime >= links.checkpointInterval
    }

    private mutating func checkpoint() throws(ApplyFault) {
        lastCheckpoint = applier.applied.position.index
        lastCheckpointTime = .now
        let outcome: CheckpointOutcome
        do throws(ApplyFault) {
            outcome = try applier.checkpoint()
        } catch {
            // It can wait; what must be written anyway meets the full disk itself.
            guard case .diskFull = error else { throw error }
            return
        }
        publishStatistics()
        removeReplaced()
        report(.checkpointed(through: outcome.covered.index))
        if outcome.extent == .partial, applier.needsReaderEviction {
            report(.readersHoldCheckpoint)
        }
    }

    /// Deletes the database that a snapshot replaced: by the first checkpoint after the switch no
    /// reader opens it any more, and those that still have it open keep their view.
    private mutating func removeReplaced() {
        guard let path = replacedPath else { return }
        replacedPath = nil
        for file in [path, path + "-wal"] where unlink(file) != 0 && errno != ENOENT {
            links.logger.warning(
                "replaced database not deleted", ["path": file, "errno": "\(errno)"])
        }
    }

    private func publishStatistics() {
        do throws(ApplyFault) {
            links.board.publish(try applier.statistics())
        } catch {
            links.logger.warning("no statistics of the database", ["cause": "\(error)"])
        }
    }

    // MARK: Snapshots

    private mutating func openSnapshot(_ id: SnapshotSendID) throws(ApplyFault) {
        let result: Result<OpenedSnapshot, DatabaseReport.Failure>
        do throws(ApplyFault) {
            if let source = try applier.beginSnapshot() {
                openSnapshots.append(id)
                links.snapshots.hold(source, as: id)
                result = .success(
                    OpenedSnapshot(
                        mark: source.mark, generation: generation,
                        byteCount: UInt64(source.byteCount)))
            } else {
                result = .failure(.init("long-running reads hold back the checkpoint"))
            }
        } catch {
            guard case .diskFull = error else { throw error }
            result = .failure(.init("\(error)"))
        }
        report(.snapshotOpened(id, result))
    }

    /// A snapshot of a generation that was replaced meanwhile is none of the present applier's.
    private mutating func closeSnapshot(_ id: SnapshotSendID) {
        links.snapshots.release(id)
        guard let place = openSnapshots.firstIndex(of: id) else { return }
        openSnapshots.remove(at: place)
        applier.endSnapshot()
    }

    /// What is written while a snapshot is sent can't be checkpointed: past a bound it ends.
    private func reviewHold() {
        guard applier.walBytes > links.holdBytes else { return }
        for id in openSnapshots { report(.holdOutgrown(id)) }
    }

    private func prepare(_ id: SnapshotReceiptID, _ mark: SnapshotMark) {
        let next = generation.next
        let result: Result<Generation, DatabaseReport.Failure>
        let incoming = links.directory.incomingFile(of: next)
        do {
            let path = links.snapshots.path(of: id) ?? ""
            guard let cluster = applier.applied.cluster, rename(path, incoming) == 0 else {
                let cause = String(cString: strerror(errno))
                throw DatabaseReport.Failure("can't move \(path) to \(incoming): \(cause)")
            }
            try links.directory.installSnapshot(as: next, mark: mark, cluster: cluster)
            result = .success(next)
        } catch {
            result = .failure(.init("\(error)"))
        }
        report(.prepared(mark, result))
    }

    private mutating func switchTo(
        _ generation: Generation, _ mark: SnapshotMark
    ) throws(ApplyFault) {
        replacedPath = applier.path
        applier = try Applier(path: links.directory.file(of: generation))
        self.generation = generation
        openSnapshots = []
        publishStatistics()
        links.readers.switchTo(applier.path)
        report(.switched(mark, generation))
    }
}
