import Raft
import Testing
import Time

@testable import Replica

/// From when entries went to the log until they were committed.
@Suite struct CommitWatchTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)

    private func entries(_ indexes: ClosedRange<UInt64>) -> [Entry] {
        indexes.map { Entry(index: LogIndex($0), term: Term(1), payload: .noop) }
    }

    private func recorded(
        _ watch: inout CommitWatch, through index: UInt64, at milliseconds: Int
    ) -> [Duration] {
        var durations: [Duration] = []
        watch.committed(
            through: LogIndex(index), at: start + .milliseconds(milliseconds)
        ) { durations.append($0) }
        return durations
    }

    @Test func `A batch is timed once, when its last entry is committed`() {
        var watch = CommitWatch()
        watch.handed(entries(1...3), at: start)
        watch.handed([], at: start)
        watch.handed(entries(4...4), at: start + .milliseconds(2))
        #expect(recorded(&watch, through: 2, at: 3).isEmpty)
        #expect(recorded(&watch, through: 3, at: 5) == [.milliseconds(5)])
        #expect(recorded(&watch, through: 9, at: 7) == [.milliseconds(5)])
        #expect(recorded(&watch, through: 9, at: 8).isEmpty)
    }

    @Test func `What another leader's entries replace is not timed`() {
        var watch = CommitWatch()
        watch.handed(entries(1...2), at: start)
        watch.handed(entries(3...5), at: start)
        watch.handed(entries(4...4), at: start + .milliseconds(10))
        #expect(
            recorded(&watch, through: 4, at: 11) == [.milliseconds(11), .milliseconds(1)])
        watch.handed(entries(5...6), at: start)
        watch.forget()
        #expect(recorded(&watch, through: 100, at: 12).isEmpty)
    }

    @Test func `Without a quorum no more is kept than its bound`() {
        var watch = CommitWatch()
        for index in 1...UInt64(CommitWatch.capacity + 100) {
            watch.handed(entries(index...index), at: start)
        }
        #expect(recorded(&watch, through: .max, at: 1).count == CommitWatch.capacity)
        for index in UInt64(10_000)...30_000 {
            watch.handed(entries(index...index), at: start)
            #expect(recorded(&watch, through: index, at: 1).count == 1)
        }
    }
}
