import Foundation
import Testing

/// The system calls of real nodes show that a write is on a quorum's disks before it is answered.
@Suite(.serialized) struct FsyncTraceTests {
    /// One fdatasync of a log file, as strace saw it begin and end, in seconds since 1970.
    private struct Sync {
        var began: Double
        var ended: Double
    }

    static var hasStrace: Bool { FileManager.default.isExecutableFile(atPath: "/usr/bin/strace") }

    @Test(.enabled(if: hasStrace))
    func `Every write is followed by a log sync on a quorum before its answer`() async throws {
        let plain = try TestCluster.joined(3)
        let traces = try TestDirectory()
        let nodes = plain.nodes.map { node in
            Daemon(
                id: node.id, httpPort: node.httpPort, raftPort: node.raftPort,
                directory: URL(fileURLWithPath: node.dataDirectory).deletingLastPathComponent()
                    .path,
                arguments: node.arguments,
                prefix: [
                    "strace", "-f", "-ttt", "-T", "-y", "-e", "trace=fdatasync,fsync", "-o",
                    "\(traces.path)/\(node.id)",
                ])
        }
        var cluster = plain
        cluster.nodes = nodes
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement(within: .seconds(40))
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])

        var windows: [(from: Double, to: Double)] = []
        for value in 0..<10 {
            let from = Date().timeIntervalSince1970
            let result = try await leader.client.execute([["INSERT INTO t VALUES(?)", value]])
            windows.append((from, Date().timeIntervalSince1970))
            #expect(result["results"][0]["rows_affected"].int == 1)
        }
        cluster.stop()

        let syncs = try nodes.map { try Self.syncs(in: "\(traces.path)/\($0.id)") }
        for (number, window) in windows.enumerated() {
            let holders = syncs.filter { list in
                list.contains { $0.began >= window.from && $0.ended <= window.to }
            }
            #expect(holders.count >= 2, "write \(number): synced on \(holders.count) of 3 nodes")
        }
    }

    @Test(.enabled(if: hasStrace))
    func `Remembering which entry is applied syncs nothing`() async throws {
        let ports = try freePorts(2)
        let directory = try TestDirectory()
        let trace = "\(directory.path)/trace"
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            prefix: [
                "strace", "-f", "-ttt", "-T", "-y", "-e",
                "trace=fdatasync,fsync,msync,sync_file_range,write,pwrite64", "-o", trace,
            ])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady(within: .seconds(40))
        _ = try await node.client.execute(["CREATE TABLE t(v)"])
        let from = Date().timeIntervalSince1970
        for value in 0..<20 {
            _ = try await node.client.execute([["INSERT INTO t VALUES(?)", value]])
        }
        let to = Date().timeIntervalSince1970
        node.kill()
        let marker = try FileManager.default.attributesOfItem(
            atPath: node.dataDirectory + "/applying")
        #expect((marker[.size] as? NSNumber)?.intValue == 4096)
        var syncs = 0
        for line in try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, let time = Double(words[1]) else { continue }
            #expect(!words[2].contains("msync(") && !words[2].contains("/applying"), "\(line)")
            if time >= from, time <= to, words[2].contains("sync("), words[2].contains(".wal>") {
                syncs += 1
            }
        }
        // One of the log for each write, and perhaps one of the node's own.
        #expect((20...25).contains(syncs), "\(syncs)")
    }

    /// Reads lines like `123 1700000000.123456 fdatasync(7</…/log.wal>) = 0 <0.000123>`; a call
    /// that was interrupted in the trace ends on a line `… resumed>) = 0 <0.000123>`.
    private static func syncs(in path: String) throws -> [Sync] {
        var open: [Substring: Double] = [:]
        var found: [Sync] = []
        for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, let time = Double(words[1]) else { continue }
            let call = words[2]
            let isLog = call.contains("sync(") && call.contains(".wal>")
            if isLog && call.contains("unfinished") {
                open[words[0]] = time
            } else if isLog, let took = duration(call) {
                found.append(Sync(began: time, ended: time + took))
            } else if call.contains("resumed"), let began = open.removeValue(forKey: words[0]),
                let took = duration(call)
            {
                found.append(Sync(began: began, ended: began + took))
            }
        }
        return found
    }

    private static func duration(_ call: Substring) -> Double? {
        guard call.contains("= 0"), let open = call.lastIndex(of: "<") else { return nil }
        return Double(call[call.index(after: open)...].dropLast())
    }
}
