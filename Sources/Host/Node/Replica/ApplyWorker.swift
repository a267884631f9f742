import Glibc
import NodeLogic
import Raft
import Service
import StateMachine
import Telemetry
import Threads
import Time
import Wire

/// Carries out, on the state machine's thread, what `ApplyKeeper` decides.
struct ApplyWorker {
    private var applier: Applier
    private var keeper: ApplyKeeper
    /// One for the life of the process, whichever file is applied to.
    private let marker: ApplyMarker
    private let links: ApplyThread.Links
    private let jobs: Mailbox<DatabaseJob>
    private let scrub: ScrubThread
    private var results: [AppliedEntry] = []
    private var shownUpkeep = UpkeepTimes()
    private var shownLoad: OpenLoad?
    /// As the machine was told of it last, in milliseconds since 1970.
    private var shownClock: Int64 = 0

    init(
        applier: Applier, generation: Generation, marker: ApplyMarker, links: ApplyThread.Links,
        jobs: Mailbox<DatabaseJob>, scrub: ScrubThread
    ) {
        self.jobs = jobs
        self.marker = marker
        self.scrub = scrub
        self.applier = applier
        self.links = links
        keeper = ApplyKeeper(
            links.limits, generation: generation, applied: applier.applied.position.index,
            now: .now)
        prepareApplier()
    }

    /// Of the rows that wait in memory until all that was handed to the applier at once is applied: so many clients
    /// may have asked for as much as one may get.
    private static let answerBytes = 64 << 20

    private func prepareApplier() {
        applier.answerBytes = Self.answerBytes
        applier.reachedMarker = { [scrub, path = applier.path] found in
            scrub.reached(found, path: path)
        }
    }

    mutating func run() {
        publishStatistics()
        noteStanding()
        noteTimes(appliedAt: .never)
        keeper.limited(to: applier.applied.settings.limits)
        while true {
            switch keeper.next() {
            case .wait(let limit): wait(limit)
            case .apply(let entries, let answers): apply(entries, answers)
            case .decide(let skips): for skip in skips { applier.decide(skip) }
            case .tryAgain: applier.tryAgain()
            case .establish(let cluster, let membership): establish(cluster, membership)
            case .checkpoint: checkpoint()
            case .openSnapshot(let id): openSnapshot(id)
            case .closeSnapshot(let id, let isHeld):
                links.snapshots.release(id)
                if isHeld { applier.endSnapshot() }
                keeper.closed(id)
            case .prepare(let id, let mark, let generation): prepare(id, mark, as: generation)
            case .switchTo(let generation, let mark): switchTo(generation, mark)
            case .discard(let id): discard(links.snapshots.path(of: id))
            case .removeReplaced(let generation): remove(generation)
            case .answer(let answers): answer(answers)
            case .report(let reports): report(reports)
            case .fail(let cause): return links.core.post(.fault(cause))
            case .end: return
            }
        }
    }

    private mutating func wait(_ limit: Duration?) {
        for job in limit.map({ jobs.take(until: .now + $0) }) ?? jobs.take() {
            switch job {
            case .work(let work): keeper.post(work)
            case .stop: keeper.stop()
            }
        }
        keeper.woke(at: .now)
    }

    private func report(_ reports: [DatabaseReport]) {
        let events = reports.map { NodeEvent.database($0) }
        let isProgress = reports.allSatisfy {
            if case .applied = $0 { true } else { false }
        }
        if isProgress { links.core.postPatiently(events) } else { links.core.post(events) }
    }

    // MARK: Applying

    private mutating func apply(_ entries: [Entry], _ answers: [AppliedAnswer]) {
        results.removeAll(keepingCapacity: true)
        var remaining = answers[...]
        let start = MonotonicTime.now
        defer {
            note(MonotonicTime.now - start, of: entries.count)
        }
        do throws(ApplyFault) {
            let last = entries.last?.position
            repeat {
                // Also behind a part, after which it was told that nothing is under way.
                if let last { links.readers.commits.begins(through: last) }
                var next = 0
                try applier.apply(
                    entries,
                    reporting: { index in
                        // Entries come in order, and so do those that somebody waits for.
                        while next < answers.count, answers[next].index < index { next += 1 }
                        return next < answers.count && answers[next].index == index
                    }, into: &results)
                noteStanding()
                noteTimes(appliedAt: .now())
                deliver(&remaining)
                // Many rows were gathered: they are on their way, and the next call goes on.
            } while last.map { applier.applied.position.index < $0.index } ?? false
            keeper.limited(to: applier.applied.settings.limits)
            keeper.applied(
                through: applier.applied.position.index, walBytes: applier.walBytes, at: .now)
        } catch {
            deliver(&remaining)
            keeper.limited(to: applier.applied.settings.limits)
            keeper.stopped(
                DatabaseTrouble(error, entries), after: applier.applied.position.index,
                Array(remaining))
        }
    }

