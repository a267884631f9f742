import Scratch
import Service
import Testing
import Wire

@testable import Replica

/// The reads that wait for a reader, and those for whom nobody waits any more.
@Suite struct ReaderQueueTests {
    private let queue = ReaderQueue()
    private let sink = Sink(isRemote: false, takesParts: false)

    private func take() -> [UInt64] {
        var ids: [UInt64] = []
        while let job = queue.takeNow() { ids.append(job.target.id.rawValue) }
        return ids
    }

    @Test func `What is left keeps its order, whoever goes`() {
        let other = Sink(isRemote: false, takesParts: false)
        let ids = (1...6000).map { UInt64($0) }
        #expect(queue.post(ids.map { sink.read($0, "SELECT 1") }))
        for id in 1...1500 as ClosedRange<UInt64> {
            #expect(queue.takeNow()?.target.id.rawValue == id)
        }
        // Taken, never there, another's, twice.
        let gone = [1, 7000, 1501, 1503, 1501, 6000].map { RequestID($0) }
        #expect(queue.remove(gone, of: other).isEmpty)
        #expect(queue.remove(gone, of: sink).map(\.target.id.rawValue) == [1501, 1503, 6000])
        #expect(queue.count == 4497)
        for id in [1502, 1504] as [UInt64] {
            #expect(queue.takeNow()?.target.id.rawValue == id)
        }
        #expect(queue.post([other.read(1505, "SELECT 1"), sink.read(8000, "SELECT 1")]))
        #expect(queue.remove([RequestID(1505)], of: other).count == 1)
        #expect(queue.remove([RequestID(8000)], of: sink).count == 1)
        let even = ids.filter { $0 > 1504 && $0 % 2 == 0 }
        for id in even.dropLast() { #expect(queue.remove([RequestID(id)], of: sink).count == 1) }
        #expect(take() == ids.filter { $0 > 1504 && $0 % 2 == 1 })
        #expect(queue.count == 0)
        #expect(queue.post([sink.read(1, "SELECT 1"), sink.read(2, "SELECT 1")]))
        #expect(queue.remove([RequestID(1)], of: sink).count == 1)
        #expect(queue.removeAll().map(\.target.id.rawValue) == [2])
        #expect(take().isEmpty && queue.count == 0)
    }

    @Test func `A read waits for a reader little longer than its statement may take`() throws {
        // Before they count theirs, however long this is held up.
        let now = ContinuousClock.now
        let jobs = (1...3 as ClosedRange<UInt64>).map { id in
            sink.read(id, "SELECT 1", database: id == 2 ? nil : .seconds(5))
        }
        var check = sink.read(4, "SELECT 1", database: .seconds(5))
        check.isUrgent = true
        #expect(queue.post(jobs + [check]))
        queue.endOverdue(at: now + .seconds(5))
        #expect(sink.isEmpty && queue.count == 4)
        queue.endOverdue(at: now + .seconds(3600))
        let replies = try sink.replies(3)
        #expect(replies.map(\.id.rawValue) == [4, 1, 3])
        let result = StatementResult(.failed("query timeout"), isRead: true)
        for reply in replies {
            guard case .results(let found) = reply.outcome else {
                Issue.record("\(reply.outcome)")
                continue
            }
            #expect(found.statements == [result])
        }
        #expect(queue.remove([RequestID(1)], of: sink).isEmpty)
        #expect(take() == [2])
        #expect(queue.count == 0)
    }

    @Test func `A client that goes costs no walk over all that wait`() {
        let ids = (1...60_000).map { UInt64($0) }
        #expect(queue.post(ids.map { sink.read($0, "SELECT 1") }))
        let start = ThreadTime.now
        for id in ids.reversed() { _ = queue.remove([RequestID(id)], of: sink) }
        // To look at all that wait each time takes minutes.
        #expect(ThreadTime.now - start < .seconds(30))
        #expect(queue.count == 0)
        #expect(take().isEmpty)
    }
}
