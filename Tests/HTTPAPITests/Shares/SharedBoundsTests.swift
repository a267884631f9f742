import Foundation
import JSON
import NIOCore
import NIOEmbedded
import Rights
import Service
import Telemetry
import Testing
import Wire

@testable import HTTPAPI

/// 429, as clients get it: whoever has most of what all share makes room for others.
@Suite struct SharedBoundsTests {
    private static let other = "10.0.0.2"

    /// - Parameter change: the bounds that a test reaches.
    private func limits(_ change: (inout HTTPLimits) -> Void) -> HTTPLimits {
        var limits = HTTPLimits()
        // So that a slow machine makes no difference.
        limits.sharePatience = .seconds(3600)
        change(&limits)
        return limits
    }

    private func write(_ body: String, _ headers: String = "") -> String {
        "POST /db/execute HTTP/1.1\r\nHost: a\r\n\(headers)"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private func statement(ofSize size: Int) -> String {
        "[\"\(String(repeating: "a", count: size - 4))\"]"
    }

    private func finish(_ place: Int, of node: FakeNode) {
        let id = node.requests[place].id
        node.deliver(to: 0, [Reply(id: id, outcome: .results(.oneInsert))])
    }

    private func expectOverShare(_ answer: Answer) {
        #expect(answer.status == 429)
        #expect(answer.headers["retry-after"] == "1")
        #expect(answer.headers["x-rqlited-error"] == "over_share")
        #expect(answer.body.hasPrefix("this client has its share of the "), "\(answer.body)")
    }

    @Test func `Who has most of the requests under way makes room for others`() throws {
        let node = FakeNode { _ in nil }
        let many = try Client(node, limits: limits { $0.requestsInFlight = 4 })
        try many.send(String(repeating: write(#"["a"]"#), count: 4))
        // Alone it is refused because the node is full.
        let again = try Client(beside: many)
        let full = try again.post("/db/execute", #"["b"]"#)
        #expect(full.status == 503)
        #expect(full.headers["x-rqlited-error"] == "busy")
        let few = try Client(beside: many, from: Self.other)
        #expect(try few.post("/db/execute", #"["c"]"#).status == 503)
        #expect(node.requests.count == 4)
        finish(0, of: node)
        expectOverShare(try again.post("/db/execute", #"["d"]"#))
        try few.send(write(#"["e"]"#))
        #expect(node.requests.count == 5)
        // What it still has is less than a share by now, and one more is it.
        finish(1, of: node)
        finish(2, of: node)
        try again.send(write(#"["f"]"#))
        #expect(node.requests.count == 6)
        #expect(JSONValue.object(many.metrics.snapshot())["http"]?["over_share"] == 1)
    }

    @Test func `Programs get a document that says that nothing was done`() throws {
        let node = FakeNode { _ in nil }
        let many = try Client(node, limits: limits { $0.requestsInFlight = 4 })
        try many.send(String(repeating: write(#"["a"]"#), count: 4))
        let few = try Client(beside: many, from: Self.other)
        #expect(try few.post("/db/execute", #"["b"]"#).status == 503)
        let answer = try Client(beside: many).request(
            "POST", "/db/execute", headers: ["Accept: application/problem+json"], body: #"["c"]"#)
        #expect(answer.status == 429)
        #expect(answer.headers["retry-after"] == "1")
        let document = try JSONValue(parsing: Array(answer.body.utf8))
        #expect(document["code"]?.string == "over_share")
        #expect(document["may_have_taken_effect"] == .bool(false))
    }

    /// Lets everybody pass, and knows users by their names.
    private struct NamingJudge: RightsJudge {
        func judge(
            _ credential: Credential, _ need: RightsNeed, for asker: Asker,
            later: @escaping @Sendable (Bool) -> Void
        ) -> RightsVerdict? { .granted }

        func principal(of credential: Credential) -> String? {
            if case .password(let user, _) = credential { user } else { nil }
        }
    }

    private static func field(of user: String) -> String {
        "Authorization: Basic \(Data("\(user):x".utf8).base64EncodedString())"
    }

    @Test func `Users behind one address are clients of their own`() throws {
        let node = FakeNode { _ in nil }
        let many = try Client(
            node, limits: limits { $0.requestsInFlight = 4 }, door: HTTPDoor(judge: NamingJudge()))
        let (a, b) = (Self.field(of: "a"), Self.field(of: "b"))
        try many.send(String(repeating: write(#"["a"]"#, a + "\r\n"), count: 4))
        func ask(_ user: String) throws -> Answer {
            try Client(beside: many).request(
                "POST", "/db/execute", headers: [user], body: #"["b"]"#)
        }
        #expect(try ask(b).status == 503)
        expectOverShare(try ask(a))
        finish(0, of: node)
        let few = try Client(beside: many)
        try few.send(write(#"["c"]"#, b + "\r\n"))
        #expect(node.requests.count == 5)
    }

    @Test func `Who has most of the bytes of bodies makes room for others`() throws {
        let node = FakeNode { _ in nil }
        let many = try Client(node, limits: limits { $0.bodyBytesInFlight = 100_000 })
        try many.send(write(statement(ofSize: 90_000)))
        let few = try Client(beside: many, from: Self.other)
        #expect(try few.post("/db/execute", statement(ofSize: 30_000)).status == 503)
        let again = try Client(beside: many)
        let refused = try again.post("/db/execute", statement(ofSize: 20_000))
        expectOverShare(refused)
        #expect(refused.headers["connection"] == "close")
        // Small ones are not counted.
        let small = try Client(beside: many)
        try small.send(write(#"["small"]"#))
        #expect(node.requests.count == 2)
        finish(0, of: node)
        let next = try Client(beside: many, from: Self.other)
        try next.send(write(statement(ofSize: 30_000)))
        #expect(node.requests.count == 3)
    }

    @Test func `Who has most of the places for loads makes room for others`() throws {
        let image = DatabaseImage(byteCount: 4096, packed: [1, 2, 3])
        let first = try Client(
            FakeNode { _ in .results(CommandResult([])) }, limits: limits { $0.uploads = 4 },
            loads: LoadsDouble { _ in .image(image) })
        var many = [first]
        for _ in 1..<4 { many.append(try Client(beside: first)) }
        let half = "POST /db/load HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
        for client in many { try client.send(half) }
        #expect(first.server.budgets.uploads.inUse == 4)
        func ask(from address: String? = nil) throws -> (Client, [Answer]) {
            let client = try Client(beside: first, from: address)
            try client.send(half)
            return (client, Client.answers(in: try client.output()))
        }
        #expect(try ask(from: Self.other).1.map(\.status) == [503])
        let refused = try ask().1
        #expect(refused.count == 1)
        if let refused = refused.first { expectOverShare(refused) }
        try many[3].channel.close().wait()
        many[3].channel.embeddedEventLoop.run()
        #expect(try ask().1.map(\.status) == [429])
        let (few, answers) = try ask(from: Self.other)
        #expect(answers == [])
        #expect(first.server.budgets.uploads.inUse == 4)
        try few.send("defghij")
        #expect(Client.answers(in: try few.output()).map(\.status) == [200])
    }

    @Test func `Whose answers wait for it makes room for those of others`() throws {
        let blob = rows(["c"], ["blob"], [[.blob([UInt8](repeating: 1, count: 300_000))]])
        let node = FakeNode { _ in .results(CommandResult([StatementResult(blob)])) }
        let many = try Client(node, limits: limits { $0.answerBytesInFlight = 500_000 })
        // A part of the answer goes out at once.
        #expect(try many.get("/db/query?q=x").status == 200)
        many.channel.isWritable = false
        many.channel.pipeline.fireChannelWritabilityChanged()
        #expect(many.server.budgets.answerBytes.inUse > 300_000)
        let few = try Client(beside: many, from: Self.other)
        #expect(try few.get("/db/query?q=x").status == 503)
        let again = try Client(beside: many)
        expectOverShare(try again.get("/db/query?q=x"))
        // Of a write that was carried out nobody is told that it was not.
        let dropped = try again.post("/db/execute", #"["x"]"#)
        #expect(dropped.status == 500)
        #expect(dropped.headers["x-rqlited-error"] == "answer_dropped")
        try many.channel.close().wait()
        #expect(try few.get("/db/query?q=x").status == 200)
    }

    @Test func `Who has most of the connections gets no more while others find none`() throws {
        let first = try Client(
            FakeNode {
                if case .readiness = $0.operation {
                    .readiness(.nodeOnly)
                } else {
                    .results(.oneInsert)
                }
            },
            limits: limits {
                $0.connections = 4
                $0.observerConnections = 2
            })
        var many = [first]
        for _ in 1..<4 { many.append(try Client(beside: first)) }
        func ask(_ target: String = "/db/query?q=x", from address: String? = nil) throws -> Answer {
            let client = try Client(beside: first, from: address)
            let answer = try client.get(target)
            client.channel.embeddedEventLoop.run()
            return answer
        }
        // Alone it is refused because the node is full.
        #expect(try ask().status == 503)
        #expect(try ask(from: Self.other).status == 503)
        let refused = try ask()
        expectOverShare(refused)
        #expect(refused.headers["connection"] == "close")
        // It may look at the node all the same.
        #expect(try ask("/readyz").status == 200)
        try many[3].channel.close().wait()
        #expect(try ask().status == 429)
        let few = try Client(beside: first, from: Self.other)
        #expect(try few.get("/db/query?q=x").status == 200)
        #expect(few.channel.isActive)
        #expect(first.server.budgets.connections.inUse == 4)
        #expect(first.server.budgets.observers.inUse == 0)
    }

    @Test func `Streams of a connection count for its client`() throws {
        let node = FakeNode { _ in nil }
        let many = try FrameClient(Client(node, limits: limits { $0.connections = 4 }))
        for stream in [1, 3, 5, 7] as [UInt32] { try many.request(stream, "GET", "/db/query?q=S") }
        let few = try Client(beside: many.client, from: Self.other)
        #expect(try few.get("/db/query?q=x").status == 503)
        few.channel.embeddedEventLoop.run()
        try many.request(9, "GET", "/db/query?q=S")
        #expect(many.streams[9]?.status == "429")
        #expect(many.streams[9]?.fields["x-rqlited-error"] == "over_share")
        #expect(node.requests.count == 4)
        _ = try many.channel.finish()
        #expect(many.client.server.budgets.connections.inUse == 0)
        #expect(many.client.server.budgets.observers.inUse == 0)
    }
}
