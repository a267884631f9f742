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

    var isStopped: Bool { flag.isRaised }

    /// - Parameter name: what the system shows it by.
    func start(
        _ name: String, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadShortage) {
        let hasEnded = hasEnded
        let started = try NamedThread(name) {
            body()
            hasEnded.withLock { $0 = true }
        }
        thread.withLock { $0 = started }
    }

    /// Until `deadline` or the stop. By the thread itself.
    func rest(until deadline: MonotonicTime) { _ = wakes.take(until: deadline) }

    /// Waits until the thread has ended, if it was started.
    /// - Parameter limit: for who may be where nothing ends it, as in SQLite: then it is left to the end of
    ///   the process. Nil: there is none.
    func stop(within limit: Duration? = nil) {
        flag.raise()
        wakes.post(())
        guard let thread = thread.withLock({ $0.take() }) else { return }
        let deadline = limit.map { MonotonicTime.now + $0 }
        let isOver = hasEnded.wait(until: { deadline }) { $0 ? true : nil }
        if isOver == nil { thread.detach() } else { thread.join() }
    }
}
