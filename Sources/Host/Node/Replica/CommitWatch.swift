import Raft
import Telemetry
import Time

/// Notes when entries went to the log, and finds out how long they took to be committed. A value of
/// the machine's thread, which reads no clock for it: the moments are those of the machine's turns.
struct CommitWatch {
    private struct Noted {
        var last: LogIndex
        var handedAt: MonotonicTime
    }

    /// In the order of their indexes.
    private var waiting: [Noted] = []
    private var next = 0

    /// Batches beyond it are not timed: without a quorum nothing is committed for a long time.
    static let capacity = 4096

    /// Entries go to the log; they replace what stands at or after the first.
    mutating func handed(_ entries: [Entry], at now: MonotonicTime) {
        guard let first = entries.first?.index, let last = entries.last?.index else { return }
        while waiting.count > next, let newest = waiting.last, newest.last >= first {
            waiting.removeLast()
        }
        if waiting.count - next < Self.capacity {
            waiting.append(Noted(last: last, handedAt: now))
        }
    }

    /// The log begins anew behind a snapshot: what was on its way is in there, or gone.
    mutating func forget() {
        waiting.removeAll()
        next = 0
    }

    mutating func committed(
        through index: LogIndex, at now: MonotonicTime, _ record: (Duration) -> Void
    ) {
        while next < waiting.count, waiting[next].last <= index {
            record(now - waiting[next].handedAt)
            next += 1
        }
        if next == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            next = 0
        } else if next > Self.capacity {
            waiting.removeFirst(next)
            next = 0
        }
    }
}
