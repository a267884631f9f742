import Foundation
import JSON
import Raft
import Service
import Telemetry
import Testing
import Wire

@testable import HTTPAPI

/// Which path and method is answered by whom, before anything is executed.
@Suite struct RouteTests {
    private let client: Client

    init() throws { client = try Client(answering: .results(.oneInsert)) }

    @Test func `A write is passed on and its result comes back`() throws {
        let answer = try client.post("/db/execute", #"["INSERT INTO t VALUES(1)"]"#)
        #expect(answer.status == 200)
        #expect(answer.body == #"{"results":[{"last_insert_id":1,"rows_affected":1}]}"#)
        #expect(answer.headers["content-type"] == "application/json; charset=utf-8")
        #expect(answer.headers["x-rqlite-version"] == "v10.2.7")
        #expect(answer.headers["x-rqlite-served-by"] == "localhost:4001")
        #expect(answer.headers["access-control-allow-methods"] == "OPTIONS, GET, POST")
        #expect(answer.headers["access-control-allow-headers"] == "Content-Type")
        #expect(answer.headers["access-control-allow-origin"] == nil)
        #expect(client.node.lastCommand?.kind == .execute)
        #expect(client.node.lastCommand?.statements == [Statement("INSERT INTO t VALUES(1)")])
    }

    @Test func `The answer names the node that did the work`() throws {
        let node = FakeNode(servedBy: PeerAddress("node2:4002")) { _ in .results(.oneInsert) }
        let answer = try Client(node).post("/db/execute", #"["INSERT INTO t VALUES(1)"]"#)
        #expect(answer.headers["x-rqlite-served-by"] == "node2:4002")
    }

    @Test func `The allowed origin is told when one is set`() throws {
        let client = try Client(FakeNode { _ in nil }, allowOrigin: "https://example.com")
        let answer = try client.get("/nope")
        #expect(answer.headers["access-control-allow-origin"] == "https://example.com")
    }

    @Test(arguments: ["/db/execute", "/nowhere", "/status?timeout=x", "*"])
    func `OPTIONS is answered everywhere, before anything is checked`(target: String) throws {
        let answer = try client.request("OPTIONS", target)
        #expect(answer.status == 200)
        #expect(answer.body.isEmpty)
    }

    @Test(arguments: [
        ("GET", "/nowhere", 404), ("GET", "//db/query", 404), ("POST", "/join", 404),
        ("POST", "/notify", 404), ("GET", "/debug/pprof/", 404), ("GET", "/licensesX", 404),
        ("POST", "/bootX", 404), ("GET", "/leaderX", 404), ("GET", "/debug/varsX", 404),
        ("GET", "/db/execute", 405), ("HEAD", "/db/query", 405), ("PUT", "/db/query", 405),
        ("GET", "/db/request", 405), ("POST", "/db/backup", 405), ("GET", "/db/load", 405),
        ("DELETE", "/db/sql", 405), ("GET", "/boot", 405), ("GET", "/snapshot", 405),
        ("GET", "/reap", 405), ("POST", "/remove", 405), ("POST", "/status", 405),
        ("POST", "/nodes", 405), ("DELETE", "/leader", 405), ("POST", "/readyz", 405),
        ("HEAD", "/status", 405), ("POST", "/console/", 405),
    ])
    func `No such route, or not this method: an empty body`(
        method: String, target: String, status: Int
    ) throws {
        let answer = try client.request(method, target)
        #expect(answer.status == status)
        #expect(answer.body.isEmpty)
        // RFC 9110 §15.5.6: a 405 names what the path takes.
        let allowed = answer.headers["allow"]?.components(separatedBy: ", ") ?? []
        #expect(allowed.isEmpty == (status == 404))
        #expect(!allowed.contains(method))
        #expect(client.node.requests.isEmpty)
    }

    @Test(arguments: [
        "/db/execute", "/db/queryfoo", "/db/request/x?pretty", "http://host:4001/db/execute",
        "/db%2Fexecute",
    ])
    func `Paths match by their beginning, decoded`(target: String) throws {
        #expect(try client.post(target, #"["SELECT 1"]"#).status == 200)
        #expect(client.node.requests.count == 1)
    }

    @Test func `The root leads to the console`() throws {
        let root = try client.get("/")
        #expect(root.status == 302)
        #expect(root.headers["location"] == "/console/")
        #expect(root.headers["content-type"] == "text/html; charset=utf-8")
        #expect(root.body == "<a href=\"/console/\">Found</a>.\n\n")
        #expect(try client.request("POST", "/").body.isEmpty)
        let console = try client.get("/console")
        #expect(console.status == 301)
        #expect(console.headers["location"] == "/console/")
        let file = try client.get("/console/index.html")
        #expect(file.status == 404)
        #expect(file.body == "404 page not found\n")
    }

    @Test func `Requests are counted by route when they arrive`() throws {
        _ = try client.post("/db/execute", #"["a", "b"]"#)
        _ = try client.request("GET", "/db/execute")
        _ = try client.get("/db/query?q=SELECT%201")
        _ = try client.get("/status")
        let counted = JSONValue.object(metrics())["http"]
        #expect(counted?["executions"] == 2)
        #expect(counted?["execute_stmts_rx"] == 2)
        #expect(counted?["queries"] == 1)
        #expect(counted?["query_stmts_rx"] == 1)
        #expect(counted?["num_status"] == 1)
        #expect(counted?["num_readyz"] == 0)
    }

    private func metrics() -> [JSONValue.Member] { client.metrics.snapshot() }
}

/// What a route makes of the query string.
@Suite struct ParameterTests {
    private let client: Client

    init() throws { client = try Client(answering: .results(.oneInsert)) }

    @Test(arguments: [
        ("a=%ZZ", #"invalid URL escape "%ZZ""#), ("%4", #"invalid URL escape "%4""#),
        ("pretty&x=%", #"invalid URL escape "%""#), ("a;b", "invalid semicolon separator in query"),
        ("a;b&c=%ZZ", "invalid semicolon separator in query"),
        ("c=%ZZ&a;b", #"invalid URL escape "%ZZ""#),
        ("freshness_strict", "freshness_strict requires freshness"),
        ("freshness_strict&timeout=x", "freshness_strict requires freshness"),
        ("timeout=x&freshness=x", "timeout is not a valid duration"),
        ("timeout=5", "timeout is not a valid duration"),
        ("timeout", "timeout is not a valid duration"),
        ("db_timeout=x&freshness=x", "freshness is not a valid duration"),
        ("linearizable_timeout=x&db_timeout=x", "db_timeout is not a valid duration"),
        ("linearizable_timeout=x&retries=x", "linearizable_timeout is not a valid duration"),
        ("retries=x&trailing_logs=x", "retries is not a valid integer"),
        ("retries=1.5", "retries is not a valid integer"),
        ("trailing_logs=&q=", "trailing_logs is not a valid integer"),
        ("q=", "query parameter not set"), ("q", "query parameter not set"),
    ])
    func `A bad parameter is refused on every path`(query: String, text: String) throws {
        for path in ["/db/query", "/status", "/nowhere"] {
            let answer = try client.get("\(path)?\(query)")
            #expect(answer.status == 400)
            #expect(answer.body == text + "\n")
        }
        #expect(client.node.requests.isEmpty)
    }

    @Test func `Of a repeated parameter the first value counts, and names have a case`() throws {
        _ = try client.get("/db/query?q=one&q=two&Q=three&Timeout=x&unknown=%20")
        #expect(client.node.lastCommand?.statements == [Statement("one")])
    }

    @Test func `A query is decoded from the address`() throws {
        _ = try client.get("/db/query?q=SELECT+%27%C3%A4%27%2B1")
        #expect(client.node.lastCommand?.statements == [Statement("SELECT 'ä'+1")])
        #expect(client.node.lastCommand?.kind == .query)
    }

    @Test(arguments: [
        ("", ConsistencyLevel.weak), ("level=", .weak), ("level=bogus", .weak),
        ("level=none", .none), ("level=NONE", .none), ("level=weak", .weak),
        ("level=linearizable", .linearizable), ("level=Strong", .strong), ("level=auto", .auto),
    ])
    func `Levels`(query: String, level: ConsistencyLevel) throws {
        _ = try client.get("/db/query?q=x&\(query)")
        #expect(client.node.lastOptions?.level == level)
        _ = try client.post("/db/request?\(query)", #"["x"]"#)
        #expect(client.node.lastOptions?.level == level)
    }

    @Test func `Limits of a read`() throws {
        _ = try client.get("/db/query?q=x")
        #expect(client.node.lastOptions == ReadOptions())
        #expect(client.node.requests.last?.timeout == .seconds(30))
        _ = try client.get(
            "/db/query?q=x&freshness=1.5s&freshness_strict&db_timeout=2s&linearizable_timeout=3s"
                + "&timeout=4s&retries=-3")
        let options = try #require(client.node.lastOptions)
        #expect(options.freshness == Freshness(limit: .milliseconds(1500), strict: true))
        #expect(options.databaseTimeout == .seconds(2))
        #expect(options.linearizableTimeout == .seconds(3))
        #expect(client.node.requests.last?.timeout == .seconds(4))
        _ = try client.get("/db/query?q=x&freshness=0&db_timeout=-1s&linearizable_timeout=0")
        let zeros = try #require(client.node.lastOptions)
        #expect(zeros.freshness.limit == nil)
        #expect(zeros.databaseTimeout == nil)
        #expect(zeros.linearizableTimeout == .seconds(1))
        _ = try client.get("/db/query?q=x&freshness=-1s")
        #expect(client.node.lastOptions?.freshness.limit == .seconds(-1))
        _ = try client.post("/db/request?linearizable_timeout=5s", #"["x"]"#)
        #expect(client.node.lastOptions?.linearizableTimeout == .seconds(1))
    }

    @Test func `Flags of a command count by their presence`() throws {
        _ = try client.post("/db/request?transaction=false&qualify_columns=0", #"["x"]"#)
        #expect(client.node.lastCommand?.transaction == true)
        #expect(client.node.lastCommand?.qualifyColumns == true)
        #expect(client.node.requests.last?.forward == true)
        _ = try client.post("/db/execute?qualify_columns&redirect", #"["x"]"#)
        #expect(client.node.lastCommand?.transaction == false)
        #expect(client.node.lastCommand?.qualifyColumns == false)
        #expect(client.node.requests.last?.forward == false)
    }

    @Test func `A query without a text has no results`() throws {
        let answer = try client.get("/db/query")
        #expect(answer.status == 200)
        #expect(answer.body == #"{"results":[]}"#)
        #expect(answer.headers["x-rqlite-served-by"] == "localhost:4001")
        #expect(client.node.requests.isEmpty)
    }
}
