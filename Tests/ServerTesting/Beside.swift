import Foundation
import Synchronization

/// Work on a thread of its own. What waits for servers blocks; tasks that block would take the few
/// threads of all other tests.
package final class Beside<Success: Sendable>: Sendable {
    private let outcome: Outcome

    /// Its own object, for the thread outlives a `Beside` that nobody keeps.
    private final class Outcome: Sendable {
        let value = Mutex<Result<Success, any Error>?>(nil)
        let isDone = DispatchSemaphore(value: 0)
    }

    /// Begins at once.
    package init(_ body: @escaping @Sendable () throws -> Success) {
        let outcome = Outcome()
        self.outcome = outcome
        let thread = Thread {
            let result = Result { try body() }
            outcome.value.withLock { $0 = result }
            outcome.isDone.signal()
        }
        thread.name = "beside"
        thread.start()
    }

    /// Waits for the end; to be called once.
    package func result() throws -> Success {
        outcome.isDone.wait()
        guard let result = outcome.value.withLock({ $0 }) else {
            preconditionFailure("signalled before there was a result")
        }
        return try result.get()
    }
}
