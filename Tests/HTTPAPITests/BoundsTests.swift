import Foundation
import NIOCore
import NIOEmbedded
import Service
import Testing
import Wire

@testable import HTTPAPI

/// What all clients together may make the server hold.
@Suite struct BoundsTests {
    private func write(_ body: String) -> String {
        "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private func statement(ofSize size: Int) -> String {
        "[\"\(String(repeating: "a", count: size - 4))\"]"
    }

    private func largeResult(_ size: Int, at index: UInt64 = 0) -> Outcome {
        .results(
            CommandResult(
                [
                    StatementResult(
                        rows(["c"], ["blob"], [[.blob([UInt8](repeating: 1, count: size))]]))
                ], logIndex: index))
    }

    @Test func `One connection too many may only look at the node`() throws {
        var limits = HTTPLimits()
        limits.connections = 1
        limits.observerConnections = 1
        let first = try Client(FakeNode { _ in .readiness(.nodeOnly) }, limits: limits)
        let second = try Client(beside: first)
        let refused = try second.get("/db/query?q=x")
        #expect(refused.status == 503)
        #expect(refused.headers["retry-after"] == "1")
        #expect(refused.headers["connection"] == "close")
        second.channel.embeddedEventLoop.run()
        #expect(!second.channel.isActive)

        let third = try Client(beside: first)
        #expect(try third.get("/readyz").status == 200)
        #expect(try Client(beside: first).get("/readyz").status == 200)
        _ = try Client(beside: first)
        let tooMany = try Client(beside: first)
        #expect(try tooMany.get("/readyz").status == 503)
        #expect(try first.get("/readyz").status == 200)
    }

    @Test func `Connections that keep the reserve busy with nothing are cut soon`() throws {
        var limits = HTTPLimits()
        limits.connections = 0
        limits.observerConnections = 1
        let idle = try Client(FakeNode { _ in .readiness(.nodeOnly) }, limits: limits)
        let next = try Client(beside: idle)
        #expect(try next.get("/readyz").status == 503)
        // One too many, too.
        let silent = try Client(beside: idle)
        silent.channel.embeddedEventLoop.advanceTime(by: .seconds(10))
        #expect(!silent.channel.isActive)
        idle.channel.embeddedEventLoop.advanceTime(by: .seconds(10))
        #expect(!idle.channel.isActive)
        #expect(try Client(beside: idle).get("/readyz").status == 200)
    }

    @Test func `Refusals and errors are short, whatever they quote`() throws {
        let digits = String(repeating: "1", count: 200_000)
        let client = try Client(answering: .failed(.busy))
        for body in ["[[\"S\",\(digits)]]", "[[\"S\",[\(digits)]]]"] {
            let answer = try client.post("/db/execute", body)
            #expect(answer.status == 400)
            #expect(answer.body.utf8.count < 300)
        }
        let text = String(repeating: "é", count: 200_000)
        let failing = try Client(
            answering: .results(CommandResult([StatementResult(.failed(text), isRead: true)])))
        let answer = try failing.get("/db/query?q=x")
        #expect(answer.status == 200)
        #expect(answer.body.utf8.count < 70_000)
        #expect(answer.body.hasSuffix("… (400000 bytes)\"}]}"))
    }

