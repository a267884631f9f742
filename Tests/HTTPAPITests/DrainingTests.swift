import NIOCore
import NIOEmbedded
import Service
import Synchronization
import Testing
import Wire

@testable import HTTPAPI

/// How a server that is about to stop lets its clients go.
@Suite struct DrainingTests {
    /// Begins to drain; the flag tells when that is done.
    private func drain(_ client: Client) -> Flag {
        let flag = Flag()
        client.server.drain(on: client.channel.eventLoop).whenSuccess { flag.raise() }
        client.channel.embeddedEventLoop.run()
        return flag
    }

    private final class Flag: Sendable {
        private let state = Atomic(false)
        var isRaised: Bool { state.load(ordering: .relaxed) }
        func raise() { state.store(true, ordering: .relaxed) }
    }

    @Test func `The next answer sends the client away, and then nobody is left`() throws {
        let client = try Client(answering: .results(.oneInsert))
        #expect(try client.post("/db/execute", #"["a"]"#).headers["connection"] == nil)
        let isDone = drain(client)
        #expect(!isDone.isRaised)
        #expect(try client.post("/db/execute", #"["a"]"#).headers["connection"] == "close")
        client.channel.embeddedEventLoop.run()
        #expect(!client.channel.isActive)
        #expect(isDone.isRaised)
    }

    @Test func `Of pipelined requests only the last answer closes the connection`() throws {
        let node = FakeNode { _ in nil }
        let client = try Client(node)
        let request = "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n[\"a\"]"
        try client.send(request + request)
        let isDone = drain(client)
        node.deliver(node.requests.map { Reply(id: $0.id, outcome: .results(.oneInsert)) })
        client.channel.embeddedEventLoop.run()
        let answers = Client.answers(in: try client.output())
        #expect(answers.map(\.status) == [200, 200])
        #expect(answers.map { $0.headers["connection"] } == [nil, "close"])
        #expect(isDone.isRaised)
    }

    @Test func `A client without a request is waited for only a little`() throws {
        let client = try Client(answering: .results(.oneInsert))
        let isDone = drain(client)
        client.channel.embeddedEventLoop.advanceTime(by: HTTPLimits().drainPatience)
        #expect(isDone.isRaised)
    }

    @Test(arguments: [
        ("POST /db/execute HTTP/1.1\r\nHo", "st: a\r\nContent-Length: 5\r\n\r\n[\"a\"]"),
        ("POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n[\"", "a\"]"),
    ])
    func `A request that is being sent is waited for`(begin: String, rest: String) throws {
        let client = try Client(answering: .results(.oneInsert))
        try client.send(begin)
        let isDone = drain(client)
        client.channel.embeddedEventLoop.advanceTime(by: HTTPLimits().drainPatience)
        #expect(!isDone.isRaised)
        try client.send(rest)
        let answer = try #require(Client.answers(in: client.output()).first)
        #expect(answer.status == 200)
        #expect(answer.headers["connection"] == "close")
        client.channel.embeddedEventLoop.run()
        #expect(isDone.isRaised)
    }

    @Test func `A client that takes its answer is waited for`() throws {
        let values: [[Value]] = [[.blob([UInt8](repeating: 1, count: 300_000))]]
        let result = CommandResult([StatementResult(rows(["c"], ["blob"], values))])
        let client = try Client(answering: .results(result))
        // A part of the answer goes out at once.
        try client.send("GET /db/query?q=x HTTP/1.1\r\nHost: a\r\n\r\n")
        client.channel.isWritable = false
        client.channel.pipeline.fireChannelWritabilityChanged()
        let isDone = drain(client)
        client.channel.embeddedEventLoop.advanceTime(by: HTTPLimits().drainPatience)
        #expect(!isDone.isRaised)
        client.channel.isWritable = true
        client.channel.pipeline.fireChannelWritabilityChanged()
        client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(100))
        #expect(try client.output().hasSuffix("0\r\n\r\n"))
        #expect(client.channel.isActive)
        #expect(isDone.isRaised)
    }

    @Test func `A request under way is waited for up to the limit`() throws {
        let client = try Client(FakeNode { _ in nil })
        try client.send("POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n[\"a\"]")
        let isDone = drain(client)
        client.channel.embeddedEventLoop.advanceTime(by: HTTPLimits().drainPatience)
        #expect(!isDone.isRaised)
        client.channel.embeddedEventLoop.advanceTime(by: HTTPLimits().drainLimit)
        #expect(isDone.isRaised)
    }
}
