import NIOCore
import NIOEmbedded
import NIOHTTP1
import Raft
import Service
import Testing
import Wire

@testable import HTTPAPI

/// What HTTP/1.1 asks of a server beside its answers, and how much of one request it takes.
@Suite struct MannersTests {
    private static let write = #"["INSERT INTO t VALUES(1)"]"#

    private func client(
        _ limits: HTTPLimits = HTTPLimits(), _ outcome: Outcome = .results(.oneInsert)
    ) throws -> Client {
        try Client(FakeNode { _ in outcome }, limits: limits)
    }

    /// Sends a text in pieces, and a request behind it that nobody may get to see.
    private func refused(
        _ text: String, _ limits: HTTPLimits = HTTPLimits(), inPieces size: Int = .max
    ) throws -> [Answer] {
        let client = try client(limits)
        var rest = Substring(text + "POST /db/execute HTTP/1.1\r\nHost: a\r\n\r\n").utf8
        while !rest.isEmpty, client.channel.isActive {
            try client.send(String(Substring(rest.prefix(size))))
            rest = rest.dropFirst(size)
        }
        #expect(client.node.requests.isEmpty)
        let answers = Client.answers(in: try client.output())
        #expect(answers.last?.headers["connection"] == "close")
        return answers
    }

    // MARK: Host

    @Test func `HTTP/1.1 names one host, HTTP/1.0 need not`() throws {
        let missing = try refused("GET /status HTTP/1.1\r\nAccept: */*\r\n\r\n")
        #expect(missing.map(\.status) == [400])
        #expect(missing.first?.body == "malformed HTTP request: HTTP/1.1 without Host\n")
        #expect(try refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").map(\.status) == [400])
        #expect(try refused("OPTIONS / HTTP/1.1\r\n\r\n").map(\.status) == [400])
        // A URL as a proxy sends it does not stand for the field.
        #expect(try refused("GET http://a/ HTTP/1.1\r\n\r\n").map(\.status) == [400])
        let old = try client()
        try old.send("GET / HTTP/1.0\r\n\r\n")
        #expect(Client.answers(in: try old.output()).map(\.status) == [302])
    }

