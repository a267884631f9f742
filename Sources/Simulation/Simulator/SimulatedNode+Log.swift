import NodeLogic
import Raft
import Replication
import WriteAheadLog

/// The log's thread: what waits when it wakes becomes durable with one sync.
extension SimulatedNode {
    func begin(_ work: LogWork) {
        if case .write(let write) = work { note(write) }
        logJobs.append(work)
        wakeLog(after: random.within(0...1))
    }

    /// What the machine wants written, for the invariants.
    private func note(_ write: LogWrite) {
        if let first = write.entries.first {
            let previous = first.index.previous
            let discarded = shadowTerms.count - previous.distance(from: shadowBase.index)
            if discarded > 0 { counts.entriesDiscarded += 1 }
            shadowTerms.removeLast(max(0, discarded))
            let term =
                previous == shadowBase.index
                ? shadowBase.term : shadowTerms[previous.distance(from: shadowBase.index) - 1]
            shadowTerms += write.entries.map(\.term)
            output.append(.wrote(write.entries, previousTerm: term))
        }
        if mutation == .answersBeforeSync { post(.log(.written(write.ticket))) }
        if mutation == .acknowledgesAtAppend { answerEarly(write.entries) }
    }

    private func wakeLog(after delay: Int) {
        guard !isLogBusy, !logJobs.isEmpty else { return }
        isLogBusy = true
        output.append(.after(delay, .logWakes))
    }

    private static var hangStep: Int { 20 }

    func logWakes() {
        guard !isDiskHung else { return output.append(.after(Self.hangStep, .logWakes)) }
        isLogBusy = false
        guard var log = log.take() else { return }
        var isWaiting = false
        do throws(LogError) {
            while let job = logJobs.first {
                try perform(job, &log)
                logJobs.removeFirst()
            }
            becameFull(false)
        } catch {
            guard !error.isFatal else { return end(error) }
            becameFull(true)
            isWaiting = true
        }
        if isWaiting {
            do throws(LogError) {
                try makeRoom(&log)
            } catch {
                return end(error)
            }
        }
        self.log = consume log
        if !unsynced.isEmpty {
            isLogBusy = true
            output.append(.after(random.within(syncDelay), .logSynced))
        } else if isWaiting {
            wakeLog(after: 200)
        }
    }

    /// While the disk is full, compaction goes on out of its turn, for it makes room.
    private func makeRoom(_ log: inout SegmentedLog<SimulatedDisk>) throws(LogError) {
        for position in logJobs.indices.reversed() {
            guard case .compact(let index) = logJobs[position] else { continue }
            logJobs.remove(at: position)
            try compact(&log, through: index)
        }
    }

    /// The thread ends with an error; the machine hears of it. A process that died says nothing.
    private func end(_ error: LogError) {
        if "\(error)".contains("dead") {
            output.append(.died("\(error)"))
        } else {
            post(.fault("\(error)"))
        }
    }

    private func becameFull(_ isFull: Bool) {
        guard isFull != isLogFull else { return }
        isLogFull = isFull
        if mutation != .leadsWithoutDisk { post(.log(.full(isFull))) }
    }

    func logSynced() {
        guard !isDiskHung else { return output.append(.after(Self.hangStep, .logSynced)) }
        isLogBusy = false
        guard var log = log.take() else { return }
        do throws(LogError) {
            try settle(&log)
        } catch {
            return end(error)
        }
        self.log = consume log
        wakeLog(after: isLogFull ? 200 : 0)
    }

    /// The process is asked to end: the log does what was posted, and marks itself clean.
    /// - Returns: whether it could.
    func finishLog() -> Bool {
        guard var log = log.take() else { return false }
        do throws(LogError) {
            for job in logJobs { try perform(job, &log) }
            logJobs = []
            try settle(&log)
            try log.markClean()
        } catch {
            return false
        }
        return true
    }

    private func settle(_ log: inout SegmentedLog<SimulatedDisk>) throws(LogError) {
        guard !unsynced.isEmpty else { return }
        try log.sync()
        syncedTerm = log.state.hardState.term
        syncedIndex = log.state.lastIndex
        for event in unsynced { post(event) }
        unsynced = []
    }

    private func perform(
        _ job: LogWork, _ log: inout SegmentedLog<SimulatedDisk>
    ) throws(LogError) {
        switch job {
        case .write(let write):
            try log.append(
                LogBatch(
                    hardState: write.hardState, entries: kept(write.entries, log.state.lastIndex),
                    commitIndex: write.commitIndex))
            if mutation == .answersBeforeSync { return }
            unsynced.append(.log(.written(write.ticket)))
        case .record(let records, let id):
            try log.append(LogBatch(records: records))
            unsynced.append(.log(.recorded(id)))
        case .fetch(let fetch):
            counts.logFetches += 1
            let entries = try log.entries(from: fetch.from, byteLimit: fetch.byteLimit)
            post(.log(.fetched(fetch, entries)))
        case .compact(let index):
            try settle(&log)
            try compact(&log, through: index)
        case .reset(let mark, let generation):
            try settle(&log)
            try log.reset(to: mark, generation: generation.rawValue)
            shadowBase = mark.position
            shadowTerms = []
            syncedIndex = mark.position.index
            post(.log(.reset(mark, generation)))
        }
    }

    private func kept(_ entries: [Entry], _ last: LogIndex) -> [Entry] {
        mutation == .keepsDiscardedEntries ? entries.filter { $0.index > last } : entries
    }

    private func compact(
        _ log: inout SegmentedLog<SimulatedDisk>, through index: LogIndex
    ) throws(LogError) {
        let target = min(index, log.state.lastIndex)
        do throws(LogError) {
            if let term = log.state.term(at: target) {
                try log.compact(through: LogPosition(index: target, term: term))
                counts.compactions += 1
            }
        } catch {
            guard !error.isFatal else { throw error }
        }
        post(.log(.compacted(log.state.base)))
    }
}
