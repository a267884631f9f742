import JSON
import NIOCore
import NIOEmbedded
import Raft
import Rights
import Service
import Telemetry
import Testing
import Wire

@testable import HTTPAPI

/// `/db/execute?queue`, from the request to the node and back.
@Suite struct QueuedWriteTests {
    private func client(
        _ outcome: Outcome? = .results(.oneInsert), hasLeader: Bool = true
    ) throws -> Client {
        try Client(FakeNode { _ in outcome }, hasLeader: hasLeader)
    }

    private func pass(_ client: Client, _ time: TimeAmount = .milliseconds(50)) {
        client.channel.embeddedEventLoop.advanceTime(by: time)
    }

    @Test func `A write is answered with its number before it is carried out`() throws {
        let client = try client()
        let answer = try client.post("/db/execute?queue", #"["a", ["b", 1]]"#)
        #expect(answer.status == 200)
        #expect(answer.body == #"{"results":[],"sequence_number":101}"#)
        #expect(answer.headers["content-type"] == "application/json; charset=utf-8")
        #expect(answer.headers["x-rqlite-served-by"] == nil)
        #expect(client.node.requests.isEmpty)
        #expect(
            try client.post("/db/execute?queue", #"["c"]"#).body
                == #"{"results":[],"sequence_number":102}"#)
        #expect(client.metrics.gauge("queue", "waiting").current == 2)
        pass(client)
        #expect(client.metrics.gauge("queue", "waiting").current == 0)
        #expect(client.node.batches.count == 1)
        #expect(client.node.requests.count == 2)
        #expect(client.node.lastCommand?.statements == [Statement("c")])
        let counted = JSONValue.object(client.metrics.snapshot())
        #expect(counted["http"]?["queued_executions"] == 2)
        #expect(counted["http"]?["queued_executions_num_stmts_rx"] == 3)
        #expect(counted["http"]?["queued_executions_num_stmts_tx"] == 3)
        #expect(counted["http"]?["queued_executions_ok"] == 1)
        #expect(counted["queue"]?["sequence_number"] == 102)
    }

    @Test func `With wait the answer comes when it was carried out, and says what failed`() throws {
        let waiting = try client()
        try waiting.send(Self.request("queue&wait", #"["a"]"#))
        #expect(try waiting.output().isEmpty)
        pass(waiting)
        #expect(try waiting.output().hasSuffix(#"{"results":[],"sequence_number":101}"#))
        let failing = try client(.results(CommandResult([], error: "disallowed pragma")))
        try failing.send(Self.request("queue&wait", #"["PRAGMA x"]"#))
        pass(failing)
        #expect(
            try failing.output().hasSuffix(
                #"{"results":[],"error":"disallowed pragma","sequence_number":101}"#))
    }

    @Test func `A wait that is too long is 408, and the write goes on`() throws {
        let client = try client(nil)
        try client.send(Self.request("queue&wait&timeout=80ms", #"["a"]"#))
        pass(client, .milliseconds(80))
        let text = try client.output()
        #expect(text.hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        #expect(text.hasSuffix("queue wait timeout\n"))
        #expect(client.node.requests.count == 1)
    }

    @Test func `Without a leader it is refused, unless noleader is given`() throws {
        let client = try client(hasLeader: false)
        let refused = try client.post("/db/execute?queue", #"["a"]"#)
        #expect(refused.status == 503)
        #expect(refused.body == "leader not found\n")
        #expect(refused.headers["retry-after"] == "1")
        #expect(try client.post("/db/execute?queue&noleader", #"["a"]"#).status == 200)
    }

    @Test(arguments: [
        ("[]", "no statements"), ("{}", "invalid request"), ("[", "invalid JSON body"),
        ("[1]", "invalid request"),
    ])
    func `What is no write is refused`(body: String, text: String) throws {
        let answer = try client().post("/db/execute?queue", body)
        #expect(answer.status == 400)
        #expect(answer.body == "\(text)\n")
    }

    @Test func `An empty list with wait waits for what was queued before`() throws {
        let client = try client()
        _ = try client.post("/db/execute?queue", #"["a"]"#)
        try client.send(Self.request("queue&wait", "[]"))
        #expect(try client.output().isEmpty)
        pass(client)
        #expect(try client.output().hasSuffix(#"{"results":[],"sequence_number":102}"#))
        #expect(client.node.requests.count == 1)
    }

    @Test func `What only single requests know is passed over, layout and times are not`() throws {
        let client = try client()
        let answer = try client.post(
            "/db/execute?queue&transaction&raft_index&associative&redirect&pretty&timings",
            #"["a"]"#)
        #expect(answer.body.hasPrefix("{\n    \"results\": [],\n    \"time\": 0."))
        pass(client)
        #expect(client.node.lastCommand?.transaction == false)
        #expect(client.node.requests.last?.forward == true)
    }

    @Test func `What the node can't do now is asked again; what it never will is over`() throws {
        for (error, again) in [
            (ServiceError.noLeader(waitingFor: ""), true), (.leadershipLost, true),
            (.busy, true), (.forwardingFailed(to: PeerAddress("b:1"), cause: "x"), true),
            (.requestTooLarge(limit: 1), false), (.notAuthorized("Execute"), false),
        ] {
            let client = try client(.failed(error))
            try client.send(Self.request("queue&wait", #"["a"]"#))
            pass(client)
            #expect(try client.output().isEmpty == again, "\(error)")
            pass(client, .seconds(1))
            #expect(client.node.requests.count == (again ? 2 : 1), "\(error)")
        }
    }

    @Test func `What the node did not end in its time has twice as much when it is asked again`()
        throws
    {
        for (error, next) in [
            (ServiceError.timedOut(waitingFor: ""), Duration.seconds(1200)),
            (.leadershipLost, .seconds(600)),
        ] {
            let client = try client(.failed(error))
            _ = try client.post("/db/execute?queue", #"["a"]"#)
            pass(client)
            pass(client, .seconds(1))
            #expect(client.node.requests.map(\.timeout) == [.seconds(600), next], "\(error)")
        }
    }

    /// As a leader elsewhere answers, which keeps the rest of them until it is asked for.
    @Test
    func `Of a queued write that returns many rows they are given up, and it was carried out`()
        throws
    {
        let part = ResultPart([
            .rowsBegin(columns: ["a"], types: ["blob"], isRead: false), .cells([0]),
        ])
        let client = try client(.part(part))
        try client.send(Self.request("queue&wait", #"["a"]"#))
        pass(client)
        #expect(try client.output().hasSuffix(#"{"results":[],"sequence_number":101}"#))
        let ids = client.node.requests.map(\.id)
        #expect(client.node.cancelled == ids)
        // Whatever still comes of it.
        let end = Outcome.failed(.timedOut(waitingFor: "a client that has gone"))
        for id in ids {
            client.node.deliver([Reply(id: id, outcome: .part(part)), Reply(id: id, outcome: end)])
        }
        pass(client, .seconds(2))
        #expect(client.node.requests.count == 1)
        #expect(client.node.cancelled == ids)
    }

    @Test func `At the end what is queued is carried out, and clients that wait are answered`()
        throws
    {
        let client = try Client(FakeNode { _ in .results(.oneInsert) }, queue: Self.never)
        _ = try client.post("/db/execute?queue", #"["a"]"#)
        try client.send(Self.request("queue&wait", #"["b"]"#))
        let drained = client.server.drain(on: client.channel.embeddedEventLoop)
        client.channel.embeddedEventLoop.run()
        #expect(client.node.requests.count == 2)
        #expect(try client.output().hasSuffix(#"{"results":[],"sequence_number":102}"#))
        pass(client, .seconds(10))
        try drained.wait()
    }

    private static let never: WriteQueueSettings = {
        var settings = WriteQueueSettings()
        settings.timeout = .zero
        return settings
    }()

    @Test func `A client that hangs up leaves its write in the queue`() throws {
        let client = try client()
        try client.send(Self.request("queue&wait", #"["a"]"#))
        client.channel.close(promise: nil)
        client.channel.embeddedEventLoop.run()
        pass(client)
        #expect(client.node.requests.count == 1)
        #expect(client.server.budgets.requests.inUse == 0)
    }

    private static func request(_ query: String, _ body: String) -> String {
        "POST /db/execute?\(query) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            + body
    }
}
