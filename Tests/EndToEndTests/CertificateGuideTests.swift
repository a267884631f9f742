import Foundation
import Testing

/// docs/security.md, done as it is printed there.
@Suite struct CertificateGuideTests {
    /// The lines of the page that are set off, from the one that begins so to the end of its block.
    private func block(beginning words: String) throws -> [String] {
        let page = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "docs/security.md")
        let lines = try String(contentsOf: page, encoding: .utf8).components(separatedBy: "\n")
        let start = try #require(lines.firstIndex { $0.hasPrefix("    \(words)") })
        return lines[start...].prefix { $0.hasPrefix("    ") }.map { String($0.dropFirst(4)) }
    }

    @Test func `The certificates that the page makes by hand make a node that nodes believe`()
        async throws
    {
        let directory = try TestDirectory()
        let lines = try block(beginning: "openssl req -x509")
        let program = try #require(lines.firstIndex { $0.hasPrefix("rqlited ") })
        let commands = lines[..<program].joined(separator: "\n")
        try run("/bin/sh", "-ec", "cd \(directory.path)\n\(commands)")
        let flags = lines[program...].joined(separator: " ")
            .replacing("\\", with: " ").replacing("…", with: "")
            .split(separator: " ").dropFirst()
            .map {
                $0.hasSuffix(".pem") || $0.hasSuffix(".key") ? "\(directory.path)/\($0)" : "\($0)"
            }
        #expect(flags.contains("-node-verify-id"), "\(flags)")
        let ports = try freePorts(2)
        let node = Daemon(
            id: "node1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: flags.filter { $0 != "-node-id" && $0 != "node1" } + [
                "-raft-adv-addr", "192.0.2.1:\(ports[1])",
            ])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady(within: .seconds(60))
        // Neither its names nor its ID are complained of.
        #expect(!node.log.contains("will refuse it"), "\(node.log)")
        let mux = try await node.client.get("/status").json()["mux"]
        #expect(
            mux["identity"].string == "certificates, both ways: each proves which node it is")
    }
}
