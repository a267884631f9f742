import Foundation
import JSON
import Testing

/// A download of `-auto-restore` on a node that waits for others: whatever comes in between, the cluster
/// begins with it.
@Suite(.serialized) struct PendingRestoreTests {
    private let directory: TestDirectory

    init() throws { directory = try TestDirectory() }

    private func configure(_ name: String) throws -> String {
        let sub = [JSONValue.Member("dir", .string(directory.path)), .init("name", .string(name))]
        return try directory.write(
            "restore.json", StorageConfiguration.of("file", sub, [.init("timeout", "5m")]))
    }

    /// Two nodes that found a cluster together, the first of them with the flag.
    /// - Parameter statements: make what is restored.
    private func pair(_ statements: String) throws -> TestCluster {
        try run("sqlite3", "\(directory.path)/db", statements)
        let restore = try configure("db")
        let places = try DiscoveryMode.Place.onLoopback(2)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        return try TestCluster(at: places) { position in
            ["-bootstrap-expect", "2", "-join", list]
                + (position == 0 ? ["-auto-restore", restore] : [])
        }
    }

    private func file(_ node: Daemon) -> String { "\(node.dataDirectory)/auto-restore" }

    /// Until it serves clients, and waits for the other one.
    private func waitForDownload(_ holder: Daemon) async throws {
        try await eventually("it has the file", within: .seconds(120)) {
            FileManager.default.fileExists(atPath: file(holder))
                && holder.log.contains("node HTTP API") ? true : nil
        }
    }

    /// Until the node with the file leads.
    private func handOver(in cluster: TestCluster) async throws {
        let (holder, other) = (cluster.nodes[0], cluster.nodes[1])
        try await eventually("the node with the file leads", within: .seconds(60)) {
            let status = try await other.client.get("/status").json()
            let leader = status["store"]["leader"]["node_id"].string
            if leader == other.id {
                _ = try await other.client.send("POST", "/leader?wait=true")
            }
            return leader == holder.id ? true : nil
        }
    }

    /// Until the rows of the copy are on both nodes, brought by the first one.
    private func expectRows(_ count: Int, on cluster: TestCluster) async throws {
        let holder = cluster.nodes[0]
        try await handOver(in: cluster)
        for node in cluster.nodes {
            try await eventually("node \(node.id) has the rows", within: .seconds(240)) {
                let rows = try await node.client.rows("SELECT count(*) FROM t", level: "none")
                return rows.first?[0].int == count ? true : nil
            }
        }
        try await eventually("it is counted") {
            let counts = try await holder.client.get("/debug/vars?key=store").json()["store"]
            #expect(counts["num_auto_restores_failed"].int == 0)
            return counts["num_auto_restores"].int == 1 ? true : nil
        }
        #expect(!FileManager.default.fileExists(atPath: file(holder)))
    }

    @Test func `What a start left that was killed while it downloaded goes with the next one`()
        async throws
    {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        let node = cluster.nodes[0]
        let part = file(node) + ".part"
        try FileManager.default.createDirectory(
            atPath: node.dataDirectory, withIntermediateDirectories: true)
        try Data("half of a database".utf8).write(to: URL(fileURLWithPath: part))
        try cluster.start()
        try await node.waitUntilReady()
        #expect(!FileManager.default.fileExists(atPath: part))
    }

    private static let largeCopy =
        "CREATE TABLE t(a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<70) "
        + "INSERT INTO t SELECT randomblob(1048576) FROM n"

    @Test(.timeLimit(.minutes(10)))
    func `What a client loads meanwhile is not in the way of a restore in parts`() async throws {
        let cluster = try pair(Self.largeCopy)
        defer { cluster.stop() }
        let holder = cluster.nodes[0]
        try holder.start()
        try await waitForDownload(holder)
        let client = holder.client
        async let answer = try? client.send(
            "POST", "/db/load", body: .slowDump(pauses: 12), timeout: .seconds(300))
        try await eventually("it looks at the client's dump", within: .seconds(60)) {
            try FileManager.default.contentsOfDirectory(atPath: holder.dataDirectory + "/tmp")
                .contains { $0.hasSuffix("_dump") } ? true : nil
        }
        try cluster.nodes[1].start()
        try await expectRows(70, on: cluster)
        cluster.stop()
        _ = await answer
    }

