import Foundation
import Testing

/// Nodes of an earlier build that are replaced by this one's, one after the other, under load.
/// `scripts/upgrade-check` builds the earlier one and runs this.
@Suite(.serialized, .enabled(if: EarlierBuild.path != nil)) struct RollingUpgradeTests {
    /// The same node, run by another build.
    private static func node(_ node: Daemon, runBy executable: String) -> Daemon {
        Daemon(
            id: node.id, host: node.host, httpPort: node.httpPort, raftPort: node.raftPort,
            directory: URL(fileURLWithPath: node.dataDirectory).deletingLastPathComponent().path,
            arguments: node.arguments, prefix: node.prefix, executable: executable)
    }

    private static func build(of node: Daemon) async throws -> String? {
        try await node.client.get("/status").json()["build"]["commit"].string
    }

    @Test(.timeLimit(.minutes(15)))
    func `An earlier build's nodes roll over to this one under load, and no write is lost`()
        async throws
    {
        let old = try #require(EarlierBuild.path)
        let cluster = try TestCluster.joined(3)
        let before = cluster.nodes.map { Self.node($0, runBy: old) }
        defer {
            for node in before + cluster.nodes { node.kill() }
        }
        for node in before { try node.start() }
        let former = TestCluster(before, in: try TestDirectory())
        let leader = try await former.waitForAgreement()
        _ = try await leader.client.execute([SteadyLoad.table])
        let builds = try await Self.build(of: leader)

        let load = SteadyLoad(cluster.nodes, rate: 300)
        try await load.answer(1_000)
        for (earlier, later) in zip(before, cluster.nodes) {
            #expect(try await earlier.terminate() == 0, "\(earlier.log.suffix(2_000))")
            try later.start()
            try await later.waitUntilReady(within: .seconds(60))
            // Leaders of both builds, in turn, with followers of both.
            try await load.answer(1_000)
            let answer = try await later.client.send(
                "POST", "/leader", body: Data("{}".utf8), timeout: .seconds(20))
            #expect(answer.status < 500, "\(answer.text)")
            try await load.answer(500)
        }
        let report = try await load.stop()
        #expect(report.failures.isEmpty, "\(report.failures.prefix(5))\n\(cluster.logs)")
        try await cluster.waitForAgreement()
        for node in cluster.nodes {
            let rows = try await eventually("node \(node.id) has all rows") {
                let rows = try await node.client.rows(
                    "SELECT count(*), count(DISTINCT worker * 1000000 + seq) FROM load",
                    level: "none")
                return rows[0][0].int == report.latencies.count ? rows : nil
            }
            #expect(rows[0][1].int == report.latencies.count)
        }
        let now = try await Self.build(of: cluster.nodes[0])
        print(
            "rolled from \(builds ?? "?") to \(now ?? "?"): \(report.latencies.count) writes, "
                + "slowest \(report.slowest), failures \(report.failures.count)")
    }

    @Test(.timeLimit(.minutes(15)), arguments: [true, false])
    func `A node of either build joins a cluster of the other, and gets and writes its rows`(
        isClusterOld: Bool
    ) async throws {
        let old = try #require(EarlierBuild.path)
        let cluster = try TestCluster.joined(3)
        let directory = try TestDirectory()
        let newcomer = try cluster.another("4", in: directory)
        let nodes = (cluster.nodes + [newcomer]).enumerated().map { place, node in
            (place < 3) == isClusterOld ? Self.node(node, runBy: old) : node
        }
        defer {
            for node in nodes { node.kill() }
            withExtendedLifetime((cluster, directory)) {}
        }
        let founders = TestCluster(Array(nodes.prefix(3)), in: try TestDirectory())
        try founders.start()
        let leader = try await founders.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(a)", "INSERT INTO t VALUES(1),(2)"])
        try nodes[3].start()
        try await nodes[3].waitUntilReady(within: .seconds(60))
        _ = try await nodes[3].client.execute(["INSERT INTO t VALUES(3)"])
        for node in nodes {
            try await eventually("node \(node.id) has all rows") {
                let rows = try await node.client.rows("SELECT sum(a) FROM t", level: "none")
                return rows[0][0].int == 6 ? true : nil
            }
        }
    }
}

/// The daemon of an earlier commit, where the environment names one.
private enum EarlierBuild {
    static let path = ProcessInfo.processInfo.environment["OLD_RQLITED"]
}
