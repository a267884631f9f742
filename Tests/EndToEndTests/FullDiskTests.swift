import Foundation
import Testing

/// A disk that is full for a while: writes wait, reads go on, and nothing has to be repaired.
@Suite(.serialized, .enabled(if: geteuid() == 0)) struct FullDiskTests {
    /// A small file system of its own.
    private final class SmallDisk: Sendable {
        let directory: TestDirectory
        var path: String { directory.path }

        init(megabytes: Int) throws {
            directory = try TestDirectory()
            try run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", directory.path)
        }

        deinit {
            do { try run("umount", "-l", directory.path) } catch { Issue.record(error) }
        }

        /// Takes all room but `spare` bytes.
        func fill(sparing spare: Int) throws {
            let free = try FileManager.default.attributesOfFileSystem(forPath: path)[
                .systemFreeSize]
            let size = try #require((free as? NSNumber)?.intValue) - spare
            try Data(count: max(0, size)).write(to: URL(fileURLWithPath: "\(path)/filling"))
        }

        func makeRoom() throws {
            try FileManager.default.removeItem(atPath: "\(path)/filling")
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `A leader whose database has no room hands over, and writes go on`() async throws {
        let disks = try (0..<3).map { _ in try SmallDisk(megabytes: 64) }
        let places = try DiscoveryMode.Place.onLoopback(3)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        let nodes = zip(places, disks).enumerated().map { number, own in
            Daemon(
                id: "\(number + 1)", host: own.0.host, httpPort: own.0.httpPort,
                raftPort: own.0.raftPort, directory: own.1.path,
                arguments: ["-bootstrap-expect", "3", "-join", list])
        }
        let cluster = TestCluster(nodes, in: try TestDirectory())
        defer { cluster.stop() }
        try cluster.start()
        let full = try await cluster.waitForAgreement()
        _ = try await full.client.execute(["CREATE TABLE t(b)"])
        let place = try #require(nodes.firstIndex { $0.id == full.id })
        try disks[place].fill(sparing: 1 << 20)

        let others = nodes.filter { $0.id != full.id }
        try await eventually("a leader with room", within: .seconds(30)) {
            _ = try await others[0].client.execute(
                ["INSERT INTO t VALUES(randomblob(300000))"], parameters: "?timeout=500ms")
            let status = try await others[0].client.get("/status").json()
            return status["store"]["leader"]["node_id"].string == full.id ? nil : true
        }
        for node in others {
            try await eventually("a write through node \(node.id)", within: .seconds(10)) {
                let result = try await node.client.execute(["INSERT INTO t VALUES(1)"])
                return result["results"][0]["rows_affected"].int == 1 ? true : nil
            }
        }
        let readiness = try await full.client.get("/readyz")
        #expect(readiness.status == 503)

        try disks[place].makeRoom()
        try await cluster.waitForAgreement()
        let count = "SELECT count(*) FROM t"
        let written = try await full.client.rows(count, level: "linearizable")
        let applied = try await full.client.rows(count, level: "none")
        #expect(applied[0][0].int == written[0][0].int, "\(cluster.logs)")
    }

    /// Started, and to be killed.
    private func loneNode(on disk: SmallDisk) throws -> Daemon {
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: disk.path)
        try node.start()
        return node
    }

    @Test(.timeLimit(.minutes(5)))
    func `Room that a long read kept is there again when it is over, without an operator`()
        async throws
    {
        let disk = try SmallDisk(megabytes: 64)
        let node = try loneNode(on: disk)
        defer { node.kill() }
        try await node.waitUntilReady()
        let change = "UPDATE t SET b = randomblob(300000)"
        var statements = ["CREATE TABLE t(b)"]
        for _ in 0..<8 { statements.append("INSERT INTO t VALUES(randomblob(300000))") }
        // The main file has its size before the disk is full.
        statements += [change, change]
        _ = try await node.client.execute(statements)
        _ = try await node.client.send("POST", "/snapshot")
        try disk.fill(sparing: 12 << 20)

        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) "
            + "SELECT hex(zeroblob(50000)) FROM n"
        let query = endless.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        do {
            let wire = try HTTPWire(host: node.host, port: node.httpPort, timeout: 30)
            try wire.sendRaw("GET /db/query?level=none&q=\(query) HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually("the read waits for its client", within: .seconds(60)) {
                let metrics = try await node.client.get("/debug/vars").json()
                return metrics["readers"]["stalled"].int == 1 ? true : nil
            }
            try await eventually("no room is left", within: .seconds(60)) {
                let result = try await node.client.execute(
                    [change], parameters: "?timeout=500ms")
                return result["error"].string == "database or disk is full" ? true : nil
            }
            withExtendedLifetime(wire) {}
        }
        try await eventually("a write succeeds", within: .seconds(30)) {
            let result = try await node.client.execute([change])
            return result["results"][0]["rows_affected"].int == 8 ? true : nil
        }
        #expect(try await node.terminate() == 0)
    }

    @Test func `A node on a full disk goes on reading, says why it is not ready, and recovers`()
        async throws
    {
        let disk = try SmallDisk(megabytes: 64)
        let node = try loneNode(on: disk)
        defer { node.kill() }
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(b)", "INSERT INTO t VALUES(1)"])
        try disk.fill(sparing: 1 << 20)

        try await eventually("a write is refused because the disk is full") {
            let result = try await node.client.execute(
                ["INSERT INTO t VALUES(randomblob(300000))"], parameters: "?timeout=500ms")
            return result["error"].string == "database or disk is full" ? true : nil
        }
        let before = try await node.client.rows("SELECT count(*) FROM t", level: "none")
        #expect((before[0][0].int ?? 0) >= 1)
        let readiness = try await node.client.get("/readyz")
        #expect(readiness.status == 503)
        #expect(readiness.text.contains("disk is full"))

        try disk.makeRoom()
        try await node.waitUntilReady()
        let written = try await node.client.execute(["INSERT INTO t VALUES(2)"])
        #expect(written["results"][0]["rows_affected"].int == 1, "\(written)")
        #expect(try await node.terminate() == 0)
    }

    /// The system kills who is not prepared for `ulimit -f`.
    @Test(.timeLimit(.minutes(5)))
    func `Files that may grow no further are a full disk, and end no node`() async throws {
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            prefix: ["prlimit", "--fsize=25000000:"])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(b)"])
        try await eventually("no room is left", within: .seconds(60)) {
            let result = try await node.client.execute(
                ["INSERT INTO t VALUES(zeroblob(1000000))"], parameters: "?timeout=500ms")
            return result["error"].string == "database or disk is full" ? true : nil
        }
        let pid = try #require(node.pid)
        try run("prlimit", "--pid", "\(pid)", "--fsize=unlimited:")
        try await eventually("a write succeeds", within: .seconds(30)) {
            let result = try await node.client.execute(["INSERT INTO t VALUES(1)"])
            return result["results"][0]["rows_affected"].int == 1 ? true : nil
        }
        #expect(try await node.terminate() == 0)
    }
}
