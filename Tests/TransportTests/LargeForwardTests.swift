import Dispatch
import NIOCore
import PeerProtocol
import Raft
import Service
import Testing
import Wire

@testable import Transport

/// Large requests between nodes: in parts, with flow control.
@Suite(.timeLimit(.minutes(15))) struct LargeForwardTests {
    private func request(_ id: UInt64, size: Int = 8) -> ClientRequest {
        let text = String(repeating: "x", count: size - 4) + "\(1000 + id % 9000)"
        return ClientRequest(
            id: RequestID(id),
            operation: .command(
                Command(kind: .execute, statements: [Statement(text)]), ReadOptions()),
            timeout: .seconds(120))
    }

    private func text(_ request: ClientRequest) -> String {
        if case .command(let command, _) = request.operation {
            return command.statements.first?.sql ?? ""
        }
        return ""
    }

    /// Takes all memory for what arrives, but for as much.
    private func hold(_ node: TestNode, leaving: Int) -> (ByteBudget, Int) {
        let budget = node.transport.inbound.arriving
        let count = budget.limit - leaving
        #expect(budget.take(count) {})
        return (budget, count)
    }

    @Test func `A large request comes whole and in parts, and others overtake it`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        let sink = RecordingSink()
        let (budget, held) = hold(b, leaving: 1 << 20)
        let large = [request(1, size: 20 << 20), request(2, size: 3_000_001)]
        a.transport.forward(large, to: b.address, sink: sink)
        for id in 3..<20 as Range<UInt64> {
            a.transport.forward([request(id)], to: b.address, sink: sink)
        }
        let early = try await b.delegate.forwards.wait {
            $0.reduce(0) { $0 + $1.requests.count } == 17
        }
        #expect(early.flatMap(\.requests).map(text) == (3..<20).map { text(request($0)) })
        budget.release(held)
        let all = try await b.delegate.forwards.wait {
            $0.reduce(0) { $0 + $1.requests.count } == 19
        }
        // The small one of the large is not behind the other.
        #expect(Set(all.flatMap(\.requests).suffix(2).map(text)) == Set(large.map(text)))
        for forwarded in all {
            forwarded.sink.deliver(forwarded.requests.map { Reply(id: $0.id, outcome: .done) })
        }
        let replies = try await sink.replies.wait(count: 19)
        #expect(Set(replies.map(\.id.rawValue)) == Set(1..<20))
        try await until { budget.taken == 0 }
        try await a.stop()
        try await b.stop()
    }

    @Test func `A large request that nobody waits for any more is not sent, nor taken`()
        async throws
    {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        let sink = RecordingSink()
        let (budget, held) = hold(b, leaving: 1 << 20)
        a.transport.forward([request(1, size: 4 << 20)], to: b.address, sink: sink)
        a.transport.forward([request(2)], to: b.address, sink: sink)
        try await b.delegate.forwards.wait(count: 1)
        a.transport.recall([RequestID(1)], of: sink, at: b.address)
        a.transport.forward([request(3)], to: b.address, sink: sink)
        try await b.delegate.forwards.wait(count: 2)
        budget.release(held)
        a.transport.forward([request(4, size: 1 << 20)], to: b.address, sink: sink)
        let all = try await b.delegate.forwards.wait(count: 3).flatMap(\.requests)
        #expect(all.map { text($0).suffix(4) } == ["1002", "1003", "1004"])
        try await until { budget.taken == 0 }
        try await a.stop()
        try await b.stop()
    }

    @Test func `A request that was not written to its end goes back when its connection breaks`()
        async throws
    {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        let sink = RecordingSink()
        let back = Mailbox<ClientRequest>()
        _ = hold(b, leaving: 1 << 20)
        a.transport.forward(
            [request(1, size: 4 << 20), request(2)], to: b.address, sink: sink
        ) { requests, _ in back.put(contentsOf: requests) }
        try await b.delegate.forwards.wait(count: 1)
        try await b.stop()
        #expect(try await back.first().id == RequestID(1))
        #expect(try await sink.replies.first().id == RequestID(2))
        #expect(back.items.count == 1 && sink.replies.items.count == 1)
        try await a.stop()
    }

    @Test func `A node that takes no parts gets a large request as one frame`() async throws {
        var limits = TransportLimits.quick
        limits.welcomeTime = .milliseconds(50)
        let a = try await TestNode.start("a", limits: limits)
        let older = try await RawServer.start(saying: [])
        let sink = RecordingSink()
        let large = request(1, size: 3 << 20)
        a.transport.forward([large], to: older.address, sink: sink)
        var writer = ByteWriter()
        large.encode(into: &writer, id: RequestID(1))
        let frame = WireBytes.frame(6, writer.bytes)
        let heard = try await older.heard.wait { $0.reduce(0) { $0 + $1.count } > frame.count }
        #expect(heard.flatMap { $0 }.suffix(frame.count) == frame[...])
        try await a.stop()
        try await older.channel.close()
    }

    // MARK: By hand

    private static let size = 700_000

    private func frame(_ kind: UInt8, _ id: UInt64, _ rest: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(id)
        writer.writeRaw(rest)
        return WireBytes.frame(kind, writer.bytes)
    }

    private func word(_ kind: UInt8, _ id: UInt64, _ bytes: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt32(bytes))
        return frame(kind, id, writer.bytes)
    }

    /// Announces a request, and waits until it is asked for.
    private func announce(
        _ node: TestNode, granted: Int = size
    ) async throws -> (RawConnection, any Channel) {
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        try await channel.say(
            WireBytes.preamble(purpose: 3) + WireBytes.introduction() + word(19, 7, Self.size))
        let grant = word(20, 7, granted)
        let events = try await raw.events.wait { $0.bytes.count >= grant.count }
        #expect(events.bytes.starts(with: grant))
        return (raw, channel)
    }

    @Test func `What is recalled in its middle takes no memory any more`() async throws {
        let b = try await TestNode.start("b")
        let budget = b.transport.inbound.untrusted
        let (_, channel) = try await announce(b)
        #expect(budget.taken == Self.size)
        let part = frame(21, 7, [UInt8](repeating: 1, count: 50_000))
        try await channel.say(part + frame(17, 7, []) + part)
        var writer = ByteWriter()
        request(8).encode(into: &writer, id: RequestID(8))
        try await channel.say(WireBytes.frame(6, writer.bytes))
        #expect(try await b.delegate.forwards.first().requests.map(\.id) == [RequestID(8)])
        #expect(budget.taken == 0 && b.delegate.recalls.items.isEmpty)
        channel.close(promise: nil)
        try await b.stop()
    }

    @Test func `A client that is gone in the middle of its request takes no memory any more`()
        async throws
    {
        let b = try await TestNode.start("b")
        let (_, channel) = try await announce(b)
        try await channel.say(frame(21, 7, [UInt8](repeating: 1, count: 50_000)))
        channel.close(promise: nil)
        try await until { b.transport.inbound.untrusted.taken == 0 }
        #expect(b.delegate.forwards.items.isEmpty)
        try await b.stop()
    }

    @Test func `A request whose parts don't come in time is answered so`() async throws {
        var limits = TransportLimits.quick
        limits.frameGrace = .milliseconds(20)
        limits.minFrameRate = 1 << 30
        let b = try await TestNode.start("b", limits: limits)
        let (raw, channel) = try await announce(b)
        let grant = word(20, 7, Self.size).count
        let heard = try await raw.events.wait { $0.bytes.count > grant + Frame.headerSize }.bytes
        var reader = ByteReader(Array(heard.dropFirst(grant + Frame.headerSize)))
        let reply = try Reply(from: &reader)
        #expect(reply.id == RequestID(7))
        guard case .failed(.timedOut) = reply.outcome else {
            Issue.record("\(reply)")
            return
        }
        #expect(b.transport.inbound.untrusted.taken == 0)
        channel.close(promise: nil)
        try await b.stop()
    }

    @Test(arguments: ["more", "empty", "again", "nothing", "huge", "nonsense", "other"])
    func `Who sends parts that nobody asked for is cut off`(what: String) async throws {
        var limits = TransportLimits.quick
        limits.requestWindowBytes = 100_000
        let b = try await TestNode.start("b", limits: limits)
        let (raw, channel) = try await announce(b, granted: 100_000)
        switch what {
        case "more": try await channel.say(frame(21, 7, [UInt8](repeating: 1, count: 100_001)))
        case "empty": try await channel.say(frame(21, 7, []))
        case "again": try await channel.say(word(19, 7, 800_000))
        case "nothing": try await channel.say(word(19, 8, 0))
        case "huge": try await channel.say(word(19, 8, Int(UInt32.max)))
        default:
            var writer = ByteWriter()
            request(what == "other" ? 9 : 8).encode(into: &writer, id: RequestID(9))
            if what == "nonsense" { writer.write(UInt8(255)) }
            let bytes = what == "nonsense" ? [UInt8](repeating: 255, count: 90) : writer.bytes
            try await channel.say(word(19, 8, bytes.count) + frame(17, 7, []))
            try await raw.events.wait { $0.bytes.count >= 2 * word(20, 8, 0).count }
            try await channel.say(frame(21, 8, bytes))
        }
        try await raw.events.wait { $0.last == .closed }
        try await until { b.transport.inbound.untrusted.taken == 0 }
        #expect(b.delegate.forwards.items.isEmpty)
        #expect(b.transport.statistics.inbound.corrupted == 1)
        try await b.stop()
    }
}

extension [RawConnection.Event] {
    fileprivate var bytes: [UInt8] {
        flatMap { event -> [UInt8] in if case .bytes(let bytes) = event { bytes } else { [] } }
    }
}
