import JSON
import NIOEmbedded
import Raft
import Rights
import Service
import Telemetry
import Testing
import Wire

@testable import HTTPAPI

/// `/metrics`, and what the edge measures for it.
@Suite struct MetricsTests {
    private let client: Client

    init() throws {
        client = try Client(
            answering: .results(.oneInsert),
            documents: Documents(metrics: { [MetricFamily("a_total", .counter, "All", [.init(3)])] }
            )
        )
    }

    private func value(
        _ module: String, _ name: String, of other: Client? = nil
    ) -> JSONValue? {
        JSONValue.object((other ?? client).metrics.snapshot())[module]?[name]
    }

    private func count(_ name: String) -> UInt64? {
        client.metrics.histograms(of: RequestTimes.module).first { $0.name == name }?
            .histogram.summary().count
    }

    @Test func `The text has the format that the client asks for`() throws {
        let plain = try client.get("/metrics")
        #expect(plain.status == 200)
        #expect(plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        #expect(plain.body == "# HELP a_total All\n# TYPE a_total counter\na_total 3\n")
        try client.send(
            "GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: application/openmetrics-text;"
                + "version=1.0.0,text/plain;q=0.5\r\n\r\n")
        let open = try client.output()
        #expect(
            open.contains(
                "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"))
        #expect(open.hasSuffix("# TYPE a counter\na_total 3\n# EOF\n"))
        #expect(try client.request("POST", "/metrics").status == 405)
    }

    @Test func `It needs the permission to see the status, or none where it is left open`() throws {
        struct Nobody: RightsJudge {
            func judge(
                _ credential: Credential, _ need: RightsNeed, for asker: Asker,
                later: @escaping @Sendable (Bool) -> Void
            ) -> RightsVerdict? { .refused }
        }
        for (open, status) in [([], 401), (["metrics"], 200), (["ready"], 401)] {
            let client = try Client(
                FakeNode { _ in .done }, door: HTTPDoor(judge: Nobody(), open: open))
            #expect(try client.get("/metrics").status == status)
            #expect(try client.get("/debug/vars").status == 401)
        }
    }

    @Test func `Requests are timed by operation, and by level where there is one`() throws {
        _ = try client.post("/db/execute?level=none", #"["a"]"#)
        _ = try client.get("/db/query?q=SELECT%201")
        _ = try client.get("/db/query?q=SELECT%201&level=NONE")
        _ = try client.post("/db/request?level=strong", #"["a"]"#)
        _ = try client.get("/metrics")
        #expect(count("execute") == 1)
        #expect(count("query/weak") == 1)
        #expect(count("query/none") == 1)
        #expect(count("query/strong") == 0)
        #expect(count("request/strong") == 1)
        #expect(count("metrics") == 1)
    }

    @Test func `What another node did, or could not do, counts as sent on`() throws {
        func send(_ client: Client) throws {
            _ = try client.post("/db/execute", #"["a"]"#)
            _ = try client.get("/db/query?q=SELECT%201")
        }
        let other = PeerAddress("node2:4002")
        let follower = try Client(FakeNode(servedBy: other) { _ in .results(.oneInsert) })
        try send(follower)
        #expect(value("proxy", "remote_executions", of: follower) == 1)
        #expect(value("proxy", "remote_queries", of: follower) == 1)
        #expect(value("proxy", "remote_requests", of: follower) == 0)
        #expect(value("proxy", "remote_executions_failed", of: follower) == 0)
        for failure in [
            try Client(answering: .failed(.forwardingFailed(to: other, cause: "gone"))),
            try Client(FakeNode(servedBy: other) { _ in .failed(.leadershipLost) }),
        ] {
            try send(failure)
            #expect(value("proxy", "remote_executions_failed", of: failure) == 1)
            #expect(value("proxy", "remote_queries_failed", of: failure) == 1)
            #expect(value("proxy", "remote_executions", of: failure) == 0)
        }
        try send(client)
        #expect(value("proxy", "remote_executions") == 0)
        let lone = try Client(answering: .failed(.noLeader(waitingFor: "")))
        try send(lone)
        #expect(value("proxy", "remote_executions_failed", of: lone) == 0)
    }

    @Test func `Parts of one answer of another node count as one`() throws {
        let client = try Client(FakeNode { _ in nil })
        try client.send("GET /db/backup HTTP/1.1\r\nHost: x\r\n\r\n")
        let pieces: [ResultPart.Piece] = [
            .contentBegins(logIndex: 1), .content([1]), .end(error: nil, logIndex: 1),
        ]
        for piece in pieces {
            client.node.deliver([
                Reply(
                    id: client.node.requests[0].id, outcome: .part(ResultPart([piece])),
                    servedBy: PeerAddress("node2:4002"))
            ])
        }
        #expect(value("proxy", "remote_backups", of: client) == 1)
    }

    @Test func `Answers count by their status, refusals by the head and of what can't be read too`()
        throws
    {
        _ = try client.get("/db/query?q=SELECT%201")
        _ = try client.get("/nowhere")
        _ = try client.get("/console")
        _ = try client.post("/db/execute", "no JSON")
        try client.send("nonsense\r\n\r\n")
        #expect(value(AnswerCounters.module, "2xx") == 1)
        #expect(value(AnswerCounters.module, "3xx") == 1)
        #expect(value(AnswerCounters.module, "4xx") == 3)
        #expect(value(AnswerCounters.module, "5xx") == 0)
    }

    @Test func `Bytes and connections of all clients are counted`() throws {
        let text = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
        try client.send(text)
        let answer = try client.output()
        #expect(value("http", "received_bytes") == .integer(text.utf8.count))
        #expect(value("http", "sent_bytes") == .integer(answer.utf8.count))
        #expect(value("http", "connections") == 1)
        let other = try Client(beside: client)
        #expect(value("http", "connections") == 2)
        _ = try other.channel.finish()
        #expect(value("http", "connections") == 1)
    }
}