    @Test func `A download that a later start can't look at stays for the one after it`()
        async throws
    {
        let cluster = try pair("CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)")
        defer { cluster.stop() }
        let holder = cluster.nodes[0]
        try holder.start()
        try await waitForDownload(holder)
        holder.kill()
        let download = try Data(contentsOf: URL(filePath: file(holder)))
        // Stands for a disk that fails, or has no room just then.
        let spoilt = Data("no database".utf8)
        try spoilt.write(to: URL(filePath: file(holder)))
        for _ in 0..<2 {
            try holder.start()
            #expect(try await holder.waitForExit() == 1)
            #expect(holder.log.contains("it stays for the next start"), "\(holder.log)")
            #expect(FileManager.default.contents(atPath: file(holder)) == spoilt)
        }
        try download.write(to: URL(filePath: file(holder)))
        for node in cluster.nodes { try node.start() }
        try await expectRows(2, on: cluster)
    }

    /// SQLite finds nothing wrong with another letter.
    @Test func `A download whose bytes have changed on the disk is not restored`() async throws {
        let cluster = try pair("CREATE TABLE t(a); INSERT INTO t VALUES('sound'),(2)")
        defer { cluster.stop() }
        let holder = cluster.nodes[0]
        try holder.start()
        try await waitForDownload(holder)
        holder.kill()
        let download = URL(filePath: file(holder))
        var bytes = try Data(contentsOf: download)
        let letters = try #require(bytes.range(of: Data("sound".utf8)))
        bytes[letters.lowerBound] ^= 0x20
        try bytes.write(to: download)
        try holder.start()
        #expect(try await holder.waitForExit() == 1)
        #expect(holder.log.contains("has other bytes than were downloaded"), "\(holder.log)")
        // What it says helps.
        try FileManager.default.removeItem(atPath: file(holder) + ".from")
        for node in cluster.nodes { try node.start() }
        try await expectRows(2, on: cluster)
    }

    @Test func `A start that is told of another copy restores that, not what it has downloaded`()
        async throws
    {
        let cluster = try pair("CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)")
        defer { cluster.stop() }
        let holder = cluster.nodes[0]
        try holder.start()
        try await waitForDownload(holder)
        holder.kill()
        let download = FileManager.default.contents(atPath: file(holder))
        // One that can't be had: the node does not begin with the other.
        _ = try configure("db2")
        try holder.start()
        #expect(try await holder.waitForExit() == 1)
        #expect(FileManager.default.contents(atPath: file(holder)) == download)
        try run(
            "sqlite3", "\(directory.path)/db2", "CREATE TABLE t(a); INSERT INTO t VALUES(1),(2),(3)"
        )
        for node in cluster.nodes { try node.start() }
        try await expectRows(3, on: cluster)
        #expect(holder.log.contains("in place of what an earlier start downloaded"))
        #expect(!FileManager.default.fileExists(atPath: file(holder) + ".from"))
    }

    @Test(.timeLimit(.minutes(10)))
    func `A node ends while it looks at a large download, and the next start goes on with it`()
        async throws
    {
        let cluster = try pair(Self.largeCopy)
        defer { cluster.stop() }
        let holder = cluster.nodes[0]
        try holder.start()
        try await waitForDownload(holder)
        // A disk on which reading takes for ever.
        let kept = "\(directory.path)/kept"
        try FileManager.default.moveItem(atPath: file(holder), toPath: kept)
        try #require(mkfifo(file(holder), 0o600) == 0)
        try cluster.nodes[1].start()
        try await handOver(in: cluster)
        // Once somebody reads.
        let pipe = try await eventually("it makes the parts", within: .seconds(60)) {
            let descriptor = open(file(holder), O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            return descriptor < 0 ? nil : descriptor
        }
        #expect(try await holder.terminate() == 0)
        close(pipe)
        try FileManager.default.removeItem(atPath: file(holder))
        try FileManager.default.moveItem(atPath: kept, toPath: file(holder))
        try holder.start()
        try await expectRows(70, on: cluster)
    }
}
