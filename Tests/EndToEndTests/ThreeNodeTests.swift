import Foundation
import Testing

/// Three nodes on loopback: they form, replicate, survive the loss of their leader.
@Suite(.serialized) struct ThreeNodeTests {
    @Test func `Three nodes with identical options form one cluster and all serve all`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement()
        _ = try await cluster.nodes[0].client.execute(["CREATE TABLE t(v)"])
        for (number, node) in cluster.nodes.enumerated() {
            let result = try await node.client.execute([["INSERT INTO t VALUES(?)", number]])
            #expect(result["results"][0]["rows_affected"].int == 1, "\(result)")
        }
        for node in cluster.nodes {
            for level in ["weak", "linearizable", "strong"] {
                let rows = try await node.client.rows("SELECT count(*) FROM t", level: level)
                #expect(rows[0][0].int == 3)
            }
        }
    }

    @Test func `After kill -9 of the leader every acknowledged write is there`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])
        for value in 0..<50 {
            _ = try await leader.client.execute([["INSERT INTO t VALUES(?)", value]])
        }
        leader.kill()
        let rest = cluster.nodes.filter { $0.id != leader.id }
        for node in rest {
            let rows = try await eventually("node \(node.id) finds the new leader") {
                try await node.client.rows("SELECT count(*) FROM t", level: "linearizable")
            }
            #expect(rows[0][0].int == 50)
        }
        let written = try await rest[0].client.execute([["INSERT INTO t VALUES(?)", 50]])
        #expect(written["results"][0]["rows_affected"].int == 1)
        try leader.start()
        try await leader.waitUntilReady()
        let rows = try await eventually("the old leader catches up") {
            let rows = try await leader.client.rows("SELECT count(*) FROM t", level: "none")
            return rows[0][0].int == 51 ? rows : nil
        }
        #expect(rows.count == 1)
    }

    @Test func `A fourth node joins through the HTTP address of a follower`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let fourth = Daemon(
            id: "4", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-join", "http://127.0.0.1:\(follower.httpPort)"])
        defer { fourth.kill() }
        try fourth.start()
        try await fourth.waitUntilReady()
        try await eventually("node 4 is promoted") {
            let nodes = try await leader.client.get("/nodes").json()
            return nodes["4"]["voter"].bool == true ? true : nil
        }
        #expect(try await fourth.client.rows("SELECT v FROM t", level: "none")[0][0].int == 1)
        let removed = try await fourth.client.send(
            "DELETE", "/remove", body: Data(#"{"id":"4"}"#.utf8))
        #expect(removed.status == 200)
        let nodes = try await leader.client.get("/nodes").json()
        #expect(nodes.members == ["1", "2", "3"])
    }

    @Test func `Defaults with clock and chance are the same on every node`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute([
            "CREATE TABLE t(v, at DEFAULT CURRENT_TIMESTAMP, r DEFAULT (random()))",
            "CREATE TABLE log(at, r)",
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN "
                + "INSERT INTO log VALUES(datetime('now'), randomblob(8)); END",
        ])
        for value in 0..<20 {
            _ = try await leader.client.execute([["INSERT INTO t(v) VALUES(?)", value]])
        }
        var seen: Set<String> = []
        for node in cluster.nodes {
            try await eventually("node \(node.id) has applied all") {
                try await node.client.rows("SELECT count(*) FROM log", level: "none")[0][0].int
                    == 20
                    ? true : nil
            }
            let answer = try await node.client.get(
                "/db/query?level=none&q=SELECT%20*%2Chex(l.r)%20FROM%20t%20JOIN%20log%20l%20"
                    + "ON%20l.rowid%3Dt.rowid")
            seen.insert(answer.text)
        }
        #expect(seen.count == 1)
    }

    @Test func `POST leader moves leadership to the node named`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let other = try #require(cluster.nodes.first { $0.id != leader.id })
        let answer = try await leader.client.send(
            "POST", "/leader?wait", body: Data(#"{"id":"\#(other.id)"}"#.utf8))
        #expect(answer.status == 200, "\(answer.text)")
        let next = try await cluster.waitForAgreement()
        #expect(next.id == other.id)
    }

    @Test func `A stopped leader hands over and nobody waits for an election`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        #expect(try await leader.terminate() == 0)
        #expect(leader.log.contains("stepping down as leader"))
        try await cluster.waitForAgreement(within: .seconds(5))
    }
}
