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

    var isStopped: Bool { flag.isRaised }

    /// - Parameter name: what the system shows it by.
    func start(
        _ name: String, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadShortage) {
        let started = try NamedThread(name, body)
        thread.withLock { $0 = started }
    }

    /// Until `deadline` or the stop. By the thread itself.
    func rest(until deadline: MonotonicTime) { _ = wakes.take(until: deadline) }

    /// Waits until the thread has ended, if it was started.
    func stop() {
        flag.raise()
        wakes.post(())
        thread.withLock { $0.take() }?.join()
    }
}
