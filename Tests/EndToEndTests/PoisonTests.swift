import Foundation
import ServerTesting
import Testing

/// An entry of the log that ends the process: no crash loop, a reason, and two ways out.
@Suite(.serialized, .enabled(if: PoisonShim.hindrance == nil)) struct PoisonTests {
    private static let poison = "INSERT INTO t VALUES(3, '\(PoisonShim.word)')"

    /// Starts what has ended, as a service manager does, until nothing ends any more and all that are
    /// given have stopped applying.
    /// - Returns: how often each was started.
    static func supervise(_ nodes: [Daemon]) async throws -> [String: Int] {
        var starts: [String: Int] = [:]
        try await eventually("all nodes stop applying", within: .seconds(60)) {
            var halted = 0
            for node in nodes {
                if !node.isRunning {
                    starts[node.id, default: 0] += 1
                    guard (starts[node.id] ?? 0) <= 4 else { return true }
                    try node.start()
                } else if (try? await apply(node)["state"].string) == "halted" {
                    halted += 1
                }
            }
            return halted == nodes.count ? true : nil
        }
        return starts
    }

    static func apply(_ node: Daemon) async throws -> JSON {
        try await node.client.get("/status", timeout: .seconds(2)).json()["store"]["apply"]
    }

    static func post(_ path: String, _ body: [String: Int]?, to node: Daemon) async throws
        -> HTTPAnswer
    {
        try await node.client.send(
            "POST", path, body: body.map { try JSONSerialization.data(withJSONObject: $0) })
    }

    static func names(_ node: Daemon) async throws -> String {
        let rows = try await node.client.rows("SELECT a FROM t ORDER BY a", level: "none")
        return rows.compactMap { $0[0].int.map(String.init) }.joined(separator: ",")
    }

    /// What a client that asks for too much gets: no answer.
    static func poison(_ node: Daemon) async {
        do {
            _ = try await node.client.execute(
                ["INSERT INTO t VALUES(2, 'two')", Self.poison, "INSERT INTO t VALUES(4, 'four')"],
                parameters: "?transaction&timeout=3s", timeout: .seconds(10))
        } catch {}
    }

    @Test func `An entry that ends every node is left out by decision, and all go on`()
        async throws
    {
        let shim = try PoisonShim()
        let cluster = try shim.cluster()
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(
            ["CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 'one')"])
        await Self.poison(leader)
        let starts = try await Self.supervise(cluster.nodes)
        // Each ended twice in the entry, and was not started a third time in vain.
        for node in cluster.nodes { #expect(starts[node.id] == 2, "\(starts)") }

        let node = cluster.nodes[1]
        let state = try await Self.apply(node)
        #expect(state["statement"].string == Self.poison)
        #expect(state["ends"].int == 2)
        let index = try #require(state["index"].int)
        let hash = try #require(state["hash"].int)
        let readiness = try await node.client.get("/readyz")
        #expect(readiness.status == 503)
        for text in ["log entry \(index)", Self.poison, "/cluster/apply/retry", "\(hash)"] {
            #expect(readiness.text.contains(text))
            #expect(node.log.contains(text))
        }
        for level in ["none", "weak", "strong"] {
            let answer = try await node.client.execute(
                ["SELECT 1"], parameters: "?level=\(level)", endpoint: "query")
            #expect(answer["error"].string?.contains("log entry \(index)") == true, "\(answer)")
        }
        let written = try await node.client.execute(["INSERT INTO t VALUES(5, 'five')"])
        #expect(written["error"].string?.contains("log entry \(index)") == true, "\(written)")

        let other = try await Self.post(
            "/cluster/apply/skip", ["index": index, "hash": hash ^ 1], to: node)
        #expect(other.status == 409)
        let command = try #require(state["skip"].string)
        #expect(readiness.text.contains(command) && node.log.contains("/cluster/apply/skip"))
        _ = try Program.run(["/bin/sh", "-c", command])
        try await cluster.waitForAgreement()
        _ = try await node.client.execute(["INSERT INTO t VALUES(6, 'six')"])
        for node in cluster.nodes {
            try await eventually("node \(node.id) has all") {
                try await Self.names(node) == "1,6" ? true : nil
            }
        }
        // A start applies again what no checkpoint covers; the decision is still known.
        cluster.stop()
        try cluster.start()
        try await cluster.waitForAgreement()
        for node in cluster.nodes { #expect(try await Self.names(node) == "1,6") }
    }

    @Test func `A node alone that is ended by an entry goes on without it`() async throws {
        let shim = try PoisonShim()
        let ports = try freePorts(2)
        let directory = try TestDirectory()
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            prefix: shim.prefix)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        _ = try await node.client.execute(
            ["CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 'one')"])
        await Self.poison(node)
        #expect(try await Self.supervise([node]) == ["1": 2])
        // It is tried again, ends again, and is in doubt again.
        _ = try? await Self.post("/cluster/apply/retry", nil, to: node)
        #expect(try await Self.supervise([node]) == ["1": 1])
        let state = try await Self.apply(node)
        #expect(state["ends"].int == 3)
        let skipped = try await Self.post(
            "/cluster/apply/skip",
            ["index": try #require(state["index"].int), "hash": try #require(state["hash"].int)],
            to: node)
        #expect(skipped.status == 200, "\(skipped.text)")
        try await node.waitUntilReady()
        #expect(try await Self.names(node) == "1")
        #expect(try await node.terminate() == 0)
    }

    @Test
    func
        `A node that applied an entry which the others leave out serves nothing until it is seeded`()
        async throws
    {
        let shim = try PoisonShim()
        // The third runs without what ends the others.
        let cluster = try shim.cluster(ending: 2)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(
            ["CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 'one')"])
        await Self.poison(leader)
        let ended = Array(cluster.nodes.prefix(2))
        _ = try await Self.supervise(ended)
        let sound = cluster.nodes[2]
        // It comes to lead, for it alone applies, and serves all.
        try await eventually("the third serves", within: .seconds(30)) {
            let rows = try await ended[0].client.rows("SELECT a FROM t", level: "weak")
            return rows.count == 4 ? true : nil
        }
        let state = try await Self.apply(ended[0])
        let skipped = try await Self.post(
            "/cluster/apply/skip",
            ["index": try #require(state["index"].int), "hash": try #require(state["hash"].int)],
            to: ended[0])
        #expect(skipped.status == 200, "\(skipped.text)")
        for node in ended { try await node.waitUntilReady(within: .seconds(30)) }
        // Leadership is on its way from the third, so the first try may be refused.
        let seven = "INSERT INTO t SELECT 7, 'seven' WHERE NOT EXISTS (SELECT 1 FROM t WHERE a = 7)"
        for node in ended {
            try await eventually("node \(node.id) has all") { () async throws -> Bool? in
                if try await Self.names(node) == "1,7" { return true }
                _ = try await ended[1].client.execute([seven])
                return nil
            }
        }
        // It serves nothing from when it hears of it until another's database is in its place.
        try await eventually("the third has what the others have") { () async throws -> Bool? in
            guard try await Self.apply(sound)["state"].string == "applying" else { return nil }
            return try await Self.names(sound) == "1,7" ? true : nil
        }
        #expect(
            sound.log.contains(
                "it serves nothing about=\"\" cause=\"this node had applied log entry"))
        #expect(sound.log.contains("which the cluster decided to leave out"))
    }

    @Test
    func
        `Stopped nodes get a skip beside their peers, under a new epoch, and go on without the entry`()
        async throws
    {
        let shim = try PoisonShim()
        let cluster = try shim.cluster()
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(
            ["CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 'one')"])
        await Self.poison(leader)
        _ = try await Self.supervise(cluster.nodes)
        let state = try await Self.apply(cluster.nodes[0])
        cluster.stop()
        // One of the three is lost for good.
        let pair = Array(cluster.nodes.prefix(2))
        let peers = pair.map { #"{"id":"\#($0.id)","address":"\#($0.host):\#($0.raftPort)"}"# }
        let names = ["index", "hash", "text", "offset"]
        let skip = names.map { "\"\($0)\":\(state[$0].int ?? -1)" }.joined(separator: ",")
        for node in pair {
            let directory = node.dataDirectory + "/raft"
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true)
            try "[\(peers.joined(separator: ","))]".write(
                toFile: directory + "/peers.json", atomically: true, encoding: .utf8)
            try "{\(skip)}".write(
                toFile: directory + "/skip.json", atomically: true, encoding: .utf8)
            try node.start()
        }
        for node in pair { try await node.waitUntilReady(within: .seconds(30)) }
        _ = try await pair[0].client.execute(["INSERT INTO t VALUES(6, 'six')"])
        for node in pair {
            try await eventually("node \(node.id) has all") {
                try await Self.names(node) == "1,6" ? true : nil
            }
            let files = try FileManager.default.contentsOfDirectory(
                atPath: node.dataDirectory + "/raft")
            #expect(files.sorted() == ["peers.info", "skip.info"])
            let term = try await node.client.get("/status").json()["store"]["raft"]["term"].int
            #expect((term ?? 0) > 1 << 32)
        }
        // Who joins later learns of it from the log, or from a snapshot.
        let directory = try TestDirectory()
        let third = try TestCluster(pair, in: directory).another("4", in: directory)
        defer { third.kill() }
        try third.start()
        try await third.waitUntilReady(within: .seconds(30))
        #expect(try await Self.names(third) == "1,6")
    }

    @Test func `A node killed twice within a long entry applies it when it is told to try again`()
        async throws
    {
        let ports = try freePorts(2)
        let directory = try TestDirectory()
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(a)"])
        let before = try #require(
            try await node.client.get("/status").json()["store"]["raft"]["applied_index"].int)
        let long =
            "INSERT INTO t WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c "
            + "WHERE x < 12000000) SELECT x FROM c WHERE x % 1000000 = 0"
        async let answer: JSON? = try? node.client.execute([long], timeout: .seconds(60))
        for ends in 0..<2 {
            try await eventually("the entry is being applied", within: .seconds(60)) {
                let mark = try Self.mark(of: node)
                return mark.index > before && mark.ends == ends ? true : nil
            }
            node.kill()
            try node.start()
        }
        _ = await answer
        try await eventually("the node is in doubt") {
            try await Self.apply(node)["state"].string == "halted" ? true : nil
        }
        let command = try #require(try await Self.apply(node)["try_again"].string)
        _ = try Program.run(["/bin/sh", "-c", command])
        try await node.waitUntilReady(within: .seconds(60))
        #expect(try await node.client.rows("SELECT count(*) FROM t")[0][0].int == 12)
    }

    /// Which entry the node's mark names as being applied, 0: none, and how often an entry ended the
    /// process before. Only the mark tells: an entry that is committed and not applied may still wait for
    /// its turn, and an end then counts for nothing.
    private static func mark(of node: Daemon) throws -> (index: Int, ends: Int) {
        let mark = try Data(contentsOf: URL(filePath: node.dataDirectory + "/applying"))
        let word = { (place: Int) in
            mark.dropFirst(place * 8).prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        return (word(1), word(5))
    }
}
