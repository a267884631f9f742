import Foundation
import Testing

/// The promises of rqlite's guide on automatic clustering, each by a test with its number; those
/// that need no registry. The command lines are the guide's, verbatim but for addresses.
@Suite(.serialized) struct GuidePromiseTests {
    /// Three nodes with the guide's flags: HTTP addresses in `-join`.
    private static func guided(
        _ count: Int = 3, listed: Int = 3, expect: [String] = ["3"]
    ) throws -> TestCluster {
        let places = try DiscoveryMode.Place.onLoopback(count)
        let list = places.prefix(listed).map { "http://\($0.host):\($0.httpPort)" }
            .joined(separator: ",")
        return try TestCluster(at: places) {
            ["-bootstrap-expect", expect[$0 % expect.count], "-join", list]
        }
    }

    private static func clusterIDs(_ nodes: [Daemon]) async throws -> Set<String> {
        var ids: Set<String> = []
        for node in nodes {
            let status = try await node.client.get("/status").json()
            ids.insert(status["store"]["cluster_id"].string ?? "none")
        }
        return ids
    }

    private static func expect(_ node: Daemon, toSay text: String) async throws {
        try await eventually("node \(node.id) says \(text)") {
            node.log.contains(text) ? true : nil
        }
    }

    @Test func `Promise 1: all nodes may be started at once, and none is special`() async throws {
        for absent in 0..<3 {
            let cluster = try Self.guided()
            defer { cluster.stop() }
            try cluster.start()
            try await cluster.waitForAgreement()
            #expect(try await Self.clusterIDs(cluster.nodes).count == 1)
            // Whichever of them is lost, the others go on.
            cluster.nodes[absent].kill()
            try await cluster.waitForAgreement()
        }
    }

    @Test func `Promise 2: bootstrapping waits for as many nodes as expected`() async throws {
        let cluster = try Self.guided()
        defer { cluster.stop() }
        for node in cluster.nodes[..<2] { try node.start() }
        for node in cluster.nodes[..<2] {
            try await Self.expect(node, toSay: "2 of 3 nodes seen: 1, 2")
            #expect(try await node.client.get("/readyz").status == 503)
        }
        #expect(try await Self.clusterIDs(Array(cluster.nodes[..<2])) == ["none"])
        try cluster.nodes[2].start()
        try await cluster.waitForAgreement()
        #expect(try await Self.clusterIDs(cluster.nodes).count == 1)
    }

    @Test func `Promise 2: a node that expects another number is refused, naming both`()
        async throws
    {
        let cluster = try Self.guided(expect: ["3", "3", "2"])
        defer { cluster.stop() }
        try cluster.start()
        try await Self.expect(
            cluster.nodes[0], toSay: "has -bootstrap-expect 2, this node has 3")
        #expect(try await Self.clusterIDs(Array(cluster.nodes[..<2])) == ["none"])
    }

    @Test func `Promise 3: more nodes join later with the same options`() async throws {
        let cluster = try Self.guided(5, listed: 3)
        defer { cluster.stop() }
        for node in cluster.nodes[..<3] { try node.start() }
        let leader = try await cluster.waitForAgreement()
        for node in cluster.nodes[3...] { try node.start() }
        try await cluster.waitForAgreement()
        try await eventually("all five are voters") {
            try await leader.client.get("/nodes").json().members?.count == 5 ? true : nil
        }
        #expect(try await Self.clusterIDs(cluster.nodes).count == 1)
    }

    @Test(
        .enabled(if: Namespace.isPossible), arguments: [DiscoveryMode.dns, .dnsSRV])
    func `Promises 5 and 6: a name in DNS stands for the list, a service for the ports too`(
        _ mode: DiscoveryMode
    ) async throws {
        let (cluster, surroundings) = try await Self.discovering(mode)
        defer { cluster.stop() }
        #expect(!cluster.nodes.contains { $0.arguments.contains { $0.hasPrefix("-join") } })
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let status = try await leader.client.get("/status").json()
        #expect(status["disco"]["mode"].string == mode.name)
        #expect(status["disco"]["last_addresses"].array?.count == 3)
        withExtendedLifetime(surroundings) {}
    }

    private static func discovering(
        _ mode: DiscoveryMode, _ count: Int = 3, config: String? = nil
    ) async throws -> (TestCluster, DiscoveryMode.Surroundings) {
        let surroundings = try await mode.prepare(count)
        var arguments = surroundings.arguments + ["-bootstrap-expect", "3"]
        if let config {
            arguments.removeAll { $0.hasPrefix("-disco-config") }
            arguments.append("-disco-config=\(config)")
        }
        let all = arguments
        let cluster = try TestCluster(at: surroundings.places, prefix: surroundings.prefix) { _ in
            all
        }
        return (cluster, surroundings)
    }

