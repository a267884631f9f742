import Foundation
import Testing

/// Registries that show what is not so any more.
@Suite(.serialized) struct DirtyRegistryTests {
    /// The command that a line ends with, from its first word to the end of the clause.
    private func command(in text: String) -> String? {
        guard let start = text.range(of: "rqlited disco clear ") else { return nil }
        return text[start.lowerBound...].split(whereSeparator: { ";\n\"".contains($0) }).first
            .map { String($0) }
    }

    @Test
    func `Wiped disks with the registry kept found nothing, and say the command that heals it`()
        async throws
    {
        let three = try RegistryCluster(3, expect: 3)
        defer { three.cluster.stop() }
        try three.cluster.start()
        let leader = try await three.waitForOneCluster()
        _ = try await three.entryOfLeader(leader)
        for node in three.nodes {
            node.kill()
            try FileManager.default.removeItem(atPath: node.dataDirectory)
        }
        let start = ContinuousClock.now
        try three.cluster.start()
        var commands: Set<String> = []
        for node in three.nodes {
            let text = try await eventually("node \(node.id) names a command", within: .seconds(30))
            {
                let ready = try await node.client.get("/readyz")
                return self.command(in: ready.text)
            }
            commands.insert(text)
        }
        #expect(ContinuousClock.now - start < stretched(.seconds(30)))
        let command = try #require(commands.first)
        #expect(commands.count == 1, "\(commands)")
        #expect(command.contains("-disco-mode directory") && command.contains("-disco-key rqlite"))
        try run("sh", "-c", "PATH=\(Daemon.binaries):$PATH; \(command)")
        try await three.waitForOneCluster()
    }

    @Test func `A node of another cluster at a recorded address is not joined`() async throws {
        let registry = try DirectoryRegistry()
        let directory = try TestDirectory()
        let one = try RegistryCluster(1...1, registry: registry, in: directory)
        defer { one.cluster.stop() }
        try one.cluster.start()
        try await one.nodes[0].waitUntilReady()
        let first = one.nodes[0]
        first.kill()
        // The entry is lost; the record of node 1 stays, and a cluster of its own is at its address.
        try registry.erase("leader")
        let other = Daemon(
            id: "7", httpPort: first.httpPort, raftPort: first.raftPort,
            directory: directory.path)
        try other.start()
        defer { other.kill() }
        try await other.waitUntilReady()
        let fresh = try RegistryCluster(2...2, registry: registry, in: directory)
        defer { fresh.cluster.stop() }
        try fresh.cluster.start()
        try await eventually("it says who answers there") {
            let ready = try await fresh.nodes[0].client.get("/readyz")
            return ready.text.contains("node 7 answers, not node 1")
        }
        #expect(try await other.client.get("/nodes").json()["2"]["id"].string == nil)
    }
}
