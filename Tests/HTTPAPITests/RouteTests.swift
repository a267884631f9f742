import JSON
import Raft
import Service
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
}
