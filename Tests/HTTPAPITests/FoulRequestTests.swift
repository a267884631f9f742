import NIOCore
import NIOEmbedded
import Rights
import Service
import Testing
import Wire

@testable import HTTPAPI

/// Requests that are written so that a proxy before the node, or whoever judges rights, reads something
/// else than the node does.
@Suite struct FoulRequestTests {
    /// Grants nobody anything.
    private struct NoRights: RightsJudge {
        func judge(
            _ credential: Credential, _ need: RightsNeed, for asker: Asker,
            later: @escaping @Sendable (Bool) -> Void
        ) -> RightsVerdict? { .refused }
    }

    private static let body = #"["SELECT 1"]"#
    private static let chunks = "c\r\n\(body)\r\n0\r\n\r\n"

    private func client(_ door: HTTPDoor = HTTPDoor()) throws -> Client {
        try Client(FakeNode { _ in .results(.oneInsert) }, door: door)
    }

    @Test(
        arguments: [
            ("Transfer-Encoding: chunked\r\nContent-Length: 12", chunks),
            ("Content-Length: 12\r\nTransfer-Encoding: chunked", chunks),
            ("Content-Length: 12\r\nContent-Length: 12", body),
            ("Content-Length: 12\r\nContent-Length: 13", body),
            ("Content-Length: 12, 12", body), ("Content-Length: +12", body),
            ("Content-Length: 0xc", body), ("Content-Length: 1 2", body),
            ("Content-Length : 12", body), ("Content-Length: 99999999999999999999999", body),
            ("Transfer-Encoding : chunked", chunks), ("Transfer-Encoding: xchunked", chunks),
            ("Transfer-Encoding: identity", chunks),
            ("Transfer-Encoding: chunked, identity", chunks),
            ("Transfer-Encoding: identity, chunked", chunks),
            ("Transfer-Encoding: gzip, chunked", chunks),
            ("Transfer-Encoding: chunked, chunked", chunks),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", chunks),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", chunks),
            ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", chunks),
            ("Transfer-Encoding: \"chunked\"", chunks),
            ("Transfer-Encoding:\u{B}chunked", chunks),
            ("Transfer-Encoding:\r\n chunked", chunks), ("X: a\r\n b\r\nContent-Length: 12", body),
            ("X: a\nContent-Length: 12", body), ("X: a\rContent-Length: 12", body),
            ("X: a\0b\r\nContent-Length: 12", body), ("X Y: a\r\nContent-Length: 12", body),
            ("Transfer-Encoding: chunked", "0xc\r\n\(body)\r\n0\r\n\r\n"),
            ("Transfer-Encoding: chunked", "+c\r\n\(body)\r\n0\r\n\r\n"),
            ("Transfer-Encoding: chunked", "1000000000000000c\r\n\(body)\r\n0\r\n\r\n"),
            ("Transfer-Encoding: chunked", "c\n\(body)\n0\n\n"),
            ("Transfer-Encoding: chunked", "c;a=b\n\(body)\r\n0\r\n\r\n"),
            ("Transfer-Encoding: chunked", "c\r\n\(body)xx0\r\n\r\n"),
            ("Host: b\r\nContent-Length: 12", body),
            (
                "Authorization: Basic YTph\r\nAuthorization: Basic YjpiCg==\r\nContent-Length: 12",
                body
            ),
        ] as [(String, String)])
    func `What may be read in two ways is refused, and nothing behind it is`(
        _ fields: String, _ content: String
    ) throws {
        let client = try client()
        try client.send(
            "POST /db/execute HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n\(content)"
                + "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        let answers = Client.answers(in: try client.output())
        #expect(answers.map(\.status) == [400], "\(answers)")
        #expect(answers.first?.headers["connection"] == "close")
        #expect(client.node.requests.isEmpty)
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
        #expect(!client.channel.isActive)
    }

    @Test func `HTTP/1.0 has no chunks`() throws {
        let client = try client()
        try client.send(
            "POST /db/execute HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n\(Self.chunks)")
        #expect(Client.answers(in: try client.output()).map(\.status) == [400])
        #expect(client.node.requests.isEmpty)
    }

    @Test func `What is sound is taken: chunks with extensions and trailers, in any case`() throws {
        let client = try client()
        for (name, content) in [
            ("Transfer-Encoding: CHUNKED", Self.chunks),
            ("transfer-encoding: chunked", "c;a=b\r\n\(Self.body)\r\n0\r\nX: y\r\n\r\n"),
            // A trailer says nothing about who asks.
            (
                "Transfer-Encoding: chunked",
                "c\r\n\(Self.body)\r\n0\r\nAuthorization: Basic YTph\r\n\r\n"
            ),
        ] {
            try client.send("POST /db/execute HTTP/1.1\r\nHost: a\r\n\(name)\r\n\r\n\(content)")
            #expect(Client.answers(in: try client.output()).map(\.status) == [200], "\(name)")
            #expect(client.node.requests.last?.credential == Credential.none)
        }
    }

    @Test func `An answer that is owed comes before a refusal`() throws {
        let client = try client()
        let sound = "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n\(Self.body)"
        try client.send(
            sound
                + "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n\(Self.chunks)"
                + sound)
        #expect(Client.answers(in: try client.output()).map(\.status) == [200, 400])
        #expect(client.node.requests.count == 1)
    }

    private static let targets: [String] = OperationTable.all.filter { !$0.permissions.isEmpty }
        .flatMap(\.paths).map { path in
            switch path {
            // The folder alone is a redirect to it, for everybody.
            case .exact(let text), .prefix(let text): text == "/console" ? "/console/" : text
            }
        }

    /// Ways to write a path, some of which a proxy takes for another.
    private static let writings: [@Sendable (String) -> String] = [
        { $0 }, { "/" + $0 }, { $0 + "/" }, { $0 + "//" }, { $0 + "x" }, { $0.uppercased() },
        { "/." + $0 }, { "/x/.." + $0 }, { $0 + "/.." }, { $0 + "%2e%2e" }, { $0 + "%00" },
        { $0.replacing("e", with: "%65") }, { "/" + $0.dropFirst().replacing("/", with: "%2f") },
        { $0 + "?" }, { $0 + "?%6cevel=none&LEVEL=strong" }, { $0 + "?pretty&pretty&q=a&q=b" },
        { $0 + ";a=b" }, { $0 + "%3fx" }, { $0 + "?auth=root&user=root&token=x" },
        { "http://other" + $0 }, { "HTTP://other:1" + $0 }, { "https://root:r@other" + $0 },
    ]

    @Test
    func `However a request is written, who has no right gets nothing done and learns nothing`()
        throws
    {
        let door = HTTPDoor(judge: NoRights(), open: [])
        let fields =
            "X-Forwarded-User: root\r\nX-Remote-User: root\r\nForwarded: for=127.0.0.1\r\n"
            + "X-Original-URL: /\r\nX-HTTP-Method-Override: GET\r\nX-Rqlite-Forwarded: 1\r\n"
        var refused = 0
        var wrong: [String] = []
        // A client costs more than its requests.
        var client = try client(door)
        for target in Self.targets {
            for writing in Self.writings {
                for method in ["GET", "HEAD", "POST", "DELETE"] {
                    for version in method == "POST" ? ["1.1", "1.0"] : ["1.1"] {
                        if !client.channel.isActive { client = try self.client(door) }
                        let line = "\(method) \(writing(target)) HTTP/\(version)"
                        try client.send("\(line)\r\nHost: a\r\n\(fields)\r\n")
                        let text = try client.output()
                        let status = Int(text.dropFirst(9).prefix(3)) ?? 0
                        if ![401, 404, 400].contains(status) || text.contains("\r\nAllow:")
                            || !client.node.requests.isEmpty
                        {
                            wrong.append("\(line): \(text)")
                        }
                        if status == 401 { refused += 1 }
                    }
                }
            }
        }
        #expect(wrong == [])
        #expect(refused > 300)
    }

    @Test(arguments: ["websocket", "h2c", "TLS/1.0"])
    func `To upgrade opens nothing, and what follows is no request`(protocol name: String) throws {
        let client = try client(HTTPDoor(judge: NoRights(), open: []))
        try client.send(
            "GET /db/query?q=SELECT%201 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                + "Upgrade: \(name)\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
                + "GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(Client.answers(in: try client.output()).map(\.status) == [401])
        #expect(client.node.requests.isEmpty)
    }
}
