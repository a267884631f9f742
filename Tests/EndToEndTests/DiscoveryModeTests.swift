import Foundation
import Testing

/// What every way of finding each other must give: the same life of a cluster through each of them,
/// with real servers behind. All nodes have the same command line, but for ID and addresses.
@Suite(.serialized) struct DiscoveryModeTests {
    private static let possible = DiscoveryMode.all.filter { $0.hindrance() == nil }

    @Test(arguments: possible)
    func `Three nodes form, fail over, and take in a fourth and a read replica`(
        _ mode: DiscoveryMode
    ) async throws {
        let surroundings = try await mode.prepare(5)
        let cluster = try TestCluster(at: surroundings.places, prefix: surroundings.prefix) {
            surroundings.arguments
                + ($0 == 4 ? ["-raft-non-voter"] : ["-bootstrap-expect", "3"])
        }
        defer { cluster.stop() }
        do {
            try await live(cluster)
        } catch {
            Issue.record("\(mode.name): \(error)\n\(cluster.logs)")
        }
        withExtendedLifetime(surroundings) {}
    }

    private func live(_ cluster: TestCluster) async throws {
        for node in cluster.nodes[..<3] { try node.start() }
        let first = try await cluster.waitForAgreement()
        _ = try await first.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])

        first.kill()
        let second = try await cluster.waitForAgreement()
        #expect(second.id != first.id)
        _ = try await second.client.execute(["INSERT INTO t VALUES(2)"])

        // It can only know of the new leader through discovery.
        let fourth = cluster.nodes[3]
        try fourth.start()
        try await expectMember(fourth, isVoter: true, of: second)
        _ = try await fourth.client.execute(["INSERT INTO t VALUES(3)"])

        let replica = cluster.nodes[4]
        try replica.start()
        try await expectMember(replica, isVoter: false, of: second)

        // The one that was lost comes back with its own command line.
        try first.start()
        try await cluster.waitForAgreement()
        for node in cluster.nodes {
            try await eventually("node \(node.id) has all rows") {
                let rows = try await node.client.rows("SELECT v FROM t ORDER BY v", level: "none")
                return rows.compactMap { $0[0].int } == [1, 2, 3] ? true : nil
            }
        }
        for node in cluster.nodes { node.signal(SIGTERM) }
        for node in cluster.nodes { #expect(try await node.waitForExit() == 0) }
    }

    /// Waits until a node is ready and the leader lists it as it should be.
    private func expectMember(_ node: Daemon, isVoter: Bool, of leader: Daemon) async throws {
        try await node.waitUntilReady()
        try await eventually("node \(node.id) is listed, voter: \(isVoter)") {
            let members = try await leader.client.get("/nodes?nonvoters").json()
            return members[node.id]["voter"].bool == isVoter ? true : nil
        }
    }
}
