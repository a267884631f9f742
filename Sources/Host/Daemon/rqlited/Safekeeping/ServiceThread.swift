import ObjectStorage
import Synchronization
import Threads
import Time

/// A thread that works in the background until it is told to stop, and rests between. Any thread may
/// call; it is started once at most.
final class ServiceThread: Sendable {
    /// Raised at the stop, for work that takes long.
    let flag = StopFlag()
    private let wakes = Mailbox<Void>()
    private let thread = Mutex<NamedThread?>(nil)
    private let hasEnded = Monitor(false)
    /// Since when it is at what it does; nil: it rests, or is not there.
    private let begun = Mutex<MonotonicTime?>(nil)

    var isStopped: Bool { flag.isRaised }

    /// For how long it is at what it does, and nothing has come of that yet. What hangs at a disk or a file server
    /// fails nothing, so nothing else tells of it.
    var busyTime: Duration {
        begun.withLock { $0 }.map { MonotonicTime.now - $0 } ?? .zero
    }

    /// - Parameter name: what the system shows it by.
    func start(
        _ name: String, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadShortage) {
        let started = try NamedThread(name) { [self] in
            goesOn()
            body()
            begun.withLock { $0 = nil }
            hasEnded.withLock { $0 = true }
        }
        thread.withLock { $0 = started }
    }

    /// Until `deadline`, the stop, or a call. By the thread itself.
    func rest(until deadline: MonotonicTime) {
        begun.withLock { $0 = nil }
        _ = wakes.take(until: deadline)
        goesOn()
    }

    /// Something has come of what it does, and it goes on. By the thread itself.
    func goesOn() { begun.withLock { $0 = MonotonicTime.now } }

    /// Ends a rest: there is something to look at.
    func wake() { wakes.post(()) }

    /// Tells the thread to end, and does not wait for that.
    func beginStop() {
        flag.raise()
        wake()
    }

    /// Waits until the thread has ended, if it was started. Who is where nothing ends it, as in SQLite, or at
    /// a disk or a file server that hangs, is left to the end of the process.
    /// - Returns: whether it has ended.
    func awaitEnd(until deadline: MonotonicTime) -> Bool {
        guard let thread = thread.withLock({ $0.take() }) else { return true }
        let isOver = hasEnded.wait(until: { deadline }) { $0 ? true : nil } ?? false
        if isOver { thread.join() } else { thread.detach() }
        return isOver
    }
}
