import Foundation
import Testing

/// Three nodes that know nothing but a name, and a real DNS server behind the system's resolver.
@Suite(.serialized, .enabled(if: Namespace.isPossible)) struct DNSClusterTests {
    static func cluster() throws -> (TestCluster, Namespace) {
        let namespace = try Namespace(nodes: 3, domain: "rqlite.test")
        let directory = try TestDirectory()
        let nodes = (0..<3).map { number in
            Daemon(
                id: "\(number + 1)", host: namespace.address(number), httpPort: 4001,
                raftPort: 4002, directory: directory.path,
                arguments: [
                    "-disco-mode=dns", #"-disco-config={"name":"rqlite.test"}"#,
                    "-bootstrap-expect", "3",
                ],
                prefix: namespace.prefix)
        }
        return (TestCluster(nodes, in: directory), namespace)
    }

    @Test func `Three identical command lines agree on one leader in less than 3 s`() async throws {
        let (cluster, namespace) = try Self.cluster()
        defer { cluster.stop() }
        let start = ContinuousClock.now
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let elapsed = ContinuousClock.now - start
        #expect(elapsed < stretched(.seconds(3)), "took \(elapsed)\n\(cluster.logs)")
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])
        let status = try await leader.client.get("/status").json()
        #expect(status["disco"]["mode"].string == "dns")
        #expect(namespace.address(0).hasPrefix("10."))
    }
}
