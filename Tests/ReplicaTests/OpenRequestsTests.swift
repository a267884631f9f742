import Service
import Testing

@testable import NodeLogic
@testable import Replica

/// Each request is answered once, whoever comes first.
@Suite struct OpenRequestsTests {
    private final class Sink: ReplySink {
        func deliver(_ replies: [Reply]) {}
    }

    @Test func `Those of one sink are found by its own names, each once`() {
        let open = OpenRequests()
        let (a, b) = (Sink(), Sink())
        let keys = open.add([
            ReplyTarget(sink: a, id: RequestID(1)), ReplyTarget(sink: b, id: RequestID(1)),
            ReplyTarget(sink: a, id: RequestID(2)),
        ])
        #expect(open.take(keys[2]) != nil)
        #expect(open.take([RequestID(2), RequestID(1)], of: a).map(\.key) == [keys[0]])
        #expect(open.take([RequestID(2), RequestID(1)], of: a).isEmpty)
        #expect(open.take(keys[0]) == nil)
        #expect(open.take([RequestID(1)], of: b).map(\.key) == [keys[1]])
        #expect(open.count == 0)
    }

    @Test func `A name that is used again means the later request`() {
        let open = OpenRequests()
        let sink = Sink()
        let first = open.add(ReplyTarget(sink: sink, id: RequestID(1)))
        let second = open.add(ReplyTarget(sink: sink, id: RequestID(1)))
        #expect(open.take(first) != nil)
        #expect(open.take([RequestID(1)], of: sink).map(\.key) == [second])
        #expect(open.count == 0)
    }

    @Test func `A hundred thousand that hang up one by one take time that grows with their number`()
    {
        let open = OpenRequests()
        let sink = Sink()
        let count: UInt64 = 100_000
        _ = open.add((0..<count).map { ReplyTarget(sink: sink, id: RequestID($0)) })
        for id in 0..<count { #expect(open.take([RequestID(id)], of: sink).count == 1) }
        #expect(open.count == 0)
    }
}
