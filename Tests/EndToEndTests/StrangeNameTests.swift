import Foundation
import Testing

/// Names whose servers answer otherwise than most: for one family alone, in parts, with search domains
/// that fail; and names that lead a node to itself where nobody listens.
@Suite(.serialized, .enabled(if: Namespace.isPossible)) struct StrangeNameTests {
    enum Way: CaseIterable, Sendable {
        case joined
        case discovered

        var arguments: [String] {
            switch self {
            case .joined: ["-join", "svc.test:4002"]
            case .discovered: ["-disco-mode=dns", #"-disco-config={"name":"svc.test"}"#]
            }
        }
    }

    private let namespace: Namespace

    init() throws {
        namespace = try Namespace(nodes: 3, domain: "rqlite.test")
    }

    private var addresses: [String] { (0..<3).map { namespace.address($0) } }

    private func cluster(
        _ arguments: (Int) -> [String], prefix: (Int) throws -> [String]
    ) throws -> TestCluster {
        let directory = try TestDirectory()
        let nodes = try (0..<3).map { number in
            Daemon(
                id: "\(number + 1)", host: namespace.address(number), httpPort: 4001,
                raftPort: 4002, directory: directory.path,
                arguments: ["-bootstrap-expect", "3"] + arguments(number),
                prefix: try prefix(number))
        }
        return TestCluster(nodes, in: directory)
    }

    /// One cluster, on all nodes.
    private func expectOne(_ cluster: TestCluster, within limit: Duration) async throws {
        try await cluster.waitForAgreement(within: limit)
        var found: Set<String> = []
        for node in cluster.nodes {
            let status = try await node.client.get("/status", timeout: .seconds(5)).json()
            found.insert(status["store"]["cluster_id"].string ?? "none")
        }
        #expect(found.count == 1, "\(cluster.logs)")
    }

    @Test(arguments: ["no-a", "no-aaaa", "parts", "chain"], Way.allCases)
    func `A server that is silent about a family, tells parts, or aliases, is enough to form`(
        kind: String, way: Way
    ) async throws {
        try namespace.addVersion6(nodes: 3)
        let version6 = (0..<3).map { namespace.address6($0) }
        try await namespace.serveStrangely(kind, kind == "no-a" ? version6 : addresses)
        let cluster = try cluster(
            { number in
                way.arguments
                    + (kind == "no-a"
                        ? ["-raft-addr", "[\(namespace.address6(number))]:4002"] : [])
            }, prefix: { _ in namespace.prefix })
        defer { cluster.stop() }
        try cluster.start()
        try await expectOne(cluster, within: stretched(.seconds(20)))
    }

    @Test(arguments: ["failing", "silent"], Way.allCases)
    func `Search domains whose servers fail or are silent keep nobody from forming`(
        kind: String, way: Way
    ) async throws {
        try await namespace.serveStrangely(
            kind, addresses, search: "search a.search b.search c.search d.search\n")
        let cluster = try cluster({ _ in way.arguments }, prefix: { _ in namespace.prefix })
        defer { cluster.stop() }
        try cluster.start()
        try await expectOne(cluster, within: stretched(.seconds(20)))
    }

    @Test func `A node whose own name is at loopback in the file of hosts is one of three`()
        async throws
    {
        let list = (1...3).map { "http://node-\($0):4001" }.joined(separator: ",")
        let cluster = try cluster({ _ in ["-join", list] }) { own in
            let others = (0..<3).filter { $0 != own }
                .map { "\(namespace.address($0)) node-\($0 + 1)\n" }.joined()
            return try namespace.prefix(
                hosts: "127.0.0.1 localhost\n127.0.1.1 node-\(own + 1)\n" + others, for: own)
        }
        defer { cluster.stop() }
        try cluster.start()
        try await expectOne(cluster, within: .seconds(20))
    }

    @Test(arguments: [true, false])
    func `A cluster whose members advertise names comes back while no server answers`(
        isListening: Bool
    ) async throws {
        try await namespace.serveStrangely("plain", addresses)
        let list = (1...3).map { "node-\($0).test:4002" }.joined(separator: ",")
        let flag = isListening ? "-raft-addr" : "-raft-adv-addr"
        let cluster = try cluster(
            { ["-join", list, flag, "node-\($0 + 1).test:4002"] }, prefix: { _ in namespace.prefix }
        )
        defer { cluster.stop() }
        try cluster.start()
        try await expectOne(cluster, within: .seconds(20))
        namespace.silenceDNS()
        for node in cluster.nodes { node.kill() }
        try cluster.start()
        try await expectOne(cluster, within: stretched(.seconds(40)))
    }
}
