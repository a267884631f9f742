import NIOCore
import NIOEmbedded
import Raft
import Service
import Testing
import Wire

@testable import HTTPAPI

/// Results as lines of JSON.
@Suite struct LinesTests {
    private static let rows = RowSet(
        columns: ["a", "b"], types: ["integer", "text"], rowCount: 2,
        cells: [1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0])

    private static let result = CommandResult(
        [
            StatementResult(.rows(rows), isRead: true),
            StatementResult(.changed(lastInsertID: 3, rowsAffected: 2)),
            StatementResult(.failed("no such table: t"), isRead: true),
            StatementResult(
                .rows(RowSet(columns: ["c"], types: ["text"])), isRead: true),
        ], logIndex: 12)

    private func ask(
        _ client: Client, _ query: String = "", accept: String = "application/x-ndjson"
    ) throws -> String {
        try client.send(
            "GET /db/query?q=x\(query) HTTP/1.1\r\nHost: x\r\nAccept: \(accept)\r\n\r\n")
        client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        return try client.output()
    }

    @Test func `Each row is a document on a line of its own, and the last says that it is`() throws
    {
        let output = try ask(try Client(answering: .results(Self.result)), "&raft_index&pretty")
        #expect(output.contains("Content-Type: application/x-ndjson\r\n"))
        #expect(
            output.contains(
                """
                {"columns":["a","b"],"types":["integer","text"]}
                [7,null]
                [8,null]
                {}
                {"last_insert_id":3,"rows_affected":2}
                {"error":"no such table: t"}
                {"columns":["c"],"types":["text"]}
                {}
                {"end":true,"raft_index":12}

                """))
        #expect(output.hasSuffix("0\r\n\r\n"))
    }

    @Test func `Associative rows are objects`() throws {
        let output = try ask(try Client(answering: .results(Self.result)), "&associative")
        #expect(
            output.contains(
                """
                {"types":{"a":"integer","b":"text"}}
                {"a":7,"b":null}
                {"a":8,"b":null}
                {}

                """))
    }

    @Test func `Rows that come by and by give the same lines as a whole`() throws {
        let whole = try ask(try Client(answering: .results(Self.result)))
        let client = try Client(FakeNode { _ in nil })
        _ = try ask(client)
        var slices = ResultSlices(Self.result)
        var output = ""
        while !slices.isFinished {
            for piece in slices.next().pieces {
                client.node.deliver([
                    Reply(id: client.node.requests[0].id, outcome: .part(ResultPart([piece])))
                ])
                client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
                output += try client.output()
            }
        }
        #expect(Self.body(output) == Self.body(whole))
    }

    /// Without the lengths of chunks.
    private static func body(_ answer: String) -> [Substring] {
        answer.split(separator: "\r\n").filter { $0.contains("{") || $0.contains("[") }
            .flatMap { $0.split(separator: "\n") }
    }

    @Test func `A request that fails as a whole is one line`() throws {
        let client = try Client(answering: .results(CommandResult([], error: "stale read")))
        #expect(try ask(client).contains("{\"end\":true,\"error\":\"stale read\"}\n"))
    }

    @Test(arguments: [
        Outcome.failed(.notReady("a disk")),
        .results(CommandResult([], error: "store not ready: a disk")),
    ])
    func `A write that failed is told as that, whatever room there is`(outcome: Outcome) throws {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 1000
        let client = try Client(FakeNode { _ in outcome }, limits: limits)
        let answer = try client.request(
            "POST", "/db/execute", headers: ["Accept: application/x-ndjson"], body: #"["x"]"#)
        #expect(answer.status == 200)
        #expect(answer.body == "{\"end\":true,\"error\":\"store not ready: a disk\"}\n")
    }

    @Test func `There is always room to say as lines that a write was carried out`() throws {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 10
        let client = try Client(FakeNode { _ in .results(.oneInsert) }, limits: limits)
        for _ in 0..<3 {
            try client.send(
                "POST /db/execute HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n"
                    + "Content-Length: 5\r\n\r\n[\"x\"]")
            client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            let output = try client.output()
            #expect(output.hasPrefix("HTTP/1.1 200"))
            #expect(output.contains("{\"end\":true}\n"))
        }
        #expect(client.server.budgets.answerBytes.inUse == 0)
    }

    @Test(arguments: ["application/x-ndjson", "*/*"])
    func `What a write failed by may be too long to wait, and then nothing was done`(
        accept: String
    ) throws {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 1000
        let error = String(repeating: "a", count: 20_000)
        let node = FakeNode { _ in .results(CommandResult([], error: error)) }
        let answer = try Client(node, limits: limits).request(
            "POST", "/db/execute", headers: ["Accept: \(accept)"], body: #"["x"]"#)
        #expect(answer.status == 503)
        #expect(answer.headers["x-rqlited-error"] == "busy")
    }

    @Test(arguments: ["*/*", "application/json", "application/json, application/x-ndjson"])
    func `Who does not ask for lines first gets one document`(accept: String) throws {
        let output = try ask(try Client(answering: .results(Self.result)), accept: accept)
        #expect(output.contains("Content-Type: application/json; charset=utf-8\r\n"))
        #expect(output.contains(#"{"results":["#))
    }
}