    private func note(_ time: Duration, of entries: Int) {
        links.timings.apply.record(time)
        links.timings.appliedEntries.add(entries)
        let microseconds = time.nanosecondsClamped / 1000 / Int64(max(1, entries))
        links.timings.lastApply.set(Int(clamping: microseconds))
    }

    /// Sends the results of what is committed to those who wait for them.
    private mutating func deliver(_ answers: inout ArraySlice<AppliedAnswer>) {
        // Who has an answer finds it counted.
        links.timings.database.add(applier.takeCounts())
        guard !answers.isEmpty else { return }
        var replies = ReplyBatch()
        for entry in results {
            guard let answer = answers.first, answer.index == entry.index else { continue }
            answers.removeFirst()
            if let result = entry.result, let target = links.open.take(answer.key) {
                let mark = links.readers.commits.mark(at: LogIndex(result.logIndex))
                replies.add(
                    Self.outcome(result, entry),
                    sight: mark.map { ReadSight($0, isExact: false) }, to: target)
            }
        }
        results.removeAll(keepingCapacity: true)
        replies.deliver()
    }

    /// Those who read learn where the database stands.
    private mutating func noteStanding() {
        if applier.applied.upkeep != shownUpkeep {
            shownUpkeep = applier.applied.upkeep
            links.board.publish(shownUpkeep)
        }
        if applier.applied.load != shownLoad {
            shownLoad = applier.applied.load
            links.board.publish(shownLoad)
        }
        links.readers.commits.stands(
            at: applier.applied.position, of: applier.applied.cluster)
        noteClock()
    }

    /// The log's clock never goes back. Where it is ahead of this machine's the machine's thread is told, once
    /// for each second of it.
    private mutating func noteClock() {
        let clock = applier.applied.lastMilliseconds
        guard clock > shownClock, clock - shownClock >= 1000,
            clock - NodeMachine.clockTolerance >= WallTime.now().milliseconds
        else { return }
        shownClock = clock
        links.core.post([.database(.clockAhead(clock))])
    }

    private func noteTimes(appliedAt time: WallTime) {
        let stamp = applier.applied.lastMilliseconds
        links.board.publish(
            ApplyTimes(
                applied: time,
                proposed: stamp > 0 ? WallTime(clampingMilliseconds: stamp) : .never))
    }

    private static func outcome(_ result: CommandResult, _ entry: AppliedEntry) -> Outcome {
        switch entry.repetition {
        case nil: .results(result)
        case .answered: .repeated(result)
        case .done: .doneBefore(LogIndex(result.logIndex))
        case .conflict: .failed(.keyTaken(LogIndex(result.logIndex)))
        }
    }

    private func answer(_ answers: [ClientAnswer]) {
        var replies = ReplyBatch()
        for answer in answers {
            guard let target = links.open.take(answer.key) else { continue }
            replies.add(answer.outcome, to: target)
        }
        replies.deliver()
    }

    private mutating func establish(_ cluster: ClusterID, _ membership: Membership) {
        do throws(ApplyFault) {
            try applier.establish(cluster: cluster, membership: membership)
            noteStanding()
            keeper.established()
        } catch {
            keeper.failed(DatabaseTrouble(error))
        }
    }

    private mutating func checkpoint() {
        let outcome: CheckpointOutcome
        let start = MonotonicTime.now
        defer { links.timings.checkpoint.record(.now - start) }
        do throws(ApplyFault) {
            outcome = try applier.checkpoint(
                patience: keeper.patience, givesRoomBack: keeper.lacksRoom)
        } catch {
            links.timings.checkpoints.failed(isForSize: keeper.isForSize)
            return keeper.notCheckpointed(DatabaseTrouble(error))
        }
        links.timings.checkpoints.ended(
            outcome, isForSize: keeper.isForSize, after: MonotonicTime.now - start)
        publishStatistics()
        keeper.checkpointed(
            through: outcome.covered.index,
            isHeldBack: applier.isHeldBack(outcome, lacksRoom: keeper.lacksRoom))
    }

