import NIOCore
import Rights
import Service
import Wire

/// Decides over queued writes (`/db/execute?queue`): in which order, in which batches, and when again.
///
/// - A write gets its sequence number when it has a place, and is carried out in the order of these
///   numbers. Without a place, by number or bytes, it waits for one, up to its time.
/// - A batch goes out when it is full, or when its first write has waited long enough. One is under way
///   at a time. Each of its writes is a request of its own, so that none depends on another's; with
///   `transaction` neighbours of one client's credential are one request.
/// - What the node did not take, or does not know the fate of, is asked again after a pause, until the
///   queue stops: a write may be carried out twice, but is not forgotten. Later batches wait for it.
/// - What the node did not end in its time may still be carried out, and each repetition is more work
///   for it: so a batch has twice the time whenever its time was too little.
/// - Who waits hears of the end of the own write alone.
///
/// A value without clock and node; times are since any fixed moment.
struct WriteQueueMachine: Sendable {
    /// Who wants an answer to one write, as the shell counts them.
    struct Client: Hashable, Sendable {
        let number: UInt64
    }

    /// A write as it comes in.
    struct Arrival: Sendable {
        var client: Client
        /// None: it only waits for those before it.
        var statements: [Statement]
        var credential: Credential
        /// As they came.
        var byteCount: Int
        /// The answer comes when it has been carried out.
        var waits: Bool
        /// When the client stops waiting.
        var deadline: Duration
        /// Whose it is: of writes that wait for a place each owner's have their turns. As
        /// `ClientAccount.number`; 0: nobody's.
        var owner = 0
    }

    /// What its client is told, once.
    enum Verdict: Equatable, Sendable {
        /// It will be carried out.
        case taken(sequence: UInt64)
        /// It was; the text says why all of it failed.
        case executed(sequence: UInt64, error: String?)
        /// It was not, and never will be.
        case refused(ServiceError)
        /// It still will be.
        case waitedTooLong
        /// There was no place for it in its time: it will not be.
        case full
        /// Its place is lost with the queue: it was not, or nobody knows.
        case stopped
    }

    /// A request to the node: so many writes of the batch together.
    struct Submission: Equatable, Sendable {
        let id: UInt64
        let command: Command
        let credential: Credential
        /// How long the node has for it.
        let timeout: Duration
    }

    /// How one ended.
    enum Outcome: Sendable {
        case executed(error: String?)
        /// It will never be carried out.
        case refused(ServiceError)
        /// It was not carried out, or nobody knows.
        case again
        /// Its time was too little: the node may still be at it.
        case late
    }

    enum Effect: Equatable, Sendable {
        case submit([Submission])
        case answer(Client, Verdict)
    }

    private struct Write {
        let sequence: UInt64
        let arrival: Arrival
        let arrivedAt: Duration
    }

    private struct Batch {
        /// By the IDs of their requests, in order.
        var open: [(id: UInt64, writes: [Write])]
        /// To be asked again.
        var failed: [Write] = []
        /// How long the node has for each request.
        var patience: Duration
        /// That was too little for one of them.
        var isLate = false
        /// Without statements: done when all others are.
        let empty: [Write]
        let last: UInt64
        /// Nil: the node is at it.
        var againAt: Duration?
    }

    /// What the counters show.
    struct Counts: Equatable, Sendable {
        var statementsIn = 0
        var statementsOut = 0
        var batches = 0
        var byTimer = 0
        var again = 0
    }

    let settings: WriteQueueSettings
    private(set) var counts = Counts()
    /// Of the last write that got a place.
    private(set) var lastSequence: UInt64
    /// Every write through it has been carried out; 0 before the first.
    private(set) var completedSequence: UInt64 = 0

    // Not slices of arrays: these keep alive what was taken from their beginning.
    private var blocked = WaitingWrites()
    private var queue = CircularBuffer<Write>()
    private var queuedBytes = 0
    private var batch: Batch?
    /// Whoever waits for a write that has a place.
    private var waiting: [Client: Duration] = [:]
    /// Nobody in `waiting` or `blocked` waits in vain before. It is not looked for who was answered in
    /// time: that would be a walk over all of them for each write.
    private var firstDeadline: Duration?
    /// Whose time is over is not looked for before: that is a walk over all who wait.
    private var nextExpiry = Duration.zero
    private var lastID: UInt64 = 0
    /// Batches don't wait until they are full.
    private var isHurried = false
    private var isStopping = false
    private var effects: [Effect] = []

