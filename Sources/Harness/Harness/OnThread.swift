import HarnessBackends
import Synchronization
import Threads

/// Runs a piece of a check on a thread like those of calls, and waits for it.
enum OnThread {
    private enum Result: Sendable {
        case running
        case done
        case thrown(Finding)
    }

    private final class State: Sendable {
        let result = Mutex(Result.running)

        func wait() throws(Finding) {
            while true {
                switch result.withLock({ $0 }) {
                case .running: CurrentThread.pause(milliseconds: 1)
                case .done: return
                case .thrown(let finding): throw finding
                }
            }
        }
    }

    static func run(_ body: @escaping @Sendable () throws(Finding) -> Void) throws(Finding) {
        try all(1) { (_) throws(Finding) in try body() }
    }

    /// `count` threads at the same time; throws the first finding, by their order.
    static func all(
        _ count: Int, _ body: @escaping @Sendable (Int) throws(Finding) -> Void
    ) throws(Finding) {
        let states = (0..<count).map { _ in State() }
        for (index, state) in states.enumerated() {
            CallThread.start {
                do throws(Finding) {
                    try body(index)
                    state.result.withLock { $0 = .done }
                } catch {
                    state.result.withLock { $0 = .thrown(error) }
                }
            }
        }
        for state in states { try state.wait() }
    }
}
