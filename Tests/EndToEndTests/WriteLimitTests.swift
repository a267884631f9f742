import Foundation
import Testing

/// Writes that could never be applied end as errors of their requests, by limits that all nodes share.
@Suite(.serialized) struct WriteLimitTests {
    private static func put(_ limits: [String: Int], to node: Daemon) async throws -> JSON {
        let answer = try await node.client.send(
            "PUT", "/db/limits", body: try JSONSerialization.data(withJSONObject: limits))
        guard answer.status == 200 else {
            throw UnexpectedStatus(status: answer.status, text: answer.text)
        }
        return try answer.json()
    }

    private static func error(_ sql: String, at node: Daemon) async throws -> String {
        let result = try await node.client.execute([sql])
        return result["results"][0]["error"].string ?? result["error"].string ?? ""
    }

    /// All nodes hold the same rows, and write on.
    private static func expectWriting(
        _ cluster: TestCluster, _ value: Int, _ count: Int
    ) async throws {
        for node in cluster.nodes {
            let result = try await node.client.execute([["INSERT INTO t VALUES(?)", value]])
            #expect(result["results"][0]["rows_affected"].int == 1, "\(result)")
        }
        for node in cluster.nodes {
            try await eventually("node \(node.id) has \(count) rows") {
                let rows = try await node.client.rows("SELECT count(*) FROM t", level: "none")
                return rows[0][0].int == count ? true : nil
            }
            #expect(try await node.client.get("/readyz").status == 200)
        }
    }

    @Test func `A write beyond a limit is an error on every node, and writing goes on`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement()
        let (one, two, three) = (cluster.nodes[0], cluster.nodes[1], cluster.nodes[2])
        let initial = try await one.client.get("/db/limits").json()
        #expect(initial["steps"].int == 1_000_000_000)
        let changed = try await Self.put(["growth": 4 << 20], to: two)
        #expect(changed["growth"].int == 4 << 20)
        #expect(changed["steps"].int == 1_000_000_000)
        #expect(try await three.client.get("/db/limits").json()["growth"].int == 4 << 20)

        _ = try await one.client.execute([
            "CREATE TABLE t(v)", "CREATE TABLE wide(b)", "CREATE TABLE fill(b)",
            "INSERT INTO wide WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE "
                + "x < 200) SELECT zeroblob(10000) FROM c",
        ])
        // A cross join that would fill the disk.
        let grown = try await Self.error(
            "INSERT INTO fill SELECT a.b FROM wide a, wide b, wide c", at: three)
        #expect(grown.contains("would grow by more than \(4 << 20) bytes"), "\(grown)")
        try await Self.expectWriting(cluster, 1, 3)
        // Its copy of the database finds no room.
        _ = try await Self.put(["temporary": 1 << 20], to: one)
        let vacuumed = try await Self.error("VACUUM", at: two)
        #expect(vacuumed.contains("\(1 << 20) bytes of temporary files"), "\(vacuumed)")
        try await Self.expectWriting(cluster, 2, 6)
        _ = try await Self.put(["temporary": 64 << 20], to: three)
        #expect(try await Self.error("VACUUM", at: two).isEmpty)

        // The write budget, lowered and raised while all run.
        let long =
            "INSERT INTO t WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE "
            + "x < 20000) SELECT x FROM c"
        _ = try await Self.put(["steps": 50_000], to: one)
        let spent = try await Self.error(long, at: two)
        #expect(spent.contains("needs more than 50000 steps"), "\(spent)")
        try await Self.expectWriting(cluster, 3, 9)
        _ = try await Self.put(["steps": 100_000_000], to: three)
        #expect(try await Self.error(long, at: one).isEmpty)
        try await Self.expectWriting(cluster, 4, 20_012)

        // They stay what they were through a restart, on every node.
        cluster.stop()
        try cluster.start()
        try await cluster.waitForAgreement()
        for node in cluster.nodes {
            let status = try await node.client.get("/status").json()["store"]["limits"]
            let shown = try await node.client.get("/db/limits").json()
            for limits in [status, shown] {
                #expect(limits["growth"].int == 4 << 20)
                #expect(limits["temporary"].int == 64 << 20)
                #expect(limits["steps"].int == 100_000_000)
            }
        }
    }
}
