package import Rights
import Synchronization
package import Telemetry
import Threads
import Time

/// Judges by a credentials file. What must be hashed to be compared is, one after the other, on a thread
/// of its own; a credential that was right is known again by its fingerprint until the file changes.
///
/// What waits for the thread is bounded by who asks: a connection of a client has one request at a time
/// that waits for a verdict, and a connection between nodes as many as it may have in flight. Addresses
/// take turns, so that one with many guesses holds up itself; and of one address the users of the file take
/// turns with each other and with all whom the file doesn't know, so that guesses at one user, or at names
/// that are none, don't hold up another user behind the same address. Of one user the connections take turns,
/// so that who guesses on some waits behind his own guesses, and not who is guessed at.
package final class CredentialJudge: RightsJudge {
    /// Takes a verdict that comes later.
    private struct Waiting {
        let need: RightsNeed
        let asker: Asker
        let later: @Sendable (Bool) -> Void
    }

    /// A credential that is to be looked at, and who waits for that.
    private struct Job {
        let credential: Credential
        let lane: Guesses.Lane
        /// From where it was shown first.
        let connection: String
        let due: MonotonicTime
        var waiting: [Waiting]
        /// At how many those are looked for that are gone.
        var sweepSize = Job.leastSweepSize

        private static let leastSweepSize = 4

        /// Somebody waits for it.
        var isWanted: Bool { !waiting.allSatisfy(\.asker.isGone) }

        /// What waits holds its connection, and clients may come and go while the job has not its turn.
        mutating func add(_ another: Waiting) {
            if waiting.count >= sweepSize {
                waiting.removeAll(where: \.asker.isGone)
                sweepSize = max(Self.leastSweepSize, 2 * waiting.count)
            }
            waiting.append(another)
        }
    }

    private struct State {
        var table: CredentialTable
        /// There may be so many of `jobs`.
        let mostJobs: Int
        /// Jobs that nobody waits for are not looked for before, where there are too many.
        var nextSweep = MonotonicTime.zero
        /// Of the table; grows with each change.
        var generation = 0
        /// Of entries, by whom a right credential is.
        var known: [Fingerprint: CredentialTable.Entry] = [:]
        var jobs: [Fingerprint: Job] = [:]
        /// How many of them were asked for from where.
        var jobsOfOrigins: [Guesses.Origin: Int] = [:]
        var guesses = Guesses()
        /// When an address last had its turn, when a lane, and when a connection.
        var served: [Guesses.Origin: MonotonicTime] = [:]
        var servedLanes: [Guesses.Lane: MonotonicTime] = [:]
        var servedConnections: [String: MonotonicTime] = [:]
        var isOver = false

        /// The least is next: that of the address, then of the lane, then of the connection, whose turn was
        /// longest ago.
        func place(
            of job: Job
        ) -> (MonotonicTime, MonotonicTime, MonotonicTime, MonotonicTime) {
            (
                served[job.lane.origin] ?? .zero, servedLanes[job.lane] ?? .zero,
                servedConnections[job.connection] ?? .zero, job.due
            )
        }

        /// Who was forgotten is served first once more.
        mutating func serve(_ job: Job, at now: MonotonicTime) {
            if served.count > 4096 { served = [:] }
            if servedLanes.count > 4096 { servedLanes = [:] }
            if servedConnections.count > 4096 { servedConnections = [:] }
            served[job.lane.origin] = now
            servedLanes[job.lane] = now
            servedConnections[job.connection] = now
        }

        /// Whether there is room for another job: those that nobody waits for any more make some. To look for
        /// them at each request would hold up all others.
        mutating func hasRoom(for origin: Guesses.Origin, at now: MonotonicTime) -> Bool {
            if isFree(for: origin) { return true }
            guard now >= nextSweep else { return false }
            nextSweep = now + .milliseconds(10)
            for (fingerprint, job) in jobs where !job.isWanted { end(fingerprint) }
            return isFree(for: origin)
        }

        /// From one address there are no more than there are places left: so there are always some for others.
        private func isFree(for origin: Guesses.Origin) -> Bool {
            jobsOfOrigins[origin] ?? 0 < mostJobs - jobs.count
        }

        mutating func begin(_ job: Job, _ fingerprint: Fingerprint) {
            jobs[fingerprint] = job
            jobsOfOrigins[job.lane.origin, default: 0] += 1
        }

        mutating func end(_ fingerprint: Fingerprint) {
            guard let origin = jobs.removeValue(forKey: fingerprint)?.lane.origin else { return }
            let left = (jobsOfOrigins[origin] ?? 1) - 1
            jobsOfOrigins[origin] = left > 0 ? left : nil
        }

        /// A hash may have several texts that it looks at in part, so even these are bounded.
        mutating func remember(_ entry: CredentialTable.Entry, _ fingerprint: Fingerprint) {
            if known.count >= 65_536 { known = [:] }
            known[fingerprint] = entry
        }
    }

    private enum Found {
        case verdict(Bool)
        case later
        case failed
        /// Too many wait already.
        case noRoom
    }

    private enum Wake: Sendable {
        case jobAdded
        case stop
    }

    private let state: Mutex<State>
    /// Only what the thread has to do wakes it: most requests are judged without it.
    private let wakes = Mailbox<Wake>()
    private let key = Fingerprint.Key()
    private let accepted: Counter
    private let refused: Counter
    private let log: RepeatLog

    /// - Parameters:
    ///   - repeats: which refusals are logged.
    ///   - mostJobs: credentials that may wait to be looked at; beyond, there is no room. As many as there may
    ///     be connections; of one address half of these.
    /// - Throws: `ThreadShortage`.
    package init(
        _ table: CredentialTable, metrics: MetricRegistry, logger: Logger,
        repeats: RepeatLimiter = RepeatLimiter(), mostJobs: Int = 16_384
    ) throws {
        state = Mutex(State(table: table, mostJobs: mostJobs))
        accepted = metrics.counter("http", "auth_ok")
        refused = metrics.counter("http", "auth_fail")
        log = RepeatLog(logger, limiter: repeats)
        try NamedThread("credentials") { [self] in work() }.detach()
    }

    /// Judges by another table from now on.
    package func replace(_ table: CredentialTable) {
        state.withLock { state in
            state.table = table
            state.generation += 1
            state.known = [:]
        }
    }

    /// As who this node speaks to others, see `CredentialTable.plainCredential`.
    package func plainCredential(of user: String) -> Credential? {
        state.withLock { $0.table.plainCredential(of: user) }
    }

    /// Ends the thread; who still waits is refused.
    package func stop() {
        state.withLock { $0.isOver = true }
        wakes.post(.stop)
    }

    /// See `RightsJudge.judge`. Thread-safe; what was hashed before is answered at once.
    package func judge(
        _ credential: Credential, _ need: RightsNeed, for asker: Asker,
        later: @escaping @Sendable (Bool) -> Void
    ) -> RightsVerdict? {
        let fingerprint = key.fingerprint(credential)
        let waiting = Waiting(need: need, asker: asker, later: later)
        let found = state.withLock { state in
            Self.find(credential, fingerprint, waiting, in: &state, at: .now)
        }
        switch found {
        case .verdict(let verdict): return RightsVerdict(isGranted: counted(verdict))
        case .failed:
            logRefusal(of: credential, from: asker.address)
            return RightsVerdict(isGranted: counted(false))
        case .later:
            wakes.post(.jobAdded)
            return nil
        case .noRoom: return .noRoom
        }
    }

    /// See `RightsJudge.principal`. Thread-safe; nil for what was not verified yet.
    package func principal(of credential: Credential) -> String? {
        let fingerprint = key.fingerprint(credential)
        return state.withLock { state in
            state.known[fingerprint] == nil ? nil : state.table.name(in: credential)
        }
    }

    private static func find(
        _ credential: Credential, _ fingerprint: Fingerprint, _ waiting: Waiting,
        in state: inout State, at now: MonotonicTime
    ) -> Found {
        let (need, everybody) = (waiting.need, state.table.everybody)
        if need.isMet(by: [everybody]) { return .verdict(true) }
        if credential == .none || state.isOver { return .verdict(false) }
        // Behind those that were asked before with the same credential.
        if state.jobs[fingerprint] != nil {
            state.jobs[fingerprint]?.add(waiting)
            return .later
        }
        if let entry = state.known[fingerprint] {
            return .verdict(meets(need, everybody, entry))
        }
        let lane = Guesses.Lane(
            origin: Guesses.origin(waiting.asker.address), name: state.table.name(in: credential))
        let due = state.guesses.turn(of: lane, at: now)
        if due <= now, !state.table.needsHash(credential) {
            guard let entry = state.table.entry(shownBy: credential) else {
                state.guesses.failed(lane, at: now)
                return .failed
            }
            state.remember(entry, fingerprint)
            return .verdict(meets(need, everybody, entry))
        }
        guard state.hasRoom(for: lane.origin, at: now) else { return .noRoom }
        state.begin(
            Job(
                credential: credential, lane: lane, connection: waiting.asker.address, due: due,
                waiting: [waiting]), fingerprint)
        return .later
    }

    private static func meets(
        _ need: RightsNeed, _ everybody: Grants, _ entry: CredentialTable.Entry?
    ) -> Bool {
        guard let entry, !entry.isExpired(at: .now()) else { return false }
        return need.isMet(by: [everybody, entry.grants])
    }

    private func counted(_ verdict: Bool) -> Bool {
        (verdict ? accepted : refused).add()
        return verdict
    }

    /// A name that the file doesn't have may be a password that was typed in its place.
    private func logRefusal(of credential: Credential, from address: String) {
        let name = state.withLock { $0.table.name(in: credential) } ?? "nobody in the file"
        log.warning(
            "a credential was refused", about: name, cause: "from \(Self.host(in: address))")
    }

    /// Without the port, which each connection has another of.
    private static func host(in address: String) -> Substring {
        if address.hasPrefix("[") { return address.dropFirst().prefix { $0 != "]" } }
        let isBare = address.filter { $0 == ":" }.count > 1
        return isBare ? address[...] : address.prefix { $0 != ":" }
    }

    // MARK: The thread

    private func work() {
        while let turn = nextTurn() {
            let (fingerprint, job) = (turn.fingerprint, turn.job)
            let entry = turn.table.entry(shownBy: job.credential)
            state.withLock { state in
                if entry == nil { state.guesses.failed(job.lane, at: .now) }
                guard turn.generation == state.generation, let entry else { return }
                state.remember(entry, fingerprint)
            }
            if entry == nil {
                logRefusal(of: job.credential, from: job.waiting.first?.asker.address ?? "")
            }
            finish(fingerprint, entry, turn.generation)
        }
        let left = state.withLock { state in
            defer { state.jobs = [:] }
            return state.jobs.values.flatMap(\.waiting)
        }
        for waiting in left { waiting.later(counted(false)) }
    }

    private struct DueJob {
        let fingerprint: Fingerprint
        let job: Job
        let table: CredentialTable
        let generation: Int
    }

    /// What is due now, and when the first of the others is.
    private struct Turn {
        var job: DueJob?
        var earliest: MonotonicTime?
    }

    /// Blocks until a credential has its turn; nil at the end.
    private func nextTurn() -> DueJob? {
        while true {
            let (turn, isOver) = state.withLock { state in
                (Self.turn(in: &state), state.isOver)
            }
            if isOver { return nil }
            if let job = turn.job { return job }
            // Refusals that were left out of the log are told as a number, if no other follows.
            let tick = MonotonicTime.now + .seconds(1)
            _ = wakes.take(until: min(turn.earliest ?? tick, tick))
            log.flush()
        }
    }

    /// In one pass, for every request waits for the lock meanwhile.
    private static func turn(in state: inout State) -> Turn {
        let now = MonotonicTime.now
        var turn = Turn()
        var gone: [Fingerprint] = []
        var first: (fingerprint: Fingerprint, job: Job)?
        var place = (MonotonicTime.zero, MonotonicTime.zero, MonotonicTime.zero, MonotonicTime.zero)
        for (fingerprint, job) in state.jobs {
            guard job.isWanted else {
                gone.append(fingerprint)
                continue
            }
            turn.earliest = min(turn.earliest ?? job.due, job.due)
            guard job.due <= now else { continue }
            let other = state.place(of: job)
            guard first == nil || other < place else { continue }
            first = (fingerprint: fingerprint, job: job)
            place = other
        }
        for fingerprint in gone { state.end(fingerprint) }
        guard let first else { return turn }
        state.serve(first.job, at: now)
        turn.job = DueJob(
            fingerprint: first.fingerprint, job: first.job, table: state.table,
            generation: state.generation)
        return turn
    }

    /// Tells who waits, also those that come to wait meanwhile, in their order.
    private func finish(
        _ fingerprint: Fingerprint, _ entry: CredentialTable.Entry?, _ generation: Int
    ) {
        while true {
            let batch: (waiting: [Waiting], everybody: Grants)? = state.withLock { state in
                guard let job = state.jobs[fingerprint] else { return nil }
                guard generation == state.generation else {
                    // Judged by a table that is gone: once more.
                    return nil
                }
                guard !job.waiting.isEmpty else {
                    state.end(fingerprint)
                    return nil
                }
                state.jobs[fingerprint]?.waiting = []
                return (job.waiting, state.table.everybody)
            }
            guard let batch else { return }
            for waiting in batch.waiting {
                let verdict =
                    waiting.need.isMet(by: [batch.everybody])
                    || Self.meets(waiting.need, batch.everybody, entry)
                waiting.later(counted(verdict))
            }
        }
    }
}
