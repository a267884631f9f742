import JSON
import NIOCore
import NIOEmbedded
import Service
import Testing
import Wire

@testable import HTTPAPI

/// What connections may make the server hold beside bodies and large answers.
@Suite struct ConnectionBoundsTests {
    @Test func `A connection too many is told so once, and gets to read it`() throws {
        var limits = HTTPLimits()
        limits.connections = 0
        limits.observerConnections = 0
        let client = try Client(FakeNode { _ in nil }, limits: limits)
        let socket = HalfClosingSocket()
        try client.channel.pipeline.syncOperations.addHandler(socket, position: .first)
        try client.send("POST /db/execute HTTP/1.1\r\nHost: a\r\n")
        // While it goes on sending.
        try client.send("Content-Length: 5\r\n\r\n12345")
        #expect(Client.answers(in: try client.output()).map(\.status) == [503])
        #expect(socket.outputEnds == 1)
        #expect(client.channel.isActive)
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
        #expect(!client.channel.isActive)
    }

    @Test
    func `Where descriptors are few some connections are left to say so, and to look at the node`()
    {
        let limits = HTTPLimits(clientConnections: 3000)
        #expect(limits.connections == 3000 - 2 * limits.observerConnections)
        #expect(HTTPLimits(clientConnections: 1 << 20).connections == HTTPLimits().connections)
        #expect(HTTPLimits(clientConnections: 60).connections == 45)
        #expect(HTTPLimits(clientConnections: 0).connections == 1)
    }

    private static let query = "GET /db/query?q=x HTTP/1.1\r\nHost: a\r\n"

    @Test func `A large head counts as long as its request is under way`() throws {
        var limits = HTTPLimits()
        limits.bodyBytesInFlight = 60_000
        let node = FakeNode { _ in nil }
        let client = try Client(node, limits: limits)
        let large = "\(Self.query)X-A: \(String(repeating: "a", count: 40_000))\r\n\r\n"
        try client.send(large)
        #expect(node.requests.count == 1)
        let bodies = client.server.budgets.bodyBytes
        #expect(bodies.inUse > 40_000 && bodies.inUse < 60_000)
        let other = try Client(beside: client)
        try other.send(large)
        #expect(Client.answers(in: try other.output()).map(\.status) == [503])
        // A small one doesn't count.
        let third = try Client(beside: client)
        try third.send("\(Self.query)\r\n")
        #expect(node.requests.count == 2)
        node.deliver(to: 0, [Reply(id: node.requests[0].id, outcome: .results(.oneInsert))])
        #expect(bodies.inUse == 0)
    }

    @Test func `Of small answers that wait for an earlier one those behind the fourth count`()
        throws
    {
        let node = FakeNode { _ in nil }
        let client = try Client(node)
        try client.send(String(repeating: "\(Self.query)\r\n", count: 10))
        let ids = node.requests.map(\.id)
        try #require(ids.count == 10)
        let blob = rows(["c"], ["blob"], [[.blob([UInt8](repeating: 1, count: 10_000))]])
        let outcome = Outcome.results(CommandResult([StatementResult(blob)]))
        let answers = client.server.budgets.answerBytes
        for id in ids[1...4] { node.deliver([Reply(id: id, outcome: outcome)]) }
        #expect(answers.inUse == 0)
        for id in ids[5...] { node.deliver([Reply(id: id, outcome: outcome)]) }
        #expect(answers.inUse > 60_000)
        node.deliver([Reply(id: ids[0], outcome: .results(.oneInsert))])
        client.channel.embeddedEventLoop.run()
        let statuses = Client.answers(in: try client.output()).map(\.status)
        #expect(statuses == Array(repeating: 200, count: 10))
        #expect(answers.inUse == 0)
    }

