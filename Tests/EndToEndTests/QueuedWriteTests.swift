import Foundation
import Testing

/// Queued writes at three nodes.
@Suite(.serialized) struct QueuedWriteTests {
    private func count(_ node: Daemon) async throws -> Int? {
        try await node.client.rows("SELECT count(*) FROM t", level: "strong")[0][0].int
    }

    @Test func `Writes queued at any node are there when wait says so, and numbers grow`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(node, v)"])
        for node in cluster.nodes {
            var last = 0
            for value in 0..<50 {
                let body = Data("[[\"INSERT INTO t VALUES(?,?)\",\"\(node.id)\",\(value)]]".utf8)
                let answer = try await node.client.send("POST", "/db/execute?queue", body: body)
                let number = try #require(try answer.json()["sequence_number"].int)
                #expect(last == 0 || number == last + 1)
                last = number
            }
            let barrier = try await node.client.send(
                "POST", "/db/execute?queue&wait", body: Data("[]".utf8))
            #expect(try barrier.json()["sequence_number"].int == last + 1)
            let queue = try await node.client.get("/status?key=http.queue._default").json()
            #expect(queue["sequence_number"].int == last + 1)
            #expect(queue["max_size"].int == 1024)
            let order = try await node.client.rows(
                "SELECT v FROM t WHERE node = '\(node.id)' ORDER BY rowid", level: "strong")
            #expect(order.map { $0[0].int } == (0..<50).map { $0 })
        }
        #expect(try await count(leader) == 150)
    }

    @Test func `What is queued when a node is stopped is carried out`() async throws {
        let cluster = try TestCluster.joined(1, arguments: ["-write-queue-timeout=0s"])
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(v)"])
        for value in 0..<20 {
            let body = Data("[[\"INSERT INTO t VALUES(?)\",\(value)]]".utf8)
            _ = try await node.client.send("POST", "/db/execute?queue", body: body)
        }
        #expect(try await count(node) == 0)
        #expect(try await node.terminate() == 0)
        try cluster.start()
        try await node.waitUntilReady()
        #expect(try await count(node) == 20)
    }
}
