import JSON
import NIOCore
import Raft
import Service
import Testing
import Wire

@testable import HTTPAPI

/// Failures for programs: a code in a header field, and a document for who asks for it.
@Suite struct ProblemTests {
    private static let mark = CommitMark(
        cluster: ClusterID(RandomID(high: 1, low: 2)), epoch: 0, index: LogIndex(3))
    private static let errors: [(ServiceError, String, Int)] = [
        (.notLeader(leaderURL: "http://a:4001"), "not_leader", 421),
        (.noLeader(waitingFor: "votes"), "no_leader", 503), (.notReady("x"), "not_ready", 503),
        (.leadershipLost, "leadership_lost", 503), (.timedOut(waitingFor: "x"), "timed_out", 504),
        (.busy, "busy", 503), (.staleRead, "stale_read", 503),
        (.linearizableTimeout(index: LogIndex(1)), "linearizable_timeout", 504),
        (.forwardingFailed(to: PeerAddress("b:1"), cause: "x"), "forwarding_failed", 502),
        (.requestTooLarge(limit: 9), "request_too_large", 413),
        (.transfer(.busy), "transfer_refused", 409),
        (.membership(.busy), "membership_refused", 409), (.diskFull, "disk_full", 507),
        (.unsuitable("x"), "unsuitable", 409), (.otherHistory(wanted: mark), "other_history", 412),
        (.behind(wanted: LogIndex(9), applied: LogIndex(8)), "behind", 504),
        (.keyTaken(LogIndex(3)), "key_taken", 422),
        (.notAuthorized("query"), "not_authorized", 401),
    ]

    /// Of a client's request, at a node that has no room for any answer.
    private func unroomed(
        _ path: String, _ outcome: Outcome, servedBy: PeerAddress? = nil
    ) throws -> Answer {
        var limits = HTTPLimits()
        limits.answerBytesInFlight = 1000
        let node = FakeNode(servedBy: servedBy) { _ in outcome }
        return try Client(node, limits: limits).post(path, #"["x"]"#)
    }

    private static let largeResult = StatementResult(
        rows(["c"], ["blob"], [[.blob([UInt8](repeating: 1, count: 300_000))]]))

    @Test func `A failed statement may have undone the others: nobody hears that all was done`()
        throws
    {
        let failed = StatementResult(.failed("no such table: t"))
        let answer = try unroomed(
            "/db/execute?transaction",
            .results(CommandResult([Self.largeResult, failed], logIndex: 8)))
        #expect(answer.status == 500)
        #expect(answer.headers["x-rqlited-error"] == "answer_dropped")
        #expect(answer.body.contains("no such table: t"))
        #expect(!answer.body.contains("was carried out"))
    }

    /// The statement that undoes it may come behind the rows of others.
    @Test func `Of what another node sends in parts nobody hears at the first that all was done`()
        throws
    {
        let part = ResultPart([
            .rowsBegin(columns: ["c"], types: ["blob"], isRead: false), .cells([0]),
        ])
        let answer = try unroomed(
            "/db/execute?transaction", .part(part), servedBy: PeerAddress("n2:4002"))
        #expect(answer.status == 500)
        #expect(answer.headers["x-rqlited-error"] == "answer_dropped")
        #expect(answer.body.hasPrefix("whether the request failed is not known here"))
        #expect(!answer.body.contains("was carried out"))
    }

    @Test func `A request that might have written, and only read, is asked again for want of room`()
        throws
    {
        // As a reader of this node begins its answer.
        let part = ResultPart([
            .rowsBegin(columns: ["c"], types: ["blob"], isRead: true), .cells([0]),
        ])
        for outcome in [Outcome.results(CommandResult([Self.largeResult])), .part(part)] {
            let answer = try unroomed("/db/request", outcome)
            #expect(answer.status == 503)
            #expect(answer.headers["x-rqlited-error"] == "busy")
        }
    }

    @Test func `Every failure has a code of its own, and a document that says what and why`() throws
    {
        for (error, code, status) in Self.errors {
            let client = try Client(answering: .failed(error))
            let plain = try client.post("/db/execute", #"["x"]"#)
            #expect(plain.headers["x-rqlited-error"] == code)
            #expect(plain.headers["content-type"] != "application/problem+json")
            let answer = try client.request(
                "POST", "/db/execute", headers: ["Accept: application/problem+json"],
                body: #"["x"]"#)
            #expect(answer.status == status, "\(error)")
            #expect(answer.headers["x-rqlited-error"] == code)
            #expect(answer.headers["content-type"] == "application/problem+json")
            let document = try JSONValue(parsing: Array(answer.body.utf8))
            #expect(document["code"]?.string == code)
            #expect(document["detail"]?.string == ErrorTable.text(error))
            #expect(document["type"]?.string == "about:blank")
        }
        #expect(Set(Self.errors.map(\.1)).count == Self.errors.count)
    }

    @Test func `Who can follow the leader is told where it is`() throws {
        let client = try Client(answering: .failed(.notLeader(leaderURL: "http://a:4001")))
        let answer = try client.request(
            "POST", "/db/execute", headers: ["Accept: application/json, application/problem+json"],
            body: #"["x"]"#)
        let document = try JSONValue(parsing: Array(answer.body.utf8))
        #expect(document["leader"]?.string == "http://a:4001")
        // A redirect stays one.
        let redirect = try client.request(
            "POST", "/db/execute?redirect", headers: ["Accept: application/problem+json"],
            body: #"["x"]"#)
        #expect(redirect.status == 301)
        #expect(redirect.headers["location"] == "http://a:4001/db/execute?redirect")
    }

    @Test func `An answer that is none of a failure has no code`() throws {
        let client = try Client(answering: .results(.oneInsert))
        let answer = try client.request(
            "POST", "/db/execute", headers: ["Accept: application/problem+json"], body: #"["x"]"#)
        #expect(answer.status == 200)
        #expect(answer.headers["x-rqlited-error"] == nil)
        #expect(answer.headers["content-type"] == "application/json; charset=utf-8")
    }
}