    @Test func `What is only shown again may not be large`() throws {
        let client = try Client(answering: .done)
        #expect(try client.post("/db/sql", statement(ofSize: 1000)).status == 200)
        try client.send("POST /db/sql HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
        #expect(Client.answers(in: try client.output()).map(\.status) == [413])
    }

    @Test func `A connection that ended makes room for the next`() throws {
        var limits = HTTPLimits()
        limits.connections = 1
        limits.observerConnections = 0
        let first = try Client(FakeNode { _ in .results(.oneInsert) }, limits: limits)
        #expect(try Client(beside: first).get("/db/query?q=x").status == 503)
        try first.channel.close().wait()
        #expect(try Client(beside: first).get("/db/query?q=x").status == 200)
    }

    @Test func `Requests beyond the bound are refused, checks of the node are not`() throws {
        var limits = HTTPLimits()
        limits.requestsInFlight = 2
        let node = FakeNode {
            if case .readiness = $0.operation { .readiness(.nodeOnly) } else { nil }
        }
        let client = try Client(node, limits: limits)
        try client.send(write(#"["a"]"#) + write(#"["b"]"#))
        let other = try Client(beside: client)
        let refused = try other.post("/db/execute", #"["c"]"#)
        #expect(refused.status == 503)
        #expect(refused.headers["retry-after"] == "1")
        #expect(node.requests.count == 2)
        #expect(try other.get("/readyz").status == 200)

        // A client that goes leaves its requests to the node until they are answered.
        try client.channel.close().wait()
        #expect(try other.post("/db/execute", #"["d"]"#).status == 503)
        for request in node.requests {
            node.deliver([Reply(id: request.id, outcome: .results(.oneInsert))])
        }
    }

    @Test func `Bodies beyond the bound are refused, and answered ones make room`() throws {
        var limits = HTTPLimits()
        limits.bodyBytesInFlight = 50_000
        let node = FakeNode { _ in nil }
        let client = try Client(node, limits: limits)
        try client.send(write(statement(ofSize: 30_000)))
        #expect(node.requests.count == 1)
        let other = try Client(beside: client)
        let refused = try other.post("/db/execute", statement(ofSize: 30_000))
        #expect(refused.status == 503)
        #expect(refused.headers["retry-after"] == "1")
        #expect(refused.headers["connection"] == "close")
        #expect(node.requests.count == 1)
        // Small ones are not counted.
        let third = try Client(beside: client)
        try third.send(write(#"["small"]"#))
        #expect(node.requests.count == 2)

        let id = node.requests[0].id
        try #require(client.server.budgets.bodyBytes.inUse == 30_000)
        node.deliver(to: 0, [Reply(id: id, outcome: .results(.oneInsert))])
        #expect(client.server.budgets.bodyBytes.inUse == 0)
    }

    @Test func `A half-sent body is given back when its client goes`() throws {
        let client = try Client(FakeNode { _ in nil })
        try client.send(
            "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
                + String(repeating: " ", count: 50_000))
        #expect(client.server.budgets.bodyBytes.inUse == 50_000)
        try client.channel.close().wait()
        #expect(client.server.budgets.bodyBytes.inUse == 0)
    }

    @Test func `A large answer goes out in chunks while it is taken`() throws {
        let client = try Client(answering: largeResult(300_000))
        try client.send("GET /db/query?q=x HTTP/1.1\r\nHost: a\r\n\r\n")
        // What is not taken is not made: the channel says when it is full.
        var text = try client.output()
        for _ in 0..<20 where !text.hasSuffix("0\r\n\r\n") {
            client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            text += try client.output()
        }
        let (head, body) = try chunks(text)
        #expect(head.contains("Transfer-Encoding: chunked\r\n"))
        #expect(!head.contains("Content-Length"))
        let whole = try ResultDocument.render(
            largeResultValue(300_000), ResultFormat(), elapsed: .zero, continuing: [])
        let isSame = body.joined().elementsEqual(String(decoding: whole, as: UTF8.self))
        #expect(isSame)
        #expect(body.count > 2)
        #expect(client.server.budgets.answerBytes.inUse == 0)
        #expect(client.channel.isActive)
        #expect(try client.get("/db/query").status == 200)
    }

    @Test func `A small result whose document is large goes out in chunks, too`() throws {
        let name = String(repeating: "a", count: 10_000)
        let nulls = rows([name], [""], Array(repeating: [.null], count: 200))
        let client = try Client(answering: .results(CommandResult([StatementResult(nulls)])))
        // Names stand once in this form.
        #expect(try client.get("/db/query?q=x").headers["transfer-encoding"] == nil)
        try client.send("GET /db/query?q=x&associative HTTP/1.1\r\nHost: a\r\n\r\n")
        var text = try client.output()
        #expect(text.utf8.count < 300_000)
        for _ in 0..<100 where !text.hasSuffix("0\r\n\r\n") {
            client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            text += try client.output()
        }
        let (head, body) = try chunks(text)
        #expect(head.contains("Transfer-Encoding: chunked\r\n"))
        #expect(body.joined().components(separatedBy: "\(name)\":null").count == 201)
        #expect(client.server.budgets.answerBytes.inUse == 0)
    }

    @Test func `Many failures with long texts go out in chunks`() throws {
        let failure = StatementResult(
            .failed(String(repeating: "a", count: 50_000)), isRead: true)
        let client = try Client(
            answering: .results(CommandResult(Array(repeating: failure, count: 20))))
        try client.send("GET /db/query?q=x HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.output().contains("Transfer-Encoding: chunked\r\n"))
    }

    @Test func `To a client of HTTP 1.0 a large answer ends with the connection`() throws {
        let client = try Client(answering: largeResult(300_000))
        try client.send("GET /db/query?q=x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        var text = ""
        for _ in 0..<20 {
            client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            text += try client.output()
        }
        #expect(text.contains("Connection: close\r\n"))
        #expect(text.hasSuffix("]]}]}"))
        #expect(!client.channel.isActive)
    }

    @Test func `Answers beyond the bound are refused, and taken ones make room`() throws {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 500_000
        let node = FakeNode { _ in largeResult(300_000) }
        let client = try Client(node, limits: limits)
        // A part of the answer goes out at once.
        #expect(try client.get("/db/query?q=x").status == 200)
        client.channel.isWritable = false
        client.channel.pipeline.fireChannelWritabilityChanged()
        #expect(client.server.budgets.answerBytes.inUse > 300_000)
        let other = try Client(beside: client)
        let refused = try other.get("/db/query?q=x")
        #expect(refused.status == 503)
        #expect(refused.headers["retry-after"] == "1")
        try client.channel.close().wait()
        #expect(client.server.budgets.answerBytes.inUse == 0)
    }

    @Test func `Of a write that was carried out nobody is told that it was not`() throws {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 1000
        let client = try Client(FakeNode { _ in largeResult(300_000, at: 7) }, limits: limits)
        let problems = ["Accept: application/problem+json"]
        let lines = ["Accept: application/x-ndjson"]
        for path in ["/db/execute", "/db/request"] {
            for headers in [[], problems, lines] {
                let answer = try client.request("POST", path, headers: headers, body: #"["x"]"#)
                #expect(answer.status == 500)
                #expect(answer.headers["retry-after"] == nil)
                #expect(answer.headers["x-rqlited-error"] == "answer_dropped")
                #expect(answer.body.contains("was carried out"))
                #expect(
                    answer.body.contains("\"may_have_taken_effect\":true") == (headers == problems))
            }
        }
        for headers in [[], lines] {
            let read = try client.request("GET", "/db/query?q=x", headers: headers)
            #expect(read.status == 503)
            #expect(read.headers["retry-after"] == "1")
            #expect(read.headers["x-rqlited-error"] == "busy")
        }
        #expect(client.server.budgets.answerBytes.inUse == 0)
    }

    @Test func `What packs an answer counts, and without room for it the answer is not packed`()
        throws
    {
        let name = String(repeating: "a", count: 10_000)
        let nulls = rows([name], [""], Array(repeating: [.null], count: 200))
        var limits = HTTPLimits()
        limits.answerBytesInFlight = AnswerPacker.bytes + 100_000
        let client = try Client(FakeNode { _ in nil }, limits: limits)
        let query =
            "GET /db/query?q=x&associative HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
        try client.send(String(repeating: query, count: 3))
        let ids = client.node.requests.map(\.id)
        try #require(ids.count == 3)
        // They wait for the first.
        for id in ids.dropFirst() {
            let result = CommandResult([StatementResult(nulls)])
            client.node.deliver([Reply(id: id, outcome: .results(result))])
        }
        #expect(client.server.budgets.answerBytes.inUse > AnswerPacker.bytes + 20_000)
        client.node.deliver([Reply(id: ids[0], outcome: .results(.oneInsert))])
        var text = try client.output()
        for _ in 0..<200 {
            client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            text += try client.output()
        }
        #expect(text.components(separatedBy: "HTTP/1.1 200 OK").count == 4)
        #expect(text.components(separatedBy: "Content-Encoding: gzip").count == 2)
        #expect(text.components(separatedBy: "\(name)\":null").count == 201)
        #expect(client.server.budgets.answerBytes.inUse == 0)
    }

    @Test func `Answers that are made at once count, too, until they are taken`() throws {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 250_000
        let client = try Client(FakeNode { _ in nil }, limits: limits)
        let query = "GET /db/query?q=x HTTP/1.1\r\nHost: a\r\n\r\n"
        try client.send(String(repeating: query, count: 4))
        let ids = client.node.requests.map(\.id)
        try #require(ids.count == 4)
        // They wait for the first.
        for id in ids.dropFirst() {
            client.node.deliver([Reply(id: id, outcome: largeResult(70_000))])
        }
        #expect(client.server.budgets.answerBytes.inUse > 180_000)
        client.node.deliver([Reply(id: ids[0], outcome: .results(.oneInsert))])
        let answers = Client.answers(in: try client.output())
        #expect(answers.map(\.status) == [200, 200, 200, 503])
        #expect(
            answers[1].headers["content-length"].flatMap { Int($0) }.map { $0 > 90_000 } == true)
        #expect(client.server.budgets.answerBytes.inUse == 0)
        // Small ones are not counted, and those of a connection that ends are given back.
        try client.send(String(repeating: query, count: 3))
        let others = client.node.requests.suffix(3).map(\.id)
        client.node.deliver([Reply(id: others[1], outcome: largeResult(10_000))])
        #expect(client.server.budgets.answerBytes.inUse == 0)
        client.node.deliver([Reply(id: others[2], outcome: largeResult(70_000))])
        #expect(client.server.budgets.answerBytes.inUse > 90_000)
        try client.channel.close().wait()
        client.channel.embeddedEventLoop.run()
        #expect(client.server.budgets.answerBytes.inUse == 0)
    }

    @Test func `For who takes no answers none are made`() throws {
        let client = try Client(FakeNode { _ in .results(.oneInsert) })
        // Its first request tells what the connection speaks.
        #expect(try client.get("/licenses").status == 200)
        client.channel.isWritable = false
        client.channel.pipeline.fireChannelWritabilityChanged()
        let query = "GET /db/query?q=x HTTP/1.1\r\nHost: a\r\n\r\n"
        let licenses = "GET /licenses HTTP/1.1\r\nHost: a\r\n\r\n"
        try client.send(String(repeating: query + licenses, count: 60))
        #expect(try client.output().isEmpty)
        #expect(client.node.requests.isEmpty)
        client.channel.isWritable = true
        client.channel.pipeline.fireChannelWritabilityChanged()
        client.channel.embeddedEventLoop.run()
        let answers = Client.answers(in: try client.output())
        #expect(answers.count == 120)
        for (place, answer) in answers.enumerated() {
            #expect(answer.status == 200)
            #expect(answer.body.hasPrefix(place % 2 == 0 ? "{\"results\"" : "rqlited"))
        }
    }

    @Test func `A connection whose buffer fills while it is answered is answered no more`() throws {
        let client = try Client(FakeNode { _ in nil })
        try client.channel.pipeline.syncOperations.addHandler(FullSocket(), position: .first)
        let licenses = "GET /licenses HTTP/1.1\r\nHost: a\r\n\r\n"
        try client.send(String(repeating: licenses, count: 50))
        let taken = try client.output().utf8.count
        #expect(taken > HTTPLimits().sliceBytes)
        #expect(taken < 2 * HTTPLimits().sliceBytes)
    }

    @Test func `What one read brings in beyond the bound waits for its place`() throws {
        var limits = HTTPLimits()
        limits.pipelinedRequests = 2
        let node = FakeNode { _ in nil }
        let client = try Client(node, limits: limits)
        try client.send(String(repeating: write(#"["a"]"#), count: 5))
        for count in 2...5 {
            #expect(node.requests.count == count)
            let id = node.requests[count - 2].id
            node.deliver([Reply(id: id, outcome: .results(.oneInsert))])
            client.channel.embeddedEventLoop.run()
        }
        #expect(Client.answers(in: try client.output()).count == 4)
    }

    @Test func `Requests that wait for their places count as bodies do`() throws {
        var limits = HTTPLimits()
        limits.pipelinedRequests = 2
        limits.bodyBytesInFlight = 10_000
        let node = FakeNode { _ in nil }
        let client = try Client(node, limits: limits)
        // Two begin, two wait as those of any client may, and the others count.
        try client.send(String(repeating: write(#"["a"]"#), count: 8))
        let held = client.server.budgets.bodyBytes.inUse
        #expect(held > 3000 && held < 10_000)
        try client.send(String(repeating: write(#"["a"]"#), count: 20))
        #expect(node.requests.count == 2)
        let ids = node.requests.map(\.id)
        node.deliver(ids.map { Reply(id: $0, outcome: .results(.oneInsert)) })
        client.channel.embeddedEventLoop.run()
        try client.channel.close().wait()
        client.channel.embeddedEventLoop.run()
        for request in node.requests {
            node.deliver([Reply(id: request.id, outcome: .results(.oneInsert))])
        }
        #expect(client.server.budgets.bodyBytes.inUse == 0)
    }

    @Test func `Damaged rows of a large answer end the connection without the last chunk`() throws {
        var damaged = ByteWriter()
        Value.blob([UInt8](repeating: 1, count: 300_000)).encode(into: &damaged)
        let set = RowSet(
            columns: ["a"], types: ["blob"], rowCount: 2, cells: damaged.bytes + [9])
        let client = try Client(
            answering: .results(CommandResult([StatementResult(.rows(set), isRead: true)])))
        try client.send("GET /db/query?q=x HTTP/1.1\r\nHost: a\r\n\r\n")
        var text = ""
        for _ in 0..<20 {
            client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            text += try client.output()
        }
        #expect(!text.hasSuffix("0\r\n\r\n"))
        #expect(!client.channel.isActive)
    }

    @Test func `A client that hangs up cancels what it waits for`() throws {
        let node = FakeNode { _ in nil }
        let client = try Client(node)
        try client.send("GET /db/query?q=x HTTP/1.1\r\nHost: a\r\n\r\n" + write(#"["b"]"#))
        try client.channel.close().wait()
        client.channel.embeddedEventLoop.run()
        #expect(node.cancelled == node.requests.map(\.id))
        #expect(node.requests.count == 2)
    }

    @Test func `A large body keeps its place among the requests of its connection`() throws {
        let node = FakeNode { _ in nil }
        let client = try Client(node)
        try client.send(
            write(#"["a"]"#) + write(statement(ofSize: 100_000)) + write(#"["c"]"#))
        client.channel.embeddedEventLoop.run()
        func sizes() -> [Int] {
            node.requests.map { request in
                guard case .command(let command, _) = request.operation else { return 0 }
                return command.statements[0].sql.utf8.count
            }
        }
        // What the node sends on in parts is overtaken on its way, so those behind it are held back.
        #expect(sizes() == [1, 99_996])
        for request in node.requests.reversed() {
            node.deliver([Reply(id: request.id, outcome: .results(.oneInsert))])
        }
        client.channel.embeddedEventLoop.run()
        #expect(sizes() == [1, 99_996, 1])
        for request in node.requests.suffix(1) {
            node.deliver([Reply(id: request.id, outcome: .results(.oneInsert))])
        }
        client.channel.embeddedEventLoop.run()
        #expect(Client.answers(in: try client.output()).map(\.status) == [200, 200, 200])
    }

    @Test func `A large body that is no JSON is refused`() throws {
        let client = try Client(FakeNode { _ in nil })
        let answer = try client.post("/db/execute", statement(ofSize: 100_000).dropLast() + "x")
        #expect(answer.status == 400)
        #expect(answer.body == "invalid JSON body\n")
        #expect(try client.get("/db/query").status == 200)
    }

    /// The head and the parts of a chunked answer.
    private func chunks(_ text: String) throws -> (head: String, parts: [String]) {
        let bytes = Array(text.utf8)
        let end = try #require(text.range(of: "\r\n\r\n"))
        var place = text.utf8.distance(from: text.startIndex, to: end.upperBound)
        var parts: [String] = []
        while place < bytes.count {
            let line = bytes[place...].prefix { $0 != 13 }
            let size = try #require(Int(String(decoding: line, as: UTF8.self), radix: 16))
            place += line.count + 2
            if size == 0 { break }
            try #require(place + size <= bytes.count)
            parts.append(String(decoding: bytes[place..<place + size], as: UTF8.self))
            place += size + 2
        }
        return (String(text[..<end.upperBound]), parts)
    }

    private func largeResultValue(_ size: Int) throws -> CommandResult {
        guard case .results(let result) = largeResult(size) else {
            throw QueryParameters.Invalid(text: "no result")
        }
        return result
    }
}

/// Says that it takes no more with the first bytes that it takes.
private final class FullSocket: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        context.write(data, promise: promise)
        guard let channel = context.channel as? EmbeddedChannel, channel.isWritable else { return }
        channel.isWritable = false
        channel.pipeline.fireChannelWritabilityChanged()
    }
}
