import NIOCore
import NIOEmbedded
import NIOHTTP1
import Service
import Testing
import Wire

@testable import HTTPAPI

/// Some bytes of a copy of the database: what a client asks for, and what it is told.
@Suite struct CopyFieldsTests {
    @Test(arguments: [
        ("bytes=0-", CopyRange.bytes(from: 0, through: nil)),
        ("bytes=5-9", .bytes(from: 5, through: 9)), ("BYTES=5-5", .bytes(from: 5, through: 5)),
        ("bytes=-500", .suffix(500)), ("bytes=-0", .suffix(0)),
        ("bytes= 7- ", .bytes(from: 7, through: nil)),
        ("bytes=00007-", .bytes(from: 7, through: nil)),
        ("bytes=18446744073709551615-", .bytes(from: .max, through: nil)),
        ("bytes=18446744073709551616-", .bytes(from: .max, through: nil)),
        ("bytes=1-99999999999999999999999999", .bytes(from: 1, through: .max)),
        ("bytes=-99999999999999999999999999", .suffix(.max)),
    ])
    func `One range of bytes is understood, however large its numbers are`(
        text: String, range: CopyRange
    ) {
        #expect(CopyFields.range(text) == range)
    }

    @Test(arguments: [
        "", "bytes", "bytes=", "bytes=-", "bytes=5", "bytes=9-5", "bytes=0-1,5-6", "bytes=0-,",
        "bytes=,0-1", "bytes=a-b", "bytes=0x1-", "bytes=+1-", "bytes=--1", "bytes=1--2",
        "bytes=1-2-3", "bytes=1 -2", "bytes=1- 2", "bytes =1-", " bytes=1-", "items=1-2", "=1-2",
        "bytes=\u{0661}-", "bytes==1-", "bytes=1.5-2",
    ])
    func `What is not one range of bytes is as if it were not there`(text: String) {
        #expect(CopyFields.range(text) == nil)
    }

    @Test(
        arguments: [
            (CopyRange.bytes(from: 0, through: nil), 10, 0..<10),
            (.bytes(from: 9, through: nil), 10, 9..<10), (.bytes(from: 10, through: nil), 10, nil),
            (.bytes(from: 2, through: 4), 10, 2..<5), (.bytes(from: 2, through: 9), 10, 2..<10),
            (.bytes(from: 2, through: .max), 10, 2..<10),
            (.bytes(from: .max, through: .max), 10, nil),
            (.bytes(from: .max, through: nil), .max, nil), (.bytes(from: 4, through: 2), 10, nil),
            (.bytes(from: 0, through: 0), 0, nil), (.suffix(3), 10, 7..<10), (.suffix(0), 10, nil),
            (.suffix(.max), 10, 0..<10), (.suffix(1), 0, nil),
            (.bytes(from: 0, through: .max), .max, 0..<UInt64.max),
        ] as [(CopyRange, UInt64, Range<UInt64>?)])
    func `A range is cut at the end of the body, and is none beyond it`(
        range: CopyRange, length: UInt64, bytes: Range<UInt64>?
    ) {
        #expect(range.resolved(in: length) == bytes)
    }

    @Test(
        arguments: [
            ([], CopySelection()),
            ([("Range", "bytes=5-")], CopySelection()),
            ([("If-Range", "\"t\"")], CopySelection()),
            (
                [("Range", "bytes=5-"), ("If-Range", " \"t\" ")],
                CopySelection(tags: ["t"], range: .bytes(from: 5, through: nil))
            ),
            ([("Range", "bytes=5-"), ("If-Range", "W/\"t\"")], CopySelection()),
            ([("Range", "bytes=5-"), ("If-Range", "\"\"")], CopySelection()),
            ([("Range", "bytes=5-"), ("If-Range", "\"")], CopySelection()),
            (
                [("Range", "bytes=5-"), ("If-Range", "Sat, 29 Oct 1994 19:43:31 GMT")],
                CopySelection()
            ),
            ([("Range", "bytes=5-,9-"), ("If-Range", "\"t\"")], CopySelection()),
            (
                [("Range", "bytes=5-"), ("Range", "bytes=6-"), ("If-Range", "\"t\"")],
                CopySelection()
            ),
            (
                [("Range", "bytes=5-"), ("If-Match", "W/\"w\", \"a\", \"b\"")],
                CopySelection(
                    tags: ["a", "b"], isRequired: true, range: .bytes(from: 5, through: nil))
            ),
            ([("If-Match", "\"a\"")], CopySelection(tags: ["a"], isRequired: true)),
            ([("If-Match", "nonsense")], CopySelection(tags: [], isRequired: true)),
            ([("If-Match", "*"), ("Range", "bytes=5-")], CopySelection()),
            (
                [("If-Match", "\"a\""), ("If-Range", "\"b\""), ("Range", "bytes=5-")],
                CopySelection(tags: ["a"], isRequired: true)
            ),
        ] as [([(String, String)], CopySelection)])
    func `Bytes of a copy are served to who names the copy alone`(
        fields: [(String, String)], selection: CopySelection
    ) {
        #expect(CopyFields.selection(HTTPHeaders(fields)) == selection)
    }

