import Chance
import NodeLogic
import Raft
import Replication
import Time
import WriteAheadLog

/// The log's thread: carries out what `LogKeeper` decides. A sync takes its time; the rest happens
/// at once.
extension SimulatedNode {
    func begin(_ work: LogWork) {
        if case .write(let write) = work { note(write) }
        logKeeper.post(work)
        guard logWait != nil, !isLogBusy else { return }
        isLogBusy = true
        output.append(.after(random.within(0...1), .logWakes))
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

    static var hangStep: Int { 20 }

    /// Something was posted.
    func logWakes() {
        guard !isDiskHung else { return output.append(.after(Self.hangStep, .logWakes)) }
        isLogBusy = false
        guard logWait != nil else { return }
        logKeeper.woke(isQuiet: false)
        advanceLog()
    }

    /// The time of a sleep is over, if it was not disturbed.
    func logSlept(_ wait: Int) {
        guard logWait == wait, !isLogBusy else { return }
        guard !isDiskHung else { return output.append(.after(Self.hangStep, .logSlept(wait))) }
        logKeeper.woke(isQuiet: true)
        advanceLog()
    }

    func logSynced() {
        guard !isDiskHung else { return output.append(.after(Self.hangStep, .logSynced)) }
        isLogBusy = false
        perform(.sync)
        advanceLog()
    }

    /// As far as it goes without waiting.
    private func advanceLog() {
        logWait = nil
        while log != nil {
            let step = logKeeper.next()
            switch step {
            case .wait(let limit):
                lastLogWait += 1
                logWait = lastLogWait
                guard let limit else { return }
                return output.append(.after(Self.milliseconds(limit), .logSlept(lastLogWait)))
            case .sync:
                isLogBusy = true
                return output.append(.after(random.within(syncDelay), .logSynced))
            case .report(let reports): for report in reports { self.report(report) }
            case .fail(let error): return end(error)
            case .end: return
            case .append, .fetch, .compact, .reset, .markClean: perform(step)
            }
        }
    }

    private func report(_ report: LogReport) {
        switch report {
        // It was said before.
        case .written where mutation == .answersBeforeSync: return
        case .full where mutation == .leadsWithoutDisk: return
        case .compacted: counts.compactions += 1
        default: break
        }
        post(.log(report))
    }

    private func perform(_ step: LogStep) {
        guard var log = log.take() else { return }
        switch step {
        case .append(var batch, let report) where mutation == .keepsDiscardedEntries:
            batch.entries.removeAll { $0.index <= log.state.lastIndex }
            logKeeper.perform(.append(batch, then: report), on: &log)
        default: logKeeper.perform(step, on: &log)
        }
        note(step, log.state)
        self.log = consume log
    }

    /// What is on the disk now, for the invariants.
    private func note(_ step: LogStep, _ state: LogState) {
        switch step {
        case .sync:
            guard !logKeeper.hasFailed else { return }
            syncedTerm = state.hardState.term
            syncedHardState = state.hardState
            syncedIndex = state.lastIndex
        case .fetch: counts.logFetches += 1
        case .reset(let mark, _):
            guard state.base == mark.position else { return }
            shadowBase = mark.position
            shadowTerms = []
            syncedIndex = mark.position.index
        case .markClean: counts.marks += 1
        default: break
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

    /// The process is asked to end: the log does what was posted, and marks itself clean.
    /// - Returns: whether it could.
    func finishLog() -> Bool {
        logKeeper.stop()
        if logWait != nil { logKeeper.woke(isQuiet: false) }
        while log != nil {
            let step = logKeeper.next()
            switch step {
            case .end: return true
            case .fail, .wait: return false
            case .report(let reports): for report in reports { self.report(report) }
            default: perform(step)
            }
        }
        return false
    }
}
