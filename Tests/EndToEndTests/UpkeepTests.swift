import Foundation
import Testing

/// `-auto-vacuum-int` and `-auto-optimize-int` on real nodes.
@Suite(.serialized) struct UpkeepTests {
    private func count(_ name: String, of node: Daemon) async throws -> Int {
        try await node.client.get("/debug/vars?key=store").json()["store"][name].int ?? -1
    }

    private func lastVacuum(of node: Daemon) async throws -> String? {
        try await node.client.get("/status").json()["store"]["auto_vacuum"]["last_vacuum"].string
    }

    @Test func `The database shrinks by itself, and SQLite gets to know what is in it`()
        async throws
    {
        let cluster = try TestCluster.joined(
            1, arguments: ["-auto-vacuum-int", "1s", "-auto-optimize-int", "1s"])
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        try await eventually("an empty database is gone over twice", within: .seconds(60)) {
            try await count("num_auto_vacuums", of: node) > 1 ? true : nil
        }
        // ANALYZE would leave its tables in it.
        #expect(try await node.client.rows("SELECT 1 FROM sqlite_schema").isEmpty)
        _ = try await node.client.execute([
            "CREATE TABLE t(a, b)", "CREATE INDEX ta ON t(a)",
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
            INSERT INTO t SELECT i, randomblob(4000) FROM n
            """, "DELETE FROM t WHERE a > 10",
        ])
        try await eventually("statistics are there", within: .seconds(60)) {
            try await node.client.rows("SELECT stat FROM sqlite_stat1")[0][0].string == "10 1"
                ? true : nil
        }
        try await eventually("no page is free", within: .seconds(60)) {
            try await node.client.rows("PRAGMA freelist_count")[0][0].int == 0 ? true : nil
        }
        #expect(try await count("num_auto_vacuums_failed", of: node) == 0)
        #expect(try await count("num_auto_optimizes_failed", of: node) == 0)
        let store = try await node.client.get("/status").json()["store"]
        let last = try #require(store["auto_vacuum"]["last_vacuum"].string)
        let next = try #require(store["auto_vacuum"]["next_vacuum_after"].string)
        #expect(last < next)
        #expect(store["auto_optimize"]["last_optimize"].string != nil)
    }

    @Test func `Neither a new leader nor a restart does again what was done in this interval`()
        async throws
    {
        let cluster = try TestCluster.joined(
            3, arguments: ["-auto-vacuum-int", "24h", "-auto-optimize-int", "1s"])
        defer { cluster.stop() }
        try cluster.start()
        let first = try await cluster.waitForAgreement()
        _ = try await first.client.execute(["CREATE TABLE t(a)", "INSERT INTO t VALUES(1)"])
        let time = try await eventually("VACUUM was run", within: .seconds(60)) {
            try await lastVacuum(of: first)
        }
        for node in cluster.nodes {
            try await eventually("node \(node.id) has run it", within: .seconds(60)) {
                try await lastVacuum(of: node) == time ? true : nil
            }
        }
        try await first.terminate()
        let second = try await cluster.waitForAgreement()
        try await eventually("the new leader is at work", within: .seconds(60)) {
            try await count("num_auto_optimizes", of: second) > 1 ? true : nil
        }
        try first.start()
        try await first.waitUntilReady()
        for node in cluster.nodes {
            #expect(try await lastVacuum(of: node) == time, "node \(node.id)")
        }
        #expect(try await count("num_auto_vacuums", of: second) == 0)
    }

    @Test func `Without the flags there is nothing of it`() async throws {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.nodes[0].waitUntilReady()
        let store = try await cluster.nodes[0].client.get("/status").json()["store"]
        #expect(store["auto_vacuum"]["next_vacuum_after"].string == nil)
        #expect(try await count("num_auto_vacuums", of: cluster.nodes[0]) == 0)
    }
}
