import JSON
import NIOCore
import NIOEmbedded
import Raft
import Service
import Testing
import Wire

@testable import HTTPAPI

/// Requests on streams of HTTP/2: they are what they are in HTTP/1.1.
@Suite struct StreamTests {
    private func result(_ id: Int64) -> Outcome {
        .results(CommandResult([StatementResult(.changed(lastInsertID: id, rowsAffected: 0))]))
    }

    private func silent() throws -> FrameClient {
        try FrameClient(Client(FakeNode { _ in nil }))
    }

    @Test func `An answer has the fields of HTTP/1.1, in small letters`() throws {
        let node = FakeNode(servedBy: PeerAddress("n1:1")) { _ in self.result(7) }
        let client = try FrameClient(Client(node, allowOrigin: "https://x"))
        let answer = try client.request(1, "POST", "/db/execute", body: #"["a"]"#)
        #expect(answer.status == "200")
        #expect(answer.isWhole)
        #expect(answer.text == #"{"results":[{"last_insert_id":7}]}"#)
        #expect(answer.fields["x-rqlite-version"] == "v10.2.7")
        #expect(answer.fields["x-rqlite-served-by"] == "n1:1")
        #expect(answer.fields["content-length"] == "\(answer.body.count)")
        #expect(answer.fields["access-control-allow-origin"] == "https://x")
        #expect(answer.fields["connection"] == nil)
        #expect(node.lastCommand?.statements == [Statement("a")])
    }

    @Test func `Streams of one read go to the node as one batch, and are answered as they come`()
        throws
    {
        let client = try silent()
        let heads = try [1, 3, 5].map { try client.head($0, "GET", "/db/query?q=SELECT") }
        try client.send(heads.flatMap(\.bytes))
        #expect(client.client.node.batches.map(\.count) == [3])
        let ids = client.client.node.requests.map(\.id)
        client.client.node.deliver([Reply(id: ids[2], outcome: result(5))])
        try client.advance()
        #expect(client.streams[5]?.isWhole == true)
        #expect(client.streams[1] == nil)
        client.client.node.deliver(ids.prefix(2).map { Reply(id: $0, outcome: result(1)) })
        try client.advance()
        #expect(client.streams.values.allSatisfy { $0.isWhole && $0.status == "200" })
        #expect(client.channel.isActive)
    }

    @Test(arguments: [1, 5, 24, 33])
    func `What is sent may come in pieces of any size`(size: Int) throws {
        let client = try FrameClient(Client(answering: result(1)), greets: false)
        var bytes = FrameClient.preface + Frame(.settings).bytes
        bytes += try client.head(1, "POST", "/db/execute", ends: false).bytes
        bytes += Frame(.data, Frame.endStream, 1, Array(#"["a"]"#.utf8)).bytes
        while !bytes.isEmpty {
            try client.send(Array(bytes.prefix(size)))
            bytes.removeFirst(min(size, bytes.count))
        }
        #expect(client.streams[1]?.status == "200")
    }

    @Test func `HEAD, OPTIONS and refusals are as in HTTP/1.1`() throws {
        let client = try FrameClient(Client(answering: result(1)))
        let head = try client.request(1, "HEAD", "/debug/vars")
        #expect(head.status == "200" && head.isWhole && head.body.isEmpty)
        #expect(head.fields["content-length"] != "0")
        let options = try client.request(3, "OPTIONS", "/db/query")
        #expect(options.status == "200")
        #expect(options.fields["allow"] != nil)
        #expect(try client.request(5, "GET", "/nowhere").status == "404")
        #expect(try client.request(7, "PUT", "/db/query").status == "405")
        #expect(try client.request(9, "POST", "/db/execute", body: "no JSON").status == "400")
        #expect(client.channel.isActive)
        #expect(client.goAways == [])
    }

    @Test func `A body is asked for where its client waits for that`() throws {
        let client = try FrameClient(Client(answering: result(1)))
        let head = try client.head(
            1, "POST", "/db/execute", [("expect", "100-continue")], ends: false)
        try client.send(head)
        #expect(client.streams[1]?.interim == ["100"])
        try client.send(Frame(.data, Frame.endStream, 1, Array(#"["a"]"#.utf8)))
        #expect(client.streams[1]?.status == "200")
    }

    @Test(arguments: [
        ([("host", "a")], "200"), ([("host", "b")], "400"), ([("expect", "much")], "417"),
        ([("authorization", "Basic YTpi"), ("authorization", "Basic YTpj")], "400"),
        ([("x-long", String(repeating: "a", count: 1100))], "431"),
        ((0..<130).map { ("x-\($0)", "") }, "431"),
    ])
    func `A head is judged as in HTTP/1.1`(fields: [(String, String)], status: String) throws {
        var limits = HTTPLimits()
        limits.headerBytes = 1000
        let node = FakeNode { _ in self.result(1) }
        let client = try FrameClient(Client(node, limits: limits))
        let answer = try client.request(1, "GET", "/db/query?q=SELECT", fields)
        #expect(answer.status == status)
        #expect(answer.isWhole)
        #expect(client.channel.isActive)
    }

    @Test func `A head may be large before the client knows the limits`() throws {
        let client = try FrameClient(Client(answering: result(1)), greets: false)
        let path = "/db/query?q=" + String(repeating: "a", count: 40_000)
        let head = try client.head(1, "GET", path)
        let frames = [
            Frame(.settings),
            Frame(.headers, Frame.endStream, 1, Array(head.payload.prefix(16_384))),
            Frame(.continuation, Frame.endHeaders, 1, Array(head.payload.dropFirst(16_384))),
        ]
        try client.send(FrameClient.preface + frames.flatMap(\.bytes))
        #expect(client.streams[1]?.status == "200")
        #expect(client.frames.filter { $0.isA(.settings) && $0.flags == 0 }.count == 1)
        try client.send(Frame(.settings, Frame.acknowledges))
        #expect(try client.request(3, "GET", "/db/query?q=a").status == "200")
        // There was nothing more to be acknowledged.
        try client.send(Frame(.settings, Frame.acknowledges))
        #expect(client.goAways.count == 1)
    }

    @Test func `A URL that is too long is told so`() throws {
        var limits = HTTPLimits()
        limits.targetBytes = 1000
        let client = try FrameClient(Client(FakeNode { _ in nil }, limits: limits))
        let path = "/db/query?q=" + String(repeating: "a", count: 1000)
        #expect(try client.request(1, "GET", path).status == "414")
    }

    @Test func `A body over its limit ends its stream, which is told to send no more`() throws {
        var limits = HTTPLimits()
        limits.bodyBytes = 100
        let client = try FrameClient(Client(FakeNode { _ in self.result(1) }, limits: limits))
        try client.send(client.head(1, "POST", "/db/execute", ends: false))
        for _ in 0..<11 { try client.send(Frame(.data, 0, 1, Array(repeating: 0x20, count: 10))) }
        #expect(client.streams[1]?.status == "413")
        #expect(client.streams[1]?.isWhole == true)
        #expect(client.streams[1]?.resetCode == 0)
        #expect(try client.request(3, "GET", "/nowhere").status == "404")
    }

    @Test func `The bodies of a connection's streams have one bound together`() throws {
        var limits = HTTPLimits()
        limits.bodyBytes = 30_000
        limits.connectionBodyBytes = 10_000
        let client = try FrameClient(Client(FakeNode { _ in nil }, limits: limits))
        let body = #"["\#(String(repeating: "a", count: 16_300))"]"#
        let rest = #"["\#(String(repeating: "a", count: 200))"]"#
        for stream in [1, 3, 5] as [UInt32] {
            try client.send(
                client.head(stream, "POST", "/db/execute", ends: false),
                Frame(.data, 0, stream, Array(body.utf8)),
                Frame(.data, Frame.endStream, stream, Array(rest.utf8)))
        }
        #expect(client.streams[5]?.status == "503")
        #expect(client.streams[5]?.fields["retry-after"] == "1")
        #expect(client.streams[1] == nil || client.streams[1]?.status == nil)
        #expect(client.client.server.budgets.bodyBytes.inUse > 16_384)
        _ = try client.channel.finish()
    }

    @Test func `A stream that is reset cancels its read, and counts`() throws {
        let client = try silent()
        try client.request(1, "GET", "/db/query?q=SELECT")
        try client.send(client.reset(1))
        #expect(client.client.node.cancelled == client.client.node.requests.map(\.id))
        #expect(client.counted("http2_resets") == 1)
        #expect(client.counted("http2_streams") == 0)
        #expect(client.channel.isActive)
        #expect(client.goAways == [])
    }

    @Test func `All streams of a connection that goes are cancelled`() throws {
        let client = try silent()
        for stream in [1, 3, 5] as [UInt32] { try client.request(stream, "GET", "/db/query?q=S") }
        #expect(client.counted("http2_streams") == 3)
        #expect(client.counted("http2_connections") == 1)
        #expect(client.counted("connections") == 1)
        #expect(client.client.server.budgets.connections.inUse == 3)
        _ = try client.channel.finish()
        // In one call: for each the node looks through all that waits.
        #expect(client.client.node.cancellations.map(\.count) == [3])
        for name in ["http2_streams", "http2_connections", "connections"] {
            #expect(client.counted(name) == 0, "\(name)")
        }
        #expect(client.client.server.budgets.connections.inUse == 0)
    }

    @Test func `Bytes are counted as they pass the socket`() throws {
        let client = try FrameClient(Client(answering: result(1)))
        #expect(client.counted("received_bytes") == .integer(24 + 9 + 9))
        try client.request(1, "GET", "/nowhere")
        let sent = client.frames.reduce(0) { $0 + $1.bytes.count }
        #expect(client.counted("sent_bytes") == .integer(sent))
    }
}
