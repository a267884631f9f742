import Foundation
import Testing

/// What a node that was busy holds when it is idle again.
@Suite(.serialized) struct ReturnedMemoryTests {
    /// Fewer than there may be answers in parts.
    private static let clients = 50

    /// MiB that are the process's own: not those of files that are mapped.
    private func ownMemory(_ node: Daemon) throws -> Int {
        let pid = try #require(node.pid)
        let line = try run("cat", "/proc/\(pid)/status").split(separator: "\n")
            .first { $0.hasPrefix("RssAnon:") }
        let text = line?.split(whereSeparator: \.isWhitespace).dropFirst().first
        return try #require(text.flatMap { Int($0) }) / 1024
    }

    private func threads(_ node: Daemon) async throws -> Int? {
        let vars = try await node.client.get("/debug/vars?key=readers", timeout: .seconds(30))
        return try vars.json()["readers"]["threads"].int
    }

    @Test(.timeLimit(.minutes(15)))
    func `What many large answers at once took goes back to the system when their clients go`()
        async throws
    {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        let node = try await cluster.waitForAgreement()
        let before = try ownMemory(node)
        // Answers without an end, which nobody takes.
        let sql =
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT hex(randomblob(500)) FROM n"
        let path = "/db/query?level=none&timeout=300s&q=\(Self.encoded(sql))"
        var most = before
        var wires: [HTTPWire] = []
        for _ in 0..<Self.clients {
            let wire = try HTTPWire(host: node.host, port: node.httpPort, timeout: 300)
            try wire.sendRaw("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
            wires.append(wire)
        }
        try await eventually("all wait for their clients", within: .seconds(300)) {
            most = max(most, try ownMemory(node))
            let vars = try await node.client.get("/debug/vars?key=readers", timeout: .seconds(60))
            return try vars.json()["readers"]["stalled"].int == Self.clients ? true : nil
        }
        wires = []
        try await eventually("only the two are left", within: .seconds(180)) {
            most = max(most, try ownMemory(node))
            return try await threads(node) == 2 ? true : nil
        }
        try await eventually("it is given back", within: .seconds(60)) {
            let now = try ownMemory(node)
            print("returned memory: \(before) MiB before, \(most) at most, \(now) behind it")
            return now - before < max(24, (most - before) / 3) ? true : nil
        }
        #expect(most - before > 60, "from \(before) to \(most) MiB")
    }

    private static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    }
}
