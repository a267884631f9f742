import Foundation
import Synchronization
import Testing

/// How long nodes that are launched together take to their cluster, and one more to join it, and that it
/// is one cluster. Three of each here; `FORMATIONS=50` makes as many, for the record in `benchmarks/`.
@Suite(.serialized) struct FormationTimeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let mode: DiscoveryMode
        let nodes: Int
        /// Nil: one founds, and the others join.
        let expect: Int?
        /// The median of forming, on a quiet machine.
        let limit: Duration
        /// The same of one more node, which is launched when the others are ready; nil: none is, for
        /// the list of who founds would have its address too.
        var joining: Duration?

        var testDescription: String {
            "\(mode.name), \(nodes) nodes, " + (expect.map { "expect \($0)" } ?? "no number")
        }
    }

    private static let cases = [
        Case(mode: .dns, nodes: 5, expect: 5, limit: .seconds(2)),
        Case(mode: .joinedByName, nodes: 5, expect: 5, limit: .seconds(2)),
        Case(mode: .dualStack, nodes: 3, expect: 3, limit: .seconds(2)),
        Case(mode: .dirtyDirectory, nodes: 3, expect: 3, limit: .seconds(10)),
        registry(.etcd, expect: nil), registry(.etcd, expect: 3),
        registry(.consulKV, expect: nil), registry(.consulKV, expect: 3),
    ].filter { $0.mode.hindrance() == nil }

    private static func registry(_ mode: DiscoveryMode, expect: Int?) -> Case {
        Case(
            mode: mode, nodes: 3, expect: expect, limit: .seconds(1),
            joining: .milliseconds(700))
    }

    private static var count: Int {
        ProcessInfo.processInfo.environment["FORMATIONS"].flatMap { Int($0) } ?? 3
    }

    /// What the cases have measured, as rows of a table.
    private static let rows = Mutex<[String]>([])

    /// One formation's times; nil where it failed, which is an issue.
    private struct Times {
        var forming: Duration
        var joining: Duration?
    }

    @Test(arguments: cases)
    func `Nodes launched together become one cluster, in the time that is promised`(
        _ formation: Case
    ) async throws {
        var forming: [Duration] = []
        var joining: [Duration] = []
        var factor = Starvation.factor
        for _ in 0..<Self.count {
            guard let times = try await form(formation) else { continue }
            forming.append(times.forming)
            if let time = times.joining { joining.append(time) }
            factor = max(factor, Starvation.factor)
        }
        report(formation, forming, joining)
        try #require(forming.count == Self.count, "some made no cluster")
        #expect(median(forming) < formation.limit * factor)
        guard let limit = formation.joining else { return }
        try #require(joining.count == Self.count)
        #expect(median(joining) < limit * factor)
    }

    private func form(_ formation: Case) async throws -> Times? {
        let isJoined = formation.joining != nil
        let surroundings = try await formation.mode.prepare(formation.nodes + (isJoined ? 1 : 0))
        defer { withExtendedLifetime(surroundings) {} }
        let expectation = formation.expect.map { ["-bootstrap-expect", "\($0)"] } ?? []
        let all = try TestCluster(at: surroundings.places, prefix: surroundings.prefix) { _ in
            surroundings.arguments + expectation
        }
        defer { all.stop() }
        let founders = all.nodes.prefix(formation.nodes)
        do {
            let start = ContinuousClock.now
            for node in founders { try node.start() }
            for node in founders { try await node.waitUntilReady(within: .seconds(40)) }
            var times = Times(forming: ContinuousClock.now - start)
            if isJoined, let last = all.nodes.last {
                let start = ContinuousClock.now
                try last.start()
                try await last.waitUntilReady()
                times.joining = ContinuousClock.now - start
            }
            try await expectOneCluster(all)
            return times
        } catch {
            Issue.record("\(formation.testDescription): \(error)\n\(all.logs)")
            return nil
        }
    }

    private func expectOneCluster(_ cluster: TestCluster) async throws {
        var clusters: Set<String> = []
        for node in cluster.nodes {
            let status = try await node.client.get("/status").json()
            clusters.insert(status["store"]["cluster_id"].string ?? "none of node \(node.id)")
        }
        #expect(clusters.count == 1)
    }

    // MARK: The table

    private func median(_ times: [Duration]) -> Duration {
        times.sorted()[times.count / 2]
    }

    /// Prints the rows of all cases that have run, so that the last one's table is the whole one.
    private func report(_ formation: Case, _ forming: [Duration], _ joining: [Duration]) {
        let row =
            "| \(formation.testDescription) | \(forming.count) of \(Self.count) "
            + "| \(summary(forming)) | \(summary(joining)) |"
        let rows = Self.rows.withLock {
            $0.append(row)
            return $0
        }
        print(
            """

            | formation | one cluster | formed: median, longest | joined: median, longest |
            |---|---|---|---|
            \(rows.joined(separator: "\n"))
            """)
    }

    private func summary(_ times: [Duration]) -> String {
        guard let longest = times.max() else { return "–" }
        return [median(times), longest].map { time in
            let (seconds, attoseconds) = time.components
            return String(format: "%.2f s", Double(seconds) + Double(attoseconds) / 1e18)
        }.joined(separator: ", ")
    }
}
