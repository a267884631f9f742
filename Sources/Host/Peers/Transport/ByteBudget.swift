import Synchronization

/// Bytes that many connections may hold together. Whoever wants more than is left waits in a line;
/// as each asks for all that it needs at once, those who have theirs can always finish.
final class ByteBudget: Sendable {
    private struct State {
        var left: Int
        var line: [(count: Int, granted: @Sendable () -> Void)] = []
        /// Where the line begins: those before it are let in, and leave together with others. How many
        /// wait is the peers' choice, and each that left alone would move all behind it.
        var front = 0

        var waiting: Int { line.count - front }

        /// - Returns: those whose turn it is, in order.
        mutating func letIn() -> [@Sendable () -> Void] {
            let begin = front
            while front < line.count, line[front].count <= left {
                left -= line[front].count
                front += 1
            }
            let granted = line[begin..<front].map(\.granted)
            if front * 2 >= line.count {
                line.removeFirst(front)
                front = 0
            }
            return granted
        }
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
    var waiting: Int { state.withLock { $0.waiting } }

    /// - Parameter granted: called once, on any thread, if it is false that the bytes are had now.
    /// - Returns: whether they are. What was granted must be released.
    func take(_ count: Int, granted: @escaping @Sendable () -> Void) -> Bool {
        precondition(count <= limit, "\(count) of \(limit)")
        return state.withLock { state in
            guard state.waiting == 0, count <= state.left else {
                state.line.append((count, granted))
                return false
            }
            state.left -= count
            return true
        }
    }

    func release(_ count: Int) {
        let granted = state.withLock { state in
            state.left += count
            return state.letIn()
        }
        for tell in granted { tell() }
    }
}
