package import Raft
import Replication
package import WriteAheadLog

/// Decides what the log's thread does, in which order, and what it says of it:
///
/// - all that waits when the thread wakes becomes durable with one sync, and is reported after it;
/// - compactions and resets come behind a sync of all that was written before;
/// - without room, or a descriptor, the write that failed is tried again after a pause, until the
///   node stops: nothing that depends on it is said before it is done. What was written before is
///   made durable and reported first, then the machine is told. Compactions overtake the write that
///   waits, for they make room; one that finds none itself is given up, for the machine proposes it
///   again (`ReplicationSettings.compactionRetryTicks`). So do reads: what is in the log already may have to be applied
///   before a compaction can come;
/// - a log that was quiet for `quietTime` is marked clean, so that the next start can tell damage
///   from a write that never finished. A mark that finds no room is left out;
/// - every other error is fatal: what the log holds is unknown then.
///
/// A value without a clock or a disk. Whoever drives it asks `next()`, does what it says, tells what
/// came of it by one call, and asks again.
package struct LogKeeper: Sendable {
    /// After so long without work the log is marked clean.
    package static let quietTime = Duration.seconds(1)
    /// Between two attempts to write to a full disk.
    package static let fullDiskPause = Duration.milliseconds(200)

    /// Posted and not done, in order. While the disk is full the first is what is tried again.
    private var backlog: ArraySlice<LogWork> = []
    /// To be reported once a sync has covered what they speak of.
    private var unsynced: [LogReport] = []
    /// To be reported now.
    private var due: [LogReport] = []
    /// Compactions that overtake a write that waits for room, oldest first.
    private var urgent: [LogIndex] = []
    /// A read that overtakes a write that waits for room.
    private var reading: Effects.LogFetch?
    /// It is handed out.
    private var isReading = false
    /// It found no descriptor: the write has its turn before the next attempt.
    private var mustWrite = false
    /// The disk had no room at the last attempt.
    package private(set) var isFull = false
    /// The machine does not know yet that there is no room.
    private var mustTell = false
    /// The next attempt on a full disk comes after a pause.
    private var mustPause = false
    /// Nothing was written since the log was marked clean, or that was tried.
    private var isMarked = false
    /// The log was quiet: the mark is the next step.
    private var mustMark = false
    /// The node stops when the backlog is done.
    private var isStopping = false
    private var failure: LogError?

    package init() {}

    /// The log can't be used any more.
    package var hasFailed: Bool { failure != nil }

    // MARK: What happens

    /// Work for the log, in order.
    package mutating func post(_ work: LogWork) {
        guard !isStopping else { return }
        backlog.append(work)
    }

    /// The node stops: what was posted is done first, but a write that finds no room is given up.
    package mutating func stop() { isStopping = true }

    /// A `wait` is over: its time has passed, or something was posted.
    /// - Parameter isQuiet: nothing was posted.
    package mutating func woke(isQuiet: Bool) {
        if isFull { mustPause = false }
        if isQuiet, backlog.isEmpty, !isMarked { mustMark = true }
    }

    /// Something was written past the keeper, as a start does before the node runs.
    package mutating func wrotePastIt() { isMarked = false }

    // MARK: What to do

    /// Each step but `wait`, `report`, `fail` and `end` must be answered before the next is asked for.
    package mutating func next() -> LogStep {
        if let failure { return .fail(failure) }
        if !due.isEmpty {
            defer { due = [] }
            return .report(due)
        }
        if isFull { return nextWithoutRoom() }
        guard let work = backlog.first else { return nextWhenIdle() }
        return step(work)
    }

    private mutating func nextWhenIdle() -> LogStep {
        if !unsynced.isEmpty { return .sync }
        if mustMark { return .markClean }
        guard isStopping else { return .wait(isMarked ? nil : Self.quietTime) }
        return isMarked ? .end : .markClean
    }

    private mutating func nextWithoutRoom() -> LogStep {
        if !unsynced.isEmpty { return .sync }
        if mustTell {
            mustTell = false
            return .report([.full(true)])
        }
        for place in backlog.indices.dropFirst().reversed() {
            guard case .compact(let index) = backlog[place] else { continue }
            backlog.remove(at: place)
            urgent.insert(index, at: 0)
        }
        if let index = urgent.first { return .compact(through: index) }
        guard !isStopping else {
            backlog = []
            reading = nil
            isFull = false
            mustTell = false
            return nextWhenIdle()
        }
        if mustPause { return .wait(Self.fullDiskPause) }
        if !mustWrite {
            if reading == nil { takeRead() }
            isReading = reading != nil
            if let reading { return .fetch(reading) }
        }
        mustWrite = false
        guard let work = backlog.first else { return .wait(Self.fullDiskPause) }
        return step(work)
    }

    /// Takes out the first read behind what waits. Not behind a reset: what is asked for stands in another log then.
    private mutating func takeRead() {
        for place in backlog.indices {
            switch backlog[place] {
            case .reset: return
            case .fetch(let fetch) where place > backlog.startIndex:
                backlog.remove(at: place)
                reading = fetch
                return
            case .write, .record, .fetch, .compact: break
            }
        }
    }

    private func step(_ work: LogWork) -> LogStep {
        switch work {
        case .write(let write):
            return .append(
                LogBatch(
                    hardState: write.hardState, entries: write.entries,
                    commitIndex: write.commitIndex), then: .written(write.ticket))
        case .record(let records, let id):
            return .append(LogBatch(records: records), then: .recorded(id))
        case .fetch(let fetch): return .fetch(fetch)
        case .compact(let index): return unsynced.isEmpty ? .compact(through: index) : .sync
        case .reset(let mark, let generation):
            return unsynced.isEmpty ? .reset(mark, generation) : .sync
        }
    }

    // MARK: What came of it

    /// The batch of `append` is written, with its report.
    package mutating func appended(_ report: LogReport) {
        unsynced.append(report)
        isMarked = false
        finish()
    }

    /// What `fetch` found.
    package mutating func fetched(_ entries: [Entry], for fetch: Effects.LogFetch) {
        due.append(.fetched(fetch, entries))
        guard !isReading else {
            (reading, isReading) = (nil, false)
            return
        }
        finish()
    }

    /// The log stands at the mark.
    package mutating func reset(_ mark: SnapshotMark, _ generation: Generation) {
        due.append(.reset(mark, generation))
        isMarked = false
        finish()
    }

    /// All that was written is durable.
    package mutating func synced() {
        due += unsynced
        unsynced.removeAll(keepingCapacity: true)
    }

    /// Where the log begins after `compact`, whether or not that moved it.
    /// - Parameter error: why it did not; one that may pass is none, for the machine tries again.
    package mutating func compacted(_ base: LogPosition, _ error: LogError?) {
        if let error, error.isFatal { return failed(error) }
        due.append(.compacted(base))
        isMarked = false
        if urgent.isEmpty {
            dropFirst()
        } else {
            urgent.removeFirst()
        }
    }

    /// The mark stands, or finds no room.
    package mutating func marked() {
        isMarked = true
        mustMark = false
    }

    /// The step failed.
    package mutating func failed(_ error: LogError) {
        guard !error.isFatal else {
            failure = error
            return
        }
        mustPause = true
        (mustWrite, isReading) = (isReading, false)
        guard !isFull else { return }
        isFull = true
        mustTell = true
    }

    /// The first of the backlog is done.
    private mutating func finish() {
        dropFirst()
        guard isFull else { return }
        isFull = false
        mustPause = false
        mustWrite = false
        if let reading { backlog.insert(.fetch(reading), at: backlog.startIndex) }
        reading = nil
        due.append(.full(false))
    }

    /// An empty slice would keep alive what it held.
    private mutating func dropFirst() {
        backlog = backlog.count > 1 ? backlog.dropFirst() : []
    }
}
