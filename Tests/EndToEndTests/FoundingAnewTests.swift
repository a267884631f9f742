import Foundation
import Testing

/// All disks are wiped and the registry is kept, as `compose down -v` leaves them.
@Suite(.serialized) struct FoundingAnewTests {
    private func wiped(_ arguments: [String]) async throws -> (RegistryCluster, old: String?) {
        let three = try RegistryCluster(
            1...3, expect: 3, registry: DirectoryRegistry(), in: TestDirectory(),
            arguments: arguments)
        try three.cluster.start()
        try await three.waitForOneCluster()
        let old = try three.registry.entry()["cluster"].string
        for node in three.nodes { node.kill() }
        for node in three.nodes { try FileManager.default.removeItem(atPath: node.dataDirectory) }
        return (three, old)
    }

    @Test func `Nodes that lost their data wait, and say at once which command heals it`()
        async throws
    {
        let (three, old) = try await wiped([])
        defer { three.cluster.stop() }
        try three.cluster.start()
        let cluster = try #require(old)
        for node in three.nodes {
            try await eventually("the whole command is in /readyz") {
                let text = try await node.client.get("/readyz").text
                return text.contains("rqlited disco clear -disco-mode")
                    && text.contains("--expect ") && text.contains(cluster) ? true : nil
            }
        }
        #expect(try three.registry.entry()["cluster"].string == cluster)
    }

    @Test func `With -bootstrap-anew they found one cluster when all are there, and not before`()
        async throws
    {
        let (three, old) = try await wiped(["-bootstrap-anew"])
        defer { three.cluster.stop() }
        for node in three.nodes[..<2] { try node.start() }
        for node in three.nodes[..<2] {
            try await eventually("it waits for the third") {
                try await node.client.get("/readyz").text.contains(":\(three.nodes[2].raftPort):")
                    ? true : nil
            }
        }
        #expect(try three.registry.entry()["cluster"].string == old)
        try three.nodes[2].start()
        try await three.waitForOneCluster()
        let new = try three.registry.entry()["cluster"].string
        #expect(new != nil && new != old)
    }
}
