import Foundation
import Testing

/// Nodes without state that are started together. `FORMATION_RUNS` sets how often.
@Suite(.serialized) struct FormationTests {
    private static let runs =
        ProcessInfo.processInfo.environment["FORMATION_RUNS"].flatMap { Int($0) } ?? 10

    /// Starts all nodes, and waits until every one is ready in the same cluster.
    /// - Returns: the time that took.
    private static func form(_ cluster: TestCluster) async throws -> Duration {
        let start = ContinuousClock.now
        try cluster.start()
        #expect(
            ContinuousClock.now - start < stretched(.milliseconds(100)),
            "the start itself took too long")
        try await cluster.waitForAgreement()
        let elapsed = ContinuousClock.now - start
        var clusters: Set<String> = []
        for node in cluster.nodes {
            let status = try await node.client.get("/status").json()
            clusters.insert(status["store"]["cluster_id"].string ?? "none")
        }
        #expect(clusters.count == 1 && !clusters.contains("none"), "\(clusters)")
        return elapsed
    }

    @Test(.timeLimit(.minutes(10)))
    func `Five nodes started together that expect three are one cluster each time`() async throws {
        var times: [Duration] = []
        for _ in 0..<Self.runs {
            let cluster = try TestCluster.joined(5, expect: 3)
            defer { cluster.stop() }
            times.append(try await Self.form(cluster))
            try await eventually("all five are voters") {
                try await cluster.nodes[0].client.get("/nodes").json().members?.count == 5
                    ? true : nil
            }
        }
        let sorted = times.sorted()
        print("formation, ms: \(sorted.map { "\($0 / .milliseconds(1))" }.joined(separator: " "))")
        #expect(sorted[sorted.count / 2] < stretched(.milliseconds(1_200)), "\(sorted)")
        #expect(try #require(sorted.last) < stretched(.seconds(3)), "\(sorted)")
    }

    @Test func `Three live nodes of six listed wait, and say for how many`() async throws {
        let cluster = try TestCluster.joined(6, expect: 3)
        defer { cluster.stop() }
        let live = cluster.nodes.prefix(3)
        for node in live { try node.start() }
        for node in live {
            try await eventually("node \(node.id) says what it needs") {
                node.log.contains("needs 4 of the 6 listed, 3 seen: 1, 2, 3") ? true : nil
            }
            let ready = try await node.client.get("/readyz")
            #expect(ready.status == 503)
            #expect(ready.text.contains("needs 4 of the 6 listed"), "\(ready.text)")
            let status = try await node.client.get("/status").json()
            #expect(status["store"]["cluster_id"].string == nil)
        }
        // The fourth is what they wait for.
        try cluster.nodes[3].start()
        try await cluster.waitForAgreement()
    }

    @Test(.enabled(if: Namespace.isPossible))
    func `A refusing and a black-holed address slow nobody down by more than 1 s`() async throws {
        let namespace = try Namespace(nodes: 7, domain: "unused.test")
        let directory = try TestDirectory()
        func cluster(_ name: String, listed: Int, port: Int) throws -> TestCluster {
            let list = (0..<listed).map { "\(namespace.address($0)):\(port + 1)" }
            let folder = "\(directory.path)/\(name)"
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            return TestCluster(
                (0..<5).map { number in
                    Daemon(
                        id: "\(number + 1)", host: namespace.address(number), httpPort: port,
                        raftPort: port + 1, directory: folder,
                        arguments: [
                            "-bootstrap-expect", "3", "-join", list.joined(separator: ","),
                        ],
                        prefix: namespace.prefix)
                }, in: directory)
        }
        // Nobody listens at the sixth address; the seventh swallows what is sent to it.
        try run(
            namespace.prefix + [
                "nft",
                "add table ip hole; add chain ip hole out { type filter hook output "
                    + "priority 0; }; add rule ip hole out ip daddr \(namespace.address(6)) drop",
            ])
        let plain = try cluster("plain", listed: 5, port: 4001)
        defer { plain.stop() }
        let five = try await Self.form(plain)
        plain.stop()
        let holed = try cluster("holed", listed: 7, port: 5001)
        defer { holed.stop() }
        let seven = try await Self.form(holed)
        print("formation, all of five listed: \(five); five live of seven listed: \(seven)")
        #expect(seven - five < stretched(.seconds(1)), "\(holed.logs)")
    }
}
