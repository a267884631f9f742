import Foundation
import Testing

/// Nodes that were away, or stood still, while the others went on.
@Suite(.serialized) struct LaggingNodeTests {
    /// Writes rows of some size, many to a request, so that the log is compacted behind them.
    private func fill(_ client: HTTPClient, rows: Range<Int>) async throws {
        for value in rows {
            let result = try await client.execute([
                [
                    "INSERT INTO t(v, pad) VALUES(?, ?)", value,
                    String(repeating: "x", count: 20_000),
                ]
            ])
            #expect(result["results"][0]["rows_affected"].int == 1, "\(result)")
        }
    }

    @Test func `A follower that is too far behind gets the database whole and goes on`()
        async throws
    {
        let cluster = try TestCluster.joined(
            3,
            arguments: [
                "-raft-snap", "32", "-raft-snap-int", "10ms", "-raft-snap-wal-size", "65536",
            ])
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v, pad, at DEFAULT CURRENT_TIMESTAMP)"]
        )
        let lagging = try #require(cluster.nodes.first { $0.id != leader.id })
        lagging.kill()
        try await fill(leader.client, rows: 0..<400)
        try lagging.start()
        try await lagging.waitUntilReady()
        try await eventually("node \(lagging.id) holds all rows") {
            let rows = try await lagging.client.rows("SELECT count(*) FROM t", level: "none")
            return rows[0][0].int == 400 ? true : nil
        }
        #expect(lagging.log.contains("snapshot installed"), "\(lagging.log.suffix(2000))")
        try await fill(leader.client, rows: 400..<420)
        lagging.kill()
        try lagging.start()
        try await lagging.waitUntilReady()
        try await eventually("node \(lagging.id) holds what came after the snapshot") {
            let rows = try await lagging.client.rows("SELECT count(*) FROM t", level: "none")
            return rows[0][0].int == 420 ? true : nil
        }
        let integrity = try await lagging.client.rows("PRAGMA integrity_check", level: "none")
        #expect(integrity.map { $0[0].string } == ["ok"])
    }

    @Test func `A read replica follows, answers reads and is no voter`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let replica = Daemon(
            id: "replica", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-raft-non-voter", "-join", "127.0.0.1:\(leader.raftPort)"])
        defer { replica.kill() }
        try replica.start()
        try await replica.waitUntilReady()
        #expect(try await replica.client.rows("SELECT v FROM t", level: "none")[0][0].int == 1)
        let written = try await replica.client.execute(["INSERT INTO t VALUES(2)"])
        #expect(written["results"][0]["rows_affected"].int == 1)
        let all = try await leader.client.get("/nodes?nonvoters").json()
        #expect(all["replica"]["voter"].bool == false)
        let voters = try await leader.client.get("/nodes").json()
        #expect(voters.members == ["1", "2", "3"])
    }

    @Test func `All nodes killed at once come back with everything`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])
        for value in 0..<20 {
            _ = try await leader.client.execute([["INSERT INTO t VALUES(?)", value]])
        }
        for node in cluster.nodes { node.kill() }
        try cluster.start()
        let next = try await cluster.waitForAgreement()
        let rows = try await next.client.rows("SELECT count(*) FROM t", level: "linearizable")
        #expect(rows[0][0].int == 20)
    }

    @Test func `A leader that stood still does not answer weak reads from the past`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let old = try await cluster.waitForAgreement()
        _ = try await old.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        old.signal(SIGSTOP)
        let rest = cluster.nodes.filter { $0.id != old.id }
        try await eventually("another leader takes a write") {
            let result = try await rest[0].client.execute(
                ["UPDATE t SET v = 2"], parameters: "?timeout=2s", timeout: .seconds(3))
            return result["results"][0]["rows_affected"].int == 1 ? true : nil
        }
        async let read = old.client.rows("SELECT v FROM t", level: "weak", timeout: .seconds(20))
        old.signal(SIGCONT)
        #expect(try await read[0][0].int == 2)
    }
}
