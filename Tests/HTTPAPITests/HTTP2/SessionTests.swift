import JSON
import NIOCore
import NIOEmbedded
import Service
import Testing
import Wire

@testable import HTTPAPI

/// Connections that speak HTTP/2: their beginning, their end, and clients that break the rules.
@Suite struct SessionTests {
    private static let protocolError: UInt32 = 1
    private static let flowControlError: UInt32 = 3
    private static let frameSizeError: UInt32 = 6
    private static let compressionError: UInt32 = 9
    private static let enhanceYourCalm: UInt32 = 11

    private func client(_ limits: HTTPLimits = HTTPLimits()) throws -> FrameClient {
        try FrameClient(Client(FakeNode { _ in nil }, limits: limits))
    }

    /// It is told so, and closed when it has had time to read that.
    private func expectEnd(_ client: FrameClient, _ code: UInt32) throws {
        #expect(client.goAways.last == code)
        try client.advance(.seconds(3))
        #expect(!client.channel.isActive)
        #expect(client.counted("http2_faults") == 1)
        #expect(client.client.server.budgets.connections.inUse == 0)
    }

    // MARK: The beginning

    @Test(arguments: ["P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"])
    func `A preface that does not come to its end is waited for as a head is`(text: String) throws {
        let client = try FrameClient(Client(FakeNode { _ in nil }), greets: false)
        try client.send(Array(text.utf8))
        try client.advance(.seconds(59))
        #expect(client.channel.isActive)
        try client.advance(.seconds(2))
        #expect(!client.channel.isActive)
        #expect(client.client.server.budgets.connections.inUse == 0)
    }

