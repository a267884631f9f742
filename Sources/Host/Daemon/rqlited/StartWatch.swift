import Glibc
import Synchronization
import Telemetry
import Threads
import Time

/// Ends the process where it is asked to end while it starts: a name is looked up, a copy downloaded, the
/// log of years read, and none of that looks for a signal. A start can be cut off anywhere.
final class StartWatch: Sendable {
    /// What is nearly through goes on, and then ends in order.
    private static let patience = Duration.seconds(2)

    private let signals: TerminationSignals
    private let logger: Logger
    private let isOver = Atomic(false)

    /// - Throws: `ThreadShortage`.
    init(_ signals: TerminationSignals, logger: Logger) throws(ThreadShortage) {
        self.signals = signals
        self.logger = logger
        try NamedThread("start-watch") { [self] in run() }.detach()
    }

    /// The node has started: what asks for its end is taken by `TerminationSignals.wait`.
    func end() { isOver.store(true, ordering: .releasing) }

    private func run() {
        var asked: MonotonicTime?
        while !isOver.load(ordering: .acquiring) {
            CurrentThread.pause(milliseconds: 100)
            guard signals.isPending else { continue }
            let since = asked ?? .now
            asked = since
            guard MonotonicTime.now - since >= Self.patience, !isOver.load(ordering: .acquiring)
            else { continue }
            logger.announce("asked to end by a signal before the start was over, and ends")
            // At once: the start's threads may be anywhere.
            endProcess(0)
        }
    }
}
