import NIOCore
import NIOEmbedded
import Service
import Testing
import Wire

@testable import HTTPAPI

/// Large answers and bodies on streams: the windows of HTTP/2 say how much is made and taken.
@Suite struct StreamFlowTests {
    private static let begin = ResultPart.Piece.rowsBegin(
        columns: ["a"], types: ["integer"], isRead: true)

    private static func cells(_ count: Int) -> ResultPart.Piece {
        .cells((0..<count).flatMap { _ in [1, 7, 0, 0, 0, 0, 0, 0, 0] as [UInt8] })
    }

    private func deliver(_ pieces: [ResultPart.Piece], _ client: FrameClient) throws {
        let node = client.client.node
        node.deliver([Reply(id: node.requests[0].id, outcome: .part(ResultPart(pieces)))])
        try client.advance()
    }

    @Test func `A client that opens no window gets as much as a stream may hold, and no more`()
        throws
    {
        let client = try FrameClient(Client(FakeNode { _ in nil }), window: 0)
        try client.request(1, "GET", "/db/query?q=SELECT")
        try deliver([Self.begin], client)
        for _ in 0..<20 { try deliver([Self.cells(100_000)], client) }
        #expect(client.streams[1]?.status == "200")
        #expect(client.streams[1]?.body.isEmpty == true)
        // One slice is made; all else waits as it came, and nothing more of it is asked for.
        let asked = client.client.node.demands.reduce(0) { $0 + $1.bytes }
        #expect(asked < 1 << 20)
        for _ in 0..<100 {
            try client.openWindow(1, 1 << 16)
            try client.openWindow(0, 1 << 16)
            try client.advance()
        }
        #expect(client.streams[1].map { $0.body.count > 5_000_000 } == true)
        #expect(client.client.node.demands.reduce(0) { $0 + $1.bytes } > 5_000_000)
        try deliver([.rowsEnd(nanoseconds: 0, error: nil), .end(error: nil, logIndex: 0)], client)
        for _ in 0..<100 {
            try client.openWindow(1, 1 << 16)
            try client.openWindow(0, 1 << 16)
            try client.advance()
        }
        #expect(client.streams[1]?.isWhole == true)
        #expect(client.streams[1]?.text.hasSuffix("}]}") == true)
    }

    @Test func `An answer that can't be completed is reset, not ended`() throws {
        let client = try FrameClient(Client(FakeNode { _ in nil }))
        try client.request(1, "GET", "/db/query?q=SELECT")
        try deliver([Self.begin, Self.cells(2)], client)
        let node = client.client.node
        node.deliver([Reply(id: node.requests[0].id, outcome: .failed(.busy))])
        try client.advance()
        #expect(client.streams[1]?.isWhole == false)
        #expect(client.streams[1]?.resetCode == 2)
        #expect(client.channel.isActive)
    }

    @Test func `A reset in the middle of a large answer gives all back`() throws {
        let client = try FrameClient(Client(FakeNode { _ in nil }))
        try client.request(1, "GET", "/db/query?q=SELECT")
        try deliver([Self.begin, Self.cells(100_000)], client)
        #expect(client.client.server.budgets.answerBytes.inUse > 0)
        try client.send(client.reset(1))
        try client.advance()
        let ids = client.client.node.requests.map(\.id)
        #expect(client.client.node.cancelled == ids)
        // The node says that it has stopped.
        client.client.node.deliver(ids.map { Reply(id: $0, outcome: .failed(.busy)) })
        #expect(client.client.server.budgets.answerBytes.inUse == 0)
    }

    @Test func `Of bodies as much may come as is taken`() throws {
        let client = try FrameClient(Client(FakeNode { _ in nil }))
        try client.send(client.head(1, "POST", "/db/execute", ends: false))
        for _ in 0..<30 {
            try client.send(Frame(.data, 0, 1, Array(repeating: 0x20, count: 16_000)))
        }
        let opened = client.frames.filter { $0.isA(.windowUpdate) && $0.stream == 1 }
        #expect(opened.reduce(65_535) { $0 + Int($1.number(at: 0)) } > 480_000)
        #expect(client.channel.isActive)
        #expect(client.goAways == [])
    }

    @Test func `A body is taken and counted also where the client takes no answers`() throws {
        let client = try FrameClient(Client(FakeNode { _ in nil }))
        let bodies = client.client.server.budgets.bodyBytes
        try client.send(client.head(1, "POST", "/db/execute", ends: false))
        client.channel.isWritable = false
        client.channel.pipeline.fireChannelWritabilityChanged()
        for _ in 0..<3 {
            try client.send(Frame(.data, 0, 1, Array(repeating: 0x20, count: 16_000)))
        }
        #expect(bodies.inUse == 48_000)
        client.channel.isWritable = true
        client.channel.pipeline.fireChannelWritabilityChanged()
        try client.send(Frame(.data, Frame.endStream, 1, [0x20]))
        #expect(client.streams[1]?.status == "400")
        #expect(bodies.inUse == 0)
    }

    @Test func `A client that takes nothing of its answer loses the stream`() throws {
        var limits = HTTPLimits()
        limits.pace.takingWindow = .seconds(100)
        let node = FakeNode { _ in .results(.oneInsert) }
        let client = try FrameClient(Client(node, limits: limits), window: 0)
        try client.request(1, "POST", "/db/execute", body: #"["a"]"#)
        #expect(client.streams[1]?.status == "200")
        try client.advance(.seconds(250))
        #expect(client.streams[1]?.resetCode == 8)
        #expect(client.channel.isActive)
    }

    @Test func `A client that takes its answer slowly, but steadily, gets all of it`() throws {
        var limits = HTTPLimits()
        limits.pace.takingWindow = .seconds(100)
        let text = Value.text(String(repeating: "a", count: 90_000))
        let result = CommandResult([StatementResult(rows(["c"], ["text"], [[text]]))])
        let node = FakeNode { _ in .results(result) }
        let client = try FrameClient(Client(node, limits: limits), window: 0)
        try client.request(1, "GET", "/db/query?q=SELECT")
        #expect(client.streams[1]?.status == "200")
        #expect(client.streams[1]?.body.isEmpty == true)
        // Half a frame at a time, too.
        for _ in 0..<40 {
            try client.openWindow(1, 2500)
            try client.openWindow(0, 2500)
            try client.advance(.seconds(40))
        }
        #expect(client.streams[1]?.resetCode == nil)
        #expect(client.streams[1]?.isWhole == true)
        #expect(client.streams[1].map { $0.body.count > 90_000 } == true)
        #expect(client.channel.isActive)
    }

    @Test func `A body that comes too slowly is refused`() throws {
        let client = try FrameClient(Client(FakeNode { _ in nil }))
        try client.send(client.head(1, "POST", "/db/execute", ends: false))
        try client.advance(.seconds(150))
        #expect(client.streams[1]?.status == "408")
        #expect(client.streams[1]?.isWhole == true)
        #expect(client.streams[1]?.resetCode == 0)
        #expect(client.channel.isActive)
    }
}