    /// Deletes the database that a snapshot replaced: by the first checkpoint after the switch no
    /// reader opens it any more, and those that still have it open keep their view. Where room is needed
    /// at once, one that was about to open it hands its read on.
    private func remove(_ generation: Generation) {
        let path = links.directory.file(of: generation)
        for file in [path, path + "-wal"] where unlink(file) != 0 && errno != ENOENT {
            links.logger.warning(
                "replaced database not deleted", ["path": file, "errno": "\(errno)"])
        }
    }

    private func publishStatistics() {
        do throws(ApplyFault) {
            links.board.publish(try applier.statistics())
        } catch {
            links.timings.failedStatistics.add()
            links.logger.warning("no statistics of the database", ["cause": "\(error)"])
        }
    }

    // MARK: Snapshots

    private mutating func openSnapshot(_ id: SnapshotSendID) {
        do throws(ApplyFault) {
            let source = try applier.beginSnapshot(patience: keeper.openingPatience)
            if let source { links.snapshots.hold(source, as: id) }
            keeper.opened(id, .success(source.map { ($0.mark, UInt64($0.byteCount)) }))
        } catch {
            if let cause = error.passingCause { return keeper.notOpened(id, cause: cause) }
            keeper.opened(id, .failure(DatabaseTrouble(error)))
        }
    }

    private mutating func prepare(
        _ id: SnapshotReceiptID, _ mark: SnapshotMark, as generation: Generation
    ) {
        let incoming = links.directory.incomingFile(of: generation)
        do {
            let path = links.snapshots.path(of: id)
            guard let cluster = applier.applied.cluster, rename(path, incoming) == 0 else {
                let cause = String(cString: strerror(errno))
                throw DatabaseReport.Failure("can't move \(path) to \(incoming): \(cause)")
            }
            try links.directory.installSnapshot(as: generation, mark: mark, cluster: cluster)
            keeper.prepared(mark, .success(generation))
        } catch {
            // It may be as large as the database, and nobody wants it any more.
            discard(links.snapshots.path(of: id))
            discard(incoming)
            links.timings.failedRestores.add()
            keeper.prepared(mark, .failure(.init("\(error)")))
        }
    }

    /// Deletes a received database that is none of ours. Of the next start it is a remainder.
    private func discard(_ path: String) {
        for file in [path, path + "-wal", path + "-shm"] where unlink(file) != 0 && errno != ENOENT
        {
            links.logger.warning(
                "received database not deleted", ["path": file, "errno": "\(errno)"])
        }
    }

    private mutating func switchTo(_ generation: Generation, _ mark: SnapshotMark) {
        let start = MonotonicTime.now
        do throws(ApplyFault) {
            applier = try Applier(path: links.directory.file(of: generation), marker: marker)
            links.timings.database.opened(in: MonotonicTime.now - start)
        } catch {
            let lacksRoom = error == .diskFull
            if lacksRoom || error.passingCause != nil,
                keeper.notSwitched(to: generation, mark, lacksRoom: lacksRoom)
            {
                return
            }
            links.timings.failedRestores.add()
            return keeper.failed(DatabaseTrouble(error))
        }
        links.timings.restores.add()
        prepareApplier()
        scrub.replaced()
        publishStatistics()
        // Who begins to read meanwhile sees the one or the other.
        links.readers.commits.begins(through: applier.applied.position)
        links.readers.switchTo(applier.path)
        noteStanding()
        keeper.limited(to: applier.applied.settings.limits)
        keeper.switched(to: generation, mark)
    }
}

extension DatabaseTrouble {
    /// - Parameter entries: the batch that met it.
    init(_ fault: ApplyFault, _ entries: [Entry] = []) {
        switch fault {
        case .diskFull: self = .noRoom
        case .suspected(let suspicion):
            let entry = entries.first { $0.index == suspicion.index }
            let suspect = SuspectEntry(
                index: suspicion.index, hash: suspicion.hash, place: suspicion.place,
                ends: suspicion.count,
                statement: entry.map { Applier.excerpt(of: $0, at: suspicion.place) } ?? "")
            self = .halted(.suspected(suspect))
        case .appliedSkipped(let skip): self = .halted(.appliedSkipped(skip))
        case _ where fault.isDamage: self = .damaged("\(fault)")
        default: self = .failed("\(fault)")
        }
    }
}