    @Test func `There is always room to say that a write was carried out`() throws {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 100
        let node = FakeNode { _ in nil }
        let client = try Client(node, limits: limits)
        let write = "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n[\"a\"]"
        try client.send(String(repeating: write, count: 10))
        for id in node.requests.map(\.id).reversed() {
            node.deliver([Reply(id: id, outcome: .results(.oneInsert))])
        }
        client.channel.embeddedEventLoop.run()
        let statuses = Client.answers(in: try client.output()).map(\.status)
        #expect(statuses == Array(repeating: 200, count: 10))
    }

    @Test func `An answer that has its turn needs no room, whatever waits behind it`() throws {
        let node = FakeNode { _ in nil }
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 75_000
        let client = try Client(node, limits: limits)
        try client.send(String(repeating: "\(Self.query)\r\n", count: 10))
        let blob = rows(["c"], ["blob"], [[.blob([UInt8](repeating: 1, count: 10_000))]])
        let outcome = Outcome.results(CommandResult([StatementResult(blob)]))
        let ids = node.requests.map(\.id)
        try #require(ids.count == 10)
        for id in ids[1...] + ids[..<1] { node.deliver([Reply(id: id, outcome: outcome)]) }
        client.channel.embeddedEventLoop.run()
        let statuses = Client.answers(in: try client.output()).map(\.status)
        #expect(statuses == Array(repeating: 200, count: 10))
        #expect(client.server.budgets.answerBytes.inUse == 0)
    }

    @Test func `Who looks at the node again and again without taking it is refused some time`()
        throws
    {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 250_000
        let text = String(repeating: "a", count: 100_000)
        let documents = Documents(variables: { [.init("large", .string(text))] })
        let node = FakeNode { _ in nil }
        let client = try Client(node, documents: documents, limits: limits)
        let look = "GET /debug/vars HTTP/1.1\r\nHost: a\r\n\r\n"
        try client.send("\(Self.query)\r\n" + String(repeating: look, count: 10))
        #expect(client.server.budgets.answerBytes.inUse > 200_000)
        #expect(try Client(beside: client).get("/debug/vars").status == 200)
        node.deliver(to: 0, [Reply(id: node.requests[0].id, outcome: .results(.oneInsert))])
        client.channel.embeddedEventLoop.run()
        let statuses = Client.answers(in: try client.output()).map(\.status)
        #expect(statuses == Array(repeating: 200, count: 7) + Array(repeating: 503, count: 4))
        #expect(client.server.budgets.answerBytes.inUse == 0)
    }

    @Test func `A result that is there counts as lines what it takes, and no window`() throws {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 2000
        let node = FakeNode { _ in .results(.oneInsert) }
        let client = try Client(node, limits: limits)
        let head = "POST /db/execute HTTP/1.1\r\nHost: a\r\nAccept: application/x-ndjson\r\n"
        try client.send("\(head)Content-Length: 5\r\n\r\n[\"a\"]")
        client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        let output = try client.output()
        #expect(output.hasPrefix("HTTP/1.1 200 OK"))
        #expect(output.contains("{\"end\":true}"))
        #expect(client.server.budgets.answerBytes.inUse == 0)
    }

    @Test func `A small body does not keep the buffer of its read`() throws {
        let most = HTTPLimits().uncountedBytes
        let read = ByteBuffer(repeating: 0x20, count: 1 << 16)
        let part = try #require(read.getSlice(at: 7, length: 10))
        let own = part.withoutIdleMemory(above: most)
        #expect(own == part)
        #expect(own.storageCapacity < 1 << 12)
        // What fills its buffer is not copied, and neither is what lies in a small one.
        #expect(read.withoutIdleMemory(above: most).storageCapacity == read.storageCapacity)
        let small = ByteBuffer(repeating: 0x20, count: 1 << 12)
        let piece = try #require(small.getSlice(at: 0, length: 10))
        #expect(piece.withoutIdleMemory(above: most).storageCapacity == small.storageCapacity)
    }
}

/// Ends what goes out alone where that is asked, as a socket does.
private final class HalfClosingSocket: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    private(set) var outputEnds = 0

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .output else { return context.close(mode: mode, promise: promise) }
        outputEnds += 1
        promise?.succeed()
    }
}
