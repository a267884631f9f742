import Glibc
import Synchronization
import Threads
import Time

/// The reads that wait for a reader. Readers take one at a time, so that none waits behind another
/// that takes long while a reader is free. Thread-safe.
///
/// `@unchecked Sendable`: everything but the atomic is touched only while `mutex` is held, and the
/// two pthread objects are allocated once and freed when the last reference is gone.
final class ReadQueue: @unchecked Sendable {
    enum Taken {
        case job(ReadJob)
        /// Nothing came in time.
        case nothing
        /// Nothing is left, and nothing comes any more.
        case closed
    }

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let arrival: UnsafeMutablePointer<pthread_cond_t>
    /// Jobs before `front` are taken already.
    private var jobs: [ReadJob?] = []
    private var front = 0
    private var urgent: [ReadJob] = []
    private var sleepers = 0
    private var isClosed = false
    private let waiting = Atomic<Int>(0)

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        arrival = .allocate(capacity: 1)
        arrival.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(arrival, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(arrival)
        arrival.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// How many wait; costs no lock.
    var count: Int { waiting.load(ordering: .relaxed) }

    /// A reader sleeps that could take a job.
    var hasSleeper: Bool { locked { sleepers > 0 } }

    /// Checks of the node are taken before all others.
    var hasUrgent: Bool { locked { !urgent.isEmpty } }

    func post(_ batch: [ReadJob]) {
        guard !batch.isEmpty else { return }
        let mustWake = locked {
            for job in batch {
                if job.isUrgent { urgent.append(job) } else { jobs.append(job) }
            }
            waiting.add(batch.count, ordering: .relaxed)
            return sleepers > 0
        }
        if mustWake { pthread_cond_signal(arrival) }
    }

    /// Puts a job back that a reader could not serve, for another one.
    func putBack(_ job: ReadJob) {
        let mustWake = locked {
            urgent.insert(job, at: 0)
            waiting.add(1, ordering: .relaxed)
            return sleepers > 0
        }
        if mustWake { pthread_cond_signal(arrival) }
    }

    /// Wakes a reader when a job waits and one sleeps: the caller won't come for it soon.
    func handOver() {
        if count > 0 { pthread_cond_signal(arrival) }
    }

    /// The next job; nil when there is none now.
    func takeNow() -> ReadJob? { locked { next() } }

    /// Waits for the next job.
    func take(until deadline: MonotonicTime) -> Taken {
        locked {
            while true {
                if let job = next() {
                    // A short queue is left to readers that are awake; one that is caught in a long
                    // read calls `handOver`.
                    if sleepers > 0, count >= Self.wakingLength { pthread_cond_signal(arrival) }
                    return .job(job)
                }
                if isClosed { return .closed }
                sleepers += 1
                defer { sleepers -= 1 }
                var time = deadline.timespec
                if pthread_cond_timedwait(arrival, mutex, &time) == ETIMEDOUT, count == 0 {
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
        locked {
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
        locked { isClosed = true }
        pthread_cond_broadcast(arrival)
    }
}