    /// - Parameter start: above the numbers of earlier runs.
    init(_ settings: WriteQueueSettings, start: UInt64) {
        self.settings = settings
        lastSequence = start
    }

    /// What is to be done since the last call, in order.
    mutating func takeEffects() -> [Effect] {
        defer { effects = [] }
        return effects
    }

    /// Nothing waits to be carried out.
    var isIdle: Bool { queue.isEmpty && batch == nil && blocked.isEmpty }

    /// Writes that wait for their batch, or for a place.
    var waitingCount: Int { queue.count + blocked.count }

    /// When `tick` is due, if nothing else happens; nil: never.
    var nextTick: Duration? {
        var due = hasClients ? firstDeadline.map { max($0, nextExpiry) } : nil
        func consider(_ time: Duration?) {
            if let time { due = min(due ?? time, time) }
        }
        consider(batch?.againAt)
        if batch == nil, settings.timeout > .zero {
            consider(queue.first.map { $0.arrivedAt + settings.timeout })
        }
        return due
    }

    private var hasClients: Bool { !waiting.isEmpty || !blocked.isEmpty }

    private mutating func note(_ deadline: Duration) {
        firstDeadline = hasClients ? min(firstDeadline ?? deadline, deadline) : deadline
    }

    // MARK: Writes

    mutating func put(_ arrival: Arrival, at now: Duration) {
        guard !isStopping else { return effects.append(.answer(arrival.client, .stopped)) }
        if blocked.isEmpty, hasPlace(for: arrival) {
            admit(arrival, now)
            startIfDue(now)
        } else {
            note(arrival.deadline)
            blocked.append(arrival)
            startIfDue(now)
        }
    }

    private func hasPlace(for arrival: Arrival) -> Bool {
        guard queue.count < settings.capacity else { return false }
        // However large, it has one in a queue that is empty.
        return queue.isEmpty || queuedBytes + arrival.byteCount <= settings.capacityBytes
    }

    private mutating func admit(_ arrival: Arrival, _ now: Duration) {
        lastSequence += 1
        counts.statementsIn += arrival.statements.count
        queue.append(Write(sequence: lastSequence, arrival: arrival, arrivedAt: now))
        queuedBytes += arrival.byteCount
        if arrival.waits {
            note(arrival.deadline)
            waiting[arrival.client] = arrival.deadline
        } else {
            effects.append(.answer(arrival.client, .taken(sequence: lastSequence)))
        }
    }

    private mutating func admitBlocked(_ now: Duration) {
        while let next = blocked.first, hasPlace(for: next) {
            _ = blocked.popFirst()
            admit(next, now)
        }
    }

    // MARK: Batches

    private mutating func startIfDue(_ now: Duration) {
        guard batch == nil, let first = queue.first else { return }
        let isFull =
            queue.count >= settings.batchSize || queuedBytes >= settings.batchBytes
            || !blocked.isEmpty
        let isLate = settings.timeout > .zero && now >= first.arrivedAt + settings.timeout
        guard isFull || isLate || isHurried else { return }
        if !isFull, !isHurried { counts.byTimer += 1 }
        var writes: [Write] = []
        var bytes = 0
        while let next = queue.first, writes.count < settings.batchSize {
            guard writes.isEmpty || bytes + next.arrival.byteCount <= settings.batchBytes else {
                break
            }
            writes.append(queue.removeFirst())
            bytes += next.arrival.byteCount
        }
        queuedBytes -= bytes
        guard let last = writes.last?.sequence else { return }
        batch = Batch(
            open: [], patience: settings.patience,
            empty: writes.filter(\.arrival.statements.isEmpty), last: last)
        submit(writes.filter { !$0.arrival.statements.isEmpty }, now)
        admitBlocked(now)
    }

    private mutating func submit(_ writes: [Write], _ now: Duration) {
        let patience = batch?.patience ?? settings.patience
        var submissions: [Submission] = []
        var open: [(id: UInt64, writes: [Write])] = []
        for group in groups(writes) {
            lastID += 1
            open.append((lastID, group))
            let statements = group.flatMap(\.arrival.statements)
            submissions.append(
                Submission(
                    id: lastID,
                    command: Command(
                        kind: .execute, statements: statements,
                        transaction: settings.isTransaction),
                    credential: group[0].arrival.credential, timeout: patience))
        }
        batch?.open = open
        batch?.failed = []
        batch?.againAt = nil
        if submissions.isEmpty {
            endBatch(now)
        } else {
            effects.append(.submit(submissions))
        }
    }

