import NIOCore
import NIOEmbedded
import NIOPosix
import PeerProtocol
import Raft
import Service
import Testing
import Wire

@testable import Transport

/// Replies to a node whose connection takes nothing for a while.
@Suite struct ForwardedRepliesTests {
    /// Keeps what is written until it is let go.
    private final class SlowSocket: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        private(set) var bytes = 0
        private(set) var last = ""
        /// What was written in few bytes.
        private(set) var notes: [String] = []
        private var promises: [EventLoopPromise<Void>] = []

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            let buffer = unwrapOutboundIn(data)
            bytes += buffer.readableBytes
            last = String(buffer: buffer)
            if buffer.readableBytes < 5000 { notes.append(last) }
            if let promise { promises.append(promise) }
        }

        func letGo() {
            let done = promises
            promises = []
            for promise in done { promise.succeed() }
        }
    }

    /// - Parameters:
    ///   - whole: bytes of an answer that goes out in one piece.
    ///   - most: bytes of a write's answer.
    ///   - held: bytes of answers that wait.
    private static func limits(
        whole: Int = TransportLimits.quick.wholeReplyBytes, most: Int, held: Int
    ) -> TransportLimits {
        var limits = TransportLimits.quick
        limits.snapshotChunkBytes = 10_000
        limits.maxCallBytes = 20_000
        limits.maxFrameBytes = 50_000
        limits.wholeReplyBytes = whole
        limits.maxReplyBytes = most
        limits.maxHeldReplyBytes = held
        return limits
    }

    private struct Bench {
        let transport: PeerTransport
        let channel = EmbeddedChannel()
        let socket = SlowSocket()
        let sink: ForwardedReplies

        init(_ limits: TransportLimits = .quick) throws {
            transport = PeerTransport(
                group: MultiThreadedEventLoopGroup.singleton, identity: WireBytes.identity,
                limits: limits, security: TransportSecurity())
            sink = ForwardedReplies(channel: channel, transport: transport, takesParts: true) {}
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            try channel.pipeline.syncOperations.addHandler(socket)
        }

        func open(_ ids: ClosedRange<UInt64>, _ kind: CommandKind = .query) {
            sink.opened(
                ids.map { id in
                    let command = Command(kind: kind, statements: [Statement("SELECT a")])
                    return ClientRequest(
                        id: RequestID(id), operation: .command(command, ReadOptions()))
                })
        }

        func deliver(_ id: UInt64, _ outcome: Outcome) {
            sink.deliver([Reply(id: RequestID(id), outcome: outcome)])
            channel.embeddedEventLoop.run()
        }

        /// - Returns: how many bytes went out for that.
        func ask(_ id: UInt64, for bytes: Int) -> Int {
            let before = socket.bytes
            let others = sink.demand([PartDemand(id: RequestID(id), bytes: bytes)])
            #expect(others.isEmpty)
            channel.embeddedEventLoop.run()
            return socket.bytes - before
        }

        func pass(_ time: TimeAmount) { channel.embeddedEventLoop.advanceTime(by: time) }

        func end() throws {
            socket.letGo()
            _ = try channel.finish(acceptAlreadyClosed: true)
            _ = transport.shutdown()
        }
    }

    /// - Parameter index: where it stands in the log; 0: nowhere, for nothing was written.
    private static func result(
        _ size: Int, _ others: StatementOutcome..., at index: UInt64 = 0
    ) -> Outcome {
        let rows = RowSet(
            columns: ["a"], types: ["blob"], rowCount: 1, cells: [UInt8](repeating: 7, count: size))
        let outcomes: [StatementOutcome] = [.rows(rows)] + others
        return .results(
            CommandResult(outcomes.map { StatementResult($0, isRead: true) }, logIndex: index))
    }

    @Test func `Reads whose answers find no room behind others are answered as busy`() throws {
        let bench = try Bench(Self.limits(most: 100_000, held: 100_000))
        bench.open(1...10)
        bench.open(11...11, .execute)
        bench.open(13...13, .request)
        for id in 1...10 as ClosedRange<UInt64> { bench.deliver(id, Self.result(30_000)) }
        #expect(bench.socket.bytes > 90_000 && bench.socket.bytes < 100_000)
        // What might have written, and stands nowhere in the log, is a read.
        bench.deliver(13, Self.result(30_000))
        #expect(bench.socket.bytes < 100_000)
        // Who has written something hears of it.
        bench.deliver(11, Self.result(30_000, at: 7))
        #expect(bench.socket.bytes > 120_000 && bench.socket.bytes < 130_000)
        // But for ever more of them there is no room either.
        bench.open(14...16, .execute)
        for id in 14...16 as ClosedRange<UInt64> {
            bench.deliver(id, Self.result(30_000, at: id))
        }
        #expect(bench.socket.bytes > 180_000 && bench.socket.bytes < 200_000)
        #expect(bench.socket.last.contains("was carried out"))
        bench.socket.letGo()
        bench.open(12...12)
        bench.deliver(12, Self.result(30_000))
        #expect(bench.socket.bytes > 150_000)
        try bench.end()
    }

    @Test func `What waits for a slow client takes no room that others' reads need`() throws {
        let bench = try Bench(Self.limits(most: 200_000, held: 2_020_000))
        bench.open(1...1, .execute)
        bench.open(2...3)
        // As much of it goes out as may be ahead of its client.
        bench.deliver(1, Self.result(2_000_000))
        let before = bench.socket.bytes
        #expect(before > 1_000_000 && before < 1_500_000)
        for id in [2, 3] as [UInt64] { bench.deliver(id, Self.result(30_000)) }
        #expect(bench.socket.bytes - before > 60_000)
        try bench.end()
    }

    @Test func `Of a write whose large answer finds no room it is said that it was carried out`()
        throws
    {
        let bench = try Bench(Self.limits(whole: 50_000, most: 1_000_000, held: 2_020_000))
        bench.open(1...5, .execute)
        bench.open(6...6, .request)
        // The first waits for its client, and the second is on its way.
        bench.deliver(1, Self.result(2_000_000, at: 7))
        bench.deliver(2, Self.result(100_000, at: 8))
        let before = bench.socket.bytes
        bench.deliver(3, Self.result(450_000, at: 9))
        #expect(bench.socket.bytes > before && bench.socket.bytes < before + 1000)
        #expect(bench.socket.last.contains("was carried out"))
        // What has failed may have undone all of it.
        bench.deliver(5, Self.result(450_000, .failed("no such table: t"), at: 10))
        #expect(bench.socket.bytes < before + 2000)
        #expect(bench.socket.last.contains("no such table: t"))
        #expect(!bench.socket.last.contains("was carried out"))
        // What might have written and only read may be asked again.
        bench.deliver(6, Self.result(450_000))
        #expect(bench.socket.bytes < before + 3000)
        #expect(!bench.socket.last.contains("there is no room between nodes"))
        bench.deliver(4, Self.result(30_000, at: 11))
        #expect(bench.socket.bytes > before + 30_000)
        try bench.end()
    }

    @Test func `Of a read that could be held if there were room nobody says that it is too large`()
        throws
    {
        var limits = Self.limits(whole: 50_000, most: 200_000, held: 2_020_000)
        // What is larger is encoded on another thread.
        limits.largeFrameBytes = 8 << 20
        let bench = try Bench(limits)
        bench.open(1...1, .execute)
        bench.open(2...3)
        bench.deliver(1, Self.result(2_000_000, at: 7))
        bench.deliver(2, Self.result(450_000))
        #expect(bench.socket.notes.count == 1)
        #expect(!bench.socket.last.contains("over the limit"))
        bench.deliver(3, Self.result(2_500_000))
        #expect(bench.socket.notes.count == 2)
        #expect(bench.socket.last.contains("over the limit"))
        try bench.end()
    }

    /// As soon as all of it was asked for, which is at once where it is little larger than what goes whole.
    @Test
    func `What waits for the connection counts until that has taken it, whoever asked for it`()
        throws
    {
        let bench = try Bench(Self.limits(whole: 1_000_000, most: 2_000_000, held: 2_200_000))
        bench.open(1...5, .execute)
        bench.channel.isWritable = false
        for id in 1...2 as ClosedRange<UInt64> {
            bench.deliver(id, Self.result(1_030_000, at: id))
        }
        #expect(bench.socket.bytes == 0)
        // There is room for one more on its way alone, and for no other.
        bench.deliver(3, Self.result(1_030_000, at: 3))
        let before = bench.socket.bytes
        #expect(before > 1_030_000 && before < 1_040_000)
        bench.deliver(4, Self.result(1_030_000, at: 4))
        #expect(bench.socket.bytes < before + 1000)
        #expect(bench.socket.last.contains("was carried out"))
        bench.channel.isWritable = true
        bench.sink.writeParts()
        #expect(bench.socket.bytes > before + 2_060_000)
        // They are gone, and there is room again: it goes in parts, and so not whole.
        bench.channel.isWritable = false
        let taken = bench.socket.bytes
        bench.deliver(5, Self.result(1_030_000, at: 5))
        #expect(bench.socket.bytes == taken)
        #expect(bench.sink.close().isEmpty)
        try bench.end()
    }

    @Test func `Who asks for nothing for long makes room for an answer that finds none`() throws {
        let bench = try Bench(Self.limits(whole: 50_000, most: 200_000, held: 2_500_000))
        bench.open(1...4, .execute)
        bench.deliver(1, Self.result(2_000_000, at: 7))
        bench.pass(.seconds(8))
        #expect(bench.ask(1, for: 262_144) > 250_000)
        bench.pass(.seconds(8))
        // Its client has asked for more of late.
        bench.deliver(2, Self.result(1_500_000, at: 8))
        #expect(bench.socket.notes.last?.contains("was carried out") ?? false)
        // What it asks for may not have been read.
        bench.sink.readsNothing()
        bench.pass(.seconds(8))
        bench.sink.readsAgain()
        bench.deliver(3, Self.result(1_500_000, at: 9))
        #expect(bench.socket.notes.count == 2)
        #expect(bench.socket.notes.last?.contains("was carried out") ?? false)
        bench.pass(.seconds(2))
        let before = bench.socket.bytes
        bench.deliver(4, Self.result(1_500_000, at: 10))
        #expect(bench.socket.bytes - before > 1_000_000)
        #expect(bench.socket.notes.last?.contains("others need its room") ?? false)
        #expect(bench.ask(1, for: 262_144) == 0)
        #expect(bench.ask(4, for: 262_144) > 250_000)
        try bench.end()
    }

    @Test func `While a connection takes nothing it is not read, and nobody counts as silent`()
        throws
    {
        let transport = PeerTransport(
            group: MultiThreadedEventLoopGroup.singleton, identity: WireBytes.identity,
            limits: Self.limits(whole: 50_000, most: 200_000, held: 2_500_000),
            security: TransportSecurity())
        let (delegate, channel, socket) = (RecordingDelegate(), EmbeddedChannel(), SlowSocket())
        let caller = PeerCaller(identity: WireBytes.identity, remoteAddress: "test")
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try channel.pipeline.syncOperations.addHandlers([
            socket,
            ForwardResponder(
                transport: transport, delegate: delegate, caller: caller, takesParts: true,
                budget: ByteBudget(limit: 1 << 20), limit: 1 << 20),
        ])
        let command = Command(kind: .execute, statements: [Statement("SELECT a")])
        let requests = (1...3 as ClosedRange<UInt64>).map {
            ClientRequest(id: RequestID($0), operation: .command(command, ReadOptions()))
        }
        try channel.writeInbound(ForwardedBatch(requests: requests))
        let sink = try #require(delegate.forwards.items.first?.sink)
        func deliver(_ id: UInt64, _ size: Int) {
            sink.deliver([Reply(id: RequestID(id), outcome: Self.result(size, at: id))])
            channel.embeddedEventLoop.run()
        }
        deliver(1, 2_000_000)
        channel.isWritable = false
        channel.pipeline.read()
        channel.embeddedEventLoop.advanceTime(by: .seconds(11))
        deliver(2, 1_500_000)
        #expect(socket.notes.last?.contains("was carried out") ?? false)
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        channel.embeddedEventLoop.advanceTime(by: .seconds(2))
        deliver(3, 1_500_000)
        #expect(socket.notes.last?.contains("others need its room") ?? false)
        socket.letGo()
        _ = try channel.finish(acceptAlreadyClosed: true)
        _ = transport.shutdown()
    }

    @Test func `Of an answer that is recalled nothing more goes out`() throws {
        let bench = try Bench()
        bench.open(1...2)
        bench.channel.isWritable = false
        for _ in 0..<8 {
            for id in [1, 2] as [UInt64] {
                let cells = ResultPart.Piece.cells([UInt8](repeating: 7, count: 100_000))
                bench.deliver(id, .part(ResultPart([cells])))
            }
        }
        #expect(bench.socket.bytes == 0)
        #expect(bench.sink.recall([RequestID(1)]) == [RequestID(1)])
        bench.channel.isWritable = true
        bench.sink.writeParts()
        #expect(bench.socket.bytes > 800_000 && bench.socket.bytes < 900_000)
        try bench.end()
    }
}
