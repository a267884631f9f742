import Raft
import Time

/// How often this node, as leader, asked a quorum whether it still leads, for reads that wait for that together; since
/// the start of the process.
package struct ConfirmedReads: Equatable, Sendable {
    private struct Question: Equatable {
        var id: ReadID
        var time: MonotonicTime
    }

    /// Times that it asked.
    package private(set) var asked = 0
    /// It led no more.
    package private(set) var failed = 0
    /// Of the last one that was answered, and behind which the database came to stand where it had to.
    package private(set) var lastTime = Duration.zero
    /// Of several at a time only the last is timed.
    private var last: Question?

    mutating func began(_ id: ReadID, at now: MonotonicTime) {
        asked += 1
        last = Question(id: id, time: now)
    }

    mutating func ended(_ ids: [ReadID], at now: MonotonicTime) {
        guard let last, ids.contains(last.id) else { return }
        lastTime = now - last.time
        self.last = nil
    }

    mutating func ended(inVain ids: [ReadID]) {
        failed += ids.count
    }
}
