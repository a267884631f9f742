import Foundation
import Histories
import Testing

/// Clients of real nodes, while a nemesis does to network, processes and disks what a seed says.
/// `scripts/nemesis` makes longer runs of it.
@Suite(.serialized, .enabled(if: NemesisSite.hindrance == nil)) struct NemesisTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let sizes =
        environment["NEMESIS_NODES"].flatMap { Int($0) }.map { [$0] } ?? [3, 5]
    private static let seconds = environment["NEMESIS_SECONDS"].flatMap { Int($0) } ?? 30
    private static let seed =
        environment["NEMESIS_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...1_000_000)

    @Test(.timeLimit(.minutes(10 + seconds / 30)), arguments: sizes)
    func `Whatever befalls nodes, nothing is lost, doubled, or seen that can't have been`(
        size: Int
    ) async throws {
        let site = try NemesisSite(nodes: size)
        defer { site.cluster.stop() }
        try site.cluster.start()
        let first = try await site.cluster.waitForAgreement(within: .seconds(60))
        _ = try await first.client.execute(NemesisLoad.tables)

        let start = ContinuousClock.now
        let load = NemesisLoad(site.cluster.nodes, seed: Self.seed, start: start)
        let done = try await Nemesis.run(
            on: site, seed: Self.seed, start: start, length: .seconds(Self.seconds))
        let leader = try await site.cluster.waitForAgreement(within: .seconds(60))
        let before = load.acknowledged
        try await eventually("writes go on", within: .seconds(30)) {
            load.acknowledged > before ? true : nil
        }
        var record = try await load.stop()
        try await NemesisLoad.look(at: leader, into: &record, start: start)
        let violations = record.violations()

        let count = { (kind: Violation.Kind) in violations.count { $0.kind == kind } }
        var report =
            "nemesis: \(size) nodes, \(Self.seconds) s, seed \(Self.seed)\n\(record.table)\n\(done.table)\n"
        report +=
            "\(count(.lost)) lost, \(count(.doubled)) doubled, "
            + "\(count(.contradiction)) violations, \(done.ends.count) processes ended\n"
        print(report)
        if let path = Self.environment["NEMESIS_REPORT"] {
            report += (violations.map(\.description) + done.ends + done.diary)
                .joined(separator: "\n")
            try report.write(toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(
            violations.isEmpty,
            "\(violations.prefix(5))\n\(done.diary.suffix(40))\n\(site.cluster.logs)")
        #expect(done.ends.isEmpty, "\(done.ends)")
        #expect(record.acknowledged > Self.seconds, "\(record.table)")
        #expect(record.idle.isEmpty, "\(record.table)")
        // Eight kinds, one after the other, each for four seconds and a pause at most.
        if Self.seconds >= 120 { #expect(!done.counts.contains(0), "\(done.table)") }
        try await Self.areEqual(site.cluster.nodes)
    }

    @Test func `Networks, mounts and nodes go when the process that made them is killed`()
        async throws
    {
        let directory = try TestDirectory()
        try run("mount", "-t", "tmpfs", "tmpfs", directory.path)
        let owner = try ChildProcess(["sleep", "1000"])
        let network = try NodeNetwork(nodes: 2, mounts: [directory.path], owner: owner.pid)
        let node = try ChildProcess(network.prefix(1) + ["sleep", "1000"])
        try await eventually("the node runs in its namespace") {
            try run("ip", "netns", "pids", network.namespace(1)).isEmpty ? nil : true
        }
        #expect(network.remains.count == 3, "\(network.remains)")
        owner.kill()
        owner.waitForEnd()
        try await eventually("all is gone") {
            let mounts = try run("cat", "/proc/self/mounts")
            let isGone = network.remains.isEmpty && !mounts.contains(directory.path)
            return isGone && !node.isRunning ? true : nil
        }
    }

    /// Every node has the same rows in the end.
    private static func areEqual(_ nodes: [Daemon]) async throws {
        let sum = { (table: String) in
            "(SELECT group_concat(value) FROM (SELECT value FROM \(table) ORDER BY rowid))"
        }
        let sql =
            "SELECT \(sum("lists")), \(sum("sets")), \(sum("transfers")), \(sum("registers")), "
            + "(SELECT group_concat(balance) FROM accounts)"
        try await eventually("all nodes have the same rows", within: .seconds(30)) {
            var seen: Set<String> = []
            for node in nodes {
                seen.insert("\(try await node.client.rows(sql, level: "none"))")
            }
            return seen.count == 1 ? true : nil
        }
    }
}
