import Dispatch
import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Service
import Testing
import Wire

@testable import Transport

/// Answers to forwarded requests that come in parts.
@Suite(.timeLimit(.minutes(15))) struct PartsTests {
    private static let begin = ResultPart.Piece.rowsBegin(
        columns: ["a"], types: ["text"], isRead: true)

    private func request(_ id: UInt64, timeout: Duration = .seconds(30)) -> ClientRequest {
        let command = Command(kind: .query, statements: [Statement("SELECT a")])
        return ClientRequest(
            id: RequestID(id), operation: .command(command, ReadOptions()), timeout: timeout)
    }

    private func cells(_ count: Int) -> ResultPart.Piece {
        .cells([UInt8](repeating: 0, count: count))
    }

    /// A text of so many bytes, as the one value of a result.
    private func result(_ size: Int) -> CommandResult {
        var writer = ByteWriter()
        Value.text(String(repeating: "x", count: size)).encode(into: &writer)
        let rows = RowSet(columns: ["a"], types: ["text"], rowCount: 1, cells: writer.bytes)
        return CommandResult([StatementResult(.rows(rows), isRead: true)])
    }

    private func part(_ reply: Reply) -> ResultPart? {
        if case .part(let part) = reply.outcome { part } else { nil }
    }

    private func cellBytes(_ replies: [Reply]) -> Int {
        replies.compactMap(part).flatMap(\.pieces).reduce(0) { sum, piece in
            if case .cells(let cells) = piece { sum + cells.count } else { sum }
        }
    }

    private func start(
        _ limits: TransportLimits = .quick
    ) async throws -> (TestNode, TestNode, RecordingSink, RecordingDelegate.Forwarded) {
        let a = try await TestNode.start("a", limits: limits)
        let b = try await TestNode.start("b", limits: limits)
        let sink = RecordingSink(takesParts: true)
        a.transport.forward([request(7)], to: b.address, sink: sink)
        return (a, b, sink, try await b.delegate.forwards.first())
    }

    @Test func `Parts arrive in their order, whatever their sizes`() async throws {
        let (a, b, sink, forwarded) = try await start()
        let id = forwarded.requests[0].id
        #expect(forwarded.sink.takesParts)
        // Some batches are encoded elsewhere.
        let sizes = [1, 700_000, 3, 1_500_000, 5, 6, 2_000_000, 9]
        let owner = sink
        for (place, size) in sizes.enumerated() {
            let pieces = place == 0 ? [Self.begin, cells(size)] : [cells(size)]
            forwarded.sink.deliver([Reply(id: id, outcome: .part(ResultPart(pieces)))])
            // As much again is asked for, so that no part is one too many.
            try await sink.replies.wait { $0.count > place / 4 }
            a.transport.demand([PartDemand(id: RequestID(7), bytes: size + 200)], of: owner)
        }
        let last = ResultPart([.rowsEnd(nanoseconds: 1, error: nil), .end(error: nil, logIndex: 0)])
        forwarded.sink.deliver([Reply(id: id, outcome: .part(last))])
        let replies = try await sink.replies.wait { $0.last?.outcome.isLast == true }
        let seen = replies.compactMap(part).flatMap(\.pieces).compactMap { piece -> Int? in
            if case .cells(let cells) = piece { cells.count } else { nil }
        }
        #expect(seen == Array(sizes.prefix(seen.count)))
        #expect(replies.allSatisfy { $0.id == RequestID(7) && $0.servedBy == b.address })
        try await a.stop()
        try await b.stop()
    }

    @Test func `Demand reaches the node that makes the answer, under its own ID`() async throws {
        let (a, b, sink, forwarded) = try await start()
        let id = forwarded.requests[0].id
        forwarded.sink.deliver([Reply(id: id, outcome: .part(ResultPart([Self.begin])))])
        try await sink.replies.wait(count: 1)
        a.transport.demand([PartDemand(id: RequestID(7), bytes: 300_000)], of: sink)
        #expect(try await b.delegate.demands.first() == PartDemand(id: id, bytes: 300_000))
        // Of what is not under way, nothing is said.
        a.transport.demand([PartDemand(id: RequestID(8), bytes: 5)], of: sink)
        a.transport.demand([PartDemand(id: RequestID(7), bytes: 5)], of: RecordingSink())
        a.transport.demand([PartDemand(id: RequestID(7), bytes: 6)], of: sink)
        let demands = try await b.delegate.demands.wait(count: 2)
        #expect(demands.map(\.bytes) == [300_000, 6])
        try await a.stop()
        try await b.stop()
    }

    @Test func `What is recalled is answered no more, and its node hears of it`() async throws {
        let (a, b, sink, forwarded) = try await start()
        let id = forwarded.requests[0].id
        a.transport.recall([RequestID(7)], of: sink, at: b.address)
        #expect(try await b.delegate.recalls.first() == id)
        forwarded.sink.deliver([Reply(id: id, outcome: .done)])
        a.transport.forward([request(8)], to: b.address, sink: sink)
        let next = try await b.delegate.forwards.wait(count: 2)[1]
        next.sink.deliver([Reply(id: next.requests[0].id, outcome: .done)])
        #expect(try await sink.replies.first().id == RequestID(8))
        try await a.stop()
        try await b.stop()
    }

    private func request(_ id: UInt64, size: Int) -> ClientRequest {
        var request = request(id)
        request.operation = .command(
            Command(kind: .query, statements: [Statement(String(repeating: "x", count: size))]),
            ReadOptions())
        return request
    }

    @Test func `Many requests are encoded beside the loop, and nothing overtakes them`()
        async throws
    {
        let (a, b, sink, _) = try await start()
        let gate = DispatchSemaphore(value: 0)
        a.transport.codec.submit { _ in gate.wait() }
        let limits = a.transport.limits
        let size = limits.wholeRequestBytes / 2
        let many = (8..<16).map { request($0, size: size) }
        #expect(many.reduce(0) { $0 + $1.approximateSize } > limits.largeFrameBytes)
        a.transport.forward(many, to: b.address, sink: sink)
        a.transport.forward([request(16)], to: b.address, sink: sink)
        for _ in 0..<20 {
            _ = try await a.transport.call(.hello, at: b.address, timeout: .minutes(1)).get()
        }
        let early = b.delegate.forwards.items.flatMap(\.requests)
        #expect(early.count == 1)
        a.transport.recall([RequestID(8)], of: sink, at: b.address)
        gate.signal()
        let all = try await b.delegate.forwards.wait {
            $0.reduce(0) { $0 + $1.requests.count } == 10
        }
        let requests = all.flatMap(\.requests)
        #expect(
            requests.map { $0.approximateSize > size }
                == [false] + many.map { _ in true } + [false])
        #expect(try await b.delegate.recalls.first() == requests[1].id)
        try await a.stop()
        try await b.stop()
    }

    @Test func `A connection that breaks ends answers in parts at both ends`() async throws {
        let (a, b, sink, forwarded) = try await start()
        let id = forwarded.requests[0].id
        forwarded.sink.deliver([Reply(id: id, outcome: .part(ResultPart([Self.begin])))])
        try await sink.replies.wait(count: 1)
        try await a.stop()
        #expect(try await b.delegate.recalls.first() == id)
        let replies = try await sink.replies.wait(count: 2)
        guard case .failed(.forwardingFailed) = replies[1].outcome else {
            Issue.record("\(replies[1])")
            return
        }
        // What comes after goes nowhere, and does no harm.
        forwarded.sink.deliver([Reply(id: id, outcome: .part(ResultPart([cells(5)])))])
        try await b.stop()
    }

    @Test func `A whole result that is large goes in parts, as it is asked for`() async throws {
        let (a, b, sink, forwarded) = try await start()
        let size = 5_000_000
        forwarded.sink.deliver([
            Reply(id: forwarded.requests[0].id, outcome: .results(result(size)))
        ])
        try await sink.replies.wait { self.cellBytes($0) >= ResultWindow.bytes - 200_000 }
        try await b.pause(.milliseconds(50))
        #expect(cellBytes(sink.replies.items) < ResultWindow.bytes + 200_000)
        while sink.replies.items.last?.outcome.isLast != true {
            let count = sink.replies.items.count
            a.transport.demand([PartDemand(id: RequestID(7), bytes: 400_000)], of: sink)
            try await sink.replies.wait { $0.count > count }
        }
        #expect(cellBytes(sink.replies.items) == size + 5)
        // The node that made it has no part in that.
        #expect(b.delegate.demands.items.isEmpty)
        try await a.stop()
        try await b.stop()
    }

    @Test func `Other replies don't wait behind all the parts that are under way`() async throws {
        let (a, b, sink, forwarded) = try await start()
        let ids = (100..<140 as Range<UInt64>).map { $0 }
        a.transport.forward(ids.map { request($0) }, to: b.address, sink: sink)
        let others = try await b.delegate.forwards.wait {
            $0.reduce(0) { $0 + $1.requests.count } == 41
        }.flatMap(\.requests).dropFirst()
        // Forty windows at once, and one small reply behind them.
        forwarded.sink.deliver(
            others.map { Reply(id: $0.id, outcome: .results(result(3_000_000))) })
        forwarded.sink.deliver([Reply(id: forwarded.requests[0].id, outcome: .done)])
        let seen = try await sink.replies.wait { $0.contains { $0.id == RequestID(7) } }
        let place = try #require(seen.firstIndex { $0.id == RequestID(7) })
        #expect(cellBytes(Array(seen[..<place])) < 20 << 20)
        try await sink.replies.wait { self.cellBytes($0) >= 39 * (ResultWindow.bytes - 200_000) }
        try await a.stop()
        try await b.stop()
    }

    @Test func `A large result that is recalled is let go, and others are served`() async throws {
        let (a, b, sink, forwarded) = try await start()
        forwarded.sink.deliver([
            Reply(id: forwarded.requests[0].id, outcome: .results(result(5_000_000)))
        ])
        try await sink.replies.wait(count: 1)
        a.transport.recall([RequestID(7)], of: sink, at: b.address)
        a.transport.forward([request(8)], to: b.address, sink: sink)
        let next = try await b.delegate.forwards.wait(count: 2)[1]
        next.sink.deliver([Reply(id: next.requests[0].id, outcome: .done)])
        try await sink.replies.wait { $0.last?.id == RequestID(8) }
        #expect(b.delegate.recalls.items.isEmpty)
        try await a.stop()
        try await b.stop()
    }

    @Test func `A node that sends more than it was asked for is not listened to`() async throws {
        let (a, b, sink, forwarded) = try await start()
        let id = forwarded.requests[0].id
        for _ in 0..<20 {
            forwarded.sink.deliver([Reply(id: id, outcome: .part(ResultPart([cells(200_000)])))])
        }
        let replies = try await sink.replies.wait { $0.last?.outcome.isLast == true }
        guard case .failed(.forwardingFailed(_, let cause))? = replies.last?.outcome else {
            Issue.record("\(String(describing: replies.last?.outcome))")
            return
        }
        #expect(cause.contains("more of its answer than it was asked for"))
        #expect(cellBytes(replies) <= ResultWindow.bytes + 200_000)
        #expect(try await b.delegate.recalls.first() == id)
        try await a.stop()
        try await b.stop()
    }

    @Test func `A node that stops in the middle of an answer is waited for no longer than asked`()
        async throws
    {
        var limits = TransportLimits.quick
        limits.forwardGrace = .milliseconds(1)
        let a = try await TestNode.start("a", limits: limits)
        let b = try await TestNode.start("b")
        let sink = RecordingSink(takesParts: true)
        a.transport.forward([request(7, timeout: .seconds(15))], to: b.address, sink: sink)
        let forwarded = try await b.delegate.forwards.first()
        let id = forwarded.requests[0].id
        forwarded.sink.deliver([Reply(id: id, outcome: .part(ResultPart([Self.begin])))])
        // The rest of the window stays away.
        let replies = try await sink.replies.wait(count: 2)
        guard case .failed(.timedOut) = replies[1].outcome else {
            Issue.record("\(replies[1])")
            return
        }
        #expect(try await b.delegate.recalls.first() == id)
        try await a.stop()
        try await b.stop()
    }

    @Test func `While nothing is asked for, an answer in parts has all the time`() async throws {
        var limits = TransportLimits.quick
        limits.forwardGrace = .milliseconds(1)
        let a = try await TestNode.start("a", limits: limits)
        let b = try await TestNode.start("b")
        let sink = RecordingSink(takesParts: true)
        a.transport.forward([request(7, timeout: .seconds(2))], to: b.address, sink: sink)
        let forwarded = try await b.delegate.forwards.first()
        let window = ResultPart([cells(ResultWindow.bytes)])
        forwarded.sink.deliver([Reply(id: forwarded.requests[0].id, outcome: .part(window))])
        try await sink.replies.wait(count: 1)
        try await a.pause(.seconds(3))
        #expect(sink.replies.items.count == 1)
        try await a.stop()
        try await b.stop()
    }

    @Test func `Nodes of an earlier version get the whole, up to its limit`() async throws {
        var limits = TransportLimits.quick
        limits.maxReplyBytes = 70 << 20
        let b = try await TestNode.start("b", limits: limits)
        let (connection, channel) = try await RawConnection.open(to: b.listener.port)
        var writer = ByteWriter()
        request(3).encode(into: &writer, id: RequestID(3))
        try await channel.say(
            WireBytes.preamble(purpose: 3) + WireBytes.introduction()
                + WireBytes.frame(6, writer.bytes))
        let forwarded = try await b.delegate.forwards.first()
        #expect(!forwarded.sink.takesParts)
        forwarded.sink.deliver([
            Reply(id: forwarded.requests[0].id, outcome: .results(result(3_000_000)))
        ])
        let events = try await connection.events.wait { events in
            events.reduce(0) { sum, event in
                if case .bytes(let bytes) = event { sum + bytes.count } else { sum }
            } > 3_000_000
        }
        guard case .bytes(let first)? = events.first else { return }
        // One frame `reply`.
        #expect(first[4] == 7)
        try await channel.close().get()
        try await b.stop()
    }
}