    @Test(arguments: ["?compress", "?fmt=sql", "?fmt=sql&compress"])
    func `No ranges are served of what is packed, and of SQL`(query: String) throws {
        let client = try Client(FakeNode { _ in nil })
        try client.send(
            "GET /db/backup\(query) HTTP/1.1\r\nHost: x\r\nRange: bytes=5-\r\n"
                + "If-Range: \"t\"\r\n\r\n")
        guard case .backup(let request, _)? = client.node.requests.first?.operation else {
            Issue.record("no backup is asked for")
            return
        }
        #expect(request.selection == nil)
    }

    private func answer(_ fields: String, _ pieces: [ResultPart.Piece]) throws -> String {
        let client = try Client(FakeNode { _ in nil })
        try client.send("GET /db/backup HTTP/1.1\r\nHost: x\r\n\(fields)\r\n")
        client.node.deliver([
            Reply(id: client.node.requests[0].id, outcome: .part(ResultPart(pieces)))
        ])
        client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        #expect(client.channel.isActive)
        return try client.output()
    }

    private func head(_ extent: CopyHead.Extent) -> ResultPart.Piece {
        .copyBegins(CopyHead(logIndex: 7, tag: "c-7-binary-x", extent: extent))
    }

    @Test func `A copy goes out under its tag, whole or in part`() throws {
        let bytes: [ResultPart.Piece] = [.content([65, 66]), .end(error: nil, logIndex: 7)]
        let whole = try answer("", [head(.whole)] + bytes)
        #expect(whole.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(whole.contains("\r\nETag: \"c-7-binary-x\"\r\n"))
        #expect(whole.contains("\r\nAccept-Ranges: bytes\r\n"))
        #expect(whole.contains("\r\nX-Rqlite-Raft-Index: 7\r\n"))
        #expect(!whole.contains("Content-Range"))
        #expect(whole.hasSuffix("2\r\nAB\r\n0\r\n\r\n"))
        let part = try answer("", [head(.part(3..<5, of: 9))] + bytes)
        #expect(part.hasPrefix("HTTP/1.1 206 Partial Content\r\n"))
        #expect(part.contains("\r\nContent-Range: bytes 3-4/9\r\n"))
        #expect(part.contains("\r\nETag: \"c-7-binary-x\"\r\n"))
        #expect(part.hasSuffix("2\r\nAB\r\n0\r\n\r\n"))
        let remote = try answer("", [.contentBegins(logIndex: 7)] + bytes)
        #expect(remote.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(remote.contains("\r\nAccept-Ranges: none\r\n"))
        #expect(!remote.contains("ETag"))
    }

    @Test func `What can't be had is refused with the length, or with what to do`() throws {
        let end: [ResultPart.Piece] = [.content([]), .end(error: nil, logIndex: 7)]
        let outside = try answer("", [head(.outside(of: 9))] + end)
        #expect(outside.hasPrefix("HTTP/1.1 416 "))
        #expect(outside.contains("\r\nContent-Range: bytes */9\r\n"))
        let gone = try answer("If-Match: \"t\"\r\n", [head(.gone)] + end)
        #expect(gone.hasPrefix("HTTP/1.1 412 "))
        // Another node made it, which was not told of the condition.
        let remote = try answer("If-Match: \"t\"\r\n", [.contentBegins(logIndex: 7)] + end)
        #expect(remote.hasPrefix("HTTP/1.1 412 "))
    }
}
