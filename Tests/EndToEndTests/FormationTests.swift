import Foundation
import Testing

extension Daemon {
    /// As it stands in lists.
    fileprivate var raftPlace: String { "\(host):\(raftPort)" }
}

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

    /// What a waiting node prints for its operator to paste.
    private static func command(of node: Daemon) async throws -> String {
        try await eventually("node \(node.id) prints the command") {
            let text = try await node.client.get("/readyz").text
            guard let start = text.range(of: "curl "),
                let end = text.range(of: "]'", range: start.upperBound..<text.endIndex)
            else { return nil }
            return String(text[start.lowerBound..<end.upperBound])
        }
    }

    @Test
    func `Two of five never come: the printed commands make one cluster, and they join it later`()
        async throws
    {
        // With two expected, four of five must be there, for the other two could be a cluster.
        let cluster = try TestCluster.joined(5, expect: 2)
        defer { cluster.stop() }
        let live = Array(cluster.nodes.prefix(3))
        for node in live { try node.start() }
        for (count, node) in live.enumerated() {
            let command = try await Self.command(of: node)
            #expect(command.contains("/cluster/drop"), "\(command)")
            let output = try run("sh", "-c", command)
            #expect(!output.contains("nothing was dropped"), "\(output)")
            guard count == 0 else { continue }
            // One node that was told is not enough.
            try await eventually("the others' silence is named") {
                node.log.contains("was not told of all that was dropped here") ? true : nil
            }
            let status = try await node.client.get("/status").json()
            #expect(status["store"]["cluster_id"].string == nil)
        }
        try await cluster.waitForAgreement()
        for node in cluster.nodes.suffix(2) { try node.start() }
        try await cluster.waitForAgreement()
        var clusters: Set<String> = []
        for node in cluster.nodes {
            let status = try await node.client.get("/status").json()
            clusters.insert(status["store"]["cluster_id"].string ?? "none")
        }
        #expect(clusters.count == 1, "\(clusters)")
        let answer = try await live[0].client.send(
            "POST", "/cluster/drop", body: Data("[\"\(live[1].raftPlace)\"]".utf8))
        #expect(answer.status == 409 && answer.text.contains("nothing was dropped"), "\(answer)")
    }

    @Test
    func `Half of six with the first address founds a cluster after a drop, the other half never`()
        async throws
    {
        let cluster = try TestCluster.joined(6, expect: 3)
        defer { cluster.stop() }
        let sorted = cluster.nodes.sorted { $0.raftPlace < $1.raftPlace }
        let other = Array(sorted.suffix(3))
        for node in other { try node.start() }
        for node in other {
            try await eventually("node \(node.id) says why no drop helps") {
                node.log.contains("no majority of the list") ? true : nil
            }
            let silent = sorted.prefix(3).map { "\"\($0.raftPlace)\"" }.joined(separator: ",")
            let answer = try await node.client.send(
                "POST", "/cluster/drop", body: Data("[\(silent)]".utf8))
            #expect(answer.status == 200, "\(answer)")
        }
        for node in other { node.kill() }
        let first = Array(sorted.prefix(3))
        for node in first { try node.start() }
        for node in first { _ = try run("sh", "-c", try await Self.command(of: node)) }
        try await cluster.waitForAgreement()
        // Those that dropped the founders find them all the same.
        for node in other { try node.start() }
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
