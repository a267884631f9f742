import Foundation
import Testing

/// Nodes that are told names, not addresses: a name counts once for each address it leads to, in
/// either family, and however long its servers take to say so.
@Suite(.serialized, .enabled(if: Namespace.isPossible)) struct NamedFormationTests {
    private func cluster(
        _ namespace: Namespace, _ arguments: [String],
        host: (Int) -> String, prefix: (Int) throws -> [String]
    ) throws -> TestCluster {
        let directory = try TestDirectory()
        let nodes = try (0..<3).map { number in
            Daemon(
                id: "\(number + 1)", host: host(number), httpPort: 4001, raftPort: 4002,
                directory: directory.path, arguments: arguments, prefix: try prefix(number))
        }
        return TestCluster(nodes, in: directory)
    }

    /// The cluster's ID as each node has it.
    private func clusters(_ cluster: TestCluster) async throws -> Set<String> {
        var found: Set<String> = []
        for node in cluster.nodes {
            let status = try await node.client.get("/status", timeout: .seconds(2)).json()
            found.insert(status["store"]["cluster_id"].string ?? "none")
        }
        return found
    }

    @Test(arguments: [1, 2, 3])
    func `A name in the file of hosts that leads to the node itself first is all three nodes`(
        expect: Int
    ) async throws {
        let namespace = try Namespace(nodes: 3, domain: "rqlite.test")
        let cluster = try cluster(
            namespace, ["-bootstrap-expect", "\(expect)", "-join", "http://svc:4001"],
            host: { namespace.address($0) },
            prefix: { own in
                let order = [own] + (0..<3).filter { $0 != own }
                let hosts = order.map { "\(namespace.address($0)) svc\n" }.joined()
                return try namespace.prefix(hosts: hosts, for: own)
            })
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement()
        #expect(try await clusters(cluster).count == 1, "\(cluster.logs)")
    }

    @Test(arguments: ["IPv4", "IPv6", "mixed"], [false, true])
    func `A name with addresses of two families forms as one with one`(
        family: String, isDiscovered: Bool
    ) async throws {
        let namespace = try Namespace(nodes: 3, domain: "rqlite.test")
        try namespace.addVersion6(nodes: 3)
        try namespace.serve(0..<3, isDual: true)
        let hosts = (0..<3).map {
            "\(namespace.address6($0)) svc\n\(namespace.address($0)) svc\n"
        }.joined()
        let way =
            isDiscovered
            ? ["-disco-mode=dns", #"-disco-config={"name":"rqlite.test"}"#] : ["-join", "svc:4002"]
        let directory = try TestDirectory()
        let nodes = try (0..<3).map { number in
            let isVersion6 = family == "IPv6" || family == "mixed" && number > 0
            let own =
                isVersion6
                ? "[\(namespace.address6(number))]:4002" : "\(namespace.address(number)):4002"
            return Daemon(
                id: "\(number + 1)", host: namespace.address(number), httpPort: 4001,
                raftPort: 4002, directory: directory.path,
                arguments: ["-raft-addr", own, "-bootstrap-expect", "3"] + way,
                prefix: try namespace.prefix(hosts: hosts, for: number))
        }
        let cluster = TestCluster(nodes, in: directory)
        defer { cluster.stop() }
        let start = ContinuousClock.now
        try cluster.start()
        try await cluster.waitForAgreement()
        let elapsed = ContinuousClock.now - start
        #expect(elapsed < stretched(.seconds(4)), "took \(elapsed)\n\(cluster.logs)")
    }

    @Test func `Names whose server takes half a second, or three, form a cluster all the same`()
        async throws
    {
        for (delay, search) in [(500, "search one.test two.test three.test\n"), (3_000, "")] {
            let namespace = try Namespace(nodes: 3, domain: "rqlite.test")
            try namespace.delayAnswers(by: delay, search: search)
            let list = (1...3).map { "node-\($0).rqlite.test:4002" }.joined(separator: ",")
            let cluster = try cluster(
                namespace, ["-bootstrap-expect", "3", "-join", list],
                host: { namespace.address($0) }, prefix: { _ in namespace.prefix })
            defer { cluster.stop() }
            try cluster.start()
            if delay > 2_000 {
                try await eventually("the wait is told") {
                    let ready = try await cluster.nodes[0].client.get("/readyz")
                    return ready.text.contains("waiting for DNS: node-1.rqlite.test:4002, ")
                }
            }
            try await cluster.waitForAgreement(within: .seconds(40))
            #expect(namespace.questions < 200, "\(namespace.questions)")
        }
    }

    @Test func `A resolver whose server takes three seconds forms a cluster, and the wait is told`()
        async throws
    {
        let namespace = try Namespace(nodes: 3, domain: "rqlite.test")
        try namespace.delayAnswers(by: 3_000)
        let cluster = try cluster(
            namespace,
            [
                "-bootstrap-expect", "3", "-disco-mode=dns",
                #"-disco-config={"name":"rqlite.test"}"#,
            ], host: { namespace.address($0) }, prefix: { _ in namespace.prefix })
        defer { cluster.stop() }
        try cluster.start()
        try await eventually("the wait is told") {
            let ready = try await cluster.nodes[0].client.get("/readyz")
            return ready.text.contains("waiting for discovery, 2 s")
        }
        try await cluster.waitForAgreement(within: .seconds(40))
    }

    @Test func `A resolver is asked at once when the leader is lost`() async throws {
        let namespace = try Namespace(nodes: 4, domain: "rqlite.test", named: 0..<3)
        let cluster = try cluster(
            namespace,
            [
                "-bootstrap-expect", "3", "-disco-mode=dns",
                #"-disco-config={"name":"rqlite.test"}"#,
            ], host: { namespace.address($0) }, prefix: { _ in namespace.prefix })
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement()
        let agreed = ContinuousClock.now
        try await eventually("the resolver rests") {
            ContinuousClock.now - agreed > .seconds(3)
        }
        // All that is left has never seen this address but through the resolver.
        try namespace.serve(0..<4)
        for node in cluster.nodes.dropFirst() { node.kill() }
        let start = ContinuousClock.now
        try await eventually("the new address is seen", within: .seconds(15)) {
            cluster.nodes[0].log.contains("\(namespace.address(3)):4002")
        }
        #expect(ContinuousClock.now - start < stretched(.seconds(10)))
    }

    @Test func `A cluster formed by names restarts and fails over while no name server answers`()
        async throws
    {
        let namespace = try Namespace(nodes: 3, domain: "rqlite.test")
        let cluster = try cluster(
            namespace, ["-bootstrap-expect", "3", "-join", "rqlite.test:4002"],
            host: { namespace.address($0) }, prefix: { _ in namespace.prefix })
        defer { cluster.stop() }
        try cluster.start()
        var leader = try await cluster.waitForAgreement()
        namespace.silenceDNS()
        leader.kill()
        let next = try await cluster.waitForAgreement(within: .seconds(30))
        #expect(next.id != leader.id)
        for node in cluster.nodes { node.kill() }
        try cluster.start()
        leader = try await cluster.waitForAgreement(within: .seconds(30))
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])
    }
}
