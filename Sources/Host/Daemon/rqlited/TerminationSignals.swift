import Glibc
import Synchronization

/// The end of the process, asked for from outside by a signal or from inside by a fault. The
/// signals are blocked in every thread made after this value, so only `wait` sees them.
final class TerminationSignals: Sendable {
    struct Reason: Sendable {
        var name: String
        /// Set when the node itself can't go on.
        var fault: String?
    }

    private let fault = Mutex<String?>(nil)
    private let takesHangup: Bool

    /// - Parameter takesHangup: SIGHUP is a request to read files again, and not the end.
    init(takesHangup: Bool) {
        self.takesHangup = takesHangup
        var set = set
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    private var set: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        if takesHangup { sigaddset(&set, SIGHUP) }
        return set
    }

    /// The process is asked to end, and `wait` has not taken that yet.
    var isPending: Bool {
        var pending = sigset_t()
        sigpending(&pending)
        return [SIGTERM, SIGINT].contains { sigismember(&pending, $0) == 1 }
    }

    /// Ends `wait` with the fault; the first one counts.
    func raise(becauseOf text: String) {
        fault.withLock { $0 = $0 ?? text }
        kill(getpid(), SIGTERM)
    }

    /// Blocks until the process shall end.
    func wait(onHangup: () -> Void) -> Reason {
        var set = set
        var number: Int32 = 0
        while sigwait(&set, &number) != 0 || number == SIGHUP {
            if number == SIGHUP { onHangup() }
            number = 0
        }
        return Reason(
            name: number == SIGINT ? "interrupt" : "terminated", fault: fault.withLock { $0 })
    }
}
