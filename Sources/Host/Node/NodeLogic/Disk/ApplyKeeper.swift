package import Raft
import Replication
import Service
package import Time
package import Wire

/// Decides what the database's thread does, in which order, and what it says of it:
///
/// - without room a batch is tried again after a pause, until the node stops. Those who wait for its
///   results are told when their time is up; their writes take effect all the same. What may make room
///   overtakes it: replaced and unwanted files go, a hold that is over ends, and a checkpoint lets SQLite
///   write its log from the front again, and the Raft log get shorter. For a snapshot it is given up;
/// - a checkpoint comes when SQLite's log has outgrown its bound, or when a restart would have to
///   apply too many entries and the last one is long enough ago; and once when the node stops. One
///   that finds no room can wait. As long as SQLite's log has outgrown its bound by far, writes wait now and then
///   for reads: with some in flight at all times no checkpoint would ever be complete;
/// - a snapshot that is being sent holds the main file: past a bound of SQLite's log it is given up, and past a
///   lesser one where a batch waits for room, for that log can't start over meanwhile;
/// - readers that hold a checkpoint back past a bound are named to the machine. So are those that keep a
///   snapshot from being begun again and again: a read must not keep a member away for long;
/// - one generation is live. A received snapshot becomes the next one's file; those before it
///   are deleted after the first checkpoint of the new, when no reader opens them any more;
/// - an entry that must not be applied ends its batch: the machine is told which and why, and hands
///   the rest out again when somebody has decided;
/// - damage that a batch meets is told to the machine, and nothing more is applied to the database;
/// - every other failure but a full disk is fatal.
///
/// A value without a clock or a database. Whoever drives it asks `next()`, does what it says, tells
/// what came of it by one call, and asks again.
package struct ApplyKeeper: Sendable {
    /// Bounds, fixed for a run.
    package struct Limits: Sendable {
        /// Bytes of SQLite's log past which it is checkpointed.
        package var checkpointBytes: Int64
        /// Entries since the last checkpoint from which on one is due …
        package var checkpointEntries: Int
        /// … if the last one is as long ago as this.
        package var checkpointInterval: Duration
        /// How large SQLite's log may grow for the sake of a snapshot that is being sent.
        package var holdBytes: Int64
        /// Which rules are kept: all, unless a simulation breaks one.
        package var rules = RuleBook()

        package init(
            checkpointBytes: Int64, checkpointEntries: Int, checkpointInterval: Duration,
            holdBytes: Int64
        ) {
            self.checkpointBytes = checkpointBytes
            self.checkpointEntries = checkpointEntries
            self.checkpointInterval = checkpointInterval
            self.holdBytes = holdBytes
        }
    }

    /// Between two attempts to write to a full disk.
    package static let fullDiskPause = Duration.milliseconds(200)
    /// Attempts to open a database that a snapshot brings, with that pause between two.
    private static let mostSwitches = 150
    /// How far beyond its bound SQLite's log is when writes wait for reads so that it can start over …
    private static let outgrownBytes: Int64 = 64 << 20
    /// … and how long, for each time that it has grown by as much; at most eight times as long, and a fifth of
    /// the time.
    private static let leastPatience = Duration.milliseconds(250)
    /// The next wait begins so many times as long after the begin of the one before, and each time that it was in
    /// vain twice as long …
    private static let pausesPerWait = 5
    /// … up to so often.
    private static let mostWaitsInVain = 4
    /// What is written while a file is held may be one part in so many of it, where that is more than the bound.
    private static let heldShare: Int64 = 8
    /// … and where a batch waits for room no more than this, or the bound, if that is less.
    private static let heldBytesWithoutRoom: Int64 = 256 << 20
    /// Attempts to begin a snapshot, about a second apart, from which on each that readers hold back names them.
    private static let patientOpenings = 10

    private let limits: Limits
    /// The file that counts.
    package private(set) var generation: Generation
    /// The files before it, until they are deleted.
    private var replaced: [Generation] = []
    /// Snapshots for which the live file is held.
    private var held: [SnapshotSendID] = []
    /// How large that was when it was held last.
    private var heldBytes: Int64 = 0
    /// Of SQLite's log, as of the last batch that was applied.
    private var lastWalBytes: Int64 = 0
    private var lastCheckpoint: LogIndex
    private var lastCheckpointTime: MonotonicTime
    /// The checkpoint that is handed out was asked for.
    private var isCheckpointAsked = false
    /// The checkpoint that is handed out comes because SQLite's log has outgrown its bound.
    package private(set) var isForSize = false
    /// How long the checkpoint that is handed out waits for reads.
    package private(set) var patience = Duration.zero
    /// When one waited for them last, and how long at most.
    private var lastWait = (since: MonotonicTime.zero, patience: Duration.zero)
    /// How often in a row that was in vain: some read lasts longer.
    private var waitsInVain = 0
    /// How often readers held back a snapshot's beginning since the last checkpoint that came to its end.
    private var openingsHeldBack = 0
    /// What that covers.
    private var covered = LogIndex.zero

    /// Posted and not done, in order.
    private var backlog: ArraySlice<DatabaseWork> = []
    /// Steps that come before the backlog.
    private var due: [ApplyStep] = []
    /// The batch that found no room, with those who still wait for it.
    private var waiting: (entries: [Entry], answers: [AppliedAnswer])?
    /// What of it is applied all the same.
    private var appliedOfWaiting = LogIndex.zero
    /// The next attempt comes after a pause.
    private var mustPause = false
    /// So does whatever comes next: the database could not be opened.
    private var mustRest = false
    /// How often in a row.
    private var switchesInVain = 0
    private var isFull = false
    /// One may make room, and none was tried since the last attempt.
    private var mayCheckpoint = false
    /// The limits on writes that the machine knows.
    private var limitsOnWrites: WriteLimits?
    private var isStopping = false
    private var hasEnded = false
    private var failure: String?

    /// - Parameter applied: what the database holds when it was opened.
    package init(
        _ limits: Limits, generation: Generation, applied: LogIndex, now: MonotonicTime
    ) {
        self.limits = limits
        self.generation = generation
        lastCheckpoint = applied
        lastCheckpointTime = now
    }

    // MARK: What happens

    /// Work for the database, in order.
    package mutating func post(_ work: DatabaseWork) {
        guard !isStopping else { return }
        backlog.append(work)
    }

    /// The node stops: what was posted is done first, but a batch that finds no room is given up.
    package mutating func stop() { isStopping = true }

    /// A `wait` is over: its time has passed, or something was posted.
    package mutating func woke(at now: MonotonicTime) {
        mustPause = false
        mustRest = false
        guard let waiting else { return }
        let late = waiting.answers.filter { $0.deadline <= now }
        guard !late.isEmpty else { return }
        self.waiting?.answers.removeAll { $0.deadline <= now }
        due.append(
            .answer(
                late.map {
                    ClientAnswer($0.key, .failed(.timedOut(waitingFor: "room on the disk")))
                }))
    }

    // MARK: What to do

    /// A batch waits for room: what is done now should give some back.
    package var lacksRoom: Bool { isFull }

    /// How long the checkpoint that a snapshot begins with waits for reads: the first attempt takes what comes.
    package var openingPatience: Duration { openingsHeldBack > 0 ? Self.leastPatience : .zero }

    /// What to do now.
    package mutating func next() -> ApplyStep {
        if let failure { return .fail(failure) }
        if !due.isEmpty { return due.removeFirst() }
        if mustRest, !isStopping { return .wait(Self.fullDiskPause) }
        if let waiting, !isStopping {
            if isFull, let step = stepForRoom() { return step }
            return mustPause
                ? .wait(Self.fullDiskPause) : .apply(waiting.entries, waiting.answers)
        }
        if waiting == nil, let work = backlog.first {
            // An empty slice would keep alive what it held.
            backlog = backlog.count > 1 ? backlog.dropFirst() : []
            return step(work)
        }
        guard isStopping else { return .wait(nil) }
        guard !hasEnded else { return .end }
        // So that the next start has little to apply again.
        hasEnded = true
        return .checkpoint
    }

    /// What may make room for the batch that waits for it; nil if nothing is left to do. No transaction is
    /// open between two attempts, so that a checkpoint covers what it says.
    private mutating func stepForRoom() -> ApplyStep? {
        if !replaced.isEmpty { return .removeReplaced(replaced.removeFirst()) }
        let place = backlog.firstIndex { work in
            switch work {
            case .giveUpBatch, .closeSnapshot, .discard, .checkpoint: true
            default: false
            }
        }
        if let place { return step(backlog.remove(at: place)) }
        guard mayCheckpoint else { return nil }
        mayCheckpoint = false
        return .checkpoint
    }

    private mutating func step(_ work: DatabaseWork) -> ApplyStep {
        switch work {
        case .apply(let entries, let answers):
            waiting = (entries, answers)
            return .apply(entries, answers)
        case .giveUpBatch: return giveUp()
        case .decide(let skips): return .decide(skips)
        case .tryAgain: return .tryAgain
        case .establish(let cluster, let membership): return .establish(cluster, membership)
        case .openSnapshot(let id): return .openSnapshot(id)
        case .closeSnapshot(let id): return .closeSnapshot(id, isHeld: held.contains(id))
        case .prepare(let id, let mark): return .prepare(id, mark, as: generation.next)
        case .switchTo(let generation, let mark): return .switchTo(generation, mark)
        case .discard(let id): return .discard(id)
        case .checkpoint:
            isCheckpointAsked = true
            return .checkpoint
        }
    }

    private mutating func giveUp() -> ApplyStep {
        // It came to its end meanwhile.
        guard let batch = waiting else { return next() }
        leave(batch.answers, waitingFor: "room on the disk")
        let reached = reached(appliedOfWaiting)
        due.append(.report(endBatch() + [.gaveUp(after: reached)]))
        return due.removeFirst()
    }

    // MARK: What came of it

    /// All of the batch is committed.
    /// - Parameter walBytes: of SQLite's log, as of the last commit.
    package mutating func applied(
        through index: LogIndex, walBytes: Int64, at now: MonotonicTime
    ) {
        due.append(.report(endBatch() + [.applied(through: index)]))
        lastWalBytes = walBytes
        if mustCheckpoint(index, walBytes, now) {
            lastCheckpoint = index
            lastCheckpointTime = now
            patience = patienceNow(walBytes, now)
            isForSize = walBytes > limits.checkpointBytes
            due.append(.checkpoint)
        }
        // What is written while a snapshot is sent can't be checkpointed.
        let bound = max(limits.holdBytes, heldBytes / Self.heldShare)
        guard walBytes > bound, !held.isEmpty else { return }
        due.append(.report(held.map { .holdOutgrown($0) }))
    }

    /// The batch came to nothing, or not to its end.
    /// - Parameters:
    ///   - index: the last that is applied.
    ///   - answers: those that were not given; whether what they wait for takes effect is open.
    package mutating func stopped(
        _ trouble: DatabaseTrouble, after index: LogIndex, _ answers: [AppliedAnswer]
    ) {
        switch trouble {
        case .noRoom:
            appliedOfWaiting = index
            noRoom(answers)
        case .halted(let cause):
            leave(answers, waitingFor: "this node to apply its log again")
            let reached = reached(index)
            due.append(.report(endBatch() + [.halted(cause, after: reached)]))
        case .damaged(let cause):
            leave(answers, waitingFor: "a database that is not damaged")
            let reached = reached(index)
            due.append(.report(endBatch() + [.damaged(cause, after: reached)]))
        case .failed: failed(trouble)
        }
    }

    /// What stands before the batch is applied.
    private func reached(_ index: LogIndex) -> LogIndex {
        max(waiting?.entries.first?.index.previous ?? .zero, index)
    }

    private mutating func noRoom(_ answers: [AppliedAnswer]) {
        waiting?.answers = answers
        mustPause = true
        mayCheckpoint = true
        guard !isFull else { return }
        isFull = true
        var reports: [DatabaseReport] = [.full(true)]
        // It may be what fills the disk, and the transfer hours from its end.
        if lastWalBytes > min(limits.holdBytes, Self.heldBytesWithoutRoom) {
            reports += held.map { DatabaseReport.holdOutgrown($0) }
        }
        due.append(.report(reports))
    }

    private mutating func leave(_ answers: [AppliedAnswer], waitingFor what: String) {
        guard !answers.isEmpty else { return }
        let outcome = Outcome.failed(.timedOut(waitingFor: what))
        due.append(.answer(answers.map { ClientAnswer($0.key, outcome) }))
    }

    private mutating func endBatch() -> [DatabaseReport] {
        waiting = nil
        guard isFull else { return [] }
        isFull = false
        return [.full(false)]
    }

    /// What the database says of the limits on writes: when it is opened, and before each `applied` or
    /// `stopped`.
    package mutating func limited(to limits: WriteLimits) {
        guard limits != limitsOnWrites else { return }
        limitsOnWrites = limits
        due.append(.report([.limits(limits)]))
    }

    private func mustCheckpoint(
        _ index: LogIndex, _ walBytes: Int64, _ now: MonotonicTime
    ) -> Bool {
        if walBytes > limits.checkpointBytes { return true }
        return index.distance(from: lastCheckpoint) >= limits.checkpointEntries
            && now - lastCheckpointTime >= limits.checkpointInterval
    }

    private mutating func patienceNow(_ walBytes: Int64, _ now: MonotonicTime) -> Duration {
        let outgrown = (walBytes - limits.checkpointBytes) / Self.outgrownBytes
        let pause = lastWait.patience * (Self.pausesPerWait << waitsInVain)
        // While a file is held no checkpoint does anything, and none waits.
        guard outgrown > 0, held.isEmpty, now >= lastWait.since + pause else { return .zero }
        lastWait = (now, Self.leastPatience * Int(min(outgrown, 8)))
        return lastWait.patience
    }

    /// The database knows its cluster.
    package mutating func established() { due.append(.report([.established])) }

    /// - Parameters:
    ///   - index: through which the main file holds everything, durably, by the last checkpoint that
    ///     came to its end.
    ///   - isHeldBack: readers keep SQLite's log past the bound at which the oldest is ended.
    package mutating func checkpointed(through index: LogIndex, isHeldBack: Bool) {
        due += replaced.map { ApplyStep.removeReplaced($0) }
        replaced = []
        due.append(.report([.checkpointed(through: index)]))
        if patience > .zero {
            waitsInVain = index > covered ? 0 : min(waitsInVain + 1, Self.mostWaitsInVain)
        }
        if index > covered {
            covered = index
            openingsHeldBack = 0
        }
        checkpointEnded(index)
        if isHeldBack { due.append(.report([.readersHoldCheckpoint])) }
    }

    /// The checkpoint came to nothing. Without room it can wait: what must be written anyway meets the
    /// full disk itself.
    package mutating func notCheckpointed(_ trouble: DatabaseTrouble) {
        guard trouble == .noRoom else { return failed(trouble) }
        checkpointEnded(nil)
    }

    private mutating func checkpointEnded(_ index: LogIndex?) {
        patience = .zero
        isForSize = false
        guard isCheckpointAsked else { return }
        isCheckpointAsked = false
        due.append(.report([.checkpointEnded(through: index)]))
    }

    /// The main file is held for a snapshot, or why it is not.
    /// - Parameter result: nil if readers hold back the checkpoint that must come first.
    package mutating func opened(
        _ id: SnapshotSendID,
        _ result: Result<(mark: SnapshotMark, byteCount: UInt64)?, DatabaseTrouble>
    ) {
        switch result {
        case .success(let file?):
            openingsHeldBack = 0
            held.append(id)
            heldBytes = Int64(clamping: file.byteCount)
            let opened = OpenedSnapshot(
                mark: file.mark, generation: generation, byteCount: file.byteCount)
            due.append(.report([.snapshotOpened(id, .success(opened))]))
        case .success(nil):
            refuse(id, "long-running reads hold back the checkpoint")
            openingsHeldBack += 1
            if openingsHeldBack >= Self.patientOpenings {
                due.append(.report([.readersHoldCheckpoint]))
            }
        case .failure(.noRoom): refuse(id, "\(DatabaseTrouble.noRoom)")
        case .failure(let trouble): failed(trouble)
        }
    }

    /// The main file can't be opened once more to be read from, as where no descriptor is left. Another time it may
    /// be, and nothing else depends on it.
    package mutating func notOpened(_ id: SnapshotSendID, cause: String) { refuse(id, cause) }

    private mutating func refuse(_ id: SnapshotSendID, _ cause: String) {
        due.append(.report([.snapshotOpened(id, .failure(.init(cause)))]))
    }

    /// The snapshot is forgotten.
    package mutating func closed(_ id: SnapshotSendID) {
        if let place = held.firstIndex(of: id) { held.remove(at: place) }
        mayCheckpoint = true
    }

    /// The received snapshot is a file of the generation, or why it is not: nothing counts on it yet.
    package mutating func prepared(
        _ mark: SnapshotMark, _ result: Result<Generation, DatabaseReport.Failure>
    ) {
        if limits.rules.breaks(.deletesBeforeDurable), case .success = result {
            due.append(.removeReplaced(generation))
        }
        due.append(.report([.prepared(mark, result)]))
    }

    /// The live database is the generation's.
    package mutating func switched(to generation: Generation, _ mark: SnapshotMark) {
        switchesInVain = 0
        replaced.append(self.generation)
        self.generation = generation
        // A snapshot of the generation before is none of the present file's.
        held = []
        due.append(.report(endBatch() + [.switched(mark, generation)]))
    }

    /// The generation's file could not be opened, as where no descriptor is left. The log names it already, so
    /// nothing else can be done before it is.
    /// - Parameter lacksRoom: what opening it writes finds no room.
    /// - Returns: whether it is tried again: for half a minute, and for room as long as it takes. A node that stops leaves
    ///   it to the next start.
    package mutating func notSwitched(
        to generation: Generation, _ mark: SnapshotMark, lacksRoom: Bool = false
    ) -> Bool {
        guard !isStopping, lacksRoom || switchesInVain < Self.mostSwitches else { return false }
        if !lacksRoom {
            switchesInVain += 1
        } else if !isFull {
            isFull = true
            due.append(.report([.full(true)]))
        }
        backlog.insert(.switchTo(generation, mark), at: backlog.startIndex)
        mustRest = true
        return true
    }

    /// What failed can't be done again: the node must stop.
    package mutating func failed(_ trouble: DatabaseTrouble) {
        if failure == nil { failure = "\(trouble)" }
    }
}

extension ApplyKeeper.Limits {
    /// As the operator decided.
    package init(_ settings: MachineSettings) {
        self.init(
            checkpointBytes: Int64(settings.checkpointBytes),
            checkpointEntries: settings.replication.compactionThreshold,
            checkpointInterval: settings.checkpointInterval,
            holdBytes: Int64(settings.snapshotHoldBytes))
    }
}
