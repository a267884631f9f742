import JSON
import NIOCore
import NIOEmbedded
import Service
import Testing
import Wire

@testable import HTTPAPI

/// Clients that open more streams than they were told to, or before they could be told.
@Suite struct SurplusStreamTests {
    private static let refused: UInt32 = 7
    private static let protocolError: UInt32 = 1
    private static let announced = 4
    private static let served = announced + HTTPLimits.surplusStreams

    private var limits: HTTPLimits {
        var limits = HTTPLimits()
        limits.pipelinedRequests = Self.announced
        return limits
    }

    private func client(greets: Bool = true) throws -> FrameClient {
        try FrameClient(Client(FakeNode { _ in nil }, limits: limits), greets: greets)
    }

    private static func number(_ place: Int) -> UInt32 { UInt32(place * 2 + 1) }

    private func answer(_ client: FrameClient, _ requests: ArraySlice<ClientRequest>) throws {
        client.client.node.deliver(
            requests.map { Reply(id: $0.id, outcome: .results(.oneInsert)) })
        try client.advance()
    }

    /// Those beyond are refused, all others are answered, and then there is room again.
    private func expectServed(_ client: FrameClient, of count: Int) throws {
        let requests = client.client.node.requests
        #expect(requests.count == Self.served)
        for place in Self.served..<count {
            #expect(client.streams[Self.number(place)]?.resetCode == Self.refused, "\(place)")
        }
        #expect(client.counted("http2_refusals") == .integer(Int64(count - Self.served)))
        try answer(client, requests[...])
        for place in 0..<Self.served {
            #expect(client.streams[Self.number(place)]?.status == "200", "\(place)")
        }
        #expect(try client.request(Self.number(count), "GET", "/nowhere").status == "404")
        #expect(client.goAways == [])
        #expect(client.channel.isActive)
        #expect(client.client.server.budgets.connections.inUse == 1)
    }

    @Test func `A connection says how many streams there may be`() throws {
        let client = try client()
        let settings = try #require(
            client.frames.first { $0.isA(.settings) && $0.flags & Frame.acknowledges == 0 })
        let pairs = stride(from: 0, to: settings.payload.count, by: 6).map {
            (settings.payload[$0 + 1], settings.number(at: $0 + 2))
        }
        #expect(pairs.filter { $0.0 == 3 }.map(\.1) == [UInt32(Self.announced)])
        #expect(client.frames.count { $0.isA(.settings) } == 2)
    }

    @Test func `A client that knew no bound yet has the surplus refused, and nothing else ends`()
        throws
    {
        let client = try client(greets: false)
        let heads = try (0..<200).flatMap {
            try client.head(Self.number($0), "GET", "/db/query?q=SELECT").bytes
        }
        // All of it in one piece, before the server has said anything.
        try client.send(FrameClient.preface + Frame(.settings).bytes + heads)
        try client.send(Frame(.settings, Frame.acknowledges))
        try expectServed(client, of: 200)
    }

    @Test func `So has one that should know, however often`() throws {
        let client = try client()
        for place in 0..<2000 {
            try client.request(Self.number(place), "GET", "/db/query?q=SELECT")
        }
        try expectServed(client, of: 2000)
    }

    @Test func `Who has any number of them refused at once loses the connection`() throws {
        let client = try client()
        func heads(_ places: Range<Int>) throws -> [UInt8] {
            try places.flatMap { try client.head(Self.number($0), "GET", "/db/query?q=S").bytes }
        }
        let most = Self.served + HTTPLimits.refusedStreams
        try client.send(heads(0..<most))
        #expect(client.counted("http2_refusals") == .integer(Int64(HTTPLimits.refusedStreams)))
        #expect(client.goAways == [])
        // Those before are over, and one more comes than may be.
        try client.send(heads(most..<most + HTTPLimits.refusedStreams + 1))
        #expect(client.goAways == [Self.protocolError])
        try client.advance(.seconds(3))
        #expect(!client.channel.isActive)
        #expect(client.client.server.budgets.connections.inUse == 0)
    }

    @Test func `What comes on streams that were refused does no harm`() throws {
        let client = try client()
        let count = Self.served + 1000
        for place in 0..<count {
            try client.send(
                client.head(Self.number(place), "POST", "/db/execute", ends: false))
        }
        for place in 0..<count {
            try client.send(
                Frame(.data, Frame.endStream, Self.number(place), Array(#"["A"]"#.utf8)))
        }
        try expectServed(client, of: count)
    }

    @Test func `Who resets streams may open others in their place`() throws {
        let client = try client()
        func open(_ places: Range<Int>) throws {
            for place in places {
                try client.request(Self.number(place), "GET", "/db/query?q=SELECT")
            }
        }
        try open(0..<Self.announced)
        for round in 1..<20 {
            let begin = round * Self.announced
            // In one piece: those before have not been answered, nor noticed to be over.
            let resets = (begin - Self.announced..<begin).flatMap {
                client.reset(Self.number($0)).bytes
            }
            let heads = try (begin..<begin + Self.announced).flatMap {
                try client.head(Self.number($0), "GET", "/db/query?q=SELECT").bytes
            }
            try client.send(resets + heads)
        }
        #expect(client.client.node.requests.count == 20 * Self.announced)
        #expect(client.counted("http2_refusals") == 0)
        #expect(client.goAways == [])
    }
}
