import Glibc
import NodeLogic
import Synchronization
import Telemetry
import Threads
import Time

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
    private let isStopping = Atomic(false)

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
        // It ends already, and nobody has asked again.
        guard !isStopping.load(ordering: .acquiring) else { return }
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

    /// Ends the process where the stop that begins now takes too long, or is asked for once more.
    func limitStop(_ logger: Logger) {
        isStopping.store(true, ordering: .releasing)
        do throws(ThreadShortage) {
            try NamedThread("stop-watch") { [self] in watchStop(logger) }.detach()
        } catch {
            // It ends when it has stopped.
        }
    }

    private func watchStop(_ logger: Logger) {
        var watch = StopWatch(at: .now)
        while true {
            let isAsked = isAskedAgain(withinMilliseconds: 200)
            switch watch.look(at: .now, isAsked: isAsked) {
            case .waits: break
            case .isSlow:
                logger.announce(
                    "stopping takes long: what is being applied, or the disk, is waited for. A second signal "
                        + "ends the process at once, and nothing that was acknowledged is lost")
            case .ends:
                logger.announce("the process ends before all was stopped in order")
                // At once: the threads may be anywhere.
                endProcess(1)
            }
        }
    }

    private func isAskedAgain(withinMilliseconds limit: Int) -> Bool {
        var set = set
        var time = timespec(tv_sec: 0, tv_nsec: limit * 1_000_000)
        let number = sigtimedwait(&set, nil, &time)
        return number == SIGTERM || number == SIGINT
    }
}
