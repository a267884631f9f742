import Foundation
import JSON
import Testing

/// Nodes that announce themselves by multicast DNS on a link that has IPv6 alone.
@Suite(.serialized, .enabled(if: Namespace.isPossible)) struct MulticastFormationTests {
    @Test func `Nodes find each other on a link without IPv4, and one that joins later`()
        async throws
    {
        let namespace = try Namespace(nodes: 4, domain: "rqlite.test")
        for command in [
            ["link", "add", "six", "type", "veth", "peer", "name", "seven"],
            ["link", "set", "seven", "up"], ["link", "set", "six", "up"],
        ] + (0..<4).map({ ["addr", "add", "\(address($0))/64", "dev", "six", "nodad"] }) {
            try run(["ip", "-6", "-n", namespace.name] + command)
        }
        let configuration: JSONValue = ["interface": "six", "window": "300ms", "announce": true]
        let directory = try TestDirectory()
        let nodes = (0..<4).map { number in
            Daemon(
                id: "\(number + 1)", host: namespace.address(number), httpPort: 4001,
                raftPort: 4002, directory: directory.path,
                arguments: [
                    "-raft-addr", "[\(address(number))]:4002", "-bootstrap-expect", "3",
                    "-disco-mode=mdns", "-disco-config", configuration.text(),
                ], prefix: namespace.prefix)
        }
        let cluster = TestCluster(nodes, in: directory)
        defer { cluster.stop() }
        for node in nodes.prefix(3) { try node.start() }
        try await cluster.waitForAgreement()
        try nodes[3].start()
        let leader = try await cluster.waitForAgreement()
        let members = try await leader.client.get("/nodes").json()
        for node in nodes { #expect(members[node.id]["id"].string == node.id) }
    }

    private func address(_ node: Int) -> String { "fd00:7272::\(11 + node)" }
}
