import Foundation
import ServerTesting
import Testing

/// Databases as people have them come in as a file, as a dump and statement by statement, through a
/// follower, and go out as SQLite itself writes them.
@Suite(.serialized) struct SampleDatabaseTests {
    private let directory: TestDirectory

    init() throws { directory = try TestDirectory() }

    /// SQLite's shell, on a file of this test.
    private func shell(_ file: String, _ input: String) throws -> String {
        let path = "\(directory.path)/\(file)"
        let script = "\(directory.path)/script.sql"
        try Data((".bail on\n" + input).utf8).write(to: URL(filePath: script))
        return try Program.run(["sqlite3", path, ".read \(script)"])
    }

    /// The statements of a dump, with their line feeds.
    private static func statements(_ dump: String) -> [String] {
        var found: [String] = []
        var open: [Substring] = []
        for line in dump.split(separator: "\n") {
            open.append(line)
            let text = open.joined(separator: "\n")
            let isTrigger = text.hasPrefix("CREATE TRIGGER")
            guard line.hasSuffix(isTrigger ? "END;" : ";"),
                text.count(where: { $0 == "'" }) % 2 == 0
            else { continue }
            found.append(text)
            open = []
        }
        #expect(open.isEmpty, "\(open)")
        return found
    }

    /// What every node dumps is, once SQLite has read it, what SQLite itself dumps of the source. As text
    /// it names tables otherwise, and writes numbers with fewer digits that stand for the same.
    private func expect(_ dump: String, in cluster: TestCluster, _ how: String) async throws {
        let expected = Self.statements(dump)
        let objects = expected.filter { $0.hasPrefix("CREATE ") }
        for node in cluster.nodes {
            try await eventually("node \(node.id) has it", within: .seconds(60)) {
                try await node.client.get("/readyz?sync").status == 200 ? true : nil
            }
            let text = try await node.client.get("/db/backup?fmt=sql&noleader").text
            let found = Self.statements(text)
            // Independent objects may stand in another order.
            #expect(found.filter { $0.hasPrefix("CREATE ") }.sorted() == objects.sorted())
            #expect(found.count == expected.count, "\(how), node \(node.id)")
            let copy = "copy-\(how)-\(node.id)"
            #expect(try shell(copy, text) == "")
            let again = Self.statements(try shell(copy, ".dump\n"))
            let strange = Set(again).symmetricDifference(expected)
            #expect(strange.isEmpty, "\(how), node \(node.id): \(strange.sorted().prefix(5))")
            #expect(again.count == expected.count, "\(how), node \(node.id)")
            let check = try shell(copy, "PRAGMA integrity_check;PRAGMA foreign_key_check;")
            #expect(check == "ok\n", "\(how), node \(node.id)")
        }
    }

    private func load(_ body: Data, through node: Daemon) async throws {
        let answer = try await node.client.send(
            "POST", "/db/load", body: body, timeout: .seconds(60))
        #expect(answer.status == 200, "\(answer.text.prefix(500))")
        #expect(
            try answer.json()["results"].array?.allSatisfy { $0["error"].string == nil } == true)
    }

    @Test(.timeLimit(.minutes(10)), arguments: SampleDatabase.allCases)
    func `A well-known database comes in three ways, and goes out as SQLite dumps it`(
        sample: SampleDatabase
    ) async throws {
        #expect(try shell("source", sample.script) == "")
        #expect(try shell("source", "PRAGMA integrity_check;PRAGMA foreign_key_check;") == "ok\n")
        let dump = try shell("source", ".dump\n")
        #expect(Self.statements(dump).count > 3000)
        #expect(try shell("empty", "CREATE TABLE x(a); DROP TABLE x;") == "")
        func file(_ name: String) throws -> Data {
            try Data(contentsOf: URL(filePath: "\(directory.path)/\(name)"))
        }
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })

        try await load(try file("source"), through: follower)
        try await expect(dump, in: cluster, "file")

        try await load(try file("empty"), through: follower)
        try await load(Data(dump.utf8), through: follower)
        try await expect(dump, in: cluster, "dump")

        try await load(try file("empty"), through: follower)
        let outer: Set = ["PRAGMA foreign_keys=OFF;", "BEGIN TRANSACTION;", "COMMIT;"]
        let all = Self.statements(dump).filter { !outer.contains($0) }
        for begin in stride(from: 0, to: all.count, by: 1000) {
            let result = try await follower.client.execute(
                Array(all[begin..<min(begin + 1000, all.count)]), parameters: "?transaction")
            let errors = (result["results"].array ?? []).compactMap { $0["error"].string }
            #expect(errors == [], "from statement \(begin)")
        }
        try await expect(dump, in: cluster, "statements")
    }
}
