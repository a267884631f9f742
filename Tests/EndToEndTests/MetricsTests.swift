import Foundation
import Testing

/// `/metrics` of real nodes, what is written about it, and the rules that are made of it.
@Suite(.serialized) struct MetricsTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    private static let folder = root.appending(path: "packaging/prometheus")

    /// A row of docs/metrics.md for each family that a page describes.
    private static func rows(of page: String) -> [String] {
        var helps: [String: String] = [:]
        var rows: [String] = []
        for line in page.split(separator: "\n") where line.hasPrefix("# ") {
            let words = line.split(separator: " ", maxSplits: 3).map { String($0) }
            if words[1] == "HELP" { helps[words[2]] = words[3] }
            if words[1] == "TYPE" {
                rows.append("| `\(words[2])` | \(words[3]) | \(helps[words[2]] ?? "") |\n")
            }
        }
        return rows
    }

    private static func samples(_ page: String) -> [String: Double] {
        var samples: [String: Double] = [:]
        for line in page.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ")
            samples[words.dropLast().joined(separator: " ")] = Double(words[words.count - 1])
        }
        return samples
    }

    private func page(of node: Daemon) async throws -> String {
        let answer = try await node.client.get("/metrics")
        #expect(answer.status == 200)
        return answer.text
    }

    /// `REWRITE=1` writes the table anew.
    @Test func `The document lists what a node measures, and rules and dashboard use nothing else`()
        async throws
    {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.nodes[0].waitUntilReady()
        let page = try await page(of: cluster.nodes[0])
        let table = Self.rows(of: page).joined()
        let file = Self.root.appending(path: "docs/metrics.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let start = try #require(text.range(of: "|---|---|---|\n"))
        let stop = try #require(text.range(of: "<!-- end of metrics -->\n"))
        if ProcessInfo.processInfo.environment["REWRITE"] != nil {
            try String(text[..<start.upperBound] + table + text[stop.lowerBound...])
                .write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(text[start.upperBound..<stop.lowerBound] == table)
        }
        for name in ["rules.yml", "rules.test.yml", "grafana.json"] {
            let text = try String(
                contentsOf: Self.folder.appending(path: name), encoding: .utf8)
            let used = text.matches(of: /\b(rqlited|process)_[a-z_]+/).map { String($0.output.0) }
            #expect(used.count > 10)
            for metric in Set(used) {
                let family = metric.replacing(/_(bucket|count)$/, with: "")
                #expect(page.contains("# TYPE \(family) "), "\(name): \(metric)")
            }
        }
    }

    @Test func `What nodes do shows in what they measure`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        _ = try await leader.client.rows("SELECT v FROM t", level: "strong")
        var values = Self.samples(try await page(of: leader))
        #expect(values["rqlited_raft_role{role=\"leader\"}"] == 1)
        #expect(values["rqlited_raft_members{suffrage=\"voter\"}"] == 3)
        let lags = values.keys.filter { $0.hasPrefix("rqlited_raft_follower_lag_entries{") }
        #expect(lags.count == 2)
        #expect(values[#"rqlited_requests_waiting{for="write queue"}"#] == 0)
        for name in [
            "rqlited_raft_commit_seconds_count", "rqlited_log_sync_seconds_count",
            "rqlited_log_append_seconds_count", "rqlited_db_apply_seconds_count",
            "rqlited_db_applied_entries_total", "rqlited_raft_leader_changes_total",
            #"rqlited_http_request_seconds_count{operation="execute"}"#,
            #"rqlited_http_request_seconds_count{operation="query",level="strong"}"#,
            "rqlited_peers_received_bytes_total", "process_resident_memory_bytes",
            "process_cpu_seconds_total", "rqlited_db_size_bytes",
        ] {
            #expect((values[name] ?? 0) > 0, "\(name)")
        }
        for follower in cluster.nodes where follower.id != leader.id {
            values = Self.samples(try await page(of: follower))
            #expect(values["rqlited_raft_role{role=\"follower\"}"] == 1)
            #expect((values["rqlited_raft_commit_seconds_count"] ?? 0) > 0)
        }
    }

    private static let promtool = (ProcessInfo.processInfo.environment["PATH"] ?? "")
        .split(separator: ":").map { "\($0)/promtool" }
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    @Test(.enabled(if: promtool != nil, "there is no promtool: it comes with Debian's prometheus"))
    func `Prometheus' own tool takes rules and page, and the rules do what they say`() async throws
    {
        let promtool = try #require(Self.promtool)
        let directory = try TestDirectory()
        func check(_ command: String) throws {
            let output = directory.path + "/output"
            let process = try ChildProcess(
                ["/bin/sh", "-c", "cd \(Self.folder.path) && \(promtool) \(command)"],
                output: output)
            let status = process.waitForEnd()
            let said = try String(contentsOfFile: output, encoding: .utf8)
            #expect(status == 0, "\(said)")
        }
        try check("check rules rules.yml")
        try check("test rules rules.test.yml")
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.nodes[0].waitUntilReady()
        let file = directory.path + "/page"
        try await page(of: cluster.nodes[0]).write(
            toFile: file, atomically: true, encoding: .utf8)
        try check("check metrics < \(file)")
    }
}
