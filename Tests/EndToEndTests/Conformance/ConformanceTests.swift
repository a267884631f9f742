import Foundation
import ScenarioTesting
import ServerTesting
import Testing

/// What each operation answers to each of its parameters and faults, at a leader and at a follower: every
/// file in Scenarios is a transcript of requests to three nodes; before those whose name begins with `lost`
/// the leader and a follower are killed. `REWRITE=1` writes what is answered now,
/// and the diff is to be reviewed against rqlite's own answers and docs/compatibility.md.
@Suite(.serialized) struct ConformanceTests {
    private static let folder = ScenarioFolder(
        beside: URL(filePath: #filePath).deletingLastPathComponent().path)

    @Test func `There are transcripts`() {
        #expect(Self.folder.names.count >= 6)
    }

    /// The document has those that the rows of the operations have, and no others have an effect.
    @Test func `Every parameter of every operation stands in a request of a transcript`() throws {
        let text = try Program.run(["\(Daemon.binaries)/rqlited", "openapi"])
        let paths = JSON(try JSONSerialization.jsonObject(with: Data(text.utf8)))["paths"]
        let requests = try Self.folder.names.flatMap { try Self.folder.read($0).blocks }
            .flatMap(\.commands).compactMap { line -> (operation: String, names: [Substring])? in
                let words = line.split(separator: " ")
                guard words.count > 2, ["leader", "follower", "both"].contains(words[0]) else {
                    return nil
                }
                let parts = words[2].split(separator: "?", maxSplits: 1)
                let pairs = parts.count > 1 ? parts[1].split(separator: "&") : []
                return ("\(words[1]) \(parts[0])", pairs.map { $0.prefix { $0 != "=" } })
            }
        var count = 0
        for path in paths.members ?? [] {
            for method in paths[path].members ?? [] {
                let operation = "\(method.uppercased()) \(path)"
                let given = requests.filter { $0.operation == operation }.flatMap(\.names)
                for parameter in paths[path][method]["parameters"].array ?? []
                where parameter["in"].string == "query" {
                    let name = parameter["name"].string ?? ""
                    #expect(given.contains { $0 == name }, "\(operation): \(name)")
                    count += 1
                }
            }
        }
        #expect(count > 100)
    }

    @Test(arguments: ConformanceTests.folder.names)
    func `Requests are answered as written, byte by byte`(name: String) async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement(within: .seconds(60))
        if leader.id != "1" {
            let answer = try await leader.client.send(
                "POST", "/leader?wait", body: Data(#"{"id":"1"}"#.utf8))
            #expect(answer.status == 200)
        }
        try await eventually("node 1 leads", within: .seconds(30)) {
            try await cluster.waitForAgreement().id == "1" ? true : nil
        }
        let nodes = cluster.nodes
        if name.hasPrefix("lost") {
            nodes[0].kill()
            nodes[2].kill()
            try await eventually("node 2 misses its leader", within: .seconds(30)) {
                try await nodes[1].client.get("/readyz?timeout=1s").text
                    .contains("leader does not exist") ? true : nil
            }
        }
        let differences = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        let player = ConformancePlayer(nodes)
                        return try Self.folder.play(name) { try player.answers(to: $0) }
                    })
            }
        }
        for difference in differences { Issue.record("\(difference)") }
    }
}
