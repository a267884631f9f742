import Service
import StateMachine
import Synchronization
import Threads
import Time
import Wire

/// The reads that wait for a reader. Readers take one at a time, so that none waits behind another
/// that takes long while a reader is free. Thread-safe.
///
/// `@unchecked Sendable`: everything but the atomic is touched only while `gate` is held.
final class ReaderQueue: @unchecked Sendable {
    enum Taken {
        case job(ReadJob)
        /// Nothing came in time.
        case nothing
        /// Nothing is left, and nothing comes any more.
        case closed
    }

    /// What a job's sink calls it.
    private struct Name: Hashable {
        let sink: ObjectIdentifier
        let id: RequestID

        init(_ id: RequestID, of sink: any ReplySink) {
            self.sink = ObjectIdentifier(sink)
            self.id = id
        }

        init(_ job: ReadJob) { self.init(job.target.id, of: job.target.sink) }
    }

    private let gate = WaitingLock()
    /// Jobs before `front` are taken already. Nil behind it: nobody waits for that any more.
    private var jobs: [ReadJob?] = []
    private var front = 0
    /// How many are nil behind `front`.
    private var gaps = 0
    /// Where each stands among all that were behind each other since there were none. Nil while nobody
    /// goes: then it would be for nothing.
    private var places: [Name: Int]?
    /// How many of these are no longer in `jobs`.
    private var dropped = 0
    private var urgent: [ReadJob] = []
    private var sleepers = 0
    private var isClosed = false
    private let waiting = Atomic<Int>(0)
    /// Nobody looks before for those that have waited for too long.
    private var nextLook = ContinuousClock.now

    /// How many wait; costs no lock.
    var count: Int { waiting.load(ordering: .relaxed) }

    /// A reader sleeps that could take a job.
    var hasSleeper: Bool { gate.locked { sleepers > 0 } }

    /// Checks of the node are taken before all others.
    var hasUrgent: Bool { gate.locked { !urgent.isEmpty } }

    /// - Returns: false: it is closed, and they are the caller's still.
    func post(_ batch: [ReadJob]) -> Bool {
        guard !batch.isEmpty else { return true }
        let (isTaken, mustWake) = gate.locked { () -> (Bool, Bool) in
            guard !isClosed else { return (false, false) }
            for job in batch {
                if job.isUrgent { urgent.append(job) } else { append(job) }
            }
            waiting.add(batch.count, ordering: .relaxed)
            return (true, sleepers > 0)
        }
        if mustWake { gate.wakeOne() }
        return isTaken
    }

    private func append(_ job: ReadJob) {
        places?[Name(job)] = dropped + jobs.count
        jobs.append(job)
    }

    /// Puts a job back that a reader could not serve, for another one.
    func putBack(_ job: ReadJob) {
        let mustWake = gate.locked {
            urgent.insert(job, at: 0)
            waiting.add(1, ordering: .relaxed)
            return sleepers > 0
        }
        if mustWake { gate.wakeOne() }
    }

    /// Wakes a reader when a job waits and one sleeps: the caller won't come for it soon.
    func handOver() {
        if count > 0 { gate.wakeOne() }
    }

    /// The next job; nil when there is none now.
    func takeNow() -> ReadJob? { gate.locked { next() } }

    /// Waits for the next job.
    func take(until deadline: MonotonicTime) -> Taken {
        gate.locked {
            while true {
                if let job = next() {
                    // A short queue is left to readers that are awake; one that is caught in a long
                    // read calls `handOver`.
                    if sleepers > 0, count >= Self.wakingLength { gate.wakeOne() }
                    return .job(job)
                }
                if isClosed { return .closed }
                sleepers += 1
                defer { sleepers -= 1 }
                if !gate.wait(until: deadline), count == 0 {
                    return isClosed ? .closed : .nothing
                }
            }
        }
    }

    /// From here on a reader that wakes up wakes another.
    private static var wakingLength: Int { 4 }

