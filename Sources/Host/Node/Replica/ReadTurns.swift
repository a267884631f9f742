import Synchronization
import Threads

/// Which of the reads that take long may work now: a few at once, in turns, so that a thousand of them
/// leave a processor to what is short. A value: its owner locks, and wakes whom it names.
///
/// What does not come back when its turn is over, for it is caught in one long step or waits for a
/// disk, loses its place to the next, so that it keeps nobody waiting; it goes on beside it.
struct ReadTurns<Reader: AnyObject> {
    private struct Turn {
        let reader: Reader
        var end: ContinuousClock.Instant
        /// The reader knows of it. Else it does not run yet, and can't be late.
        var isSeen: Bool
    }

    /// How many work at once.
    private let places: Int
    /// How long a turn is while others wait.
    private let length: Duration
    /// How much longer it may last before the place is lost.
    private let patience: Duration
    private var turns: [Turn] = []
    /// In the order in which they came.
    private var waiting: [Reader] = []

    init(
        places: Int, length: Duration, patience: Duration = .milliseconds(40)
    ) {
        self.places = max(1, places)
        self.length = length
        self.patience = patience
        turns.reserveCapacity(self.places)
    }

    /// How many wait for their turn.
    var resting: Int { waiting.count }

    /// Whether it is its turn.
    func has(_ reader: Reader) -> Bool { turns.contains { $0.reader === reader } }

    /// For a reader that waits: whether its turn has come, which begins now then.
    mutating func begin(_ reader: Reader, at now: ContinuousClock.Instant) -> Bool {
        guard let place = turns.firstIndex(where: { $0.reader === reader }) else { return false }
        turns[place] = Turn(reader: reader, end: now + length, isSeen: true)
        return true
    }

    /// Asks for a turn, or to keep the one that it has; to be called again and again.
    /// - Returns: whose turn begins with that: `reader` may work, or another in its place, and then
    ///   it waits behind all others; nil: nobody's, it waits, or its own goes on.
    mutating func ask(_ reader: Reader, at now: ContinuousClock.Instant) -> Reader? {
        if let place = turns.firstIndex(where: { $0.reader === reader }) {
            turns[place].isSeen = true
            guard now >= turns[place].end else { return nil }
            guard !waiting.isEmpty else {
                turns[place].end = now + length
                return nil
            }
            turns.remove(at: place)
        }
        if !waiting.contains(where: { $0 === reader }) { waiting.append(reader) }
        return fill(at: now, asked: reader)
    }

    /// It works no longer, or wants no turn any more.
    /// - Returns: whose turn begins with that.
    mutating func leave(_ reader: Reader, at now: ContinuousClock.Instant) -> Reader? {
        if let place = turns.firstIndex(where: { $0.reader === reader }) {
            turns.remove(at: place)
        } else if let place = waiting.firstIndex(where: { $0 === reader }) {
            waiting.remove(at: place)
        }
        return fill(at: now)
    }

    /// Those whose turns begin in the places of such as are late.
    mutating func replaceLate(at now: ContinuousClock.Instant) -> [Reader] {
        var begun: [Reader] = []
        // A place that nobody wants is not lost.
        while !waiting.isEmpty, let place = turns.firstIndex(where: { isLate($0, at: now) }) {
            turns.remove(at: place)
            if let next = fill(at: now) { begun.append(next) }
        }
        return begun
    }

    private func isLate(_ turn: Turn, at now: ContinuousClock.Instant) -> Bool {
        turn.isSeen && now > turn.end + patience
    }

    private mutating func fill(at now: ContinuousClock.Instant, asked: Reader? = nil) -> Reader? {
        guard turns.count < places, !waiting.isEmpty else { return nil }
        let next = waiting.removeFirst()
        turns.append(Turn(reader: next, end: now + length, isSeen: next === asked))
        return next
    }
}

/// Lets the threads of readers take turns. Thread-safe.
///
/// Reads that wait for the disk take none of the processors meanwhile: they have places of their own,
/// more of them, so that a disk has as much to do at once as it can.
final class TurnBoard: Sendable {
    private struct State {
        var working: ReadTurns<ReaderSlot>
        var loading: ReadTurns<ReaderSlot>

        func has(_ slot: ReaderSlot) -> Bool { working.has(slot) || loading.has(slot) }

        mutating func begin(_ slot: ReaderSlot, at now: ContinuousClock.Instant) -> Bool {
            working.begin(slot, at: now) || loading.begin(slot, at: now)
        }

        /// - Returns: whose turns begin with that.
        mutating func leave(_ slot: ReaderSlot, at now: ContinuousClock.Instant) -> [ReaderSlot] {
            [working.leave(slot, at: now), loading.leave(slot, at: now)].compactMap { $0 }
        }

        mutating func ask(
            _ slot: ReaderSlot, loads: Bool, at now: ContinuousClock.Instant
        ) -> [ReaderSlot] {
            let begun = loads ? loading.ask(slot, at: now) : working.ask(slot, at: now)
            let left = loads ? working.leave(slot, at: now) : loading.leave(slot, at: now)
            return [begun, left].compactMap { $0 }
        }
    }

    private static var length: Duration { .milliseconds(10) }

    private let state: Mutex<State>
    private let blocksRead: @Sendable () -> Int

    /// - Parameters:
    ///   - places: how many work at once; four times as many wait for the disk.
    ///   - blocksRead: how much the calling thread has had read from a disk so far.
    init(places: Int, blocksRead: @escaping @Sendable () -> Int = CurrentThread.blocksRead) {
        state = Mutex(
            State(
                working: ReadTurns(places: places, length: Self.length),
                loading: ReadTurns(places: 4 * places, length: Self.length)))
        self.blocksRead = blocksRead
    }

    /// How many wait for their turn.
    var resting: Int { state.withLock { $0.working.resting + $0.loading.resting } }

    /// Waits for a turn, unless `slot` has one or its read must end; to be called when it `needsTurn`: the lock
    /// is one for all processors, and SQLite asks many times in a turn. On its thread, between two steps
    /// of SQLite: it holds nothing there that another reader waits for.
    func take(for slot: ReaderSlot) {
        let loads = slot.loads(blocksRead: blocksRead())
        let (begun, isMine) = state.withLock { state in
            slot.asksForTurns.store(true, ordering: .relaxed)
            let begun = state.ask(slot, loads: loads, at: .now)
            return (begun, state.has(slot))
        }
        for other in begun where other !== slot { other.wake() }
        if !isMine {
            while !state.withLock({ $0.begin(slot, at: .now) }) {
                if !slot.sleep() { return leave(slot) }
            }
        }
        slot.works(until: .now + Self.length)
    }

    /// It works no longer.
    func leave(_ slot: ReaderSlot) {
        // A short read has none, and no lock is taken for it.
        guard slot.asksForTurns.load(ordering: .relaxed) else { return }
        let begun = state.withLock { state in
            slot.asksForTurns.store(false, ordering: .relaxed)
            return state.leave(slot, at: .now)
        }
        slot.works(until: nil)
        for other in begun { other.wake() }
    }

    /// To be called now and then: those that don't come back keep nobody waiting.
    func replaceLate(at now: ContinuousClock.Instant) {
        let begun = state.withLock { state in
            state.working.replaceLate(at: now) + state.loading.replaceLate(at: now)
        }
        for slot in begun { slot.wake() }
    }
}
