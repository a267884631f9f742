import Foundation
import Testing

/// How long nodes that are launched together take to their cluster, and that it is one. Three of each
/// here; `FORMATIONS=50` makes as many, for the record in `benchmarks/`.
@Suite(.serialized) struct FormationTimeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let mode: DiscoveryMode
        let nodes: Int
        /// Nil: one founds, and the others join.
        let expect: Int?
        /// The median, on a quiet machine.
        let limit: Duration

        var testDescription: String { "\(mode.name), \(nodes) nodes, expect \(expect ?? 0)" }
    }

    private static let cases = [
        Case(mode: .dns, nodes: 5, expect: 5, limit: .seconds(2)),
        Case(mode: .etcd, nodes: 3, expect: nil, limit: .seconds(1)),
        Case(mode: .etcd, nodes: 3, expect: 3, limit: .seconds(1)),
        Case(mode: .consulKV, nodes: 3, expect: nil, limit: .seconds(1)),
        Case(mode: .consulKV, nodes: 3, expect: 3, limit: .seconds(1)),
    ].filter { $0.mode.hindrance() == nil }

    private static var count: Int {
        ProcessInfo.processInfo.environment["FORMATIONS"].flatMap { Int($0) } ?? 3
    }

    @Test(arguments: cases)
    func `Nodes launched together become one cluster, in the time that is promised`(
        _ formation: Case
    ) async throws {
        var times: [Duration] = []
        var factor = 1
        for _ in 0..<Self.count {
            let surroundings = try await formation.mode.prepare(formation.nodes)
            let expectation = formation.expect.map { ["-bootstrap-expect", "\($0)"] } ?? []
            let cluster = try TestCluster(at: surroundings.places, prefix: surroundings.prefix) {
                _ in
                surroundings.arguments + expectation
            }
            defer { cluster.stop() }
            let start = ContinuousClock.now
            do {
                try cluster.start()
                for node in cluster.nodes { try await node.waitUntilReady() }
                times.append(ContinuousClock.now - start)
                factor = max(factor, Starvation.factor)
                try await expectOneCluster(cluster)
            } catch {
                Issue.record("\(formation.testDescription): \(error)\n\(cluster.logs)")
            }
            withExtendedLifetime(surroundings) {}
        }
        times.sort()
        guard let longest = times.last else { return }
        let median = times[times.count / 2]
        print(
            "\(formation.testDescription): median of \(times.count) \(median), longest \(longest)")
        #expect(median < formation.limit * factor)
    }

    private func expectOneCluster(_ cluster: TestCluster) async throws {
        var clusters: Set<String> = []
        for node in cluster.nodes {
            let status = try await node.client.get("/status").json()
            clusters.insert(status["store"]["cluster_id"].string ?? "none of node \(node.id)")
        }
        #expect(clusters.count == 1)
    }
}
