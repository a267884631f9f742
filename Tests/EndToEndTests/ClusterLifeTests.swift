import Foundation
import Testing

/// A cluster that grows and shrinks, and nodes that wait for one.
@Suite(.serialized) struct ClusterLifeTests {
    private static func waitForVoters(_ count: Int, at node: Daemon) async throws {
        try await eventually("\(count) nodes vote") { () -> Bool? in
            let nodes = try await node.client.get("/nodes").json()
            let ids = nodes.members ?? []
            let voters = ids.filter { nodes[$0]["voter"].bool == true }
            return ids.count == count && voters.count == count ? true : nil
        }
    }

    @Test func `One node becomes three, five and three again with the flags unchanged`()
        async throws
    {
        let directory = try TestDirectory()
        let ports = try freePorts(10)
        let nodes = (0..<5).map { number in
            Daemon(
                id: "\(number + 1)", httpPort: ports[2 * number], raftPort: ports[2 * number + 1],
                directory: directory.path,
                arguments: ["-bootstrap-expect", "1", "-join", "127.0.0.1:\(ports[1])"])
        }
        defer { for node in nodes { node.kill() } }
        try nodes[0].start()
        try await nodes[0].waitUntilReady()
        _ = try await nodes[0].client.execute(["CREATE TABLE t(v)"])
        for size in [3, 5] {
            for node in nodes[..<size] where !node.isRunning {
                try node.start()
                try await node.waitUntilReady()
            }
            try await Self.waitForVoters(size, at: nodes[0])
            _ = try await nodes[size - 1].client.execute([["INSERT INTO t VALUES(?)", size]])
        }
        // The first two leave, the leader among them.
        for node in nodes[..<2] {
            let removed = try await nodes[4].client.send(
                "DELETE", "/remove", body: Data(#"{"id":"\#(node.id)"}"#.utf8))
            #expect(removed.status == 200, "\(removed.text)")
            #expect(try await node.terminate() == 0)
        }
        try await TestCluster(Array(nodes[2...]), in: directory).waitForAgreement()
        try await Self.waitForVoters(3, at: nodes[4])
        let rows = try await nodes[2].client.rows("SELECT v FROM t ORDER BY v", level: "strong")
        #expect(rows.map { $0[0].int } == [3, 5])
    }

    @Test func `In a cluster of two the error itself says what is missing and what to do`()
        async throws
    {
        let cluster = try TestCluster.joined(2)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement()
        let (left, lost) = (cluster.nodes[0], cluster.nodes[1])
        lost.kill()
        let explanation =
            "this cluster has two voters and needs both, and node \(lost.id) at "
            + "127.0.0.1:\(lost.raftPort) can't be reached"
        let text = try await eventually("the node knows that it leads nobody") { () -> String? in
            let answer = try await left.client.send(
                "POST", "/db/execute?timeout=300ms", body: Data(#"["CREATE TABLE t(v)"]"#.utf8))
            return answer.status == 503 ? answer.text : nil
        }
        #expect(text.hasPrefix("leader not found"), "\(text)")
        #expect(text.contains(explanation), "\(text)")
        #expect(text.contains("rqlited recover --force"), "\(text)")
        let ready = try await left.client.get("/readyz")
        #expect(ready.text.contains(explanation), "\(ready.text)")
        try lost.start()
        try await cluster.waitForAgreement()
    }

    @Test func `A node without state gives up in time, one with state never`() async throws {
        let dead = try freePorts(1)[0]
        let directory = try TestDirectory()
        func node(_ id: String, _ arguments: String...) throws -> Daemon {
            let ports = try freePorts(2)
            return Daemon(
                id: id, httpPort: ports[0], raftPort: ports[1], directory: directory.path,
                arguments: arguments)
        }
        let joiner = try node(
            "joiner", "-join", "127.0.0.1:\(dead)", "-join-attempts", "2", "-join-interval",
            "100ms")
        try joiner.start()
        #expect(try await joiner.waitForExit() == 1)
        #expect(joiner.log.contains("clustering failure: "), "\(joiner.log)")
        let founder = try node(
            "founder", "-join", "127.0.0.1:\(dead),127.0.0.1:\(dead + 1),127.0.0.1:\(dead + 2)",
            "-bootstrap-expect", "3", "-bootstrap-expect-timeout", "500ms")
        try founder.start()
        #expect(try await founder.waitForExit() == 1)
        #expect(founder.log.contains("clustering failure: "), "\(founder.log)")

        let limit = ["-bootstrap-expect-timeout", "3s", "-join-attempts", "1"]
        let cluster = try TestCluster.joined(3, arguments: limit)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        cluster.stop()
        try leader.start()
        let start = ContinuousClock.now
        try await eventually("its limits are long over") { () -> Bool? in
            let ready = try await leader.client.get("/readyz")
            guard ready.text.contains("2 of the 3 voters must reach each other") else {
                return nil
            }
            return ContinuousClock.now - start > .seconds(4) ? true : nil
        }
        #expect(leader.isRunning)
        #expect(try await leader.client.rows("SELECT v FROM t", level: "none")[0][0].int == 1)
        for other in cluster.nodes where other.id != leader.id { try other.start() }
        try await cluster.waitForAgreement()
    }
}
