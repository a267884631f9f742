import Synchronization
import Threads
import Time

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

    private let gate = WaitingLock()
    /// Jobs before `front` are taken already.
    private var jobs: [ReadJob?] = []
    private var front = 0
    private var urgent: [ReadJob] = []
    private var sleepers = 0
    private var isClosed = false
    private let waiting = Atomic<Int>(0)

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
                if job.isUrgent { urgent.append(job) } else { jobs.append(job) }
            }
            waiting.add(batch.count, ordering: .relaxed)
            return (true, sleepers > 0)
        }
        if mustWake { gate.wakeOne() }
        return isTaken
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
        guard front < jobs.count else { return nil }
        let job = jobs[front]
        jobs[front] = nil
        front += 1
        if front == jobs.count {
            jobs.removeAll(keepingCapacity: jobs.count <= 1024)
            front = 0
        } else if front >= 1024 {
            jobs.removeFirst(front)
            front = 0
        }
        waiting.subtract(1, ordering: .relaxed)
        return job
    }

    /// Takes out what satisfies the condition.
    func remove(where condition: (ReadJob) -> Bool) -> [ReadJob] {
        gate.locked {
            var removed: [ReadJob] = []
            func isKept(_ job: ReadJob) -> Bool {
                guard condition(job) else { return true }
                removed.append(job)
                return false
            }
            jobs = jobs[front...].filter { $0.map(isKept) ?? false }
            front = 0
            urgent = urgent.filter(isKept)
            waiting.store(jobs.count + urgent.count, ordering: .relaxed)
            return removed
        }
    }

    /// Readers end when nothing is left.
    func close() {
        gate.locked { isClosed = true }
        gate.wakeAll()
    }
}
