import NIOCore
import Synchronization

/// Bytes that many connections may hold together. Whoever wants more than is left waits in a line;
/// as each asks for all that it needs at once, those who have theirs can always finish.
final class ByteBudget: Sendable {
    private struct State {
        var left: Int
        /// How many wait is the peers' choice: each leaves it without a move of those behind.
        var line = CircularBuffer<(count: Int, granted: @Sendable () -> Void)>()
    }

    let limit: Int
    private let state: Mutex<State>

    init(limit: Int) {
        self.limit = limit
        state = Mutex(State(left: limit))
    }

    /// Bytes that are taken.
    var taken: Int { limit - state.withLock { $0.left } }

    /// How many wait in the line.
    var waiting: Int { state.withLock { $0.line.count } }

    /// - Parameter granted: called once, on any thread, if it is false that the bytes are had now.
    /// - Returns: whether they are. What was granted must be released.
    func take(_ count: Int, granted: @escaping @Sendable () -> Void) -> Bool {
        precondition(count <= limit, "\(count) of \(limit)")
        return state.withLock { state in
            guard state.line.isEmpty, count <= state.left else {
                state.line.append((count, granted))
                return false
            }
            state.left -= count
            return true
        }
    }

    func release(_ count: Int) {
        let granted = state.withLock { state -> [@Sendable () -> Void] in
            state.left += count
            var granted: [@Sendable () -> Void] = []
            while let first = state.line.first, first.count <= state.left {
                state.left -= first.count
                granted.append(first.granted)
                state.line.removeFirst()
            }
            return granted
        }
        for tell in granted { tell() }
    }
}
