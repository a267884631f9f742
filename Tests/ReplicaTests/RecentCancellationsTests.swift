import Service
import Testing

@testable import Replica

/// Requests that were cancelled before they came.
@Suite struct RecentCancellationsTests {
    private func target(_ sink: Sink, _ id: UInt64) -> ReplyTarget {
        ReplyTarget(sink: sink, id: RequestID(id))
    }

    private func sink() -> Sink { Sink(isRemote: true, takesParts: true) }

    @Test func `What a sink cancelled that is gone says nothing of one in its place`() throws {
        var recent = RecentCancellations()
        var gone: Sink? = sink()
        let place = try #require(gone.map { ObjectIdentifier($0) })
        recent.add([RequestID(1), RequestID(2)], from: try #require(gone))
        #expect(recent.contains(target(try #require(gone), 1)))
        gone = nil
        // Memory that was given back is given out again.
        var others: [Sink] = []
        while others.last.map({ ObjectIdentifier($0) }) != place, others.count < 100_000 {
            others.append(sink())
        }
        let other = try #require(others.last)
        try #require(ObjectIdentifier(other) == place)
        #expect(!recent.contains(target(other, 1)))
        recent.add([RequestID(1)], from: other)
        #expect(recent.contains(target(other, 1)))
        #expect(!recent.contains(target(other, 2)))
    }

    @Test func `Older ones are forgotten first, and those that are kept are known`() {
        var recent = RecentCancellations()
        let sink = sink()
        let count = UInt64(3 * RecentCancellations.limit)
        for id in 0..<count { recent.add([RequestID(id), RequestID(id)], from: sink) }
        let first = count - UInt64(RecentCancellations.limit)
        #expect(!recent.contains(target(sink, first - 1)))
        #expect((first..<count).allSatisfy { recent.contains(target(sink, $0)) })
    }
}
