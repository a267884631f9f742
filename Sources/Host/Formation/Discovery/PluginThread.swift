import CPlatform
import Glibc
import Threads
import Time

/// A named thread that runs one job at a time for someone who does not wait for ever: when a job
/// does not come back the thread is given up with it, and another one takes its place.
final class PluginThread: Sendable {
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
        return monitor.wait(until: limit) { $0.isBusy ? nil : true } ?? false
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
        final class Box: Sendable {
            let name: String
            let body: @Sendable () -> Void
            init(_ name: String, _ body: @escaping @Sendable () -> Void) {
                self.name = name
                self.body = body
            }
        }
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, DiscoveryLimits.threadStackBytes)
        // Inherited by the new thread, so that not even its first instruction can be interrupted.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let box = Unmanaged.passRetained(Box(name, body))
        var thread = pthread_t()
        let result = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                cplatform_name_thread(box.name)
                box.body()
                return nil
            }, box.toOpaque())
        if result != 0 {
            box.release()
            throw PluginError(
                .internal, "no thread for the plugin: \(String(cString: strerror(result)))")
        }
    }
}