    /// Those that are one request.
    private func groups(_ writes: [Write]) -> [[Write]] {
        guard settings.isTransaction else { return writes.map { [$0] } }
        return writes.reduce(into: []) { groups, write in
            let credential = groups.last?.first?.arrival.credential
            if credential == write.arrival.credential {
                groups[groups.count - 1].append(write)
            } else {
                groups.append([write])
            }
        }
    }

    /// Whether the node still owes its word on a request.
    func awaits(_ id: UInt64) -> Bool { batch?.open.contains { $0.id == id } ?? false }

    /// The node's word on a request. Unknown ones are passed over.
    mutating func finished(_ id: UInt64, _ outcome: Outcome, at now: Duration) {
        guard let place = batch?.open.firstIndex(where: { $0.id == id }),
            let writes = batch?.open.remove(at: place).writes
        else { return }
        switch outcome {
        case .executed(let error):
            for write in writes {
                counts.statementsOut += write.arrival.statements.count
                let verdict = Verdict.executed(sequence: write.sequence, error: error)
                tell(write, verdict)
            }
        case .refused(let error):
            for write in writes {
                counts.statementsOut += write.arrival.statements.count
                tell(write, .refused(error))
            }
        case .again, .late:
            counts.again += 1
            batch?.failed.append(contentsOf: writes)
            if case .late = outcome { batch?.isLate = true }
        }
        endBatch(now)
    }

    /// If the node is at none of its writes.
    private mutating func endBatch(_ now: Duration) {
        guard let batch, batch.open.isEmpty else { return }
        guard batch.failed.isEmpty else {
            guard !isStopping else { return giveUp() }
            self.batch?.failed.sort { $0.sequence < $1.sequence }
            self.batch?.againAt = now + settings.pause
            if batch.isLate {
                self.batch?.patience = min(batch.patience * 2, settings.longestPatience)
                self.batch?.isLate = false
            }
            return
        }
        for write in batch.empty {
            tell(write, .executed(sequence: write.sequence, error: nil))
        }
        counts.batches += 1
        completedSequence = batch.last
        self.batch = nil
        startIfDue(now)
    }

    private mutating func tell(_ write: Write, _ verdict: Verdict) {
        guard waiting.removeValue(forKey: write.arrival.client) != nil else { return }
        effects.append(.answer(write.arrival.client, verdict))
    }

    // MARK: Time

    /// Times have passed, or may have.
    mutating func tick(at now: Duration) {
        if let first = firstDeadline, max(first, nextExpiry) <= now { expire(now) }
        if let batch, let again = batch.againAt, again <= now { submit(batch.failed, now) }
        startIfDue(now)
    }

    private mutating func expire(_ now: Duration) {
        // In the order of their clients, for a dictionary has none.
        let late = waiting.filter { $0.value <= now }.keys.sorted { $0.number < $1.number }
        for client in late {
            waiting[client] = nil
            effects.append(.answer(client, .waitedTooLong))
        }
        for write in blocked.removeLate(at: now) {
            effects.append(.answer(write.client, .full))
        }
        firstDeadline = [waiting.values.min(), blocked.firstDeadline].compactMap(\.self).min()
        nextExpiry = now + Self.expiryPause
    }

    /// Thousands may wait, each for a time of its own.
    private static let expiryPause = Duration.milliseconds(10)

    // MARK: The end

    /// Writes are still taken, and go out at once from now on.
    mutating func hurry(at now: Duration) {
        isHurried = true
        startIfDue(now)
    }

    /// What has a place goes out at once and is asked for once more at most; nothing new is taken.
    mutating func stop(at now: Duration) {
        guard !isStopping else { return }
        isStopping = true
        isHurried = true
        for write in blocked.removeAll() { effects.append(.answer(write.client, .stopped)) }
        if let batch, batch.againAt != nil { submit(batch.failed, now) }
        startIfDue(now)
    }

    /// What is left is dropped.
    mutating func giveUp() {
        isStopping = true
        for write in blocked.removeAll() { effects.append(.answer(write.client, .stopped)) }
        let left =
            (batch?.open.flatMap(\.writes) ?? []) + (batch?.failed ?? []) + (batch?.empty ?? [])
            + Array(queue)
        batch = nil
        queue = []
        queuedBytes = 0
        for write in left { tell(write, .stopped) }
    }
}
