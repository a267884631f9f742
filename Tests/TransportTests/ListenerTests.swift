import Glibc
import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Synchronization
import Testing
import Transport
import Wire

/// Listeners that go on when descriptors run out, and loops that nodes and clients don't share.
@Suite(.timeLimit(.minutes(15))) struct ListenerTests {
    /// Answers with the name of the loop it runs on.
    private final class LoopTeller: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let clients: any EventLoopGroup
        private var seen = ""

        init(_ clients: any EventLoopGroup) { self.clients = clients }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            seen += String(buffer: bytes)
            guard seen.hasSuffix("\n") else { return }
            let isClients = clients.makeIterator().contains { $0 === context.eventLoop }
            let text = "\(isClients ? "clients" : "nodes") \(seen)"
            context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
            context.close(mode: .output, promise: nil)
        }
    }

    @Test(arguments: [Listener.Side.nodes, .clients])
    func `HTTP runs on the clients' loops and nodes on their own, whichever port took them`(
        side: Listener.Side
    ) async throws {
        let clients = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let node = try await TestNode.start("a")
        let (delegate, identity) = (node.delegate, node.transport.identity)
        let installer: Listener.HTTPInstaller = { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(LoopTeller(clients))
            }
        }
        let listener = try await Listener.bind(
            PeerAddress("127.0.0.1:0"), transport: node.transport, side: side, clients: clients,
            http: installer
        ).get()
        let (raw, channel) = try await RawConnection.open(to: listener.port)
        try await channel.say(Array("GET ".utf8))
        try await channel.say(Array("/\n".utf8))
        let answer = try await raw.bytesUntilClosed()
        #expect(String(decoding: answer, as: UTF8.self) == "clients GET /\n")

        delegate.answering.withLock {
            $0 = { _, caller, reply in
                let isClients = clients.makeIterator().contains { $0.inEventLoop }
                reply(.failed("\(isClients ? "clients" : "nodes") \(caller.remoteAddress)"))
            }
        }
        let other = try await TestNode.start("b")
        for _ in 0..<20 {
            let answer = try await other.transport.call(
                .hello, at: listener.address, timeout: .seconds(20)
            ).get()
            guard case .failed(let text) = answer else {
                Issue.record("\(answer)")
                continue
            }
            #expect(text.hasPrefix("nodes 127.0.0.1:"))
        }
        #expect(identity.id == NodeID("a"))
        try await other.stop()
        try await listener.close().get()
        try await node.stop()
        try await clients.shutdownGracefully()
    }

    /// NIO fills several buffers in one go, of which the first is small.
    @Test func `All that was read before a connection changed loops goes with it`() async throws {
        let clients = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let node = try await TestNode.start("a")
        let listener = try await Listener.bind(
            PeerAddress("127.0.0.1:0"), transport: node.transport, side: .nodes, clients: clients
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(LoopTeller(clients))
            }
        }.get()
        let text = "GET /\(String(repeating: "a", count: 50_000))\n"
        let (raw, channel) = try await RawConnection.open(to: listener.port)
        try await channel.say(Array(text.utf8))
        let answer = try await raw.bytesUntilClosed()
        let isWhole = answer == Array("clients \(text)".utf8)
        #expect(isWhole, "\(answer.count) bytes")
        try await listener.close().get()
        try await node.stop()
        try await clients.shutdownGracefully()
    }

    /// The child process has descriptors to lose; the tests' own must not run out.
    @Test func `A listener survives that descriptors run out, and turns away who waits`()
        async throws
    {
        await #expect(processExitsWith: .success) {
            // One that finds a descriptor after all is closed for saying nothing.
            var limits = TransportLimits.quick
            limits.sniffTimeout = .milliseconds(500)
            let node = try await TestNode.start("a", limits: limits)
            node.delegate.answering.withLock {
                $0 = { _, _, reply in reply(.failed("here")) }
            }
            let (_, warm) = try await RawConnection.open(to: node.listener.port)
            try await warm.close()
            // The client's descriptors are made first, then none is left.
            let clients = (0..<8).map { _ in socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
            var limit = rlimit(rlim_cur: 256, rlim_max: 256)
            setrlimit(__rlimit_resource_t(7), &limit)
            var held: [Int32] = []
            while case let descriptor = dup(0), descriptor >= 0 { held.append(descriptor) }
            let address = try SocketAddress(ipAddress: "127.0.0.1", port: node.listener.port)
            for client in clients {
                let result = address.withSockAddr { connect(client, $0, socklen_t($1)) }
                #expect(result == 0)
            }
            // Each hears that it is turned away, instead of waiting for ever.
            for client in clients {
                var byte: UInt8 = 0
                #expect(recv(client, &byte, 1, 0) <= 0)
                close(client)
            }
            // Counted once they have heard it.
            try await until { node.transport.statistics.inbound.acceptFailures > 0 }
            for descriptor in held { close(descriptor) }
            let other = try await TestNode.start("b")
            let answer = try await other.transport.call(
                .hello, at: node.address, timeout: .seconds(20)
            ).get()
            #expect(answer == .failed("here"))
        }
    }
}
