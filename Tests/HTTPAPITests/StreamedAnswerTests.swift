import Foundation
import NIOCore
import NIOEmbedded
import Raft
import Rights
import Service
import Synchronization
import Testing
import Wire

@testable import HTTPAPI

/// Clients whose answers come in parts.
@Suite struct StreamedAnswerTests {
    private static let begin = ResultPart.Piece.rowsBegin(
        columns: ["a"], types: ["integer"], isRead: true)
    private static let end = ResultPart.Piece.end(error: nil, logIndex: 0)

    private static func cells(_ count: Int) -> ResultPart.Piece {
        .cells((0..<count).flatMap { _ in [1, 7, 0, 0, 0, 0, 0, 0, 0] as [UInt8] })
    }

    private func deliver(_ pieces: [ResultPart.Piece], _ client: Client, request: Int = 0) {
        let reply = Reply(
            id: client.node.requests[request].id, outcome: .part(ResultPart(pieces)),
            servedBy: client.node.servedBy)
        client.node.deliver([reply])
        advance(client)
    }

    /// A slice follows another after a pause.
    private func advance(_ client: Client) {
        client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
    }

    private func request(_ client: Client, _ method: String = "GET") throws {
        try client.send("\(method) /db/query?q=SELECT HTTP/1.1\r\nHost: x\r\n\r\n")
    }

    @Test func `Parts go out in chunks as they come, and the connection stays`() throws {
        let client = try Client(FakeNode(servedBy: PeerAddress("n1:1")) { _ in nil })
        try request(client)
        deliver([Self.begin, Self.cells(2)], client)
        let head = try client.output()
        #expect(head.contains("Transfer-Encoding: chunked"))
        #expect(head.contains("X-Rqlite-Served-By: n1:1"))
        #expect(head.contains(#""values":[[7],[7]"#))
        deliver([Self.cells(1)], client)
        #expect(try client.output().contains("[7]"))
        deliver([.rowsEnd(nanoseconds: 0, error: nil), Self.end], client)
        #expect(try client.output().hasSuffix("0\r\n\r\n"))
        #expect(client.channel.isActive)
        #expect(client.node.demands.isEmpty)
    }

    @Test func `One slice at a time is made on a loop, in turn, however many clients take them`()
        throws
    {
        let first = try Client(FakeNode { _ in nil })
        let clients =
            [first] + (try (0..<4).map { _ in try Client(beside: first, sharesLoop: true) })
        for client in clients { try request(client) }
        let loop = first.channel.embeddedEventLoop
        for request in first.node.requests {
            let part = ResultPart([Self.begin, Self.cells(100_000)])
            first.node.deliver([Reply(id: request.id, outcome: .part(part))])
        }
        loop.run()
        var taken = [Int](repeating: 0, count: clients.count)
        func take() throws -> Int {
            var slices = 0
            for (place, client) in clients.enumerated() {
                let count = try client.output().utf8.count
                // The heads of all go out at once.
                if count > 1000 { slices += 1 }
                taken[place] += count
            }
            return slices
        }
        #expect(try take() <= 1)
        for _ in 0..<9 {
            loop.advanceTime(by: .microseconds(50))
            #expect(try take() == 1)
        }
        // Everybody had two turns.
        #expect(taken.allSatisfy { $0 > 200_000 }, "\(taken)")
        #expect(taken.allSatisfy { $0 < 400_000 }, "\(taken)")
    }

    @Test func `What is used up is asked for anew, what the client does not take is not`() throws {
        let client = try Client(FakeNode { _ in nil })
        try request(client)
        deliver([Self.begin], client)
        for _ in 0..<40 { deliver([Self.cells(3000)], client) }
        let asked = client.node.demands.reduce(0) { $0 + $1.bytes }
        #expect(asked > 40 * 27_000 - ResultWindow.demandBytes)
        #expect(asked <= 40 * (27_000 + 32) + 1000)
        #expect(Set(client.node.demands.map(\.id)) == [client.node.requests[0].id])

        client.channel.isWritable = false
        client.channel.pipeline.fireChannelWritabilityChanged()
        let before = client.node.demands.count
        for _ in 0..<40 { deliver([Self.cells(3000)], client) }
        #expect(client.node.demands.count <= before + 1)
        client.channel.isWritable = true
        client.channel.pipeline.fireChannelWritabilityChanged()
        for _ in 0..<40 { advance(client) }
        #expect(client.node.demands.count > before + 1)
    }

