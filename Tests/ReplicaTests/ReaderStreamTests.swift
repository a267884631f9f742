import Service
import StateMachine
import Synchronization
import Testing
import Threads
import Wire

@testable import Replica

/// Answers that go out in parts, and the threads that they hold.
@Suite struct ReaderStreamTests {
    private static func numbers(_ count: Int) -> String {
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT \(count)) "
            + "SELECT i FROM n"
    }

    /// 27 MB of cells.
    private static let large = numbers(3_000_000)
    /// Rows that never end.
    private static let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n"

    private let bench: Bench

    init() throws { bench = try Bench() }

    /// Takes parts until the window is used up.
    private func window(of sink: Sink) throws -> [Reply] {
        var replies: [Reply] = []
        var bytes = 0
        while bytes < ResultWindow.bytes {
            for reply in try sink.replies(1) {
                guard case .part(let part) = reply.outcome else { throw Bench.TimedOut() }
                bytes += part.byteCount
                replies.append(reply)
            }
        }
        #expect(bytes < ResultWindow.bytes + 2 * ResultWindow.partBytes)
        return replies
    }

    @Test func `A stream goes as far as it is asked for, and to its end`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink(takesParts: true)
        pool.post([sink.read(1, Self.numbers(400_000))])
        var replies = try window(of: sink)
        try bench.waitFor(.milliseconds(50))
        #expect(sink.isEmpty, "more went out than was asked for")
        while replies.last?.outcome.isLast == false {
            let bytes = ResultWindow.demandBytes
            #expect(
                pool.demand([PartDemand(id: RequestID(1), bytes: bytes)], from: sink).isEmpty)
            replies += try sink.replies(1)
        }
        let cells = replies.reduce(0) { sum, reply in
            guard case .part(let part) = reply.outcome else { return sum }
            return part.pieces.reduce(sum) { sum, piece in
                if case .cells(let cells) = piece { sum + cells.count } else { sum }
            }
        }
        #expect(cells == 400_000 * 9)
        #expect(try bench.eventually { pool.counts.busy == 0 })
    }

    @Test func `However much is asked for at once, little is ahead`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink(takesParts: true)
        pool.post([sink.read(1, Self.large)])
        _ = try window(of: sink)
        for bytes in [Int.max, 1 << 40, -5, 0] {
            _ = pool.demand([PartDemand(id: RequestID(1), bytes: bytes)], from: sink)
        }
        _ = try window(of: sink)
        try bench.waitFor(.milliseconds(50))
        #expect(sink.isEmpty)
    }

    @Test func `A stream that nobody asks for more of lends its turn`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 4, atWork: 1))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink(takesParts: true)
        pool.post([sink.read(1, Self.large), sink.read(2, Self.large)])
        // Each fills its window, one behind the other.
        var bytes: [UInt64: Int] = [:]
        while bytes.count < 2 || bytes.values.contains(where: { $0 < ResultWindow.bytes }) {
            for reply in try sink.replies(1) {
                guard case .part(let part) = reply.outcome else { throw Bench.TimedOut() }
                bytes[reply.id.rawValue, default: 0] += part.byteCount
            }
        }
        #expect(try bench.eventually { pool.stalledStreams == 2 && pool.counts.resting == 0 })
        let other = bench.sink()
        let long =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 1000000) "
            + "SELECT count(*) FROM n"
        pool.post([other.read(3, long)])
        #expect(try other.replies(1).map(bench.text) == ["1000000"])
    }

    @Test func `Reads are served while streams hold their threads`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 2))
        defer { pool.stop(patience: .zero) }
        let slow = bench.sink(takesParts: true)
        for number in 1...8 as ClosedRange<UInt64> {
            pool.post([slow.read(number, Self.endless)])
            _ = try window(of: slow)
        }
        #expect(pool.counts.busy == 8)
        let fast = bench.sink()
        for number in 1...20 as ClosedRange<UInt64> {
            pool.post([fast.read(number, "SELECT \(number)")])
            #expect(try fast.replies(1).map(bench.text) == ["\(number)"])
        }
    }

    @Test func `Beyond so many streams the next is refused, small answers are not`() throws {
        var limits = ReaderPool.Limits(threads: 2)
        limits.streams = 2
        limits.streamPatience = .seconds(1000)
        let pool = bench.pool(limits)
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink(takesParts: true)
        for number in 1...2 as ClosedRange<UInt64> {
            pool.post([sink.read(number, Self.endless)])
            _ = try window(of: sink)
        }
        pool.post([sink.read(3, Self.endless)])
        guard case .failed(.busy)? = try sink.replies(1).first?.outcome else {
            Issue.record("it was not refused")
            return
        }
        pool.post([sink.read(4, "SELECT 4")])
        #expect(try sink.replies(1).map(bench.text) == ["4"])
        // One that has ended makes room.
        pool.cancel([RequestID(1)], from: sink)
        #expect(try sink.replies(1).first?.id == RequestID(1))
        #expect(try bench.eventually { pool.counts.busy == 1 })
        pool.post([sink.read(5, Self.endless)])
        #expect(try window(of: sink).allSatisfy { $0.id == RequestID(5) })
    }

    @Test func `There are fewer streams where each has a large schema in memory`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 2))
        defer { pool.stop(patience: .zero) }
        pool.schemaBytes.store(8 << 30, ordering: .relaxed)
        let sink = bench.sink(takesParts: true)
        pool.post([sink.read(1, Self.endless)])
        _ = try window(of: sink)
        pool.post([sink.read(2, Self.endless)])
        guard case .failed(.busy)? = try sink.replies(1).first?.outcome else {
            Issue.record("it was not refused")
            return
        }
    }

    @Test func `A stream that nobody asks for makes room for one that somebody does`() throws {
        var limits = ReaderPool.Limits(threads: 2)
        limits.streams = 2
        limits.streamPatience = .zero
        let pool = bench.pool(limits)
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink(takesParts: true)
        for number in 1...2 as ClosedRange<UInt64> {
            pool.post([sink.read(number, Self.endless)])
            _ = try window(of: sink)
            #expect(try bench.eventually { pool.stalledStreams == Int(number) })
        }
        let other = bench.sink(takesParts: true)
        pool.post([other.read(3, Self.endless)])
        _ = try window(of: other)
        let ended = try #require(try sink.replies(1).first)
        #expect(ended.id == RequestID(1))
        guard case .failed = ended.outcome else {
            Issue.record("\(ended.outcome)")
            return
        }
    }

    @Test func `A cancelled stream ends at once, whether it waits or works`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 2))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink(takesParts: true)
        pool.post([sink.read(1, Self.endless)])
        _ = try window(of: sink)
        var began = ContinuousClock.now
        pool.cancel([RequestID(1)], from: sink)
        _ = try sink.replies(1)
        #expect(try bench.eventually { pool.counts.busy == 0 })
        // 100 ms on a machine that is not starved; the request's own time would end it after 30 s.
        #expect(ContinuousClock.now - began < .seconds(20))

        // Its first window is full after 120,000 rows; none of the others is shown.
        let silent =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) "
            + "SELECT i FROM n WHERE i < 130000"
        pool.post([sink.read(2, silent)])
        _ = try window(of: sink)
        _ = pool.demand([PartDemand(id: RequestID(2), bytes: 1 << 20)], from: sink)
        try bench.waitFor(.milliseconds(20))
        began = ContinuousClock.now
        pool.cancel([RequestID(2)], from: sink)
        while try sink.replies(1).last?.outcome.isLast == false {}
        #expect(try bench.eventually { pool.counts.busy == 0 })
        #expect(ContinuousClock.now - began < .seconds(20))
    }

    @Test func `The limit for the database does not run while nobody asks for more`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink(takesParts: true)
        // The rest of the rows takes no time to speak of.
        pool.post([sink.read(1, Self.numbers(150_000), database: .seconds(8))])
        var replies = try window(of: sink)
        try bench.waitFor(.seconds(9))
        pool.grow()
        while replies.last?.outcome.isLast == false {
            _ = pool.demand([PartDemand(id: RequestID(1), bytes: 1 << 20)], from: sink)
            replies += try sink.replies(1)
        }
        for reply in replies {
            guard case .part(let part) = reply.outcome else {
                Issue.record("\(reply.outcome)")
                continue
            }
            for case .rowsEnd(_, let error) in part.pieces { #expect(error == nil) }
        }
    }

    @Test func `What another node waits for has its time for the first part only`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink(isRemote: true, takesParts: true)
        pool.post([sink.read(1, Self.endless, timeout: .seconds(20))])
        _ = try window(of: sink)
        _ = pool.demand([PartDemand(id: RequestID(1), bytes: 1 << 20)], from: sink)
        _ = try window(of: sink)
        #expect(sink.isEmpty)
    }

    @Test func `An evicted stream says so behind its rows, also while it waits`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink(takesParts: true)
        pool.post([sink.read(1, Self.endless)])
        _ = try window(of: sink)
        pool.evictOldest()
        guard case .part(let part)? = try sink.replies(1).last?.outcome else {
            Issue.record("no part")
            return
        }
        #expect(part.isLast)
        var errors: [String] = []
        for case .rowsEnd(_, let error?) in part.pieces { errors.append(error) }
        #expect(errors.map { $0.hasPrefix("read ended: it held back the checkpoint") } == [true])
        #expect(try bench.eventually { pool.counts.busy == 0 })
    }

    @Test func `A stop ends streams, and who waits for them hears of it`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 2))
        let sink = bench.sink(takesParts: true)
        for number in 1...3 as ClosedRange<UInt64> {
            pool.post([sink.read(number, Self.endless)])
            _ = try window(of: sink)
        }
        pool.stop(patience: .milliseconds(10))
        let ends = try sink.replies(3)
        #expect(Set(ends.map(\.id.rawValue)) == [1, 2, 3])
        #expect(ends.allSatisfy { $0.outcome.isLast })
    }

    @Test func `Sinks that take no parts get the whole`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink()
        pool.post([sink.read(1, Self.numbers(400_000))])
        guard case .results(let result)? = try sink.replies(1).first?.outcome,
            case .rows(let rows)? = result.statements.first?.outcome
        else {
            Issue.record("no rows")
            return
        }
        #expect(rows.rowCount == 400_000)
    }
}