    @Test(arguments: ["a b", "a/b", "a@b", "a?b", "a#b", "a,b", "a\\b", "http://a", "\"a\""])
    func `What can't be a host is refused`(host: String) throws {
        let answers = try refused("GET /status HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        #expect(answers.map(\.status) == [400])
    }

    @Test(arguments: ["", "a", "a.example:4001", "[::1]:4001", "10.0.0.1", "ä.example", "a_b-c~"])
    func `Any host is taken, for the server has many names`(host: String) throws {
        let client = try client()
        try client.send("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        #expect(Client.answers(in: try client.output()).map(\.status) == [302])
    }

    // MARK: Expectations

    private func posting(_ fields: String, version: String = "1.1") -> String {
        "POST /db/execute HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n\r\n"
    }

    @Test(arguments: [
        "Expect: 200-ok", "Expect: 100-continue, x", "Expect: 100-continue\r\nExpect: x",
        "Expect: 100-continue;a=b", "Expect: x\r\nContent-Length: 0",
    ])
    func `What can't be expected is 417`(fields: String) throws {
        let answers = try refused(posting(fields + "\r\nContent-Type: text/plain"))
        #expect(answers.map(\.status) == [417])
        #expect(
            answers.first?.body
                == "nothing can be expected of this server but 100-continue\n")
    }

    @Test func `A body is asked for once, where one is announced, in any case`() throws {
        let asked = "HTTP/1.1 100 Continue\r\n\r\n"
        for (fields, isAsked) in [
            ("Expect: 100-CONTINUE\r\nContent-Length: 5", true),
            ("Expect: 100-continue\r\nTransfer-Encoding: chunked", true),
            ("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5", true),
            ("Expect:\r\nContent-Length: 5", false),
        ] {
            let client = try client()
            try client.send(posting(fields))
            #expect(try client.output() == (isAsked ? asked : ""), "\(fields)")
        }
        // Nobody waits to be asked for a body that there is not.
        let without = try client()
        try without.send(posting("Expect: 100-continue\r\nContent-Length: 0"))
        #expect(try without.output().hasPrefix("HTTP/1.1 400 "))
    }

    @Test func `HTTP/1.0 expects nothing`() throws {
        let client = try client()
        for value in ["100-continue", "x"] {
            try client.send(
                posting(
                    "Connection: keep-alive\r\nExpect: \(value)\r\nContent-Length: 5",
                    version: "1.0"))
            #expect(try client.output() == "")
            try client.send("[\"a\"]")
            #expect(Client.answers(in: try client.output()).map(\.status) == [200])
        }
    }

    // MARK: Sizes

    @Test func `A URL that is too long is 414, and fields that are too much are 431`() throws {
        var limits = HTTPLimits()
        limits.targetBytes = 1000
        limits.headerBytes = 2000
        limits.headerFields = 20
        func long(_ count: Int) -> String { String(repeating: "a", count: count) }
        for size in [Int.max, 100, 7] {
            for length in [1001, 2990, 3100, 100_000] {
                let answers = try refused(
                    "GET /status?\(long(length - 8)) HTTP/1.1\r\nHost: a\r\n\r\n", limits,
                    inPieces: size)
                // One read brings 64 KiB at most: of a longer line the end is not in it.
                if size != .max || length <= 2990 {
                    #expect(answers.map(\.status) == [414], "\(length) in pieces of \(size)")
                }
            }
            for length in [2000, 2900, 3100, 100_000] {
                let answers = try refused(
                    "GET /status HTTP/1.1\r\nHost: a\r\nX: \(long(length))\r\n\r\n", limits,
                    inPieces: size)
                #expect(answers.map(\.status) == [431], "\(length) in pieces of \(size)")
            }
        }
        let many = (0..<21).map { "X\($0): a\r\n" }.joined()
        #expect(try refused("GET / HTTP/1.1\r\nHost: a\r\n\(many)\r\n", limits)[0].status == 431)
        let client = try client(limits)
        try client.send(
            "GET /readyz?\(long(992)) HTTP/1.1\r\nHost: a\r\nX: \(long(1994))\r\n\r\n")
        #expect(client.node.requests.count == 1)
    }

    @Test func `What is refused says how much there may be`() throws {
        let url = try refused(
            "GET /?\(String(repeating: "a", count: 70_000)) HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(url[0].body.contains("65536 bytes: send statements by POST"))
        let fields = try refused(
            "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 70_000))\r\n\r\n")
        #expect(fields[0].body.contains("65536 bytes or 128 fields"))
    }

    @Test func `Lines around chunks are not endless`() throws {
        var limits = HTTPLimits()
        limits.framingBytes = 1000
        let head = "POST /db/execute HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        for flood in [
            "1;" + String(repeating: "a", count: 5000),
            String(repeating: "1;\(String(repeating: "a", count: 50))\r\n[\r\n", count: 200),
            String(repeating: "0", count: 5000),
        ] {
            let client = try client(limits)
            try client.send(head)
            for piece in stride(from: 0, to: flood.utf8.count, by: 100) {
                try client.send(String(Substring(flood.utf8.dropFirst(piece).prefix(100))))
            }
            #expect(
                Client.answers(in: try client.output()).map(\.status) == [400],
                "\(flood.prefix(20))")
            client.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
            #expect(!client.channel.isActive)
        }
        // The smallest chunks that there are, and another request behind them.
        let client = try client(limits)
        let body = "[\"" + String(repeating: "a", count: 3000) + "\"]"
        let chunks = body.map { "1\r\n\($0)\r\n" }.joined() + "0\r\nX: y\r\n\r\n"
        let requests = Substring(String(repeating: head + chunks, count: 2)).utf8
        for piece in stride(from: 0, to: requests.count, by: 501) {
            try client.send(String(Substring(requests.dropFirst(piece).prefix(501))))
        }
        #expect(Client.answers(in: try client.output()).map(\.status) == [200, 200])
    }

