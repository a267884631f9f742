import Foundation
import HarnessBackends
import Histories
import Testing

/// The long run, by `scripts/soak`: load, nemesis, members that come and go, and clusters that are formed
/// through a registry that fails, while it is watched that nothing grows but the data.
@Suite(.serialized, .enabled(if: Soak.minutes != nil && NemesisSite.hindrance == nil))
struct SoakTests {
    /// What members and formations came to.
    private struct Tally {
        var joins = 0
        var formations = 0
        var failures: [String] = []
    }

    @Test(.timeLimit(.minutes(30 + (Soak.minutes ?? 0))))
    func `Nothing grows in a long run but the data, and nothing is lost`() async throws {
        let length = Duration.seconds(60 * (Soak.minutes ?? 1))
        let site = try NemesisSite(nodes: 3, megabytes: 1_024, hasGuest: true)
        defer { site.cluster.stop() }
        try site.cluster.start()
        let first = try await site.cluster.waitForAgreement(within: .seconds(60))
        _ = try await first.client.execute(NemesisLoad.tables)
        let start = ContinuousClock.now
        let load = NemesisLoad(site.cluster.nodes, seed: Soak.seed, start: start, pause: 120)
        let sampler = try SoakSampler(
            site.cluster.nodes, path: Soak.table, interval: .seconds(Soak.interval), judged: ["1"]
        ) { load.acknowledged }
        defer { sampler.stop() }

        async let befallen = Nemesis.run(
            on: site, seed: Soak.seed, start: start, length: length, sparing: [0])
        let tally = try await churn(site, until: start + length)
        let done = try await befallen
        let leader = try await site.cluster.waitForAgreement(within: .seconds(60))
        var record = try await load.stop()
        sampler.stop()
        try await NemesisLoad.look(at: leader, into: &record, start: start)
        let violations = record.violations()
        let report =
            "soak: \(length), seed \(Soak.seed)\n\(record.table)\n\(done.table)\n"
            + "\(tally.joins) joins and removals, \(tally.formations) formations, "
            + "\(violations.count) violations\n\(sampler.summary)\n"
        print(report)
        if let path = Soak.report {
            let more = violations.map(\.description) + sampler.complaints + done.diary
            try (report + more.joined(separator: "\n")).write(
                toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(violations.isEmpty, "\(violations.prefix(5))")
        #expect(done.ends.isEmpty, "\(done.ends)")
        #expect(tally.failures.isEmpty, "\(tally.failures)")
        #expect(sampler.complaints.isEmpty, "\(sampler.complaints)")
    }

    /// A fourth node joins and is removed, and a cluster is formed elsewhere, in turn.
    private func churn(
        _ site: NemesisSite, until end: ContinuousClock.Instant
    ) async throws -> Tally {
        var tally = Tally()
        while ContinuousClock.now < end {
            do {
                try await joinAndRemove(site)
                tally.joins += 1
            } catch {
                tally.failures.append("guest: \(error)")
            }
            guard ContinuousClock.now < end else { break }
            do {
                try await form(by: tally.formations)
                tally.formations += 1
            } catch {
                tally.failures.append("formation: \(error)")
            }
        }
        return tally
    }

    private func joinAndRemove(_ site: NemesisSite) async throws {
        let guest = try #require(site.guest)
        let nodes = site.cluster.nodes
        try guest.start()
        try await guest.waitUntilReady(within: .seconds(120))
        let body = Data(#"{"id":"\#(guest.id)"}"#.utf8)
        try await eventually("the guest is removed", within: .seconds(120)) {
            for node in nodes where node.isRunning {
                _ = try? await node.client.send(
                    "DELETE", "/remove", body: body, timeout: .seconds(3))
                let members = try? await node.client.get("/nodes?nonvoters", timeout: .seconds(3))
                let names = try members?.json().members ?? []
                if names.count >= 3, !names.contains(guest.id) { return true }
            }
            return nil
        }
        guest.kill()
        try run("rm", "-rf", guest.dataDirectory)
    }

    /// The registry fails in one way until three nodes have asked it for a while.
    private func form(by number: Int) async throws {
        let faults: [Fault] = [
            .reset, .status(503), .garbage, .html, .truncated, .dropAfterExecution, .slow(2),
        ]
        let registry = try EtcdGatewayServer()
        defer { registry.stop() }
        let cluster = try TestCluster(at: DiscoveryMode.Place.onLoopback(3)) { _ in
            [
                "-bootstrap-expect", "3", "-disco-mode=etcd-kv", "-disco-config",
                #"{"endpoints":["\#(registry.url)"]}"#,
            ]
        }
        defer { cluster.stop() }
        registry.misbehave(FaultPlan(faults[number % faults.count]))
        try cluster.start()
        try await eventually("the nodes stand", within: .seconds(30)) {
            for node in cluster.nodes {
                _ = try await node.client.get("/status", timeout: .seconds(2))
            }
            return true
        }
        registry.behave()
        try await cluster.waitForAgreement(within: .seconds(90))
    }
}

/// What the environment says about a long run.
private enum Soak {
    private static let environment = ProcessInfo.processInfo.environment
    static let minutes = environment["SOAK_MINUTES"].flatMap { Int($0) }
    static let interval = environment["SOAK_INTERVAL"].flatMap { Int($0) } ?? 10
    static let seed = environment["SOAK_SEED"].flatMap { UInt64($0) } ?? 1
    static let report = environment["SOAK_REPORT"]
    static let table =
        environment["SOAK_TABLE"]
        ?? FileManager.default.temporaryDirectory.appendingPathComponent("soak.csv").path
}