    @Test func `A client that hangs up cancels what comes in parts`() throws {
        let client = try Client(FakeNode { _ in nil })
        try request(client)
        deliver([Self.begin, Self.cells(2)], client)
        try client.channel.close().wait()
        client.channel.embeddedEventLoop.run()
        #expect(client.node.cancelled == [client.node.requests[0].id])
        // What was on its way is dropped.
        deliver([Self.cells(2)], client)
        deliver([.rowsEnd(nanoseconds: 0, error: nil), Self.end], client)
    }

    @Test func `An answer that breaks off in its middle has no last chunk`() throws {
        let client = try Client(FakeNode { _ in nil })
        try request(client)
        deliver([Self.begin, Self.cells(2)], client)
        let failure = ServiceError.forwardingFailed(
            to: PeerAddress("n1:1"), cause: "connection lost")
        client.node.deliver([
            Reply(id: client.node.requests[0].id, outcome: .failed(failure))
        ])
        advance(client)
        #expect(!(try client.output()).hasSuffix("0\r\n\r\n"))
        #expect(!client.channel.isActive)
    }

    @Test func `Answers in parts keep their order with others of the connection`() throws {
        let client = try Client(FakeNode { _ in nil })
        try request(client)
        try request(client)
        deliver([Self.begin, Self.cells(1)], client, request: 1)
        deliver([.rowsEnd(nanoseconds: 0, error: nil), Self.end], client, request: 1)
        #expect(try client.output().isEmpty)
        deliver([Self.begin, Self.cells(3)], client)
        deliver([.rowsEnd(nanoseconds: 0, error: nil), Self.end], client)
        for _ in 0..<5 { advance(client) }
        let text = try client.output()
        let first = try #require(text.range(of: "[[7],[7],[7]"))
        let second = try #require(text.range(of: "[[7]]"))
        #expect(first.lowerBound < second.lowerBound)
        #expect(text.components(separatedBy: "0\r\n\r\n").count == 3)
    }

    /// Grants everything until a token expires.
    private final class ExpiringJudge: RightsJudge {
        private let isOver = Mutex(false)

        func expire() { isOver.withLock { $0 = true } }

        func judge(
            _ credential: Credential, _ need: RightsNeed, for asker: Asker,
            later: @escaping @Sendable (Bool) -> Void
        ) -> RightsVerdict? { RightsVerdict(isGranted: isOver.withLock { !$0 }) }
    }

    @Test func `A token that expires ends no answer under way, and opens nothing more`() throws {
        let judge = ExpiringJudge()
        let client = try Client(FakeNode { _ in nil }, door: HTTPDoor(judge: judge))
        try request(client)
        deliver([Self.begin, Self.cells(2)], client)
        judge.expire()
        // On the same connection, behind it.
        try request(client)
        deliver([Self.cells(1), .rowsEnd(nanoseconds: 0, error: nil), Self.end], client)
        for _ in 0..<5 { advance(client) }
        let text = try client.output()
        let end = try #require(text.range(of: "0\r\n\r\n"))
        #expect(text[..<end.lowerBound].contains("[7],[7]"))
        #expect(text[end.upperBound...].hasPrefix("HTTP/1.1 401 "))
        #expect(client.node.requests.count == 1)
    }

    @Test func `When answers fill what they may, the next is refused before its first part`() throws
    {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = ResultWindow.bytes + 1000
        let client = try Client(FakeNode { _ in nil }, limits: limits)
        try request(client)
        deliver([Self.begin, Self.cells(2)], client)
        let other = try Client(beside: client)
        try request(other)
        deliver([Self.begin, Self.cells(2)], other, request: 1)
        let refusal = try other.output()
        #expect(refusal.hasPrefix("HTTP/1.1 503"))
        #expect(refusal.contains("Retry-After: 1"))
        #expect(client.node.cancelled == [client.node.requests[1].id])
        // Its further parts go nowhere, and the connection serves on.
        deliver([Self.end], other, request: 1)
        #expect(try other.output().isEmpty)
        #expect(other.channel.isActive)
    }

    @Test func `A row larger than what may wait ends the answer, not the process`() throws {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = ResultWindow.bytes + 1000
        let client = try Client(FakeNode { _ in nil }, limits: limits)
        try request(client)
        deliver([Self.begin], client)
        deliver([.cells([4, 0, 0, 0, 0x70])], client)
        for _ in 0..<20 {
            deliver([.cells([UInt8](repeating: 1, count: 100_000))], client)
        }
        #expect(!client.channel.isActive)
        #expect(client.node.cancelled == [client.node.requests[0].id])
    }
}
