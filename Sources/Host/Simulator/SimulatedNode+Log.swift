import Raft
import Replication
import WriteAheadLog

/// Work for the log's thread, done in the order in which it was posted.
enum LogJob {
    case write(LogWrite)
    case fetch(Effects.LogFetch)
    case compact(through: LogIndex)
    case reset(SnapshotMark, generation: UInt64)
}

/// The log's thread: what waits when it wakes becomes durable with one sync.
extension SimulatedNode {
    func post(_ job: LogJob) {
        logJobs.append(job)
        wakeLog(after: random.within(0...1))
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
            guard !error.isFatal else { return output.append(.died("\(error)")) }
            becameFull(true)
            isWaiting = true
        }
        self.log = consume log
        if !unsynced.isEmpty {
            isLogBusy = true
            output.append(.after(random.within(syncDelay), .logSynced))
        } else if isWaiting {
            wakeLog(after: 200)
        }
    }

    private func becameFull(_ isFull: Bool) {
        if isFull != isLogFull { post(.logFull(isFull)) }
    }

    func logSynced() {
        guard !isDiskHung else { return output.append(.after(Self.hangStep, .logSynced)) }
        isLogBusy = false
        guard var log = log.take() else { return }
        do throws(LogError) {
            try settle(&log)
        } catch {
            return output.append(.died("\(error)"))
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

    private func settle(_ log: inout WriteAheadLog<SimulatedDisk>) throws(LogError) {
        guard !unsynced.isEmpty else { return }
        try log.sync()
        syncedTerm = log.state.hardState.term
        syncedIndex = log.state.lastIndex
        for event in unsynced { post(event) }
        unsynced = []
    }

    private func perform(
        _ job: LogJob, _ log: inout WriteAheadLog<SimulatedDisk>
    ) throws(LogError) {
        switch job {
        case .write(let write):
            try log.append(
                LogBatch(
                    hardState: write.hardState, entries: kept(write.entries, log.state.lastIndex),
                    commitIndex: write.commitIndex))
            unsynced.append(.written(write.ticket))
        case .fetch(let fetch):
            post(.fetched(fetch, try log.entries(from: fetch.from, byteLimit: fetch.byteLimit)))
        case .compact(let index):
            try settle(&log)
            try compact(&log, through: index)
        case .reset(let mark, let generation):
            try settle(&log)
            try log.reset(to: mark, generation: generation)
            shadowBase = mark.position
            shadowTerms = []
            syncedIndex = mark.position.index
            post(.logReset(mark, generation: generation))
        }
    }

    private func kept(_ entries: [Entry], _ last: LogIndex) -> [Entry] {
        mutation == .keepsDiscardedEntries ? entries.filter { $0.index > last } : entries
    }

    private func compact(
        _ log: inout WriteAheadLog<SimulatedDisk>, through index: LogIndex
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
        post(.compacted(log.state.base))
    }
}
