import Testing

@testable import HarnessBackends

/// The fake server for HTTP, asked over a real socket.
@Suite struct FakeHTTPServerTests {
    private let server: DocumentServer

    init() throws { server = try DocumentServer() }

    private func get(_ path: String, waiting: Int32 = 60_000) throws -> String {
        try RawClient(port: server.port).exchange(
            "GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", waiting: waiting)
    }

    private func put(_ path: String, _ value: String, _ condition: String) throws -> String {
        try RawClient(port: server.port).exchange(
            "PUT \(path) HTTP/1.1\r\nConnection: close\r\n\(condition)\r\n"
                + "Content-Length: \(value.utf8.count)\r\n\r\n\(value)")
    }

    @Test func `Records are kept with compare-and-set`() throws {
        defer { server.stop() }
        #expect(try get("/a").hasPrefix("HTTP/1.1 404 "))
        #expect(try put("/a", "one", "If-None-Match: *").hasPrefix("HTTP/1.1 200 "))
        let answer = try get("/a")
        #expect(answer.contains("ETag: \"2\""))
        #expect(answer.hasSuffix("\r\n\r\none"))
        #expect(try put("/a", "two", "If-None-Match: *").hasPrefix("HTTP/1.1 412 "))
        #expect(try put("/a", "two", "If-Match: \"7\"").hasPrefix("HTTP/1.1 412 "))
        #expect(try put("/a", "two", "If-Match: \"2\"").hasPrefix("HTTP/1.1 200 "))
        #expect(try get("/?list").hasSuffix("/a 3 74776f\n"))
        #expect(server.requestCount == 7)
    }

    @Test(arguments: [
        ("status:503", "HTTP/1.1 503 "), ("html", "HTTP/1.1 200 OK\r\nContent-Type: text/html"),
    ])
    func `What is wrong is answered at once`(_ text: String, _ start: String) throws {
        defer { server.stop() }
        let fault = try #require(Fault(text))
        #expect(fault.description == text)
        server.misbehave(FaultPlan(fault))
        #expect(try get("/a").hasPrefix(start))
    }

    @Test(arguments: ["silent", "reset"])
    func `No answer comes`(_ text: String) throws {
        defer { server.stop() }
        server.misbehave(FaultPlan(try #require(Fault(text))))
        #expect(try get("/a", waiting: 200).isEmpty)
    }

    @Test func `Half an answer comes, or one byte by byte`() throws {
        defer { server.stop() }
        _ = try server.command(["put", "/a", "one"])
        let whole = try get("/a")
        server.misbehave(FaultPlan(.truncated))
        let half = try get("/a")
        #expect(whole.hasPrefix(half) && !half.isEmpty && half.count < whole.count)
        server.misbehave(FaultPlan(.dribble))
        let first = try get("/a", waiting: 350)
        #expect(whole.hasPrefix(first) && (1...8).contains(first.count), "\(first)")
    }

    @Test func `A dropped answer leaves the change behind`() throws {
        defer { server.stop() }
        server.misbehave(FaultPlan(.dropAfterExecution, times: 1))
        #expect(try put("/a", "one", "If-None-Match: *").isEmpty)
        #expect(try get("/a").hasSuffix("one"))
    }

    @Test(arguments: ["7fffffffffffffff", "-1", "100000"])
    func `A chunk that no body can have ends the connection alone`(_ size: String) throws {
        defer { server.stop() }
        let answer = try RawClient(port: server.port).exchange(
            "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n\(size)\r\n")
        #expect(answer.isEmpty)
        #expect(try get("/a").hasPrefix("HTTP/1.1 404 "))
    }

    @Test func `A line before a chunk that never ends is the end of the connection`() throws {
        defer { server.stop() }
        let client = try RawClient(port: server.port)
        try client.send("PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        let piece = [UInt8](repeating: UInt8(ascii: "1"), count: 64 << 10)
        // More than the system keeps of what nobody reads.
        #expect(throws: RawClient.Failure.self) {
            for _ in 0..<512 { try client.send(piece) }
        }
    }

    @Test func `A restart keeps port and state`() throws {
        defer { server.stop() }
        _ = try server.command(["put", "/a", "one"])
        server.goDown()
        #expect(throws: RawClient.Failure.self) { try get("/a") }
        try server.comeUp()
        #expect(try get("/a").hasSuffix("one"))
    }

    @Test func `A waiting request ends with the change it waits for`() throws {
        defer { server.stop() }
        let client = try RawClient(port: server.port)
        try client.send("GET /a?wait=0 HTTP/1.1\r\nConnection: close\r\n\r\n")
        #expect(client.receive(waiting: 120).isEmpty)
        _ = try server.command(["put", "/a", "one"])
        #expect(client.receive(waiting: 5000).hasSuffix("one"))
    }
}
