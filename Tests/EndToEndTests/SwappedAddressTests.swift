import Foundation
import Testing

/// Members that come back at each other's addresses, with the join list they had: everybody answers
/// somewhere, and nobody where the others take him to be.
@Suite(.serialized) struct SwappedAddressTests {
    @Test(arguments: [[1, 0, 2], [2, 1, 0], [0, 2, 1], [1, 2, 0], [2, 0, 1]])
    func `Three nodes find each other after any permutation, and all take writes`(
        places: [Int]
    ) async throws {
        let before = try TestCluster.joined(3)
        defer { before.stop() }
        try before.start()
        let leader = try await before.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])
        for node in before.nodes { node.kill() }

        let after = before.moved(
            to: places.map { place in
                let node = before.nodes[place]
                return .init(host: node.host, httpPort: node.httpPort, raftPort: node.raftPort)
            })
        defer { after.stop() }
        try after.start()
        try await after.waitForAgreement()
        // Each hands its write to the leader and hears that it was applied.
        for node in after.nodes {
            _ = try await node.client.execute([["INSERT INTO t VALUES(?)", node.id]])
        }
        for node in after.nodes {
            try await eventually("node \(node.id) has all rows") {
                let rows = try await node.client.rows("SELECT count(*) FROM t", level: "none")
                return rows[0][0].int == 3 ? true : nil
            }
        }
        try await eventually("the membership names the new addresses") {
            let members = try await after.nodes[0].client.get("/nodes").json()
            return after.nodes.allSatisfy {
                members[$0.id]["addr"].string == "\($0.host):\($0.raftPort)"
            } ? true : nil
        }
    }
}
