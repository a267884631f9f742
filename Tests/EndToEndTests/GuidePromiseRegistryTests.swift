import Foundation
import Testing

/// The promises of rqlite's guide on automatic clustering that are about Consul and etcd, each by a
/// test with its number, with a real etcd and the double of Consul behind.
@Suite(.serialized) struct GuidePromiseRegistryTests {
    typealias Kind = RegistryServer.Kind

    /// Nodes that know the registry and nothing else.
    private static func nodes(
        _ count: Int, _ registry: RegistryServer, key: String = "rqlite"
    ) throws -> TestCluster {
        try TestCluster(at: DiscoveryMode.Place.onLoopback(count)) { _ in
            registry.arguments(key: key)
        }
    }

    /// Waits until the entry names the node, and says how long that took.
    @discardableResult
    private static func expectEntry(
        of node: Daemon, in registry: RegistryServer, key: String = "rqlite",
        within limit: Duration = .seconds(10)
    ) async throws -> RegistryServer.Leader {
        try await eventually("the entry names node \(node.id)", within: limit) {
            let leader = try await registry.leader(key)
            return leader?.entry["id"].string == node.id ? leader : nil
        }
    }

    private static func expectVoters(_ count: Int, of node: Daemon) async throws {
        try await eventually("\(count) nodes are members") {
            try await node.client.get("/nodes").json().members?.count == count ? true : nil
        }
    }

    @Test(arguments: Kind.allCases)
    func `Promises 8, 9 and 12: no address of another node is needed, and no order`(
        kind: Kind
    ) async throws {
        let registry = try RegistryServer.start(kind)
        let cluster = try Self.nodes(3, registry)
        defer { cluster.stop() }
        try cluster.nodes[2].start()
        try await cluster.nodes[2].waitUntilReady()
        try cluster.nodes[0].start()
        try cluster.nodes[1].start()
        let leader = try await cluster.waitForAgreement()
        try await Self.expectVoters(3, of: leader)
        #expect(!cluster.nodes[0].log.contains("bootstrap agreed"), "\(cluster.logs)")
    }

    @Test(arguments: Kind.allCases)
    func `Promises 10 and 13: the entry follows the leader, and later nodes join through it`(
        kind: Kind
    ) async throws {
        let registry = try RegistryServer.start(kind)
        let cluster = try Self.nodes(4, registry)
        defer { cluster.stop() }
        for node in cluster.nodes[..<3] { try node.start() }
        let first = try await cluster.waitForAgreement()
        try await Self.expectVoters(3, of: first)
        try await Self.expectEntry(of: first, in: registry)
        first.kill()
        let second = try await cluster.waitForAgreement()
        try await Self.expectEntry(of: second, in: registry, within: .seconds(1))
        // The node that was there first is gone: it can only have come by the new entry.
        try cluster.nodes[3].start()
        try await cluster.nodes[3].waitUntilReady()
        try await Self.expectVoters(4, of: second)
    }

    @Test(arguments: [DiscoveryMode.consulKVSecured])
    func `Promise 16: all of a mode can be configured, TLS and credentials too`(
        _ mode: DiscoveryMode
    ) async throws {
        let surroundings = try await mode.prepare(2)
        let cluster = try TestCluster(at: surroundings.places, prefix: surroundings.prefix) { _ in
            surroundings.arguments
        }
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        try await Self.expectVoters(2, of: leader)
        withExtendedLifetime(surroundings) {}
    }

    @Test(arguments: Kind.allCases)
    func `Promise 17: clusters with keys of their own in one registry never meet`(
        kind: Kind
    ) async throws {
        let registry = try RegistryServer.start(kind)
        let blue = try Self.nodes(2, registry, key: "blue")
        let green = try Self.nodes(2, registry, key: "green")
        defer { blue.stop() }
        defer { green.stop() }
        try blue.start()
        try green.start()
        for cluster in [blue, green] {
            try await Self.expectVoters(2, of: try await cluster.waitForAgreement())
        }
        let one = try await registry.leader("blue")?.entry["cluster"].string
        let other = try await registry.leader("green")?.entry["cluster"].string
        #expect(one != nil && other != nil && one != other)
    }

    @Test(arguments: Kind.allCases)
    func `Promise 20: the leader sets its HTTP URL`(kind: Kind) async throws {
        let registry = try RegistryServer.start(kind)
        let cluster = try Self.nodes(1, registry)
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        let entry = try await Self.expectEntry(of: node, in: registry).entry
        #expect(entry["api_addr"].string == "http://127.0.0.1:\(node.httpPort)")
        #expect(entry["addr"].string == "127.0.0.1:\(node.raftPort)")
    }

    @Test(arguments: Kind.allCases)
    func `Promise 21: an update checks before it sets, so no other's entry is overwritten`(
        kind: Kind
    ) async throws {
        let registry = try RegistryServer.start(kind)
        let cluster = try Self.nodes(3, registry)
        defer { cluster.stop() }
        try cluster.start()
        let first = try await cluster.waitForAgreement()
        try await Self.expectVoters(3, of: first)
        try await Self.expectEntry(of: first, in: registry)
        // Somebody else's cluster comes to stand there: every leader leaves it alone.
        let rival = #"""
            {"id":"x","api_addr":"http://192.0.2.1:4001","addr":"192.0.2.1:4002",\#
            "cluster":"0123456789abcdef0123456789abcdef","state":"formed",\#
            "nonce":"0123456789abcdef0123456789abcdef"}
            """#
        try await registry.overwrite("rqlite", rival)
        let written = try #require(try await registry.leader("rqlite"))
        try await eventually("the leader warns of the other cluster") {
            first.log.contains("0123456789abcdef0123456789abcdef") ? true : nil
        }
        first.kill()
        let second = try await cluster.waitForAgreement()
        try await eventually("the next leader warns too") {
            second.log.contains("0123456789abcdef0123456789abcdef") ? true : nil
        }
        #expect(try await registry.leader("rqlite")?.revision == written.revision)
        _ = try await second.client.execute(["CREATE TABLE t(v)"])
    }
}