    @Test(arguments: [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
    func `Promise 9: nodes are started in any order and at any time`(
        order: [Int]
    ) async throws {
        let cluster = try Self.guided()
        defer { cluster.stop() }
        try cluster.nodes[order[0]].start()
        try await Self.expect(cluster.nodes[order[0]], toSay: "1 of 3 nodes seen")
        try cluster.nodes[order[1]].start()
        try await Self.expect(cluster.nodes[order[1]], toSay: "2 of 3 nodes seen")
        // One that was there is away again before the last one comes.
        cluster.nodes[order[0]].kill()
        try await Self.expect(cluster.nodes[order[1]], toSay: "1 of 3 nodes seen")
        try cluster.nodes[order[2]].start()
        try cluster.nodes[order[0]].start()
        try await cluster.waitForAgreement()
        #expect(try await Self.clusterIDs(cluster.nodes).count == 1)
    }

    @Test(.enabled(if: Namespace.isPossible))
    func `Promise 15: the configuration is JSON, or the path of a file with JSON`() async throws {
        let directory = try TestDirectory()
        let path = "\(directory.path)/disco.json"
        try #"{"name": "rqlite.test"}"#.write(toFile: path, atomically: true, encoding: .utf8)
        let (cluster, surroundings) = try await Self.discovering(.dns, config: path)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement()
        withExtendedLifetime(surroundings) {}

        let absent = Daemon(
            id: "1", httpPort: 4001, raftPort: 4002, directory: directory.path,
            arguments: [
                "-bootstrap-expect", "3", "-disco-mode", "dns", "-disco-config", "\(path).not",
            ])
        try absent.start()
        #expect(try await absent.waitForExit() == 1)
        #expect(absent.log.contains("\(path).not"), "\(absent.log)")
    }

    @Test(.enabled(if: Namespace.isPossible))
    func `Promise 17: several clusters in one DNS have a name each`() async throws {
        let namespace = try Namespace(nodes: 6, domain: "unused.test")
        try namespace.serve(
            0..<6,
            options: (0..<6).map {
                "--host-record=\($0 < 3 ? "blue" : "green").test,\(namespace.address($0))"
            })
        let directory = try TestDirectory()
        let nodes = (0..<6).map { number in
            Daemon(
                id: "\(number + 1)", host: namespace.address(number), httpPort: 4001,
                raftPort: 4002, directory: directory.path,
                arguments: [
                    "-disco-mode=dns",
                    #"-disco-config={"name":"\#(number < 3 ? "blue" : "green").test"}"#,
                    "-bootstrap-expect", "3",
                ], prefix: namespace.prefix)
        }
        let blue = TestCluster(Array(nodes[..<3]), in: directory)
        let green = TestCluster(Array(nodes[3...]), in: directory)
        defer { blue.stop() }
        defer { green.stop() }
        try blue.start()
        try green.start()
        try await blue.waitForAgreement()
        try await green.waitForAgreement()
        let (one, other) = (
            try await Self.clusterIDs(blue.nodes), try await Self.clusterIDs(green.nodes)
        )
        #expect(one.count == 1 && other.count == 1 && one.isDisjoint(with: other))
    }

    @Test func `Promise 18: the first to know of enough nodes forms the cluster at once`()
        async throws
    {
        let cluster = try Self.guided()
        defer { cluster.stop() }
        for node in cluster.nodes[..<2] { try node.start() }
        for node in cluster.nodes[..<2] {
            try await Self.expect(node, toSay: "2 of 3 nodes seen: 1, 2")
        }
        let start = ContinuousClock.now
        try cluster.nodes[2].start()
        try await cluster.waitForAgreement()
        let elapsed = ContinuousClock.now - start
        #expect(elapsed < stretched(.milliseconds(1_200)), "took \(elapsed)\n\(cluster.logs)")
    }

    @Test func `Promise 19: only one node bootstraps, the others follow it`() async throws {
        let cluster = try Self.guided(5, listed: 5)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        #expect(try await Self.clusterIDs(cluster.nodes).count == 1)
        let leaders = cluster.nodes.filter { $0.log.contains("is now Leader") }
        #expect(leaders.count == 5)
        for node in cluster.nodes where node.id != leader.id {
            let status = try await node.client.get("/status").json()
            #expect(status["store"]["raft"]["state"].string == "Follower", "\(status["store"])")
        }
    }

    @Test(.enabled(if: Namespace.isPossible))
    func `Promise 22: addresses are used once there are as many as expected`() async throws {
        let (cluster, namespace) = try DNSClusterTests.cluster()
        defer { cluster.stop() }
        try namespace.serve(0..<2)
        try cluster.start()
        try await Self.expect(cluster.nodes[0], toSay: "needs 3 addresses, 2 listed")
        #expect(try await Self.clusterIDs(cluster.nodes) == ["none"])
        try namespace.serve(0..<3)
        try await cluster.waitForAgreement()
    }
}
