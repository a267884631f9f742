import Gzip
import NIOCore
import NIOEmbedded
import Raft
import Service
import Testing
import Wire

@testable import HTTPAPI

/// Keys of writes, commit tokens, entity tags and packed answers, as they stand on the wire.
@Suite struct AnswerSightTests {
    private static let cluster = ClusterID(RandomID(high: 1, low: 2))
    private static let mark = CommitMark(cluster: cluster, epoch: 3, index: LogIndex(40))
    private static let token = "00000000000000010000000000000002-3-40"
    private static let rows = CommandResult([
        StatementResult(.rows(RowSet(columns: ["a"], types: ["text"])), isRead: true)
    ])

    /// The answer to one request, when the node's reply is this.
    private func answer(
        _ method: String, _ target: String, headers: [String] = [], body: String? = nil,
        _ outcome: Outcome, _ sight: ReadSight? = nil
    ) throws -> (Answer, ClientRequest) {
        let client = try Client(FakeNode { _ in nil })
        var text = "\(method) \(target) HTTP/1.1\r\nHost: a\r\n"
        for header in headers { text += header + "\r\n" }
        try client.send(text + "Content-Length: \(body?.utf8.count ?? 0)\r\n\r\n\(body ?? "")")
        let request = try #require(client.node.requests.first)
        client.node.deliver([Reply(id: request.id, outcome: outcome, sight: sight)])
        client.channel.embeddedEventLoop.run()
        return (try #require(Client.answers(in: client.output()).first), request)
    }

    // MARK: Keys

    private func key(
        _ headers: [String], _ path: String = "/db/execute", _ body: String = #"["x"]"#
    )
        throws -> RepeatKey?
    {
        let client = try Client(answering: .results(.oneInsert))
        #expect(try client.request("POST", path, headers: headers, body: body).status == 200)
        return client.node.lastCommand?.key
    }

    @Test func `A key is of who asks, and bound to what is asked`() throws {
        let alice = "Authorization: Basic YWxpY2U6YQ=="
        let aliceLater = "Authorization: Basic YWxpY2U6Yg=="
        let bob = "Authorization: Basic Ym9iOmI="
        let one = try #require(try key(["Idempotency-Key: 1", alice]))
        #expect(try key([alice]) == nil)
        #expect(try key(["idempotency-key: 1", alice]) == one)
        #expect(try key(["Idempotency-Key: 1", aliceLater]) == one)
        #expect(try key(["Idempotency-Key: 1", bob])?.name != one.name)
        #expect(try key(["Idempotency-Key: 1"])?.name != one.name)
        #expect(try key(["Idempotency-Key: 2", alice])?.name != one.name)
        for other in [
            try key(["Idempotency-Key: 1", alice], "/db/execute", #"["y"]"#),
            try key(["Idempotency-Key: 1", alice], "/db/execute", #"[["x",1]]"#),
            try key(["Idempotency-Key: 1", alice], "/db/execute?transaction"),
            try key(["Idempotency-Key: 1", alice], "/db/request"),
        ] {
            #expect(other?.name == one.name)
            #expect(other?.content != one.content)
        }
        // How the answer looks is not what is asked.
        #expect(try key(["Idempotency-Key: 1", alice], "/db/execute?pretty", #"[ "x" ]"#) == one)
        #expect(try key(["Idempotency-Key: 1", alice], "/db/query") == nil)
    }

    @Test(arguments: [
        ["Idempotency-Key: "], ["Idempotency-Key: \(String(repeating: "k", count: 256))"],
        ["Idempotency-Key: ä"], ["Idempotency-Key: a", "Idempotency-Key: a"],
    ])
    func `A key that is none is refused before anything is done`(headers: [String]) throws {
        let client = try Client(answering: .results(.oneInsert))
        let answer = try client.request("POST", "/db/execute", headers: headers, body: #"["x"]"#)
        #expect(answer.status == 400)
        #expect(answer.body.hasPrefix("Idempotency-Key is "))
        #expect(client.node.requests.isEmpty)
    }

    @Test func `A queued write has no key`() throws {
        let client = try Client(answering: .results(.oneInsert))
        let answer = try client.request(
            "POST", "/db/execute?queue", headers: ["Idempotency-Key: a"], body: #"["x"]"#)
        #expect(answer.status == 400)
        #expect(client.node.requests.isEmpty)
    }

    @Test func `What comes of a repeated write is told`() throws {
        var first = CommandResult.oneInsert
        first.logIndex = 7
        let path = "/db/execute?raft_index"
        let (again, _) = try answer("POST", path, body: #"["x"]"#, .repeated(first))
        #expect(again.status == 200)
        #expect(again.headers["idempotency-replayed"] == "true")
        #expect(
            again.body
                == #"{"results":[{"last_insert_id":1,"rows_affected":1}],"raft_index":7}"#)
        let (done, _) = try answer("POST", path, body: #"["x"]"#, .doneBefore(LogIndex(7)))
        #expect(done.headers["idempotency-replayed"] == "true")
        #expect(done.body == #"{"results":[],"done_at":7,"raft_index":7}"#)
        let (other, _) = try answer("POST", path, body: #"["x"]"#, .failed(.keyTaken(LogIndex(7))))
        #expect(other.status == 422)
        #expect(
            other.body
                == "another request was made under this Idempotency-Key, at index 7: nothing was done\n"
        )
        let (fresh, _) = try answer("POST", path, body: #"["x"]"#, .results(first))
        #expect(fresh.headers["idempotency-replayed"] == nil)
    }

    // MARK: Tokens

    @Test func `An answer tells what it has seen, and a read may demand it`() throws {
        let (write, _) = try answer(
            "POST", "/db/execute", body: #"["x"]"#, .results(.oneInsert),
            ReadSight(Self.mark, isExact: false))
        #expect(write.headers["x-rqlited-commit"] == Self.token)
        #expect(write.headers["etag"] == nil)
        for (text, demand) in [
            (Self.token, CommitDemand.mark(Self.mark)), ("40", .index(LogIndex(40))),
            ("0", .index(LogIndex(0))),
        ] {
            let (_, request) = try answer(
                "GET", "/db/query?q=x&min_index=\(text)", .results(Self.rows))
            let options = request.operation.readOptions
            #expect(options?.demand == demand)
            #expect(options?.level == ConsistencyLevel.none)
        }
        let (_, weak) = try answer(
            "GET", "/db/query?q=x&level=weak&min_index=1", .results(Self.rows))
        #expect(weak.operation.readOptions?.level == .weak)
    }

    @Test(arguments: [
        "", "-1", "+1", "x", "18446744073709551616", "1-2-3", "00000000000000010000000000000002-3",
        "00000000000000010000000000000002-3-+4", "00000000000000010000000000000002-3-4-5",
    ])
    func `A demand that is none is refused`(text: String) throws {
        let client = try Client(answering: .results(Self.rows))
        let encoded = text.replacing("+", with: "%2B")
        #expect(try client.get("/db/query?q=x&min_index=\(encoded)").status == 400)
        #expect(client.node.requests.isEmpty)
    }

    @Test func `A demand that is not met is told with its cause`() throws {
        let (late, _) = try answer(
            "GET", "/db/query?q=x&min_index=9",
            .failed(.behind(wanted: LogIndex(9), applied: LogIndex(7))))
        #expect(late.status == 504)
        #expect(late.body == "timed out waiting for index 9: this node has applied 7\n")
        let (other, _) = try answer(
            "GET", "/db/query?q=x&min_index=\(Self.token)",
            .failed(.otherHistory(wanted: Self.mark)))
        #expect(other.status == 412)
        #expect(other.body.hasPrefix("the commit token \(Self.token) is of another cluster"))
    }

    // MARK: Entity tags

    @Test func `Only an answer that is known exactly has a tag`() throws {
        let exact = ReadSight(Self.mark, isExact: true)
        let failed = CommandResult([StatementResult(.failed("x"), isRead: true)])
        let expected = "W/\"\(Self.token)\""
        func tag(_ method: String, _ result: CommandResult, _ sight: ReadSight?) throws -> String? {
            let body = method == "POST" ? #"["x"]"# : nil
            return try answer(method, "/db/query?q=x", body: body, .results(result), sight)
                .0.headers["etag"]
        }
        #expect(try tag("GET", Self.rows, exact) == expected)
        #expect(try tag("GET", Self.rows, ReadSight(Self.mark, isExact: false)) == nil)
        #expect(try tag("GET", Self.rows, nil) == nil)
        #expect(try tag("POST", Self.rows, exact) == nil)
        #expect(try tag("GET", failed, exact) == nil)
        #expect(try tag("GET", CommandResult([], error: "x"), exact) == nil)
    }

    @Test(arguments: [
        ("W/\"\(token)\"", true), ("\"\(token)\"", true), ("\"other\", W/\"\(token)\"", true),
        ("\(token)", false), ("*", false), ("\"", false), ("W/\"1-2-3\"", false),
    ])
    func `Who has an answer asks whether it still holds`(field: String, isKnown: Bool) throws {
        let (answer, request) = try answer(
            "GET", "/db/query?q=x", headers: ["If-None-Match: \(field)"], .unchanged,
            ReadSight(Self.mark, isExact: true))
        #expect(request.operation.readOptions?.unless == (isKnown ? Self.mark : nil))
        #expect(answer.status == 304)
        #expect(answer.headers["etag"] == "W/\"\(Self.token)\"")
        #expect(answer.headers["content-length"] == nil)
        #expect(answer.body.isEmpty)
    }

    @Test func `A copy that still holds gets no tag of what began since it was looked at`() throws {
        var later = Self.mark
        later.index = LogIndex(41)
        let (answer, _) = try answer(
            "GET", "/db/query?q=x", headers: ["If-None-Match: \"\(Self.token)\""], .unchanged,
            ReadSight(later, isExact: false))
        #expect(answer.status == 304)
        #expect(answer.headers["etag"] == nil)
    }

    @Test func `A copy is asked for by GET alone`() throws {
        let (_, request) = try answer(
            "POST", "/db/query", headers: ["If-None-Match: \"\(Self.token)\""], body: #"["x"]"#,
            .results(Self.rows))
        #expect(request.operation.readOptions?.unless == nil)
    }

    // MARK: Packed answers

    private static func unpack(_ bytes: [UInt8]) throws -> String {
        var reader = GzipReader(limit: 1 << 30)
        var text: [UInt8] = []
        try reader.add(bytes) { text += $0 }
        try reader.end()
        return String(decoding: text, as: UTF8.self)
    }

    /// Head and bytes of the body, without the frames of chunks.
    private func packed(_ encoding: String, rows count: Int) throws -> (head: String, body: [UInt8])
    {
        var cells: [UInt8] = []
        for number in 0..<count {
            var writer = ByteWriter()
            Value.text("row \(number)").encode(into: &writer)
            cells += writer.bytes
        }
        let result = CommandResult([
            StatementResult(
                .rows(RowSet(columns: ["a"], types: ["text"], rowCount: count, cells: cells)),
                isRead: true)
        ])
        let client = try Client(answering: .results(result))
        try client.send(
            "GET /db/query?q=x HTTP/1.1\r\nHost: a\r\nAccept-Encoding: \(encoding)\r\n\r\n")
        var bytes: [UInt8] = []
        for _ in 0..<10_000 {
            while let part = try client.channel.readOutbound(as: ByteBuffer.self) {
                bytes += part.readableBytesView
            }
            if bytes.suffix(7).elementsEqual("\r\n0\r\n\r\n".utf8) { break }
            client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(5))
        }
        let blank = Array("\r\n\r\n".utf8)
        let end = try #require(
            bytes.indices.first { bytes[$0...].starts(with: blank) }.map { $0 + 4 })
        let head = String(decoding: bytes[..<end], as: UTF8.self)
        var body = Array(bytes[end...])
        if head.contains("chunked") {
            var whole: [UInt8] = []
            var rest = body[...]
            while let line = rest.firstIndex(of: 13),
                let size = Int(String(decoding: rest[..<line], as: UTF8.self), radix: 16), size > 0
            {
                whole += rest[(line + 2)..<(line + 2 + size)]
                rest = rest[(line + 4 + size)...]
            }
            body = whole
        }
        return (head, body)
    }

    @Test(arguments: [100, 200_000])
    func `An answer is packed for who takes gzip, and says the same`(rows: Int) throws {
        let plain = try packed("identity", rows: rows)
        let small = try packed("br, gzip;q=0.5", rows: rows)
        #expect(!plain.head.contains("Content-Encoding"))
        #expect(small.head.contains("Content-Encoding: gzip\r\n"))
        #expect(small.head.contains("Vary: Accept, Accept-Encoding\r\n"))
        #expect(small.body.count * 2 < plain.body.count)
        #expect(try Self.unpack(small.body) == String(decoding: plain.body, as: UTF8.self))
    }

    @Test(arguments: [
        ("gzip", true), ("x-gzip", true), ("*", true), ("deflate, *;q=0.1", true),
        ("gzip;q=0", false), ("gzip; q=0.0", false), ("*;q=0", false), ("gzip;q=0, *", false),
        ("identity", false), ("deflate", false), ("gzipped", false), ("", false),
    ])
    func `Who refuses gzip gets none`(field: String, takes: Bool) throws {
        #expect(
            try packed(field, rows: 100).head.contains("Content-Encoding: gzip") == takes,
            "\(field)")
    }

    @Test func `What is small is not packed`() throws {
        #expect(!(try packed("gzip", rows: 1).head.contains("Content-Encoding")))
    }
}