    @Test func `A connection that says nothing is closed as an idle one`() throws {
        let client = try Client(FakeNode { _ in nil })
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(299))
        #expect(client.channel.isActive)
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(2))
        #expect(!client.channel.isActive)
        #expect(client.server.budgets.connections.inUse == 0)
    }

    @Test func `Nothing that tells versions apart stays with a connection of HTTP/1.1`() throws {
        let client = try Client(answering: .results(.oneInsert))
        let pipeline = client.channel.pipeline.syncOperations
        _ = try pipeline.handler(type: HTTPOpening.self)
        try client.send("P")
        _ = try pipeline.handler(type: HTTPOpening.self)
        try client.send(
            "OST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n[\"a\"]")
        #expect(Client.answers(in: try client.output()).map(\.status) == [200])
        #expect(throws: ChannelPipelineError.self) {
            _ = try pipeline.handler(type: HTTPOpening.self)
        }
    }

    @Test func `A preface followed by what is no frame ends the connection`() throws {
        let client = try FrameClient(Client(FakeNode { _ in nil }), greets: false)
        try client.send(FrameClient.preface + Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        try client.advance(.seconds(3))
        #expect(client.goAways.count == 1)
        #expect(!client.channel.isActive)
    }

    // MARK: Rules

    @Test func `A malformed frame ends its connection, and says why`() throws {
        let client = try client()
        try client.request(1, "GET", "/db/query?q=SELECT")
        try client.send(Frame(.ping, 0, 0, [1, 2, 3]))
        let count = client.frames.count
        let id = client.client.node.requests[0].id
        client.client.node.deliver([Reply(id: id, outcome: .results(.oneInsert))])
        try client.advance()
        #expect(client.frames.count == count, "something came behind the last word")
        try expectEnd(client, Self.frameSizeError)
    }

    @Test(arguments: [
        (Frame(.data, 0, 1, [1]), protocolError), (Frame(.headers, 4, 2, []), protocolError),
        (Frame(.headers, 4, 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), compressionError),
        (Frame(.continuation, 4, 1, []), protocolError),
        (Frame(.settings, 0, 0, [0, 4, 0xFF, 0xFF, 0xFF, 0xFF]), flowControlError),
        (Frame(.windowUpdate, 0, 0, [0x7F, 0xFF, 0xFF, 0xFF]), flowControlError),
    ])
    func `What the rules forbid ends the connection`(frame: Frame, code: UInt32) throws {
        let client = try client()
        try client.send(frame)
        #expect(client.goAways.count == 1)
        #expect(client.goAways.first != 0)
        try client.advance(.seconds(3))
        #expect(!client.channel.isActive)
    }

    @Test(arguments: [
        [(":method", "GET"), (":path", "/")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("Upper", "a")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("connection", "close")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("a", "b\r\nc: d")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/ HTTP/1.1\r\nx:"), ("a", "b")],
    ])
    func `A malformed head ends its stream alone`(fields: [(String, String)]) throws {
        let client = try client()
        try client.send(client.head(1, fields))
        #expect(client.streams[1]?.resetCode == Self.protocolError)
        #expect(try client.request(3, "GET", "/nowhere").status == "404")
        #expect(client.client.server.budgets.connections.inUse == 1)
        #expect(client.goAways == [])
    }

    @Test func `Streams count as connections do`() throws {
        var limits = HTTPLimits()
        limits.connections = 2
        limits.observerConnections = 1
        let client = try client(limits)
        for stream in [1, 3] as [UInt32] { try client.request(stream, "GET", "/db/query?q=S") }
        #expect(client.client.node.requests.count == 2)
        #expect(try client.request(5, "GET", "/db/query?q=S").status == "503")
        #expect(try client.request(7, "GET", "/status").status == "200")
        try client.request(9, "GET", "/readyz")
        try client.request(11, "GET", "/readyz")
        #expect(client.streams[11]?.resetCode == 7)
        #expect(client.channel.isActive)
        _ = try client.channel.finish()
        #expect(client.client.server.budgets.connections.inUse == 0)
    }

    @Test func `Where descriptors are few streams have places of their own`() throws {
        let limits = HTTPLimits(clientConnections: 4)
        #expect(limits.connections == 3)
        let client = try client(limits)
        let streams = [1, 3, 5, 7, 9, 11] as [UInt32]
        for stream in streams { try client.request(stream, "GET", "/db/query?q=S") }
        #expect(client.client.node.requests.count == streams.count)
        let budgets = client.client.server.budgets
        #expect(budgets.connections.inUse == 1)
        #expect(budgets.furtherStreams.inUse == streams.count - 1)
        _ = try client.channel.finish()
        #expect(budgets.connections.inUse == 0)
        #expect(budgets.furtherStreams.inUse == 0)
        #expect(budgets.observers.inUse == 0)
        #expect(HTTPLimits(clientConnections: 1 << 20).furtherStreams == nil)
    }

    // MARK: Floods

    @Test func `Streams that are opened to be reset end the connection`() throws {
        let client = try client()
        for number in 0..<10_000 where client.goAways.isEmpty {
            let stream = UInt32(number * 2 + 1)
            try client.send(client.head(stream, "GET", "/db/query?q=S"), client.reset(stream))
        }
        // Each of them is the node's until it answers.
        let ids = client.client.node.requests.map(\.id)
        #expect(ids.count <= 201)
        #expect(client.client.node.cancelled == ids)
        client.client.node.deliver(ids.map { Reply(id: $0, outcome: .failed(.busy)) })
        #expect(client.client.server.budgets.requests.inUse == 0)
        try expectEnd(client, Self.enhanceYourCalm)
    }

    @Test(arguments: [
        Frame(.ping, 0, 0, Array(repeating: 0, count: 8)), Frame(.settings),
        Frame(.priority, 0, 1, [0, 0, 0, 0, 1]),
    ])
    func `A flood of frames that ask for nothing ends the connection`(frame: Frame) throws {
        let client = try client()
        for _ in 0..<1000 where client.goAways.isEmpty { try client.send(frame) }
        try expectEnd(client, Self.enhanceYourCalm)
    }

    @Test func `Empty DATA frames end the connection`() throws {
        let client = try client()
        try client.send(client.head(1, "POST", "/db/execute", ends: false))
        for _ in 0..<10 where client.goAways.isEmpty { try client.send(Frame(.data, 0, 1)) }
        try expectEnd(client, Self.enhanceYourCalm)
    }

    @Test func `A head of too many frames ends the connection`() throws {
        let client = try client()
        let head = try client.head(1, "GET", "/nowhere")
        var frames = [Frame(.headers, Frame.endStream, 1, head.payload)]
        frames += (0..<100).map { _ in Frame(.continuation, 0, 1, []) }
        try client.send(frames.flatMap(\.bytes))
        try expectEnd(client, Self.enhanceYourCalm)
    }

    @Test func `A head that is larger than all limits ends the connection`() throws {
        let client = try client()
        let fields = (0..<3000).map { ("x-\($0)", String(repeating: "a", count: 64)) }
        let head = try client.head(1, "GET", "/nowhere", fields)
        var rest = head.payload[...]
        var frames: [Frame] = []
        while !rest.isEmpty {
            let kind = frames.isEmpty ? Frame.Kind.headers : .continuation
            frames.append(Frame(kind, 0, 1, Array(rest.prefix(16_384))))
            rest = rest.dropFirst(16_384)
        }
        try client.send(frames.flatMap(\.bytes))
        #expect(client.goAways.count == 1)
        #expect(client.goAways.first != 0)
    }

    // MARK: Time, and the end

    @Test func `A connection without a request is told to go, and closed`() throws {
        let client = try client()
        try client.request(1, "GET", "/nowhere")
        try client.advance(.seconds(280))
        #expect(client.goAways == [])
        try client.advance(.seconds(40))
        #expect(client.goAways.allSatisfy { $0 == 0 } && !client.goAways.isEmpty)
        #expect(!client.channel.isActive)
        #expect(client.counted("http2_faults") == 0)
    }

    @Test func `A connection that is to end, and whose socket takes no more, is closed`() throws {
        let client = try client()
        try client.request(1, "GET", "/nowhere")
        let socket = StuckSocket()
        try client.channel.pipeline.syncOperations.addHandler(socket, position: .first)
        try client.advance(.seconds(320))
        #expect(client.goAways == [])
        #expect(client.channel.isActive)
        try client.advance(.seconds(60))
        #expect(!client.channel.isActive)
        #expect(client.client.server.budgets.connections.inUse == 0)
    }

    @Test func `A head that does not come to its end ends the connection`() throws {
        let client = try client()
        let head = try client.head(1, "GET", "/nowhere")
        try client.send(Array(head.bytes.prefix(12)))
        try client.advance(.seconds(100))
        #expect(!client.channel.isActive)
    }

    @Test func `A request that waits for its answer is not timed`() throws {
        let client = try client()
        try client.request(1, "GET", "/db/query?q=SELECT")
        try client.advance(.seconds(1000))
        #expect(client.channel.isActive)
        let id = client.client.node.requests[0].id
        client.client.node.deliver([Reply(id: id, outcome: .results(.oneInsert))])
        try client.advance()
        #expect(client.streams[1]?.status == "200")
    }

    @Test func `A server that stops takes no more streams, and lets those that there are end`()
        throws
    {
        let client = try client()
        try client.request(1, "GET", "/db/query?q=SELECT")
        var isDone = false
        client.client.server.drain(on: client.channel.eventLoop).assumeIsolated().whenSuccess {
            isDone = true
        }
        try client.advance()
        let goAway = try #require(client.frames.first { $0.isA(.goAway) })
        #expect(goAway.number(at: 0) == 1)
        #expect(goAway.number(at: 4) == 0)
        try client.request(3, "GET", "/nowhere")
        #expect(client.streams[3]?.status == nil)
        #expect(!isDone)
        let id = client.client.node.requests[0].id
        client.client.node.deliver([Reply(id: id, outcome: .results(.oneInsert))])
        try client.advance()
        #expect(client.streams[1]?.status == "200")
        #expect(client.streams[1]?.isWhole == true)
        try client.advance(.seconds(3))
        #expect(!client.channel.isActive)
        #expect(isDone)
    }

    @Test func `Bodies that cross the farewell keep nobody from coming to an end`() throws {
        let client = try client()
        try client.send(client.head(1, "POST", "/db/execute", ends: false))
        _ = client.client.server.drain(on: client.channel.eventLoop)
        try client.advance()
        try #require(client.goAways == [0])
        let late = Frame(.data, 0, 3, [0x20])
        // In one piece: no more comes behind it.
        try client.send(
            client.head(3, "POST", "/db/execute", ends: false), late, late, late,
            Frame(.data, Frame.endStream, 1, Array(#"["a"]"#.utf8)))
        let requests = client.client.node.requests
        try #require(requests.count == 1)
        client.client.node.deliver([
            Reply(id: requests[0].id, outcome: .results(.oneInsert))
        ])
        try client.advance()
        #expect(client.streams[1]?.status == "200")
        #expect(client.streams[1]?.isWhole == true)
        #expect(client.streams[3]?.status == nil)
        try client.advance(.seconds(3))
        #expect(!client.channel.isActive)
        #expect(client.goAways.allSatisfy { $0 == 0 })
        #expect(client.counted("http2_faults") == 0)
    }

    @Test func `A server that stops tells connections without a request at once`() throws {
        let client = try client()
        _ = client.client.server.drain(on: client.channel.eventLoop)
        try client.advance()
        #expect(client.goAways.first == 0)
    }
}

/// Takes nothing, and says so to nobody.
private final class StuckSocket: ChannelOutboundHandler {
    typealias OutboundIn = IOData
    private var waiting: [EventLoopPromise<Void>] = []

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if let promise { waiting.append(promise) }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        let unwritten = waiting
        waiting = []
        for promise in unwritten { promise.fail(ChannelError.ioOnClosedChannel) }
        context.close(mode: mode, promise: promise)
    }
}
