import NIOCore
import NIOEmbedded
import Service
import Testing
import Wire

@testable import HTTPAPI

/// One connection: order, limits, and what is not HTTP.
@Suite struct ConnectionTests {
    private func write(_ target: String, body: String, headers: String = "") -> String {
        "POST \(target) HTTP/1.1\r\nHost: a\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private func result(_ id: Int64) -> Outcome {
        .results(CommandResult([StatementResult(.changed(lastInsertID: id, rowsAffected: 0))]))
    }

    @Test func `Pipelined requests go to the node as one batch, answers keep their order`() throws {
        let node = FakeNode { _ in nil }
        let client = try Client(node)
        try client.send(
            write("/db/execute", body: #"["a"]"#) + write("/db/execute", body: #"["b"]"#)
                + "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n" + write("/db/execute", body: #"["c"]"#)
        )
        #expect(node.batches.map(\.count) == [3])
        #expect(try client.output().isEmpty)

        let ids = node.requests.map(\.id)
        node.deliver([Reply(id: ids[2], outcome: result(3)), Reply(id: ids[1], outcome: result(2))])
        #expect(try client.output().isEmpty)
        node.deliver([Reply(id: ids[0], outcome: result(1))])
        let answers = Client.answers(in: try client.output())
        #expect(answers.map(\.status) == [200, 200, 404, 200])
        #expect(
            answers.map(\.body) == [
                #"{"results":[{"last_insert_id":1}]}"#, #"{"results":[{"last_insert_id":2}]}"#, "",
                #"{"results":[{"last_insert_id":3}]}"#,
            ])
        #expect(client.channel.isActive)
    }

    @Test func `Answers of one batch are flushed once`() throws {
        let node = FakeNode { _ in nil }
        let client = try Client(node)
        try client.send(String(repeating: write("/db/execute", body: #"["a"]"#), count: 5))
        node.deliver(node.requests.map { Reply(id: $0.id, outcome: result(1)) })
        #expect(try client.channel.readOutbound(as: ByteBuffer.self) != nil)
        #expect(try client.channel.readOutbound(as: ByteBuffer.self) == nil)
    }

    @Test func `A request may come byte by byte`() throws {
        let client = try Client(answering: result(1))
        for byte in write("/db/execute", body: #"["a"]"#).utf8 {
            try client.send(String(UnicodeScalar(byte)))
        }
        #expect(Client.answers(in: try client.output()).map(\.status) == [200])
    }

    @Test func `A chunked body is put together`() throws {
        let client = try Client(answering: result(1))
        try client.send(
            "POST /db/execute HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "3\r\n[\"a\r\n2\r\n\"]\r\n0\r\n\r\n")
        #expect(Client.answers(in: try client.output()).map(\.status) == [200])
        #expect(client.node.lastCommand?.statements == [Statement("a")])
    }

    @Test(arguments: [
        ("HTTP/1.1", "", true, nil), ("HTTP/1.1", "Connection: close\r\n", false, "close"),
        ("HTTP/1.0", "", false, "close"),
        ("HTTP/1.0", "Connection: keep-alive\r\n", true, "keep-alive"),
        ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n", false, "close"),
    ])
    func `The connection stays when both sides can use it`(
        version: String, header: String, stays: Bool, told: String?
    ) throws {
        let client = try Client(answering: result(1))
        try client.send("GET /db/query?q=x \(version)\r\nHost: a\r\n\(header)\r\n")
        let answers = Client.answers(in: try client.output())
        #expect(answers.map(\.status) == [200])
        #expect(answers.first?.headers["connection"] == told)
        #expect(client.channel.isActive == stays)
    }

    @Test func `A closing connection first answers what it has taken`() throws {
        let node = FakeNode { _ in nil }
        let client = try Client(node)
        let last = write("/db/execute", body: #"["b"]"#, headers: "Connection: close\r\n")
        try client.send(
            write("/db/execute", body: #"["a"]"#) + last + "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(client.channel.isActive)
        let ids = node.requests.map(\.id)
        node.deliver([Reply(id: ids[1], outcome: result(2))])
        #expect(client.channel.isActive)
        node.deliver([Reply(id: ids[0], outcome: result(1))])
        #expect(Client.answers(in: try client.output()).map(\.status) == [200, 200])
        #expect(!client.channel.isActive)
    }

    @Test(arguments: [
        "\u{16}\u{3}\u{1}\r\n\r\n", "BLA / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ])
    func `What is not HTTP is told so, and the connection ends`(text: String) throws {
        let client = try Client(answering: result(1))
        try client.send(write("/db/execute", body: #"["a"]"#))
        try client.send(text)
        let answers = Client.answers(in: try client.output())
        #expect(answers.map(\.status) == [200, 400])
        #expect(answers.last?.body.hasPrefix("malformed HTTP request: ") == true)
        #expect(answers.last?.headers["connection"] == "close")
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
        #expect(!client.channel.isActive)
    }

    @Test func `Header fields have a limit`() throws {
        var limits = HTTPLimits()
        limits.headerBytes = 1000
        let client = try Client(FakeNode { _ in nil }, limits: limits)
        try client.send(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Long: \(String(repeating: "a", count: 2000))\r\n\r\n")
        #expect(Client.answers(in: try client.output()).map(\.status) == [431])
    }

    @Test(arguments: [true, false])
    func `A body over its limit is refused before it is held`(isChunked: Bool) throws {
        var limits = HTTPLimits()
        limits.bodyBytes = 100
        let client = try Client(FakeNode { _ in nil }, limits: limits)
        let length = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: 200"
        try client.send("POST /db/execute HTTP/1.1\r\nHost: a\r\n\(length)\r\n\r\n")
        if isChunked {
            for _ in 0..<20 { try client.send("a\r\n0123456789\r\n") }
        }
        let answers = Client.answers(in: try client.output())
        #expect(answers.map(\.status) == [413])
        #expect(answers.first?.body == "request body is larger than the limit of 100 bytes\n")
        #expect(client.node.requests.isEmpty)
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
        #expect(!client.channel.isActive)
    }

    @Test func `A route that takes no statements takes no large body`() throws {
        let client = try Client(answering: .done)
        try client.send("DELETE /remove HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        #expect(Client.answers(in: try client.output()).map(\.status) == [413])
        let refused = try Client(answering: .done)
        try refused.send(
            "POST /db/execute?timeout=x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        #expect(Client.answers(in: try refused.output()).map(\.status) == [400])
    }

    @Test func `A client that waits to be asked for its body is asked`() throws {
        let node = FakeNode { _ in nil }
        let client = try Client(node)
        let head =
            "POST /db/execute HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        try client.send(write("/db/execute", body: #"["a"]"#) + head)
        #expect(try client.output().isEmpty, "the interim answer overtook an earlier one")
        node.deliver([Reply(id: node.requests[0].id, outcome: result(1))])
        #expect(
            try client.output().hasSuffix(
                "\r\n\r\n{\"results\":[{\"last_insert_id\":1}]}HTTP/1.1 100 Continue\r\n\r\n"))
        try client.send(#"["b"]"#)
        #expect(node.lastCommand?.statements == [Statement("b")])
    }

    @Test func `A client that waits in vain is told at once`() throws {
        let client = try Client(answering: result(1))
        try client.send(
            "PUT /db/execute HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        let answers = Client.answers(in: try client.output())
        #expect(answers.map(\.status) == [405])
        #expect(answers.first?.headers["connection"] == "close")
    }

    @Test func `A HEAD is answered without a body`() throws {
        let client = try Client(answering: result(1))
        try client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        let text = try client.output()
        #expect(text.contains("Content-Length: 32\r\n"))
        #expect(text.hasSuffix("\r\n\r\n"))
    }

    @Test func `An idle connection is closed, one that waits for us is not`() throws {
        let node = FakeNode { _ in nil }
        let client = try Client(node)
        let loop = client.channel.embeddedEventLoop
        loop.advanceTime(by: .minutes(4))
        try client.send(write("/db/execute", body: #"["a"]"#))
        loop.advanceTime(by: .minutes(30))
        #expect(client.channel.isActive)
        node.deliver([Reply(id: node.requests[0].id, outcome: result(1))])
        loop.advanceTime(by: .minutes(4))
        #expect(client.channel.isActive)
        loop.advanceTime(by: .minutes(6))
        #expect(!client.channel.isActive)
    }

    @Test func `A reply to a client that has gone is dropped`() throws {
        let node = FakeNode { _ in nil }
        let client = try Client(node)
        try client.send(write("/db/execute", body: #"["a"]"#))
        try client.channel.close().wait()
        let id = try #require(node.requests.first?.id)
        node.deliver([Reply(id: id, outcome: result(1)), Reply(id: id, outcome: result(1))])
        #expect(try client.output().isEmpty)
    }

    @Test func `Reading pauses while too many answers are owed`() throws {
        var limits = HTTPLimits()
        limits.pipelinedRequests = 2
        let node = FakeNode { _ in nil }
        let client = try Client(node, limits: limits)
        let reads = ReadCounter()
        try client.channel.pipeline.syncOperations.addHandler(reads, position: .first)
        try client.send(write("/db/execute", body: #"["a"]"#))
        client.channel.read()
        #expect(reads.count == 1)
        try client.send(write("/db/execute", body: #"["b"]"#))
        client.channel.read()
        #expect(reads.count == 1)
        node.deliver([Reply(id: node.requests[0].id, outcome: result(1))])
        #expect(reads.count == 2)
    }
}

private final class ReadCounter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    private(set) var count = 0

    func read(context: ChannelHandlerContext) {
        count += 1
        context.read()
    }
}
