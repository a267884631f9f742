import JSON
import NIOCore
import NIOEmbedded
import Raft
import Service
import Synchronization
import Testing
import Wire

@testable import HTTPAPI

/// `/status`, `/debug/vars`, `/nodes`, `/leader` and `/readyz`.
@Suite struct DocumentTests {
    private static let documents = Documents(
        status: [
            .init("store") {
                [
                    "raft": ["term": 9_007_199_254_740_993, "state": "Leader"], "list": [1],
                    "dsn": "a&b",
                ]
            },
            .init("http") { ["bind_addr": "x"] },
            .init("disco") { nil },
        ],
        variables: {
            [
                .init("store", ["b": 2, "a": ["d": 1, "c": 0]]),
                .init("cmdline", ["rqlited", "data"]),
            ]
        })

    private func client(_ outcome: Outcome = .done) throws -> Client {
        try Client(answering: outcome, documents: Self.documents)
    }

    @Test func `The status has its members sorted at every depth`() throws {
        let answer = try client().get("/status")
        #expect(answer.status == 200)
        #expect(answer.headers["content-type"] == "application/json; charset=utf-8")
        #expect(
            answer.body == #"{"http":{"bind_addr":"x"},"store":{"dsn":"a\u0026b","list":[1],"#
                + #""raft":{"state":"Leader","term":9007199254740993}}}"#)
        #expect(
            try client().get("/status?pretty").body.hasPrefix("{\n    \"http\": {\n        \"b"))
    }

    @Test(arguments: [
        ("key=store.raft.state", #""Leader""#), ("key=store.raft.term", "9007199254740993"),
        ("key=http", #"{"bind_addr":"x"}"#), ("key=http&pretty", #"{"bind_addr":"x"}"#),
        ("key=nope", "{}"), ("key=store.nope.deeper", "{}"), ("key=disco", "{}"),
        ("key=store.list.x.y", "[1]"), ("key=store.raft.state.x", #""Leader""#),
        ("key=store.raft.", "{}"),
    ])
    func `A key walks down the status`(query: String, body: String) throws {
        #expect(try client().get("/status?\(query)").body == body)
    }

    @Test func `An empty key is the whole status`() throws {
        #expect(try client().get("/status?key=").body == client().get("/status").body)
    }

    @Test func `The status, for which files are looked at, keeps no other client waiting`() throws {
        let bench = UploadTests.Bench()
        let client = try Client(
            FakeNode { _ in .readiness(.nodeOnly) }, documents: Self.documents,
            lookout: bench.workshop)
        let other = try Client(beside: client, sharesLoop: true)
        try client.send("GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.output().isEmpty)
        #expect(try other.get("/readyz").status == 200)
        bench.doNext()
        client.channel.embeddedEventLoop.run()
        #expect(Client.answers(in: try client.output()).map(\.status) == [200])
    }

    @Test func `For who has gone the status is not made`() throws {
        let bench = UploadTests.Bench()
        let looks = Atomic(0)
        let documents = Documents(status: [
            .init("store") { JSONValue.integer(looks.add(1, ordering: .relaxed).newValue) }
        ])
        let first = try Client(
            FakeNode { _ in .done }, documents: documents, lookout: bench.workshop)
        let status = "GET /status HTTP/1.1\r\nHost: a\r\n\r\n"
        for _ in 0..<10 {
            let gone = try Client(beside: first)
            try gone.send(status)
            try gone.channel.close().wait()
            gone.channel.embeddedEventLoop.run()
        }
        try first.send(status)
        #expect(bench.count == 11)
        while bench.doNext() {}
        first.channel.embeddedEventLoop.run()
        #expect(Client.answers(in: try first.output()).map(\.body) == [#"{"store":1}"#])
    }

    @Test func `The status does not wait for bodies, nor they for it, where a disk hangs`() throws {
        let (bodies, looks) = (UploadTests.Bench(), UploadTests.Bench())
        var limits = HTTPLimits()
        limits.inlineBodyBytes = 4
        let client = try Client(
            FakeNode { _ in .results(CommandResult([])) }, documents: Self.documents,
            limits: limits, workshop: bodies.workshop, lookout: looks.workshop)
        let other = try Client(beside: client, sharesLoop: true)
        let body = #"["SELECT 1"]"#
        try client.send(
            "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                + body)
        try other.send("GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(bodies.count == 1)
        #expect(looks.count == 1)
        for (bench, client) in [(looks, other), (bodies, client)] {
            bench.doNext()
            client.channel.embeddedEventLoop.run()
            #expect(Client.answers(in: try client.output()).map(\.status) == [200])
        }
    }

    @Test func `Variables stand a module per line`() throws {
        #expect(
            try client().get("/debug/vars").body
                == "{\n\"cmdline\": [\"rqlited\",\"data\"],\n"
                + "\"store\": {\"a\": {\"c\": 0, \"d\": 1}, \"b\": 2}\n}\n")
        #expect(
            try client().get("/debug/vars?key=cmdline").body
                == "{\n\"cmdline\": [\"rqlited\",\"data\"]\n}\n")
        #expect(try client().get("/debug/vars?key=store.a").body == "{\n\n}\n")
        #expect(try client().request("POST", "/debug/vars", body: "").status == 200)
    }

    private static let reached = NodeDescription(
        id: NodeID("2"), apiURL: "http://localhost:4001", address: PeerAddress("localhost:4002"),
        version: "v10.2.7", isVoter: true, isReachable: true, isLeader: true,
        elapsed: .nanoseconds(18_200), error: nil)
    private static let unreached = NodeDescription(
        id: NodeID("1"), apiURL: nil, address: PeerAddress("localhost:4004"), version: "",
        isVoter: true, isReachable: false, isLeader: false, elapsed: nil,
        error: "connection refused")
    private static let reachedText =
        #"{"id":"2","api_addr":"http://localhost:4001","addr":"localhost:4002","#
        + #""version":"v10.2.7","voter":true,"reachable":true,"leader":true,"time":0.0000182,"#
        + #""time_s":"18.2µs"}"#
    private static let unreachedText =
        #"{"id":"1","addr":"localhost:4004","version":"","voter":true,"reachable":false,"#
        + #""leader":false,"error":"connection refused"}"#

    @Test func `Nodes as a map or a list, sorted by ID`() throws {
        let client = try client(.nodes([Self.reached, Self.unreached]))
        #expect(
            try client.get("/nodes").body
                == #"{"1":\#(Self.unreachedText),"2":\#(Self.reachedText)}"#)
        #expect(
            try client.get("/nodes?ver=2&nonvoters").body
                == #"{"nodes":[\#(Self.unreachedText),\#(Self.reachedText)]}"#)
        let asked = client.node.requests.map { request -> Bool? in
            guard case .nodes(let includeNonvoters) = request.operation else { return nil }
            return includeNonvoters
        }
        #expect(asked == [false, true])
        let nobody = try self.client(.nodes([]))
        #expect(try nobody.get("/nodes").body == "{}")
        #expect(try nobody.get("/nodes?ver=2").body == #"{"nodes":[]}"#)
        #expect(try self.client(.leader(Self.reached)).get("/leader").body == Self.reachedText)
    }

    @Test func `Every node that was reached has a time, the one that is asked too`() throws {
        var own = Self.reached
        own.elapsed = .zero
        let text = Self.reachedText.replacing("0.0000182", with: "0").replacing(
            "18.2µs", with: "0s")
        #expect(try client(.leader(own)).get("/leader").body == text)
        #expect(try client(.nodes([own])).get("/nodes").body == #"{"2":\#(text)}"#)
    }

    @Test func `Nodes of a store that is not open`() throws {
        let nodes = try client(.failed(.notReady("starting"))).get("/nodes")
        #expect(nodes.status == 503)
        #expect(nodes.body == "store nodes: store not open\n")
        let leader = try client(.failed(.notReady("starting"))).get("/leader")
        #expect(leader.status == 503)
        #expect(leader.body == "leader not found\n")
    }

    private static let leaderOK = "[+]node ok\n[+]leader ok"
    private static let storeOK = leaderOK + "\n[+]store ok"

    @Test func `Readiness, check by check`() throws {
        let table: [(Readiness, String, Int, String)] = [
            (.nodeOnly, "?noleader", 200, "[+]node ok"),
            (.ready(synced: false), "", 200, Self.storeOK + "\n[+]db ok"),
            (.ready(synced: true), "?sync", 200, Self.storeOK + "\n[+]sync ok\n[+]db ok"),
            (.noLeader(waitingFor: ""), "", 503, "[+]node ok\n[+]leader does not exist"),
            (
                .noLeader(waitingFor: "a leader: 2 of the 3 voters must reach each other"), "", 503,
                "[+]node ok\n[+]leader does not exist: 2 of the 3 voters must reach each other"
            ),
            (
                .noLeader(waitingFor: "waiting for 2 of 3 nodes"), "", 503,
                "[+]node ok\n[+]leader does not exist: waiting for 2 of 3 nodes"
            ),
            (
                .leaderUnreachable("refused"), "", 503,
                "[+]node ok\n[+]leader not contactable: refused"
            ),
            (.storeNotReady(""), "", 503, Self.leaderOK + "\n[+]store not ready"),
            (
                .notSynced("timeout waiting for commit index"), "?sync", 503,
                Self.storeOK + "\n[+]sync timeout waiting for commit index"
            ),
            (.databaseFailed("e"), "", 503, Self.storeOK + "\n[+]db not ok: (e)"),
            (
                .databaseFailed("e"), "?sync", 503,
                Self.storeOK + "\n[+]sync ok\n[+]db not ok: (e)"
            ),
        ]
        for (readiness, query, status, text) in table {
            let client = try client(.readiness(readiness))
            let answer = try client.get("/readyz" + query)
            #expect(answer.status == status)
            #expect(answer.body == text)
            #expect(answer.headers["content-type"] == "text/plain; charset=utf-8")
            guard case .readiness(let check)? = client.node.requests.last?.operation else {
                Issue.record("not asked for readiness")
                continue
            }
            #expect(check.nodeOnly == (query == "?noleader"))
            #expect(check.sync == (query == "?sync"))
        }
        let failed = try client(.failed(.noLeader(waitingFor: ""))).get("/readyz")
        #expect(failed.body == "[+]node ok\n[+]leader does not exist")
        #expect(failed.status == 503)
    }
}
