import Raft
import Service
import Telemetry
import Testing
import Wire

@testable import HTTPAPI

/// What failures look like to clients, which match these texts.
@Suite struct FailureTests {
    private static let statements: [(ServiceError, String)] = [
        (.notLeader(leaderURL: nil), "not leader"),
        (.notReady(""), "store not ready"),
        (.notReady("receiving a snapshot"), "store not ready: receiving a snapshot"),
        (.leadershipLost, "leadership lost while committing log"),
        (.timedOut(waitingFor: "a quorum"), "timed out waiting for a quorum"),
        (.staleRead, "stale read"),
        (.linearizableTimeout(index: LogIndex(7)), "index 7: timeout waiting for fsm"),
        (
            .forwardingFailed(to: PeerAddress("n2:4002"), cause: "connection refused"),
            "forwarding to n2:4002 failed: connection refused"
        ),
        (.transfer(.transferInProgress), "leadership transfer in progress"),
        (.diskFull, "database or disk is full"),
    ]

    @Test func `For statements most failures are an error in the envelope`() throws {
        for (error, text) in Self.statements {
            let client = try Client(answering: .failed(error))
            for path in ["/db/execute", "/db/query", "/db/request"] {
                let answer = try client.post(path, #"["x"]"#)
                #expect(answer.status == 200)
                #expect(answer.body == #"{"results":[],"error":"\#(text)"}"#)
                #expect(answer.headers["x-rqlite-served-by"] == nil)
            }
        }
    }

    @Test func `A result that failed as a whole names no server`() throws {
        let result = CommandResult([], error: "disallowed pragma")
        let answer = try Client(answering: .results(result)).post("/db/execute", #"["x"]"#)
        #expect(answer.status == 200)
        #expect(answer.body == #"{"results":[],"error":"disallowed pragma"}"#)
        #expect(answer.headers["x-rqlite-served-by"] == nil)
    }

    @Test(arguments: [
        ("POST", "/db/execute", #"["x"]"#), ("GET", "/db/query?q=x", ""),
        ("POST", "/db/request", #"["x"]"#), ("DELETE", "/remove", #"{"id":"1"}"#),
        ("POST", "/leader?wait", ""), ("GET", "/leader", ""),
    ])
    func `Without a leader`(method: String, target: String, body: String) throws {
        let client = try Client(answering: .failed(.noLeader(waitingFor: "")))
        let answer = try client.request(method, target, body: body)
        #expect(answer.status == 503)
        #expect(answer.body == "leader not found\n")
        #expect(client.metrics.counter("http", "leader_not_found").current == 1)
    }

    @Test(arguments: [
        ("POST", "/db/execute?redirect&x=%20", #"["x"]"#), ("GET", "/db/query?q=x&redirect", ""),
        ("DELETE", "/remove?redirect", #"{"id":"1"}"#), ("POST", "/leader?wait&redirect", ""),
    ])
    func `A client that wants to be redirected is`(
        method: String, target: String, body: String
    ) throws {
        let client = try Client(
            answering: .failed(.notLeader(leaderURL: "https://foo:4001")))
        let answer = try client.request(method, target, body: body)
        #expect(answer.status == 301)
        #expect(answer.headers["location"] == "https://foo:4001" + target)
        #expect(answer.body.isEmpty)
        #expect(client.node.requests.last?.forward == false)
        let unknown = try Client(answering: .failed(.notLeader(leaderURL: nil)))
            .request(method, target, body: body)
        #expect(unknown.status == 500)
        #expect(unknown.body == "leader not found\n")
    }

    @Test func `Overload and size have statuses of their own`() throws {
        let busy = try Client(answering: .failed(.busy)).post("/db/execute", #"["x"]"#)
        #expect(busy.status == 503)
        #expect(busy.body == "too many requests are waiting already: nothing was done, try again\n")
        let large = try Client(answering: .failed(.requestTooLarge(limit: 10)))
            .post("/db/execute", #"["x"]"#)
        #expect(large.status == 413)
        #expect(large.body == "request is larger than the limit of 10 bytes\n")
    }

    @Test func `Stepping down`() throws {
        let table: [(ServiceError, Int, String)] = [
            (.transfer(.transferToSelf), 500, "stepdown: cannot step down to the current Leader"),
            (.transfer(.unknownMember), 500, "stepdown: node not found in cluster"),
            (.transfer(.noTransferTarget), 500, "stepdown: cannot find peer"),
            (.timedOut(waitingFor: "x"), 500, "stepdown: leadership transfer timeout"),
            (.notReady(""), 503, "stepdown: store not open"),
        ]
        for (error, status, text) in table {
            let answer = try Client(answering: .failed(error)).post("/leader?wait", "")
            #expect(answer.status == status)
            #expect(answer.body == text + "\n")
        }
    }

    @Test func `A successor is read from a JSON body`() throws {
        let client = try Client(answering: .done)
        func successor(_ headers: [String], _ body: String) throws -> NodeID?? {
            let answer = try client.request("POST", "/leader?wait", headers: headers, body: body)
            guard answer.status == 200 else { return nil }
            #expect(answer.body.isEmpty)
            #expect(answer.headers["x-rqlite-served-by"] == "localhost:4001")
            guard case .transferLeadership(let id, true)? = client.node.requests.last?.operation
            else { return nil }
            return .some(id)
        }
        let json = ["Content-Type: application/json"]
        #expect(try successor(json, #"{"id":"n2"}"#) == .some(NodeID("n2")))
        #expect(try successor(json, #"{"id":""}"#) == .some(nil))
        #expect(try successor(json, "") == .some(nil))
        #expect(try successor(json, #"{"id":null}"#) == .some(nil))
        #expect(try successor([], #"{"id":"n2"}"#) == .some(nil))
        let asked = client.node.requests.count
        for body in ["{", #"{"id":5}"#, #"{"id":["n2"]}"#, #"{"id":"n2","id":true}"#] {
            let broken = try client.request("POST", "/leader", headers: json, body: body)
            #expect(broken.status == 400)
            #expect(broken.body.hasPrefix("invalid JSON: "))
        }
        #expect(client.node.requests.count == asked)
    }

    @Test func `Removing a node`() throws {
        let client = try Client(answering: .done)
        let answer = try client.request("DELETE", "/remove", body: #"{"id":"node3"}"#)
        #expect(answer.status == 200)
        #expect(answer.body.isEmpty)
        #expect(answer.headers["x-rqlite-served-by"] == "localhost:4001")
        guard case .remove(NodeID("node3"))? = client.node.requests.last?.operation else {
            Issue.record("\(client.node.requests)")
            return
        }
        for body in ["", "x", "[]", "{}", #"{"id":1}"#, #"{"ID":"a"}"#, #"{"id":"a","b":"c"}"#] {
            let refused = try client.request("DELETE", "/remove", body: body)
            #expect(refused.status == 400)
            #expect(refused.body.hasPrefix("invalid JSON: "))
        }
        #expect(client.node.requests.count == 1)
        let failed = try Client(answering: .failed(.membership(.lastVoter)))
            .request("DELETE", "/remove", body: #"{"id":"node3"}"#)
        #expect(failed.status == 500)
        #expect(
            failed.body
                == "need at least one voter in configuration: the last voting node cannot be removed\n"
        )
    }
}