    @Test func `Statements and parameters of a request are counted`() throws {
        var limits = HTTPLimits()
        limits.statements.statements = 3
        limits.statements.parameters = 4
        limits.statements.values = 8
        let client = try client(limits)
        for (body, status, text) in [
            (#"["a","b","c"]"#, 200, ""),
            (#"["a","b","c","d"]"#, 413, "more than 3 statements in one request"),
            (#"["","","",["x"]]"#, 413, "more than 3 statements in one request"),
            (#"["a","b","c",{}]"#, 413, "more than 3 statements"),
            (#"[["a",1,2,{"b":1,"c":2,"b":3}]]"#, 200, ""),
            (#"[["a",1,2,{"b":1,"c":2,"d":3}]]"#, 400, "more than 4 parameters of one statement"),
            (#"[["a",1,[1,2,3,4,5,6,7,8,9]]]"#, 200, ""),
            (#"[["a",1,2,3,4],["a",1,2,3,4]]"#, 200, ""),
            (#"[["a",1,2,3,4],["a",1,2,3],["b",1,2]]"#, 413, "more than 8 parameters of all"),
        ] {
            for path in ["/db/execute", "/db/query", "/db/request", "/db/execute?queue"] {
                let answer = try client.post(path, body)
                #expect(answer.status == status, "\(path) \(body)")
                if status != 200 { #expect(answer.body.hasPrefix(text), "\(answer.body)") }
            }
            #expect(try client.post("/db/sql", body).status == status)
        }
    }

    // MARK: Methods

    @Test func `HEAD is for pages, and is 405 without a body elsewhere, as with rqlite`() throws {
        let client = try client()
        for operation in OperationTable.all {
            for path in operation.paths {
                guard case .exact(let target) = path, !target.isEmpty else { continue }
                try client.send("HEAD \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
                let text = try client.output()
                #expect(text.hasSuffix("\r\n\r\n"), "\(target)")
                let status = Int(text.dropFirst(9).prefix(3))
                #expect(
                    operation.methods?.contains(.HEAD) ?? true ? status != 405 : status == 405,
                    "\(target): \(text)")
            }
        }
        try client.send("HEAD /db/backup HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.output().hasPrefix("HTTP/1.1 405 "))
        #expect(client.node.requests.isEmpty)
    }

    @Test func `Requests that come together are answered in their order, whatever they are`()
        throws
    {
        let client = try client()
        let requests = [
            "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: \(Self.write.utf8.count)\r\n"
                + "\r\n\(Self.write)",
            "PUT /db/query HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        ].joined()
        for size in [requests.utf8.count, 11] {
            let client = size == 11 ? try self.client() : client
            for piece in stride(from: 0, to: requests.utf8.count, by: size)
            where client.channel.isActive {
                try client.send(String(Substring(requests.utf8.dropFirst(piece).prefix(size))))
            }
            #expect(
                Client.answers(in: try client.output()).map(\.status)
                    == [404, 200, 200, 405, 302])
            #expect(client.node.requests.count == 1)
        }
    }

    @Test(arguments: ["*", "https://app.example"])
    func `Whatever is answered says who may read it elsewhere, once that was chosen`(
        origin: String
    ) throws {
        let client = try Client(FakeNode { _ in .results(.oneInsert) }, allowOrigin: origin)
        for (method, target) in [
            ("OPTIONS", "/db/execute"), ("OPTIONS", "/nowhere"), ("GET", "/nowhere"),
            ("GET", "/db/query?q=x"), ("PUT", "/status"), ("GET", "/status?timeout=x"),
        ] {
            let answer = try client.request(
                method, target,
                headers: ["Origin: https://other.example", "Access-Control-Request-Method: POST"])
            #expect(answer.headers["access-control-allow-origin"] == origin)
            #expect(answer.headers["access-control-allow-methods"] == "OPTIONS, GET, POST")
            #expect(answer.headers["access-control-allow-headers"] == "Content-Type")
            if method == "OPTIONS" { #expect(answer.status == 200 && answer.body.isEmpty) }
        }
        // Those that are refused for their form, too.
        try client.send("GET / HTTP/1.1\r\n\r\n")
        let refused = Client.answers(in: try client.output())
        #expect(refused.first?.headers["access-control-allow-origin"] == origin)
    }

    @Test func `Pages of other origins may send, and see, what rqlite does not know`() throws {
        let client = try Client(FakeNode { _ in .results(.oneInsert) }, allowOrigin: "*")
        try client.send(
            "OPTIONS /db/execute HTTP/1.1\r\nHost: x\r\nOrigin: https://other.example\r\n"
                + "Access-Control-Request-Method: POST\r\n"
                + "Access-Control-Request-Headers: content-type,if-none-match, idempotency-key,x-a\r\n"
                + "\r\n")
        let text = try client.output()
        #expect(text.contains("Access-Control-Allow-Headers: Content-Type\r\n"))
        #expect(
            text.contains("Access-Control-Allow-Headers: Idempotency-Key, If-None-Match\r\n"))
        let exposed = try client.get("/nowhere").headers["access-control-expose-headers"] ?? ""
        for name in OperationNote.AnswerField.allCases.map(\.rawValue) + ["X-Rqlited-Error"] {
            #expect(exposed.contains(name), "\(name)")
        }
        let other = try Client(FakeNode { _ in nil }).get("/nowhere")
        #expect(other.headers["access-control-expose-headers"] == nil)
    }
}
