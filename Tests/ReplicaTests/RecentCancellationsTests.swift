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
        let places = try cancel(1000, in: &recent)
        // Memory that was given back is given out again.
        var others: [Sink] = []
        while !places.contains(others.last.map { ObjectIdentifier($0) }), others.count < 100_000 {
            others.append(sink())
        }
        let other = try #require(others.last)
        try #require(places.contains(ObjectIdentifier(other)))
        #expect(!recent.contains(target(other, 1)))
        recent.add([RequestID(1)], from: other)
        #expect(recent.contains(target(other, 1)))
        #expect(!recent.contains(target(other, 2)))
    }

    /// - Returns: where the sinks were, each of which cancelled two requests and is gone.
    private func cancel(
        _ count: Int, in recent: inout RecentCancellations
    ) throws -> Set<ObjectIdentifier?> {
        let sinks = (0..<count).map { _ in sink() }
        for sink in sinks { recent.add([RequestID(1), RequestID(2)], from: sink) }
        #expect(recent.contains(target(try #require(sinks.last), 1)))
        return Set(sinks.map { ObjectIdentifier($0) })
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
