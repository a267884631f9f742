import NIOCore
import NIOEmbedded
import Raft
import Service
import Telemetry
import Testing
import Wire

@testable import HTTPAPI

/// Loads that are too large for one request.
@Suite struct LoadShippingTests {
    private static let kept = Outcome.results(CommandResult([]))
    private let start = NIODeadline.uptimeNanoseconds(0)

    private static func parcel(_ parts: UInt32, readable: UInt32 = .max) -> LoadParcel {
        LoadParcel(id: LoadID(high: 1, low: 2), byteCount: 77, parts: parts) {
            $0 < readable ? [UInt8($0)] : nil
        }
    }

    private func client(
        _ parcel: LoadParcel,
        _ answer: @escaping @Sendable (ClientRequest) -> Outcome? = { _ in kept }
    ) throws -> Client {
        try Client(FakeNode(answer), loads: LoadsDouble { _ in .parcel(parcel) })
    }

    /// What was asked for, in words.
    private func asked(_ node: FakeNode) -> [String] {
        node.requests.map { request in
            switch request.operation {
            case .loadPart(let part, let isBoot): (isBoot ? "boot " : "") + "part \(part.bytes[0])"
            case .loadEnd(let end, let isBoot): (isBoot ? "boot " : "") + "\(end.action)"
            default: "else"
            }
        }
    }

    @Test func `Each part is asked for when the one before is kept, and then the end`() throws {
        let client = try client(Self.parcel(3))
        let answer = try client.post("/db/load?timeout=3s", "SQLite format 3")
        #expect(answer.status == 200)
        #expect(answer.body == #"{"results":[]}"#)
        #expect(asked(client.node) == ["part 0", "part 1", "part 2", "replace"])
        #expect(client.node.requests.allSatisfy { $0.forward && $0.timeout >= .seconds(3) })
        #expect(client.metrics.gauge("http", "load_parts").current == 0)
        #expect(client.metrics.gauge("http", "load_parts_kept").current == 0)
    }

    @Test func `A node that is alone boots in parts`() throws {
        let client = try client(Self.parcel(1))
        let file = "SQLite format 3" + String(repeating: "x", count: 100)
        #expect(try client.post("/boot", file).status == 200)
        #expect(asked(client.node) == ["boot part 0", "boot replace"])
    }

    @Test func `What is refused ends the load, and what was kept is forgotten`() throws {
        let client = try client(Self.parcel(3)) { request in
            guard case .loadPart(let part, _) = request.operation, part.number == 1 else {
                return Self.kept
            }
            return .results(CommandResult([], error: "another load is under way"))
        }
        let answer = try client.post("/db/load", "SQLite format 3")
        #expect(answer.status == 200)
        #expect(answer.body.contains("another load is under way"))
        #expect(asked(client.node) == ["part 0", "part 1", "forget"])
    }

    @Test func `A file that can't be read any more ends the load`() throws {
        let client = try client(Self.parcel(3, readable: 1))
        let answer = try client.post("/db/load", "SQLite format 3")
        #expect(answer.status == 500)
        #expect(asked(client.node) == ["part 0", "forget"])
    }

    @Test func `A client that wants to go to the leader itself is sent there`() throws {
        let client = try client(Self.parcel(3)) { _ in .failed(.notLeader(leaderURL: "http://n2")) }
        let answer = try client.post("/db/load?redirect", "SQLite format 3")
        #expect(answer.status == 301)
        #expect(asked(client.node) == ["part 0", "forget"])
        #expect(client.node.requests.allSatisfy { !$0.forward })
    }

    @Test func `A client that wants lines hears of each part, and of the end`() throws {
        let client = try client(Self.parcel(2))
        try client.send(
            "POST /db/load HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n"
                + "Content-Length: 15\r\n\r\nSQLite format 3")
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        let output = try client.output()
        #expect(output.hasPrefix("HTTP/1.1 200"))
        let lines = output.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("{") }
        #expect(
            lines == [
                #"{"progress":{"parts":2,"kept":0}}"#, #"{"progress":{"parts":2,"kept":1}}"#,
                #"{"progress":{"parts":2,"kept":2}}"#, #"{"end":true,"raft_index":0}"#,
            ])
    }

    @Test func `A part whose fate is unknown is asked for again, until the client's time is over`()
    {
        var machine = LoadShipping(parts: 2, patience: .seconds(10), now: start)
        for error in [
            ServiceError.leadershipLost, .noLeader(waitingFor: ""), .busy, .diskFull, .notReady(""),
            .timedOut(waitingFor: ""), .forwardingFailed(to: PeerAddress("a:1"), cause: ""),
        ] {
            #expect(machine.answered(.failed(error), now: start + .seconds(9)) == .again(0))
        }
        #expect(machine.answered(Self.kept, now: start + .seconds(9)) == .part(1))
        #expect(machine.answered(.failed(.busy), now: start + .seconds(18)) == .again(1))
        #expect(machine.answered(.failed(.busy), now: start + .seconds(19)) == .over)
        for error in [
            ServiceError.notLeader(leaderURL: nil), .notAuthorized("load"), .unsuitable(""),
            .requestTooLarge(limit: 1),
        ] {
            #expect(machine.answered(.failed(error), now: start) == .over)
        }
        #expect(!machine.isEnding)
        #expect(machine.answered(Self.kept, now: start) == .end)
        #expect(machine.isEnding)
    }
}
