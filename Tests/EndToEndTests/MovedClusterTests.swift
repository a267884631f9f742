import Foundation
import Testing

/// Addresses are soft: all nodes are killed, and come back at other addresses and ports, with the
/// data they had.
@Suite(.serialized) struct MovedClusterTests {
    private static let count = 5
    private static let possible = DiscoveryMode.all.filter { $0.hindrance() == nil }

    @Test func `Five nodes find each other again through their new join list`() async throws {
        let before = try TestCluster.joined(Self.count, expect: 3)
        defer { before.stop() }
        let places = try DiscoveryMode.Place.onOwnLoopbackAddresses(Self.count)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        try await move(before) {
            before.moved(to: places, arguments: ["-bootstrap-expect", "3", "-join", list])
        }
    }

    @Test(arguments: possible)
    func `Five nodes find each other again through discovery`(_ mode: DiscoveryMode) async throws {
        let surroundings = try await mode.prepare(Self.count)
        let before = try TestCluster(at: surroundings.places, prefix: surroundings.prefix) { _ in
            surroundings.arguments + ["-bootstrap-expect", "3"]
        }
        defer { before.stop() }
        try await move(before) {
            guard let after = try await surroundings.move?() else {
                return before.moved(to: try DiscoveryMode.Place.onOwnLoopbackAddresses(Self.count))
            }
            return before.moved(to: after.places, prefix: after.prefix)
        }
        withExtendedLifetime(surroundings) {}
    }

    private func move(
        _ before: TestCluster, to moved: () async throws -> TestCluster
    ) async throws {
        try before.start()
        let leader = try await before.waitForAgreement()
        try await eventually("all are voters") {
            try await leader.client.get("/nodes").json().members?.count == Self.count ? true : nil
        }
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])
        for value in 1...20 {
            _ = try await leader.client.execute([["INSERT INTO t VALUES(?)", value]])
        }
        for node in before.nodes { node.kill() }
        let after = try await moved()
        defer { after.stop() }
        let start = ContinuousClock.now
        try after.start()
        let next = try await after.waitForAgreement()
        let elapsed = ContinuousClock.now - start
        print("moved cluster re-formed after \(elapsed)")
        #expect(elapsed < stretched(.seconds(5)), "\(after.logs)")
        let rows = try await next.client.rows("SELECT count(*) FROM t", level: "linearizable")
        #expect(rows[0][0].int == 20)
        try await eventually("the membership names the new addresses") {
            let members = try await next.client.get("/nodes").json()
            return after.nodes.allSatisfy {
                members[$0.id]["addr"].string == "\($0.host):\($0.raftPort)"
            } ? true : nil
        }
    }
}
