import Foundation
import Testing

/// Nodes that are restarted one after the other under load.
@Suite(.serialized) struct RollingRestartTests {
    @Test(.timeLimit(.minutes(15)))
    func `A rolling restart under 1,000 writes a second fails no request`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute([SteadyLoad.table])
        let load = SteadyLoad(cluster.nodes, rate: 1_000)
        for node in cluster.nodes {
            try await load.answer(2_000)
            #expect(try await node.terminate() == 0, "\(node.log.suffix(2_000))")
            try node.start()
            try await node.waitUntilReady()
        }
        try await load.answer(1_000)
        let report = try await load.stop()
        print(
            "rolling restart: \(report.latencies.count) writes, median "
                + "\(report.percentile(0.5)), p99 \(report.percentile(0.99)), "
                + "slowest \(report.slowest), failures \(report.failures.count)")
        #expect(report.failures.isEmpty, "\(report.failures.prefix(5))\n\(cluster.logs)")
        #expect(report.slowest < stretched(.milliseconds(1_500)))
        let rows = try await cluster.nodes[0].client.rows(
            "SELECT count(*), count(DISTINCT worker * 1000000 + seq) FROM load",
            level: "linearizable")
        #expect(rows[0][0].int == report.latencies.count)
        #expect(rows[0][1].int == report.latencies.count)
        for node in cluster.nodes {
            try await eventually("node \(node.id) finds nothing wrong") { () -> Bool? in
                let troubles = try await node.client.get("/status").json()["store"]["troubles"]
                guard troubles.array?.isEmpty == true else {
                    throw UnexpectedStatus(status: 0, text: "\(troubles)")
                }
                return true
            }
        }
    }
}
