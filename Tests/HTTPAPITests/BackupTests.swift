import NIOCore
import NIOEmbedded
import Raft
import Service
import Telemetry
import Testing
import Wire

@testable import HTTPAPI

/// `/db/backup`: what is asked of the node, and how its bytes go out.
@Suite struct BackupTests {
    private func asked(_ query: String) throws -> (BackupRequest, ReadOptions, Bool)? {
        let client = try Client(FakeNode { _ in nil })
        try client.send("GET /db/backup\(query) HTTP/1.1\r\nHost: x\r\n\r\n")
        guard let request = client.node.requests.first,
            case .backup(let backup, let options) = request.operation
        else { return nil }
        return (backup, options, request.forward)
    }

    private static let plain = BackupRequest(selection: CopySelection())

    @Test(arguments: [
        ("", plain), ("?fmt=binary", plain), ("?fmt=x", plain),
        ("?fmt=SQL&tables=a,b", BackupRequest(form: .sql, tables: ["a", "b"])),
        ("?fmt=sql&tables=+a+,,%09b+c%0A,+", BackupRequest(form: .sql, tables: ["a", "b c"])),
        ("?fmt=sql&tables=,+,", BackupRequest(form: .sql)),
        ("?fmt=sql&tables=", BackupRequest(form: .sql)), ("?tables=a", plain),
        ("?fmt=delete&compress", BackupRequest(form: .delete, compress: true)),
        ("?vacuum&compress=false", BackupRequest(vacuum: true, compress: true)),
    ])
    func `What is asked of the node follows from the parameters`(
        query: String, request: BackupRequest
    ) throws {
        let found = try #require(try asked(query))
        #expect(found.0 == request)
        #expect(found.1.level == .linearizable)
        #expect(found.2)
    }

    @Test func `The node's own database is asked for with noleader, and redirects are followed`()
        throws
    {
        #expect(try asked("?noleader")?.1.level == ConsistencyLevel.none)
        #expect(try asked("?redirect")?.2 == false)
        let client = try Client(
            answering: .failed(.notLeader(leaderURL: "http://n2:4001")))
        let answer = try client.get("/db/backup?redirect&fmt=sql")
        #expect(answer.status == 301)
        #expect(answer.headers["location"] == "http://n2:4001/db/backup?redirect&fmt=sql")
    }

    @Test(arguments: ["sql", "delete"])
    func `Vacuum goes with a plain file alone`(form: String) throws {
        let client = try Client(FakeNode { _ in nil })
        let answer = try client.get("/db/backup?vacuum&fmt=\(form)")
        #expect(answer.status == 500)
        #expect(answer.body == "invalid backup format\n")
        #expect(client.node.requests.isEmpty)
    }

    private func deliver(_ pieces: [ResultPart.Piece], _ client: Client) {
        client.node.deliver([
            Reply(id: client.node.requests[0].id, outcome: .part(ResultPart(pieces)))
        ])
        client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
    }

    @Test func `The bytes go out as they come, under the index that they show`() throws {
        let client = try Client(FakeNode { _ in nil })
        try client.send("GET /db/backup?fmt=sql HTTP/1.1\r\nHost: x\r\n\r\n")
        deliver([.contentBegins(logIndex: 77), .content([])], client)
        let head = try client.output()
        #expect(head.contains("HTTP/1.1 200 OK\r\n"))
        #expect(head.contains("X-Rqlite-Raft-Index: 77\r\n"))
        #expect(head.contains("Content-Type: application/sql\r\n"))
        #expect(head.contains("Transfer-Encoding: chunked"))
        deliver([.content(Array("BEGIN".utf8))], client)
        #expect(try client.output().contains("5\r\nBEGIN\r\n"))
        deliver([.content(Array(";".utf8)), .end(error: nil, logIndex: 77)], client)
        #expect(try client.output().hasSuffix("1\r\n;\r\n0\r\n\r\n"))
        #expect(client.channel.isActive)
    }

    @Test func `Bytes that are used up are asked for anew`() throws {
        let client = try Client(FakeNode { _ in nil })
        try client.send("GET /db/backup HTTP/1.1\r\nHost: x\r\n\r\n")
        deliver([.contentBegins(logIndex: 1)], client)
        let part = [UInt8](repeating: 7, count: 100_000)
        for _ in 0..<40 { deliver([.content(part)], client) }
        let asked = client.node.demands.reduce(0) { $0 + $1.bytes }
        #expect(asked > 4_000_000 - ResultWindow.demandBytes)
        #expect(asked < 4_010_000)
    }

    @Test func `A body that can't be had to its end is not taken for a whole`() throws {
        let client = try Client(FakeNode { _ in nil })
        try client.send("GET /db/backup HTTP/1.1\r\nHost: x\r\n\r\n")
        deliver([.contentBegins(logIndex: 1), .content([1, 2, 3])], client)
        deliver([.end(error: "no room", logIndex: 1)], client)
        #expect(try !client.output().hasSuffix("0\r\n\r\n"))
        #expect(!client.channel.isActive)
    }

    @Test func `The time is kept at which a client had the end of a copy`() throws {
        func time(_ pieces: [ResultPart.Piece]) throws -> Int64 {
            let client = try Client(FakeNode { _ in nil })
            try client.send("GET /db/backup HTTP/1.1\r\nHost: x\r\n\r\n")
            deliver(pieces, client)
            return client.metrics.gauge("http", "last_backup_time").current
        }
        func part(_ range: Range<UInt64>) -> [ResultPart.Piece] {
            [
                .copyBegins(CopyHead(logIndex: 1, tag: "t", extent: .part(range, of: 9))),
                .content([1, 2]), .end(error: nil, logIndex: 1),
            ]
        }
        let begun: [ResultPart.Piece] = [.contentBegins(logIndex: 1), .content([1, 2])]
        #expect(try time(begun) == 0)
        #expect(try time(begun + [.end(error: "no room", logIndex: 1)]) == 0)
        #expect(try time(part(3..<5)) == 0)
        #expect(try time(begun + [.end(error: nil, logIndex: 1)]) > 1_700_000_000)
        #expect(try time(part(7..<9)) > 1_700_000_000)
    }

    @Test func `A failure before the first byte is a status of its own`() throws {
        let client = try Client(answering: .results(CommandResult([], error: "no room")))
        let answer = try client.get("/db/backup")
        #expect(answer.status == 500)
        #expect(answer.body == "no room\n")
        let lone = try Client(answering: .failed(.noLeader(waitingFor: "")))
        let refusal = try lone.get("/db/backup")
        #expect(refusal.status == 503)
        #expect(refusal.body == "leader not found\n")
        let busy = try Client(answering: .failed(.busy))
        #expect(try busy.get("/db/backup").status == 503)
    }
}
