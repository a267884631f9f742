import Foundation
import JSON
import ServerTesting
import Testing

/// What rqlite's users have in Consul: a token that may write the leader's entry, and nothing else.
@Suite struct ConsulRightsTests {
    private static let token = "for-the-entry-alone"

    @Test func `A token for the entry alone lets a cluster form, fail over and grow`() async throws
    {
        let double = try ConsulDouble()
        let rules: JSONValue = [
            "accessor": "rqlite", "rules": [["key": "rqlite/leader", "policy": "write"]],
        ]
        try double.control(
            "acl", ["default_policy": "deny", "tokens": .object([.init(Self.token, rules)])])
        let directory = try TestDirectory()
        let ports = try freePorts(8)
        let config = #"{"address":"\#(double.address)","token":"\#(Self.token)"}"#
        let nodes = (0..<4).map { number in
            Daemon(
                id: "\(number + 1)", httpPort: ports[2 * number], raftPort: ports[2 * number + 1],
                directory: directory.path,
                arguments: ["-disco-mode=consul-kv", "-disco-config", config])
        }
        let cluster = TestCluster(nodes, in: directory)
        defer { cluster.stop() }
        do {
            try await live(cluster)
        } catch {
            Issue.record("\(error)\n\(cluster.logs)")
        }
        #expect(try double.violations() == [])
        for node in nodes { #expect(!node.log.contains(Self.token)) }
    }

    private func live(_ cluster: TestCluster) async throws {
        for node in cluster.nodes[..<3] { try node.start() }
        let first = try await cluster.waitForAgreement()
        try await eventually("all three are voters") {
            let members = try await first.client.get("/nodes").json().members
            return members?.count == 3 ? true : nil
        }
        try await eventually("a node says that it writes no record") {
            let status = try await first.client.get("/status").json()["disco"]
            #expect(!"\(status)".contains(Self.token))
            return status["node_records_off"].string?.contains("lacks permission") == true
                ? true : nil
        }
        first.kill()
        let second = try await cluster.waitForAgreement()
        try cluster.nodes[3].start()
        try await cluster.nodes[3].waitUntilReady()
        try await eventually("the fourth is a member") {
            let members = try await second.client.get("/nodes").json()
            return members["4"]["voter"].bool == true ? true : nil
        }
    }
}
