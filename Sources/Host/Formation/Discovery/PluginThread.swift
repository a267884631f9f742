import Threads
import Time

/// A named thread that runs one job at a time for someone who does not wait for ever: when a job
/// does not come back the thread is given up with it, and another one takes its place.
final class PluginThread: Sendable {
    /// Who sees that a time is over only so much later stood still meanwhile, and the job with it: a machine that is
    /// paused, a process that is stopped.
    private static let standstill = Duration.seconds(1)
    /// Then the job is waited for so much longer, once.
    private static let respite = Duration.seconds(3)

    private struct State {
        var job: (@Sendable () -> Void)?
        var isBusy = false
        var hasEnded = false
    }

    private let monitor = Monitor(State())

    init(name: String) throws(PluginError) {
        let monitor = monitor
        try Self.start(name: name) {
            while let job = Self.nextJob(monitor) {
                job()
                monitor.withLock { $0.isBusy = false }
            }
        }
    }

    /// Runs the job on the thread; false if it is not back in time, and then the thread is lost.
    /// `limit` may move; `poke` makes it be looked at again.
    func run(until limit: @escaping () -> MonotonicTime, _ job: @escaping @Sendable () -> Void)
        -> Bool
    {
        monitor.withLock {
            $0.job = job
            $0.isBusy = true
        }
        if waitForEnd(until: limit) { return true }
        let now = MonotonicTime.now
        guard now - limit() > Self.standstill else { return false }
        return waitForEnd { now + Self.respite }
    }

    /// False when the job is not over by then.
    private func waitForEnd(until limit: () -> MonotonicTime) -> Bool {
        monitor.wait(until: { limit() }) { $0.isBusy ? nil : true } ?? false
    }

    func poke() { monitor.withLock { _ in } }

    /// Ends the thread, or lets it end when its job comes back after all.
    func end() { monitor.withLock { $0.hasEnded = true } }

    private static func nextJob(_ monitor: Monitor<State>) -> (@Sendable () -> Void)? {
        monitor.wait(until: { nil }) { state -> (@Sendable () -> Void)?? in
            if let job = state.job.take() { return .some(job) }
            return state.hasEnded ? .some(nil) : nil
        } ?? nil
    }

    /// Starts a detached thread that takes no signals: those are the main thread's business.
    static func start(name: String, _ body: @escaping @Sendable () -> Void) throws(PluginError) {
        do throws(ThreadShortage) {
            try NamedThread(
                name, stack: DiscoveryLimits.threadStackBytes, takesSignals: false, body
            ).detach()
        } catch {
            throw PluginError(.internal, "\(error)")
        }
    }
}
