import Foundation
import Testing

/// Backups and loads over HTTP, through any node.
@Suite(.serialized) struct BackupTests {
    private static func sqlite(_ path: String, _ sql: String) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/sqlite3")
        process.arguments = [path, sql]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }

    private static func fill(_ node: Daemon, rows: Int) async throws {
        _ = try await node.client.execute([
            "DROP TABLE IF EXISTS t", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT \(rows)) "
                + "INSERT INTO t SELECT i, hex(randomblob(50)) FROM n",
        ])
    }

    @Test(.timeLimit(.minutes(15)))
    func `Every node gives a backup of what was acknowledged, and takes one in`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        try await Self.fill(leader, rows: 30_000)
        let directory = try TestDirectory()
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        var backups: [Data] = []
        for (place, query) in ["", "?compress", "?vacuum", "?fmt=delete", "?fmt=sql"].enumerated() {
            for node in [leader, follower] {
                let answer = try await node.client.get("/db/backup\(query)")
                #expect(answer.status == 200, "\(answer.text.prefix(300))")
                #expect(Int(answer.headers["x-rqlite-raft-index"] ?? "") ?? 0 > 2)
                #expect(answer.body.range(of: Data("sqlite_rqlite".utf8)) == nil)
                backups.append(answer.body)
                guard !["?compress", "?fmt=sql"].contains(query) else { continue }
                let path = "\(directory.path)/\(place)-\(node.id)"
                try answer.body.write(to: URL(filePath: path))
                #expect(try Self.sqlite(path, "PRAGMA integrity_check") == "ok\n")
                #expect(
                    try Self.sqlite(path, "SELECT count(*), sum(a) FROM t") == "30000|450015000\n")
            }
        }
        for (place, backup) in backups.enumerated() {
            _ = try await leader.client.execute([
                "DROP TABLE IF EXISTS t", "CREATE TABLE u\(place)(a)",
            ])
            let node = place % 2 == 0 ? follower : leader
            let answer = try await node.client.send("POST", "/db/load", body: backup)
            #expect(answer.status == 200, "\(answer.text.prefix(300))")
            for reader in cluster.nodes {
                let rows = try await eventually("node \(reader.id) has what was loaded") {
                    let rows = try? await reader.client.rows(
                        "SELECT count(*), sum(a) FROM t", level: "none")
                    return rows?[0][0].int == 30_000 ? rows : nil
                }
                #expect(rows[0][1].int == 450_015_000)
            }
            _ = try await node.client.execute(["INSERT INTO t VALUES(NULL, 'after')"])
        }
        #expect(
            try await leader.client.rows("SELECT b FROM t WHERE a = 30001")[0][0].string == "after")
    }

    @Test(.timeLimit(.minutes(15)))
    func `Nodes that are killed around a load have the old database or the new one`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        var leader = try await cluster.waitForAgreement()
        try await Self.fill(leader, rows: 50_000)
        let backup = try await leader.client.get("/db/backup").body
        for round in 0..<3 {
            _ = try await leader.client.execute(["DELETE FROM t", "INSERT INTO t VALUES(0, 'old')"])
            let victim = cluster.nodes[round]
            let asked = cluster.nodes[(round + 1) % 3].client
            async let loaded = asked.send("POST", "/db/load", body: backup)
            // Somewhere on the way: it is checked, sent, persisted or applied.
            try await eventually("the load is on its way") {
                let vars = try? await asked.get("/debug/vars").json()
                return (vars?["http"]["loads"].int ?? 0) > 0 ? true : nil
            }
            victim.kill()
            let status = (try? await loaded.status) ?? 0
            try victim.start()
            leader = try await cluster.waitForAgreement()
            let rows = try await eventually("reads are served") {
                try? await leader.client.rows("SELECT count(*) FROM t", level: "linearizable")
            }
            let count = try #require(rows[0][0].int)
            #expect([1, 50_000].contains(count), "round \(round): \(count)")
            if status == 200 { #expect(count == 50_000) }
            for node in cluster.nodes {
                try await eventually("node \(node.id) has the same") {
                    let rows = try? await node.client.rows("SELECT count(*) FROM t", level: "none")
                    return rows?[0][0].int == count ? true : nil
                }
            }
        }
    }

    /// Beyond what one entry of the log has room for, packed as well as it gets.
    private static func largeFile(_ path: String) throws -> Data {
        _ = try sqlite(
            path,
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b); "
                + "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 70) "
                + "INSERT INTO t SELECT i, randomblob(1 << 20) FROM n")
        return try Data(contentsOf: URL(filePath: path))
    }

    private static func expect(_ count: Int, on nodes: [Daemon]) async throws {
        for node in nodes {
            try await eventually("node \(node.id) has \(count) rows", within: .seconds(120)) {
                let rows = try? await node.client.rows("SELECT count(*) FROM t", level: "none")
                return rows?[0][0].int == count ? true : nil
            }
        }
    }

    private static func clear(_ cluster: TestCluster) async throws {
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute([
            "DROP TABLE IF EXISTS t", "CREATE TABLE t(a)", "INSERT INTO t VALUES('old')",
        ])
        try await expect(1, on: cluster.nodes)
    }

    /// Starts the nodes, and ends the one that loads the file when some of its parts are kept.
    /// - Returns: that node, which runs again.
    private static func leaveParts(of file: Data, in cluster: TestCluster) async throws -> Daemon {
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let asked = try #require(cluster.nodes.first { $0 !== leader })
        try await clear(cluster)
        async let broken = asked.client.send("POST", "/db/load", body: file, timeout: .seconds(300))
        try await partsAreKept(by: asked)
        asked.kill()
        _ = try? await broken
        try asked.start()
        try await expect(1, on: cluster.nodes)
        return asked
    }

    @Test(.timeLimit(.minutes(15)))
    func `A database beyond one entry loads in parts, whichever node is killed on the way`()
        async throws
    {
        let directory = try TestDirectory()
        let file = try Self.largeFile(directory.path + "/large")
        // Parts of a node that is gone take no effect, and keep others waiting for a minute at most, in which
        // another cluster is tried.
        let waiting = try TestCluster.joined(3)
        defer { waiting.stop() }
        let gone = try await Self.leaveParts(of: file, in: waiting)
        let start = ContinuousClock.now

        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let asked = try #require(cluster.nodes.first { $0 !== leader })
        let third = try #require(cluster.nodes.first { $0 !== leader && $0 !== asked })
        for victim in [third, leader] {
            try await Self.clear(cluster)
            async let loaded = asked.client.send(
                "POST", "/db/load?timeout=60s", body: file, timeout: .seconds(300))
            try await Self.partsAreKept(by: asked)
            victim.kill()
            try victim.start()
            let answer = try await loaded
            #expect(answer.status == 200, "\(answer.text.prefix(300))")
            #expect(try answer.json()["error"].string == nil)
            try await Self.expect(70, on: cluster.nodes)
        }
        cluster.stop()

        // Each attempt that is refused takes the file, and looks at all of it, first.
        try await eventually("the minute is over", within: .seconds(90)) {
            ContinuousClock.now - start > .seconds(60) ? true : nil
        }
        let next = try await waiting.waitForAgreement()
        try await eventually("another load begins", within: .seconds(300)) {
            let answer = try await next.client.send(
                "POST", "/db/load?timeout=60s", body: file, timeout: .seconds(300))
            return try answer.json()["error"].string == nil ? true : nil
        }
        try await Self.expect(70, on: waiting.nodes)
        let written = try await gone.client.execute(["INSERT INTO t VALUES(NULL, 'after')"])
        #expect(written["results"][0]["error"].string == nil)
    }

    private static func partsAreKept(by node: Daemon) async throws {
        try await eventually("parts are on their way", within: .seconds(120)) {
            let status = try? await node.client.get("/status").json()
            return (status?["http"]["load"]["parts_kept"].int ?? 0) > 2 ? true : nil
        }
    }

    @Test(.timeLimit(.minutes(15)))
    func `Rows of CSV, of lines of JSON and of a file are added through any node`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let follower = try #require(cluster.nodes.first { $0 !== leader })
        _ = try await leader.client.execute(["CREATE TABLE t(a INTEGER PRIMARY KEY, b)"])
        let csv = "a,b\n" + (1...2500).map { "\($0),\"row \($0)\"\n" }.joined()
        let first = try await follower.client.send(
            "POST", "/db/import?table=t&format=csv", body: Data(csv.utf8))
        #expect(first.status == 200, "\(first.text)")
        #expect(try first.json()["rows"].int == 2500)
        #expect(try first.json()["batches"].int == 3)
        let lines = (2501...3000).map { "{\"a\":\($0),\"b\":0.5}\n" }.joined()
        let second = try await leader.client.send(
            "POST", "/db/import?table=t&format=ndjson&batch=100", body: Data(lines.utf8))
        #expect(try second.json()["batches"].int == 5)
        let directory = try TestDirectory()
        let path = directory.path + "/file"
        _ = try Self.sqlite(
            path, "CREATE TABLE s(a, b); INSERT INTO s VALUES(3001, x'0102'), (3002, NULL), (1, 2)")
        let file = try Data(contentsOf: URL(filePath: path))
        let failed = try await follower.client.send(
            "POST", "/db/import?table=t&from=s&format=sqlite", body: file)
        #expect(failed.status == 400)
        #expect(try failed.json()["line"].int == 3)
        #expect(try failed.json()["rows"].int == 0)
        let third = try await follower.client.send(
            "POST", "/db/import?table=t&from=s&format=sqlite&conflict=ignore", body: file)
        #expect(third.status == 200, "\(third.text)")
        let rows = try await leader.client.rows(
            "SELECT count(*), sum(a), typeof(max(b)), sum(typeof(a) = 'integer') FROM t")
        #expect(rows[0][0].int == 3002)
        #expect(rows[0][1].int == 3002 * 3003 / 2)
        #expect(rows[0][2].string == "blob")
        #expect(rows[0][3].int == 3002)
        #expect(try await Self.kept(by: follower).isEmpty)
    }

    private static func kept(by node: Daemon) async throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: node.dataDirectory + "/tmp")
            .filter { $0.contains("loading") }
    }

    @Test(.timeLimit(.minutes(15)))
    func `What can't be loaded changes nothing, and says why`() async throws {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        let node = try await cluster.waitForAgreement()
        try await Self.fill(node, rows: 1000)
        var backup = try await node.client.get("/db/backup").body
        backup.replaceSubrange(16384..<16584, with: Data(repeating: 0xA5, count: 200))
        let damaged = try await node.client.send("POST", "/db/load", body: backup)
        #expect(damaged.status == 400)
        #expect(damaged.text.count > 10)
        let cut = try await node.client.send("POST", "/db/load", body: backup.prefix(5000))
        #expect(cut.status == 400)
        let failing = try await node.client.send(
            "POST", "/db/load", body: Data("INSERT INTO t VALUES(5000, 1); nonsense".utf8))
        #expect(failing.status == 200)
        #expect(try failing.json()["results"][0]["error"].string != nil)
        let empty = try await node.client.send("POST", "/db/load", body: Data())
        #expect(try empty.json()["results"].array?.isEmpty == true)
        #expect(try await node.client.rows("SELECT count(*) FROM t")[0][0].int == 1000)
    }
}
