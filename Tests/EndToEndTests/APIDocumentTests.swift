import Foundation
import ServerTesting
import Testing

/// The document of the API against a node.
@Suite(.serialized) struct APIDocumentTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    @Test func `The program prints what a node answers`() async throws {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.nodes[0].waitUntilReady()
        let served = try await cluster.nodes[0].client.get("/openapi.json")
        #expect(served.headers["content-type"] == "application/json; charset=utf-8")
        let printed = try Program.run(["\(Daemon.binaries)/rqlited", "openapi"])
        let documents = try [served.body, Data(printed.utf8)].map {
            try JSONSerialization.jsonObject(with: $0) as? NSDictionary
        }
        #expect(documents[0] != nil && documents[0] == documents[1])
    }

    /// Seeded, so that the same requests are made each time.
    @Test func `What a stranger makes up from the document is answered as it says`() async throws {
        let python = Self.root.appending(path: ".build/python/bin/python3").path
        try #require(
            FileManager.default.isExecutableFile(atPath: python),
            "\(python) is missing: scripts/test makes it, with schemathesis in it")
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        let script = Self.root.appending(path: "scripts/try-api").path
        let output = try Program.run([
            script, node.client.base, "--seed", "1", "--max-examples", "5", "--max-time", "30",
        ])
        #expect(output.contains("No issues found"), "\(output)")
        // It took all of this, and goes on.
        #expect(try await node.client.get("/readyz").status == 200)
    }
}
