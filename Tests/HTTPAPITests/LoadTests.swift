import Raft
import Service
import Synchronization
import Telemetry
import Testing
import Wire

@testable import HTTPAPI

/// `/db/load`: what was looked at goes to the node, what is refused goes no further.
@Suite struct LoadTests {
    private static let image = DatabaseImage(byteCount: 4096, packed: [1, 2, 3])

    private func client(_ content: LoadContent, _ outcome: Outcome = .results(CommandResult([])))
        throws -> Client
    {
        try Client(FakeNode { _ in outcome }, loads: LoadsDouble { _ in content })
    }

    @Test func `A database file is asked for as an image, and answered without results`() throws {
        let client = try client(.image(Self.image))
        let answer = try client.post("/db/load", "SQLite format 3")
        #expect(answer.status == 200)
        #expect(answer.body == #"{"results":[]}"#)
        #expect(client.metrics.counter("store", "num_loads").current == 1)
        guard case .load(let image)? = client.node.requests.first?.operation else {
            Issue.record("not asked for")
            return
        }
        #expect(image == Self.image)
    }

    @Test(arguments: [true, false])
    func `SQL is one text, in one transaction where it brings none`(isTransaction: Bool) throws {
        let result = CommandResult([
            StatementResult(.changed(lastInsertID: 1, rowsAffected: 2))
        ])
        let client = try client(.sql("a; b", isTransaction: isTransaction), .results(result))
        let answer = try client.post("/db/load?timings", "whatever")
        #expect(answer.body.contains(#""last_insert_id":1,"rows_affected":2"#))
        guard case .loadDump(let command)? = client.node.requests.first?.operation else {
            Issue.record("not asked for")
            return
        }
        #expect(command.statements == [Statement("a; b")])
        #expect(command.kind == .execute)
        #expect(command.transaction == isTransaction)
    }

    @Test func `The body comes to who looks at it as it was sent`() throws {
        let seen = Mutex<[UInt8]>([])
        let body = String(repeating: "x", count: 200_000)
        let client = try Client(
            FakeNode { _ in .results(CommandResult([])) },
            loads: LoadsDouble { bytes in
                seen.withLock { $0 = bytes }
                return .image(Self.image)
            })
        #expect(try client.post("/db/load", body).status == 200)
        #expect(seen.withLock { $0 } == Array(body.utf8))
    }

    @Test(arguments: [
        (LoadContent.unfit("row 3 is missing"), 400, "row 3 is missing\n"),
        (.tooLarge("too large"), 413, "too large\n"),
        (.busy, 503, "another load is under way here: nothing was done, try again\n"),
        (.unable("no thread for load"), 503, "no thread for load\n"),
    ])
    func `What is refused is not asked of the node`(
        content: LoadContent, status: Int, text: String
    ) throws {
        let client = try client(content)
        let answer = try client.post("/db/load", "x")
        #expect(answer.status == status)
        #expect(answer.body == text)
        #expect(client.node.requests.isEmpty)
        #expect(client.metrics.counter("store", "num_loads").current == 0)
        #expect((answer.headers["retry-after"] != nil) == (status == 503))
    }

    @Test func `An empty body loads nothing`() throws {
        let client = try client(.busy)
        let answer = try client.post("/db/load", "")
        #expect(answer.status == 200)
        #expect(answer.body == #"{"results":[]}"#)
        #expect(client.node.requests.isEmpty)
    }

    @Test(arguments: [
        (ServiceError.noLeader(waitingFor: ""), 503), (.notReady("x"), 500), (.leadershipLost, 500),
        (.requestTooLarge(limit: 5), 413), (.unsuitable("older"), 500), (.busy, 503),
    ])
    func `A load that fails as a whole has a status that says so`(
        error: ServiceError, status: Int
    ) throws {
        let client = try client(.image(Self.image), .failed(error))
        #expect(try client.post("/db/load", "x").status == status)
    }

    @Test func `A leader boots from a file, and answers without a body`() throws {
        let file = "SQLite format 3" + String(repeating: "x", count: 100)
        let client = try client(.image(Self.image))
        let answer = try client.post("/boot", file)
        #expect(answer.status == 200)
        #expect(answer.body.isEmpty)
        guard case .boot(let image)? = client.node.requests.first?.operation else {
            Issue.record("not asked for")
            return
        }
        #expect(image == Self.image)
        let refusals: [(ServiceError, String)] = [
            (.notLeader(leaderURL: "http://n2:4001"), "not leader\n"),
            (.unsuitable("node n2 is older"), "node n2 is older\n"),
        ]
        for (error, text) in refusals {
            let client = try self.client(.image(Self.image), .failed(error))
            let answer = try client.post("/boot", file)
            #expect(answer.status == 503)
            #expect(answer.body == text)
        }
        let short = try client.post("/boot", "SQLite format 3")
        #expect(short.status == 503)
        #expect(short.body == "EOF\n")
        let other = try client.post("/boot", String(repeating: "y", count: 100))
        #expect(other.status == 400)
        #expect(other.body == "invalid SQLite data\n")
    }
}
