import Foundation
import Testing

/// One node, as somebody sees it who just unzipped it.
@Suite(.serialized) struct SingleNodeTests {
    private func single(_ arguments: [String] = []) throws -> TestCluster {
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: arguments)
        return TestCluster([node], in: directory)
    }

    @Test func `A node without any options is a cluster of its own and keeps its data`()
        async throws
    {
        let cluster = try single()
        defer { cluster.stop() }
        let node = cluster.nodes[0]
        try cluster.start()
        try await node.waitUntilReady()
        let made = try await node.client.execute([
            "CREATE TABLE foo (id INTEGER NOT NULL PRIMARY KEY, name TEXT)",
            ["INSERT INTO foo(name) VALUES(?)", "fiona"],
        ])
        #expect(made["results"][1]["last_insert_id"].int == 1)
        node.kill()
        try cluster.start()
        try await node.waitUntilReady()
        let rows = try await node.client.rows("SELECT name FROM foo", level: "strong")
        #expect(rows.map { $0[0].string } == ["fiona"])
        #expect(try await node.terminate() == 0)
        #expect(node.log.contains("rqlite server stopped"))
    }

    @Test func `A log that nobody takes holds nobody`() async throws {
        let cluster = try single(["-raft-log-level", "DEBUG"])
        defer { cluster.stop() }
        let node = cluster.nodes[0]
        // Standard error is a pipe that is full, whose reader hangs.
        try #require(mkfifo(node.logPath, 0o600) == 0)
        let pipe = open(node.logPath, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        try #require(pipe >= 0)
        defer { close(pipe) }
        let page = [UInt8](repeating: UInt8(ascii: "x"), count: 4096)
        while write(pipe, page, page.count) > 0 {}
        try cluster.start()
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(7)"])
        #expect(try await node.client.rows("SELECT v FROM t", level: "strong")[0][0].int == 7)
        let metrics = try await node.client.get("/metrics").text
        let lost = metrics.split(separator: "\n").first {
            $0.hasPrefix("rqlited_log_lost_lines_total ")
        }
        #expect(lost.map { $0 != "rqlited_log_lost_lines_total 0" } ?? false)
        #expect(try await node.terminate() == 0)
    }

    @Test func `Reads work at every level on a single node`() async throws {
        let cluster = try single()
        defer { cluster.stop() }
        try cluster.start()
        let client = cluster.nodes[0].client
        try await cluster.nodes[0].waitUntilReady()
        _ = try await client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(7)"])
        for level in ["none", "weak", "linearizable", "strong", "auto"] {
            #expect(try await client.rows("SELECT v FROM t", level: level)[0][0].int == 7)
        }
    }

    @Test func `A changed node ID on old data is refused with both IDs`() async throws {
        let cluster = try single()
        defer { cluster.stop() }
        let node = cluster.nodes[0]
        try cluster.start()
        try await node.waitUntilReady()
        node.kill()
        let output = node.dataDirectory + ".other"
        let other = try ChildProcess(
            [
                "\(Daemon.binaries)/rqlited", "-node-id", "other", "-http-addr",
                "127.0.0.1:\(node.httpPort)", "-raft-addr", "127.0.0.1:\(node.raftPort)",
                node.dataDirectory,
            ],
            output: output)
        #expect(other.waitForEnd() == 1)
        let text = try String(contentsOfFile: output, encoding: .utf8)
        #expect(text.contains("-node-id other") && text.contains("node 1"))
    }

    @Test func `Foreign keys are enforced when the cluster was made with -fk`() async throws {
        let cluster = try single(["-fk"])
        defer { cluster.stop() }
        try cluster.start()
        let client = cluster.nodes[0].client
        try await cluster.nodes[0].waitUntilReady()
        _ = try await client.execute([
            "CREATE TABLE p(id INTEGER PRIMARY KEY)",
            "CREATE TABLE c(p INTEGER REFERENCES p(id))",
        ])
        let result = try await client.execute(["INSERT INTO c VALUES(1)"])
        #expect(result["results"][0]["error"].string == "FOREIGN KEY constraint failed")
    }
}
