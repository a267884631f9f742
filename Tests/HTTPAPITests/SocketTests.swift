import NIOCore
import NIOPosix
import Service
import Synchronization
import Testing
import Wire

@testable import HTTPAPI

/// Real sockets, and a node that answers from a thread of its own, out of order.
@Suite struct SocketTests {
    private static let requestsPerClient = 200

    /// Without those on a client's pace: between two steps of its own a test may wait for a thread for
    /// minutes, while others hold all of them.
    private static let limits: HTTPLimits = {
        var limits = HTTPLimits()
        limits.pace.idle = .seconds(3600)
        limits.pace.head = .seconds(3600)
        return limits
    }()

    @Test func `Every client gets its own answers, in order`() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        let server = HTTPServer(
            HTTPServer.Identity(version: "1", advertisedAddress: "localhost:4001"),
            service: EchoNode(thread: thread), limits: Self.limits)
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { server.configure($0) }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(listener.localAddress)

        let bodies = try await withThrowingTaskGroup(of: [String].self) { tasks in
            for client in 0..<8 {
                tasks.addTask { try await Self.run(client, address, group) }
            }
            return try await tasks.reduce(into: []) { $0.append($1) }
        }
        try await listener.close()
        try await group.shutdownGracefully()
        try await thread.shutdownGracefully()
        let expected = Set(
            (0..<8).map { client in
                (0..<Self.requestsPerClient).map {
                    #"{"results":[{"last_insert_id":\#(client * 1000 + $0 + 1)}]}"#
                }
            })
        #expect(Set(bodies) == expected)
    }

    @Test func `While a large answer goes out, others of its event loop are answered`() async throws
    {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let clients = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = HTTPServer(
            HTTPServer.Identity(version: "1", advertisedAddress: "localhost:4001"),
            service: LargeNode(), limits: Self.limits)
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { server.configure($0) }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(listener.localAddress)

        let large = try await Self.open(address, clients)
        let small = try await Self.open(address, clients)
        // On the loop itself, for a test that waits for a processor comes too late.
        let question = ByteBuffer(
            string: "GET /db/query?q=small HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        large.begun.whenSuccess { small.channel.writeAndFlush(question, promise: nil) }
        // Whichever ends first says so first: both clients share one event loop.
        let order = Mutex<[String]>([])
        large.done.whenComplete { _ in order.withLock { $0.append("large") } }
        small.done.whenComplete { _ in order.withLock { $0.append("small") } }
        try await large.channel.writeAndFlush(
            ByteBuffer(
                string: "GET /db/query?q=large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
        let text = try await large.done.get()
        _ = try await small.done.get()
        #expect(order.withLock { $0 } == ["small", "large"])
        #expect(text.utf8.count > LargeNode.size)
        try await listener.close()
        try await group.shutdownGracefully()
        try await clients.shutdownGracefully()
    }

    /// A socket takes megabytes at once: its client would be done, or stand still for a quarter of an hour.
    @Test(.timeLimit(.minutes(15)))
    func `What the other side has not acknowledged is not taken`() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let accepted = loop.makePromise(of: (any Channel).self)
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                accepted.succeed(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(listener.localAddress)
        let client = try await ClientBootstrap(group: group)
            .channelOption(.socketOption(.so_rcvbuf), value: 4096)
            .channelOption(.autoRead, value: false)
            .connect(to: address).get()
        let channel = try await accepted.futureResult.get()
        let written = loop.makePromise(of: Void.self)
        channel.writeAndFlush(ByteBuffer(repeating: 0x20, count: 1 << 20), promise: written)
        #expect(try await loop.submit { meterUnacknowledged(channel) }.get() > 0)
        try await client.setOption(.autoRead, value: true).get()
        try await written.futureResult.get()
        while try await loop.submit({ meterUnacknowledged(channel) }).get() > 0 {
            await Task.yield()
        }
        try await client.close()
        try await listener.close()
        try await group.shutdownGracefully()
    }

    private static func open(
        _ address: SocketAddress, _ group: MultiThreadedEventLoopGroup
    ) async throws -> (
        channel: any Channel, begun: EventLoopFuture<Void>, done: EventLoopFuture<String>
    ) {
        let loop = group.next()
        let (begun, done) = (loop.makePromise(of: Void.self), loop.makePromise(of: String.self))
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(done, begun))
                }
            }
            .connect(to: address).get()
        return (channel, begun.futureResult, done.futureResult)
    }

    /// Sends all requests at once and takes the bodies of the answers.
    private static func run(
        _ client: Int, _ address: SocketAddress, _ group: MultiThreadedEventLoopGroup
    ) async throws -> [String] {
        let done = group.next().makePromise(of: String.self)
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(done))
                }
            }
            .connect(to: address).get()
        var text = ""
        for number in 0..<requestsPerClient {
            let body = "[\"\(client * 1000 + number + 1)\"]"
            let last = number == requestsPerClient - 1 ? "Connection: close\r\n" : ""
            text += "POST /db/execute HTTP/1.1\r\nHost: a\r\n\(last)"
            text += "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        try await channel.writeAndFlush(ByteBuffer(string: text))
        return Client.answers(in: try await done.futureResult.get()).map(\.body)
    }
}

/// Answers each statement with the number it consists of, the last request of a batch first.
private final class EchoNode: NodeService {
    private let thread: NIOThreadPool

    init(thread: NIOThreadPool) { self.thread = thread }

    func submit(_ requests: [ClientRequest], replyTo sink: any ReplySink) {
        thread.submit { _ in
            let replies = requests.reversed().compactMap { request -> Reply? in
                guard case .command(let command, _) = request.operation,
                    let number = Int64(command.statements[0].sql)
                else { return nil }
                let result = StatementResult(.changed(lastInsertID: number, rowsAffected: 0))
                return Reply(id: request.id, outcome: .results(CommandResult([result])))
            }
            // In two parts, so that answers to one turn's requests come in several turns.
            sink.deliver(Array(replies.prefix(replies.count / 2)))
            sink.deliver(Array(replies.dropFirst(replies.count / 2)))
        }
    }
}

/// All that the server sends until it closes.
private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let done: EventLoopPromise<String>
    private let begun: EventLoopPromise<Void>?
    private var text = ""

    init(_ done: EventLoopPromise<String>, _ begun: EventLoopPromise<Void>? = nil) {
        self.done = done
        self.begun = begun
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        begun?.succeed()
        text += String(buffer: unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        done.succeed(text)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        done.fail(error)
        context.close(promise: nil)
    }
}

/// Answers a query called "large" with rows that take many slices, and any other with none.
private final class LargeNode: NodeService {
    static let size = 4_000_000

    func submit(_ requests: [ClientRequest], replyTo sink: any ReplySink) {
        let replies = requests.map { request -> Reply in
            guard case .command(let command, _) = request.operation,
                command.statements[0].sql == "large"
            else { return Reply(id: request.id, outcome: .results(CommandResult([]))) }
            let cell = Value.text(String(repeating: "a", count: 10_000))
            let table = [[Value]](repeating: [cell], count: Self.size / 10_000)
            let result = CommandResult([StatementResult(rows(["c"], ["text"], table))])
            return Reply(id: request.id, outcome: .results(result))
        }
        sink.deliver(replies)
    }
}
