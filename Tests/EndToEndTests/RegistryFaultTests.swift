import Foundation
import HarnessBackends
import Testing

/// A formed cluster needs no registry: it is down, slow, flapping, wiped or answers garbage while
/// clients write, and leadership moves meanwhile. What the registry says is right again at once when
/// it is back.
///
/// The short form takes each fault for as long as 2,000 writes take at 1,000/s. `REGISTRY_FAULT_WRITES`
/// is another number, for the record.
@Suite(.serialized) struct RegistryFaultTests {
    private enum Trouble: String, CaseIterable {
        case down, slow, flapping, wiped, garbage, html
    }

    private static let rate = 1_000
    private static let writes =
        ProcessInfo.processInfo.environment["REGISTRY_FAULT_WRITES"].flatMap { Int($0) } ?? 2_000

    private let registry: EtcdGatewayServer
    private let cluster: TestCluster

    init() throws {
        let registry = try EtcdGatewayServer()
        let directory = try TestDirectory()
        let nodes = try DiscoveryMode.Place.onLoopback(3).enumerated().map { number, place in
            Daemon(
                id: "\(number + 1)", host: place.host, httpPort: place.httpPort,
                raftPort: place.raftPort, directory: directory.path,
                arguments: [
                    "-bootstrap-expect", "3", "-disco-mode=etcd-kv", "-disco-config",
                    #"{"endpoints":["\#(registry.url)"]}"#,
                ])
        }
        self.registry = registry
        cluster = TestCluster(nodes, in: directory)
    }

    @Test(.timeLimit(.minutes(60)))
    func `A registry in trouble fails no write, and is right at once when it is back`()
        async throws
    {
        defer {
            cluster.stop()
            registry.stop()
        }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute([SteadyLoad.table])
        let load = SteadyLoad(cluster.nodes, rate: Self.rate)
        // Leadership goes round first: what a leader and its followers keep open is there then.
        for _ in cluster.nodes {
            try await goOn(load, for: Self.writes / 2)
            try await moveLeadership()
        }
        try await goOn(load, for: Self.writes / 2)
        let before = try cluster.nodes.map { try Footprint($0) }
        for trouble in Trouble.allCases {
            try await endure(trouble, load)
            try expectBounded(trouble, before)
            let time = try await waitUntilRight(since: try relieve(trouble))
            print("registry \(trouble): entry right after \(time)")
            #expect(time <= stretched(.seconds(1)), "\(trouble)\n\(cluster.logs)")
        }
        let report = try await load.stop()
        print(
            "registry in trouble: \(report.latencies.count) writes, median "
                + "\(report.percentile(0.5)), p99 \(report.percentile(0.99)), slowest "
                + "\(report.slowest), failures \(report.failures.count)")
        #expect(report.failures.isEmpty, "\(report.failures.prefix(5))\n\(cluster.logs)")
        for node in cluster.nodes { #expect(try await node.terminate() == 0) }
    }

    /// Leadership moves meanwhile, so that the entry becomes wrong and can't be put right.
    private func endure(_ trouble: Trouble, _ load: SteadyLoad) async throws {
        switch trouble {
        case .down, .wiped: registry.goDown()
        case .slow: registry.misbehave(FaultPlan(.slow(10)))
        case .garbage: registry.misbehave(FaultPlan(.garbage))
        case .html: registry.misbehave(FaultPlan(.html))
        case .flapping:
            for _ in 0..<10 {
                registry.goDown()
                try await goOn(load, for: Self.writes / 20)
                try registry.comeUp()
                try await goOn(load, for: Self.writes / 20)
            }
            registry.goDown()
        }
        if trouble != .flapping { try await goOn(load, for: Self.writes / 2) }
        try await moveLeadership()
        try await goOn(load, for: Self.writes / 2)
    }

    /// Returns when the registry was back.
    private func relieve(_ trouble: Trouble) throws -> ContinuousClock.Instant {
        if trouble == .wiped { _ = try registry.command(["wipe"]) }
        registry.behave()
        try registry.comeUp()
        return ContinuousClock.now
    }

    private func expectBounded(_ trouble: Trouble, _ before: [Footprint]) throws {
        for (node, before) in zip(cluster.nodes, before) {
            let now = try Footprint(node)
            print("registry \(trouble): node \(node.id): \(now); before: \(before)")
            #expect(now.threads <= before.threads + 8, "\(trouble)")
            #expect(now.descriptors <= before.descriptors + 8, "\(trouble)")
            // The log's entries in memory, and SQLite's cache, grow with the writes to their bounds.
            #expect(now.residentMegabytes <= before.residentMegabytes + 128, "\(trouble)")
        }
    }

    private func goOn(_ load: SteadyLoad, for writes: Int) async throws {
        for start in stride(from: 0, to: writes, by: Self.rate) {
            try await load.answer(min(Self.rate, writes - start))
        }
    }

    private func moveLeadership() async throws {
        let leader = try await cluster.waitForAgreement()
        let answer = try await leader.client.send("POST", "/leader?wait")
        #expect(answer.status == 200, "\(answer.text)")
        try await eventually("another node leads") {
            try await self.cluster.waitForAgreement().id == leader.id ? nil : true
        }
    }

    /// Returns how long it took from then on.
    private func waitUntilRight(since back: ContinuousClock.Instant) async throws -> Duration {
        try await eventually("the entry names the leader", every: .milliseconds(5)) {
            let leader = try await self.cluster.nodes[0].client.get("/leader").text
            let text = try self.registry.command(["get", "/rqlite/leader"])
            guard !text.isEmpty else { return nil }
            let entry = JSON(try JSONSerialization.jsonObject(with: Data(text.utf8)))
            let time = ContinuousClock.now - back
            return leader.contains(entry["addr"].string ?? "none") ? time : nil
        }
    }
}
