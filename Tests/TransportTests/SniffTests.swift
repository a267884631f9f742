import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Synchronization
import Testing
import Transport
import Wire

/// One port takes HTTP and nodes, and refuses the rest.
@Suite(.timeLimit(.minutes(15))) struct SniffTests {
    /// Answers whatever it reads with its own bytes in upper case after "HTTP:".
    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            let text = bytes.readString(length: bytes.readableBytes) ?? ""
            context.writeAndFlush(NIOAny(ByteBuffer(string: "HTTP:" + text)), promise: nil)
            context.close(mode: .output, promise: nil)
        }
    }

    private let http: Listener.HTTPInstaller = { channel in
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
    }

    @Test func `HTTP is handed over with the bytes already read`() async throws {
        let node = try await TestNode.start("a", http: http)
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        try await channel.say(Array("GET / HTTP/1.1\r\n".utf8))
        let answer = try await raw.bytesUntilClosed()
        #expect(String(decoding: answer, as: UTF8.self) == "HTTP:GET / HTTP/1.1\r\n")
        let inbound = node.transport.statistics.inbound
        #expect(inbound.httpConnections == 1)
        #expect(inbound.nodeConnections == 0)
        #expect(inbound.httpHandshakes + inbound.nodeHandshakes == 0)
        #expect(inbound.unidentified == 0)
        try await node.stop()
    }

    @Test func `A node and an HTTP client share a port`() async throws {
        let node = try await TestNode.start("a", http: http)
        node.delegate.answering.withLock { $0 = { _, _, reply in reply(.hello(Samples.hello)) } }
        let other = try await TestNode.start("b")
        let answer = try await other.transport.call(
            .hello, at: node.address, timeout: .seconds(20)
        ).get()
        #expect(answer == .hello(Samples.hello))
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        try await channel.say(Array("POST".utf8))
        #expect(try await raw.bytesUntilClosed() == Array("HTTP:POST".utf8))
        #expect(node.transport.statistics.inbound.nodeConnections == 1)
        try await node.stop()
        try await other.stop()
    }

    @Test(arguments: [
        (
            [0x16, 3, 1, 0] as [UInt8],
            "it speaks TLS, and this node does not (-http-cert, -node-cert)"
        ),
        ([0, 1, 2, 3], "neither HTTP nor the node protocol"),
        (Array("get / HTTP/1.1".utf8), "neither HTTP nor the node protocol"),
        ([0xF5] + Array("RQLNOT_A_NODE".utf8), "neither HTTP nor the node protocol"),
    ])
    func `What is neither is closed and counted`(bytes: [UInt8], reason: String) async throws {
        let node = try await TestNode.start("a")
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        try await channel.say(bytes)
        #expect(try await raw.bytesUntilClosed() == [])
        let inbound = node.transport.statistics.inbound
        #expect(inbound.refusedTLS + inbound.refusedUnknown == 1)
        #expect((inbound.refusedTLS == 1) == (bytes.first == 0x16))
        let observation = try await node.delegate.observations.first()
        #expect(observation.description.hasSuffix(": \(reason)"))
        try await node.stop()
    }

    @Test(arguments: [[], [0xF5, 0x52]] as [[UInt8]])
    func `A connection that does not say what it is is closed in time`(bytes: [UInt8])
        async throws
    {
        var limits = TransportLimits.quick
        limits.sniffTimeout = .milliseconds(20)
        let node = try await TestNode.start("a", limits: limits)
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        // It may be closed already.
        if !bytes.isEmpty { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
        #expect(try await raw.bytesUntilClosed() == [])
        #expect(node.transport.statistics.inbound.unidentified == 0)
        try await node.stop()
    }

    @Test func `A newer major version is refused with both versions`() async throws {
        let node = try await TestNode.start("a")
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        try await channel.say(
            WireBytes.preamble(major: 2, purpose: 2) + WireBytes.introduction())
        let bytes = try await raw.bytesUntilClosed()
        var expected = ByteWriter()
        expected.writeRaw([1, 1, 4] as [UInt8])
        expected.write(
            "this node speaks version 1.4 of the node protocol, the caller 2.0")
        #expect(bytes == WireBytes.frame(2, expected.bytes))
        try await node.stop()
    }

    @Test func `Nodes beyond the limit are refused with a reason`() async throws {
        var limits = TransportLimits.quick
        limits.maxInboundPeers = 1
        let node = try await TestNode.start("a", limits: limits)
        let b = try await TestNode.start("b")
        b.knows(node)
        b.transport.send([b.message(1, to: node.id)])
        try await node.delegate.batches.wait(count: 1)
        let error = await #expect(throws: TransportError.self) {
            try await b.transport.call(.hello, at: node.address, timeout: .seconds(20)).get()
        }
        #expect(error?.reason == .refused)
        #expect(error?.cause == "refused: too many connections between nodes")
        #expect(node.transport.statistics.inbound.refusedOverLimit == 1)
        try await node.stop()
        try await b.stop()
    }

    /// Of the node protocol as far as the first byte of the introduction, or nothing.
    @Test(arguments: [[UInt8](), WireBytes.preamble(purpose: 1)])
    func `However many say not who they are, nodes are let in`(words: [UInt8]) async throws {
        var limits = TransportLimits.quick
        limits.maxUnidentified = 8
        limits.maxUnidentifiedOfOrigin = 8
        limits.maxInboundPeers = 4
        let node = try await TestNode.start("a", limits: limits)
        var strangers: [(RawConnection, any Channel)] = []
        for _ in 0..<20 {
            let stranger = try await RawConnection.open(to: node.listener.port)
            if !words.isEmpty { try await stranger.1.say(words) }
            strangers.append(stranger)
        }
        // Several loops take them in: which have waited longest is not the order in which they came.
        try await until { strangers.count { !$0.1.isActive } >= 12 }
        #expect(node.transport.statistics.inbound.refusedOverLimit >= 12)
        #expect(node.transport.statistics.inbound.unidentified <= 8)
        let b = try await TestNode.start("b")
        b.knows(node)
        b.transport.send([b.message(1, to: node.id)])
        try await node.delegate.batches.wait(count: 1)
        #expect(node.transport.statistics.inbound.peers == 1)
        try await node.stop()
        try await b.stop()
    }

    /// As nobody that is known, and in the name of a member.
    @Test(arguments: [false, true])
    func `However many introduce themselves, a member is let in`(asMember: Bool) async throws {
        var limits = TransportLimits.quick
        limits.maxInboundPeers = 10
        let node = try await TestNode.start("a", limits: limits)
        let b = try await TestNode.start("b")
        let known = [b.transport.identity] + (asMember ? [WireBytes.identity] : [])
        node.delegate.ownPresence.withLock { presence in
            presence.members = known.map {
                Member(
                    id: $0.id, incarnation: $0.incarnation, address: PeerAddress("h:1"),
                    suffrage: .voter)
            }
        }
        var strangers: [(RawConnection, any Channel)] = []
        for count in 1...10 {
            let stranger = try await RawConnection.open(to: node.listener.port)
            try await stranger.1.say(WireBytes.preamble(purpose: 1) + WireBytes.introduction())
            strangers.append(stranger)
            try await until { node.transport.statistics.inbound.peers == count }
        }
        b.knows(node)
        b.transport.send([b.message(1, to: node.id)])
        try await node.delegate.batches.wait(count: 1)
        #expect(try await strangers[0].0.bytesUntilClosed() == [])
        #expect(node.transport.statistics.inbound.refusedOverLimit >= 1)
        try await node.stop()
        try await b.stop()
    }

    @Test func `However many introduce themselves, a client still gets a connection`() async throws
    {
        var limits = TransportLimits.quick
        limits.maxConnections = 16
        limits.maxUnidentified = 4
        limits.maxUnidentifiedOfOrigin = 4
        let node = try await TestNode.start("a", limits: limits, http: http)
        var strangers: [(RawConnection, any Channel)] = []
        for _ in 0..<16 {
            let stranger = try await RawConnection.open(to: node.listener.port)
            try? await stranger.1.say(WireBytes.preamble(purpose: 1) + WireBytes.introduction())
            strangers.append(stranger)
        }
        try await until {
            let inbound = node.transport.statistics.inbound
            return inbound.peers >= 16 || UInt64(inbound.peers) + inbound.refusedOverLimit >= 16
        }
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        try? await channel.say(Array("GET".utf8))
        #expect(try await raw.bytesUntilClosed() == Array("HTTP:GET".utf8))
        try await node.stop()
    }

    /// As all do that dial in while the node is starting.
    @Test func `Whose connection came before the membership was known is a member`() async throws {
        var limits = TransportLimits.quick
        limits.maxInboundPeers = 3
        let node = try await TestNode.start("a", limits: limits)
        let early = try await TestNode.start("b")
        let late = try await TestNode.start("c")
        early.knows(node)
        early.transport.send([early.message(1, to: node.id)])
        try await node.delegate.batches.wait(count: 1)
        let members = [early.transport.identity, late.transport.identity].map {
            Member(
                id: $0.id, incarnation: $0.incarnation, address: PeerAddress("h:1"),
                suffrage: .voter)
        }
        node.delegate.ownPresence.withLock { $0.members = members }
        var strangers: [(RawConnection, any Channel)] = []
        for count in 2...3 {
            let stranger = try await RawConnection.open(to: node.listener.port)
            try await stranger.1.say(WireBytes.preamble(purpose: 1) + WireBytes.introduction())
            strangers.append(stranger)
            try await until { node.transport.statistics.inbound.peers == count }
        }
        late.knows(node)
        late.transport.send([late.message(1, to: node.id)])
        try await node.delegate.batches.wait(count: 2)
        #expect(try await strangers[0].0.bytesUntilClosed() == [])
        // The first one did not have to come again.
        #expect(node.transport.statistics.inbound.nodeConnections == 4)
        try await node.stop()
        try await early.stop()
        try await late.stop()
    }

    @Test func `However many clients there are, a node still gets a connection`() async throws {
        var limits = TransportLimits.quick
        limits.maxConnections = 16
        limits.maxUnidentified = 4
        limits.maxUnidentifiedOfOrigin = 4
        let node = try await TestNode.start("a", limits: limits) {
            $0.eventLoop.makeSucceededVoidFuture()
        }
        var clients: [(RawConnection, any Channel)] = []
        for _ in 0..<40 {
            let client = try await RawConnection.open(to: node.listener.port)
            // Some are gone before they could say it.
            try? await client.1.say(Array("GET".utf8))
            clients.append(client)
        }
        try await until { node.transport.statistics.inbound.refusedOverLimit >= 28 }
        let b = try await TestNode.start("b")
        b.knows(node)
        b.transport.send([b.message(1, to: node.id)])
        try await node.delegate.batches.wait(count: 1)
        try await node.stop()
        try await b.stop()
    }

    @Test func `An oversized frame is refused when its header is there`() async throws {
        let node = try await TestNode.start("a")
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        // The header promises 4 GB; not one byte of them is sent.
        try await channel.say(
            WireBytes.preamble(purpose: 1) + WireBytes.introduction()
                + [0xFF, 0xFF, 0xFF, 0xFF, 3, 0, 0, 0, 0])
        #expect(try await raw.bytesUntilClosed() == [])
        #expect(node.transport.statistics.inbound.corrupted == 1)
        try await node.stop()
    }

    @Test func `A damaged frame closes the connection and delivers nothing`() async throws {
        let node = try await TestNode.start("a")
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        var writer = ByteWriter()
        node.message(1, to: NodeID("a"), from: WireBytes.identity).encode(into: &writer)
        var frame = WireBytes.frame(3, writer.bytes)
        frame[frame.count - 1] ^= 1
        try await channel.say(
            WireBytes.preamble(purpose: 1) + WireBytes.introduction() + frame)
        #expect(try await raw.bytesUntilClosed() == [])
        #expect(node.delegate.batches.items.isEmpty)
        #expect(node.transport.statistics.inbound.corrupted == 1)
        try await node.stop()
    }

    @Test func `Frames are found however the bytes are cut`() async throws {
        let node = try await TestNode.start("a")
        let (_, channel) = try await RawConnection.open(to: node.listener.port)
        var writer = ByteWriter()
        let message = node.message(7, to: NodeID("a"), payload: 20, from: WireBytes.identity)
        message.encode(into: &writer)
        let stream =
            WireBytes.preamble(purpose: 1) + WireBytes.introduction()
            + WireBytes.frame(3, writer.bytes) + WireBytes.frame(99, [1])
            + WireBytes.frame(3, writer.bytes)
        for byte in stream { try await channel.say([byte]) }
        #expect(try await node.delegate.messages(atLeast: 2) == [message, message])
        try await channel.close()
        try await node.stop()
    }

    @Test func `Connections are refused until there is a delegate`() async throws {
        let a = try await TestNode.start("a")
        let bare = PeerTransport(
            group: MultiThreadedEventLoopGroup.singleton, identity: a.transport.identity)
        let listener = try await Listener.bind(
            PeerAddress("127.0.0.1:0"), transport: bare, http: http
        ).get()
        let error = await #expect(throws: TransportError.self) {
            try await a.transport.call(.hello, at: listener.address, timeout: .seconds(20)).get()
        }
        #expect(error?.cause == "refused: the node is starting or stopping")
        try await listener.close().get()
        try await bare.shutdown().get()
        try await a.stop()
    }

    @Test func `A port in use names the address`() async throws {
        let a = try await TestNode.start("a")
        let error = await #expect(throws: TransportError.self) {
            try await Listener.bind(a.address, transport: a.transport, http: http).get()
        }
        #expect(
            error?.description
                == "\(a.address): can't listen: the address is in use by another process")
        try await a.stop()
    }
}