    private func next() -> ReadJob? {
        if !urgent.isEmpty {
            waiting.subtract(1, ordering: .relaxed)
            return urgent.removeFirst()
        }
        while front < jobs.count {
            let job = jobs[front]
            jobs[front] = nil
            front += 1
            if front == jobs.count {
                jobs.removeAll(keepingCapacity: jobs.count <= 1024)
                (front, dropped) = (0, 0)
                places = nil
            } else if front >= 1024 {
                jobs.removeFirst(front)
                dropped += front
                front = 0
            }
            guard let job else {
                gaps -= 1
                continue
            }
            places?[Name(job)] = nil
            waiting.subtract(1, ordering: .relaxed)
            return job
        }
        return nil
    }

    /// Takes out what nobody waits for any more. The time depends on `ids`, not on what waits, but for the
    /// first that goes: clients may hang up by the thousand.
    func remove(_ ids: [RequestID], of sink: any ReplySink) -> [ReadJob] {
        gate.locked {
            var removed: [ReadJob] = []
            urgent.removeAll { job in
                guard job.target.sink === sink, ids.contains(job.target.id) else { return false }
                removed.append(job)
                return true
            }
            if places == nil, front < jobs.count { findPlaces() }
            for id in ids {
                guard let place = places?.removeValue(forKey: Name(id, of: sink)),
                    let job = jobs[place - dropped]
                else { continue }
                jobs[place - dropped] = nil
                gaps += 1
                removed.append(job)
            }
            closeGaps()
            waiting.subtract(removed.count, ordering: .relaxed)
            return removed
        }
    }

    /// Answers those that have waited for a reader for longer than their statements may take; to be called about every
    /// tick.
    func endOverdue(at now: ContinuousClock.Instant) {
        guard count > 0 else { return }
        let overdue = gate.locked { removeOverdue(at: now) }
        guard !overdue.isEmpty else { return }
        let result = StatementResult(.failed(Reader.timeoutText), isRead: true)
        var replies = ReplyBatch()
        for job in overdue { replies.add(.results(CommandResult([result])), to: job.target) }
        replies.deliver()
    }

    private func removeOverdue(at now: ContinuousClock.Instant) -> [ReadJob] {
        guard now >= nextLook else { return [] }
        nextLook = now + .milliseconds(250)
        var removed: [ReadJob] = []
        // Where a disk holds all readers that there may be, a check of the node finds none either.
        urgent.removeAll { job in
            guard let end = job.waitsUntil, end <= now else { return false }
            removed.append(job)
            return true
        }
        for place in front..<jobs.count {
            guard let end = jobs[place]?.waitsUntil, end <= now, let job = jobs[place] else {
                continue
            }
            jobs[place] = nil
            gaps += 1
            places?[Name(job)] = nil
            removed.append(job)
        }
        closeGaps()
        waiting.subtract(removed.count, ordering: .relaxed)
        return removed
    }

    private func findPlaces() {
        var found: [Name: Int] = [:]
        found.reserveCapacity(jobs.count - front)
        for place in front..<jobs.count {
            if let job = jobs[place] { found[Name(job)] = dropped + place }
        }
        places = found
    }

    /// While no reader comes they would become ever more.
    private func closeGaps() {
        guard gaps > 1024, gaps > (jobs.count - front) / 2 else { return }
        jobs = jobs[front...].filter { $0 != nil }
        (front, gaps, dropped) = (0, 0, 0)
        places = nil
    }

    /// Takes out all that wait.
    func removeAll() -> [ReadJob] {
        gate.locked {
            let removed = urgent + jobs[front...].compactMap(\.self)
            (jobs, urgent) = ([], [])
            (front, gaps, dropped) = (0, 0, 0)
            places = nil
            waiting.store(0, ordering: .relaxed)
            return removed
        }
    }

    /// Readers end when nothing is left.
    func close() {
        gate.locked { isClosed = true }
        gate.wakeAll()
    }
}
