import Foundation
import HTTPRequests
import PluginABI
import PluginSupport
import Synchronization
import Testing

/// Requests to servers that behave, and to those that don't.
@Suite struct HTTPClientTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Index: 7 \r\n\r\nhi"

    private let client: HTTPClient

    init() throws { client = try HTTPClient(.init()) }

    private func server(_ server: ScriptedServer) -> ServerAddress {
        ServerAddress(isTLS: false, host: "127.0.0.1", port: server.port)
    }

    private func call(seconds: Double = 20, cancelDescriptor: Int32 = -1) -> Call {
        Call(
            deadline: Call.now + UInt64(seconds * 1_000_000_000), cancelDescriptor: cancelDescriptor
        )
    }

    private func failure(
        of request: HTTPRequest = HTTPRequest("POST", "/a", body: [1]),
        _ scripted: ScriptedServer, _ call: Call? = nil
    ) -> HTTPFailure? {
        do throws(HTTPFailure) {
            let answer = try client.send(request, to: server(scripted), call ?? self.call())
            Issue.record("answered \(answer)")
            return nil
        } catch {
            return error
        }
    }

    @Test func `A request arrives as it was made, and its answer comes back whole`() throws {
        let seen = Mutex("")
        let scripted = try ScriptedServer { connection in
            guard let request = connection.request() else { return }
            seen.withLock { $0 = request }
            connection.write(Self.ok)
        }
        let request = HTTPRequest(
            "PUT", "/v1/kv/a%2Fb?cas=0", headers: [.init("X-Token", "secret", isSecret: true)],
            body: Array("body".utf8))
        let answer = try client.send(request, to: server(scripted), call())
        #expect(answer.status == 200)
        #expect(answer.body == Array("hi".utf8))
        #expect(answer.header("x-index") == "7")
        let text = seen.withLock { $0 }
        #expect(text.hasPrefix("PUT /v1/kv/a%2Fb?cas=0 HTTP/1.1\r\n"))
        #expect(text.contains("Host: 127.0.0.1:\(scripted.port)\r\n"))
        #expect(text.contains("X-Token: secret\r\n"))
        #expect(text.hasSuffix("\r\n\r\nbody"))
        #expect(!text.contains("Expect"))
    }

    @Test func `Connections are kept, but not for what must not be repeated`() throws {
        let scripted = try ScriptedServer { connection in
            while connection.request() != nil { connection.write(Self.ok) }
        }
        for _ in 0..<3 {
            _ = try client.send(HTTPRequest("GET", "/"), to: server(scripted), call())
        }
        #expect(scripted.connectionCount == 1)
        var once = HTTPRequest("POST", "/", body: [])
        once.isRepeatable = false
        for _ in 0..<2 { _ = try client.send(once, to: server(scripted), call()) }
        #expect(scripted.connectionCount == 3)
        _ = try client.send(HTTPRequest("GET", "/"), to: server(scripted), call())
        #expect(scripted.connectionCount == 3)
    }

    @Test func `A request that must not be repeated is sent once when the server drops it`() throws
    {
        let count = Mutex(0)
        let scripted = try ScriptedServer { connection in
            while let request = connection.request() {
                if request.hasPrefix("POST") {
                    count.withLock { $0 += 1 }
                    return connection.reset()
                }
                connection.write(Self.ok)
            }
        }
        _ = try client.send(HTTPRequest("GET", "/"), to: server(scripted), call())
        var once = HTTPRequest("POST", "/", body: [1])
        once.isRepeatable = false
        let failure = failure(of: once, scripted)
        #expect(failure?.cause.code == RQD_UNAVAILABLE)
        #expect(failure?.mayHaveArrived == true)
        #expect(count.withLock { $0 } == 1)
    }

    @Test func `An answer that ends amid its headers is none`() throws {
        let scripted = try ScriptedServer { connection in
            guard connection.request() != nil else { return }
            connection.write("HTTP/1.1 404 Not Found\r\nContent-Ty")
        }
        let failure = failure(scripted, call())
        #expect(failure?.cause.code == RQD_PROTOCOL)
        #expect(failure?.cause.message.contains("ended amid its headers") == true)
    }

    @Test func `A server that never answers costs no more than the deadline`() throws {
        let scripted = try ScriptedServer { while $0.request() != nil {} }
        let call = call(seconds: 0.2)
        let failure = failure(scripted, call)
        #expect(Call.now < call.deadline + 1_000_000_000)
        #expect(failure?.mayHaveArrived == true)
        #expect(
            failure?.cause
                == CallFailure(
                    RQD_TIMEOUT,
                    "http://127.0.0.1:\(scripted.port): POST /a: no answer in time"))
    }

    @Test func `A cancellation ends a request at once`() throws {
        let pipe = Pipe()
        let scripted = try ScriptedServer { connection in
            if connection.request() != nil { pipe.fileHandleForWriting.write(Data([1])) }
            _ = connection.request()
        }
        let call = call(
            seconds: 600, cancelDescriptor: pipe.fileHandleForReading.fileDescriptor)
        #expect(failure(scripted, call)?.cause.code == RQD_CANCELLED)
        // Given up already: nothing is sent.
        let second = failure(scripted, call)
        #expect(second?.cause.code == RQD_CANCELLED)
        #expect(second?.mayHaveArrived == false)
        #expect(scripted.connectionCount == 1)
    }

    @Test func `A server that is not there is named, and nothing was sent`() throws {
        var scripted: ScriptedServer? = try ScriptedServer { _ in }
        let gone = try #require(scripted.map(server))
        scripted = nil
        // The port may not be free the very moment.
        let request = HTTPRequest("POST", "/a", body: [1])
        let error = #expect(throws: HTTPFailure.self) {
            while true { _ = try client.send(request, to: gone, call()) }
        }
        #expect(error?.cause.code == RQD_UNAVAILABLE)
        #expect(error?.cause.message.hasPrefix("http://127.0.0.1:\(gone.port): POST /a: ") == true)
    }

    @Test func `An answer byte by byte is an answer`() throws {
        let scripted = try ScriptedServer { connection in
            guard connection.request() != nil else { return }
            for character in Self.ok { connection.write(String(character)) }
        }
        let answer = try client.send(HTTPRequest("GET", "/"), to: server(scripted), call())
        #expect(answer.body == Array("hi".utf8))
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "an answer of more than 1048576"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "an answer of more than 1048576"),
        ("HTTP/1.1 200 OK\r\n", "headers of more than 65536"),
    ])
    func `An answer without end is cut`(_ head: String, _ expected: String) throws {
        let scripted = try ScriptedServer { connection in
            guard connection.request() != nil, connection.write(head) else { return }
            let part: String
            if head.contains("chunked") {
                part = "1000\r\n" + String(repeating: "x", count: 4096) + "\r\n"
            } else if head.contains("Content") {
                part = String(repeating: "x", count: 4096)
            } else {
                part = "X-Header: " + String(repeating: "x", count: 1000) + "\r\n"
            }
            while connection.write(part) {}
        }
        let failure = failure(scripted)
        #expect(failure?.cause.code == RQD_PROTOCOL)
        #expect(failure?.cause.message.contains(expected) == true, "\(failure as Any)")
    }

    @Test(arguments: [
        ("nonsense\r\n\r\n", RQD_PROTOCOL), ("", RQD_UNAVAILABLE),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", RQD_UNAVAILABLE),
    ])
    func `What is no whole answer is an error`(_ text: String, _ code: rqd_code) throws {
        let scripted = try ScriptedServer { connection in
            if connection.request() != nil { connection.write(text) }
        }
        #expect(failure(scripted)?.cause.code == code)
    }

    @Test func `A redirect is an answer, and is not followed`() throws {
        let elsewhere = try ScriptedServer { _ in }
        let scripted = try ScriptedServer { connection in
            guard connection.request() != nil else { return }
            connection.write(
                "HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:\(elsewhere.port)/\r\n"
                    + "Content-Length: 0\r\n\r\n")
        }
        let request = HTTPRequest("GET", "/")
        let answer = try client.send(request, to: server(scripted), call())
        #expect(answer.status == 307)
        #expect(elsewhere.connectionCount == 0)
        let failure = client.failure(answer, to: request, from: server(scripted))
        #expect(failure.code == RQD_PROTOCOL)
        #expect(failure.message.hasSuffix("GET /: status 307 and an empty body"))
    }

    @Test func `A stream comes in pieces and ends when it is enough`() throws {
        let scripted = try ScriptedServer { connection in
            guard connection.request() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
            connection.write("2\r\ncd\r\n")
            _ = connection.request()
        }
        var seen = ""
        _ = try client.stream(HTTPRequest("GET", "/"), to: server(scripted), call()) { piece in
            seen += String(decoding: piece, as: UTF8.self)
            return seen != "abcd"
        }
        #expect(seen == "abcd")
    }

    @Test func `Errors show the answer but no secrets`() throws {
        var options = HTTPClient.Options()
        options.basicAuth = ("me", "pass\"word")
        let client = try HTTPClient(options)
        let scripted = try ScriptedServer { connection in
            guard let request = connection.request() else { return }
            let body = "<h1>\nYou sent</h1> \(request) pass\"word"
            connection.write(
                "HTTP/1.1 403 No\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }
        var request = HTTPRequest(
            "POST", "/", headers: [.init("X-Token", "tok-123", isSecret: true)],
            body: Array("pw=hunter2".utf8))
        request.secrets = ["hunter2"]
        let answer = try client.send(request, to: server(scripted), call())
        let failure = client.failure(answer, to: request, from: server(scripted))
        #expect(failure.code == RQD_AUTH)
        #expect(failure.message.contains("status 403: <h1> You sent</h1> POST / HTTP/1.1"))
        #expect(String(decoding: answer.body, as: UTF8.self).contains("bWU6cGFzcyJ3b3Jk"))
        for secret in ["tok-123", "hunter2", "pass\"word", "bWU6cGFzcyJ3b3Jk"] {
            #expect(!failure.message.contains(secret))
        }
        #expect(failure.message.utf8.count < 400)
    }

    @Test func `A line break in a header is refused before anything is sent`() throws {
        let scripted = try ScriptedServer { _ in }
        let failure = failure(
            of: HTTPRequest("GET", "/", headers: [.init("X-Token", "a\r\nX: b")]), scripted)
        #expect(failure?.cause.code == RQD_CONFIG)
        #expect(failure?.mayHaveArrived == false)
        #expect(scripted.connectionCount == 0)
    }

    @Test func `A Unix socket is a server`() throws {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "rqd-\(UUID().uuidString.prefix(8)).sock").path
        defer { unlink(path) }
        let scripted = try ScriptedServer(unixSocket: path) { connection in
            if connection.request() != nil { connection.write(Self.ok) }
        }
        let server = try #require(
            ServerAddress("unix://\(path)", defaultPort: 80, isTLS: false))
        let answer = try client.send(HTTPRequest("GET", "/"), to: server, call())
        #expect(answer.status == 200)
        #expect(scripted.connectionCount == 1)
    }

    @Test(.enabled(if: access("/proc/sys/net/ipv6", F_OK) == 0, "the kernel has no IPv6"))
    func `A server may have an IPv6 address`() throws {
        let scripted = try ScriptedServer(family: AF_INET6) { connection in
            if connection.request() != nil { connection.write(Self.ok) }
        }
        let server = try #require(
            ServerAddress("http://[::1]:\(scripted.port)", defaultPort: 80, isTLS: false))
        let answer = try client.send(HTTPRequest("GET", "/"), to: server, call())
        #expect(answer.status == 200)
    }

    @Test func `A second request at the same time is refused`() throws {
        let scripted = try ScriptedServer { [client] connection in
            guard connection.request() != nil else { return }
            let own = ServerAddress(isTLS: false, host: "127.0.0.1", port: 1)
            let call = Call(deadline: Call.now + 1_000_000_000, cancelDescriptor: -1)
            do throws(HTTPFailure) {
                _ = try client.send(HTTPRequest("GET", "/"), to: own, call)
            } catch {
                #expect(error.cause.code == RQD_INTERNAL)
                #expect(error.cause.message.contains("at work for another call"))
            }
            connection.write(Self.ok)
        }
        _ = try client.send(HTTPRequest("GET", "/"), to: server(scripted), call())
    }

    @Test func `No program that is run inherits a connection`() throws {
        let scripted = try ScriptedServer { connection in
            if connection.request() != nil { connection.write(Self.ok) }
            _ = connection.request()
        }
        _ = try client.send(HTTPRequest("GET", "/"), to: server(scripted), call())
        let connected = (3..<4096).filter { Self.peerPort(Int32($0)) == scripted.port }
        #expect(connected.count == 1)
        for descriptor in connected {
            #expect(fcntl(Int32(descriptor), F_GETFD) & FD_CLOEXEC != 0)
        }
    }

    private static func peerPort(_ descriptor: Int32) -> UInt16? {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isConnected = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getpeername(descriptor, $0, &size) == 0
            }
        }
        return isConnected && address.sin_family == sa_family_t(AF_INET)
            ? UInt16(bigEndian: address.sin_port) : nil
    }
}
