import Foundation
import Testing

/// Clusters that lost their quorum for good and go on by an operator's word.
@Suite(.serialized) struct RecoveryTests {
    private static func rqlited(_ words: String...) throws -> String {
        try run(["\(Daemon.binaries)/rqlited"] + words)
    }

    private static func facts(_ node: Daemon) throws -> JSON {
        let text = try rqlited("recover", "--json", node.dataDirectory)
        return JSON(try JSONSerialization.jsonObject(with: Data(text.utf8)))
    }

    /// Three nodes with rows, all killed.
    private static func wreck() async throws -> TestCluster {
        let cluster = try TestCluster.joined(3)
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        for value in 2...20 {
            _ = try await leader.client.execute([["INSERT INTO t VALUES(?)", value]])
        }
        cluster.stop()
        return cluster
    }

    private static func write(_ text: String, for node: Daemon) throws {
        let directory = node.dataDirectory + "/raft"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        try text.write(toFile: directory + "/peers.json", atomically: true, encoding: .utf8)
    }

    private static func peers(_ nodes: [Daemon]) -> String {
        let list = nodes.map { #"{"id":"\#($0.id)","address":"127.0.0.1:\#($0.raftPort)"}"# }
        return "[\(list.joined(separator: ","))]"
    }

    @Test func `Two of three go on by peers json, with every row, and take the third in again`()
        async throws
    {
        let cluster = try await Self.wreck()
        defer { cluster.stop() }
        let pair = Array(cluster.nodes[..<2])
        let before = try Self.facts(pair[0])
        for node in pair { try Self.write(Self.peers(pair), for: node) }
        try pair[0].start()
        try await eventually("it waits for the other") {
            let ready = try await pair[0].client.get("/readyz")
            return ready.text.contains("its first election needs all of") ? true : nil
        }
        try pair[1].start()
        for node in pair { try await node.waitUntilReady() }
        for node in pair {
            #expect(node.log.contains("attempting node recovery using"))
            #expect(node.log.contains("node recovered successfully using"))
            let raft = node.dataDirectory + "/raft"
            #expect(try FileManager.default.contentsOfDirectory(atPath: raft) == ["peers.info"])
        }
        let counted = try await pair[0].client.get("/debug/vars?key=store").json()["store"]
        #expect(counted["num_recoveries"].int == 1)
        let rows = try await pair[0].client.rows("SELECT count(*) FROM t", level: "linearizable")
        #expect(rows[0][0].int == 20)
        let store = try await pair[0].client.get("/status").json()["store"]
        #expect(store["cluster_id"].string != before["cluster_id"].string)
        #expect(store["nodes"].array?.compactMap { $0["id"].string } == ["1", "2"])
        // The third still lives in the cluster that was: it is told so, and comes back empty.
        let third = cluster.nodes[2]
        try third.start()
        try await eventually("it is kept out") {
            let ready = try await third.client.get("/readyz")
            return ready.status == 503 ? true : nil
        }
        third.kill()
        try FileManager.default.removeItem(atPath: third.dataDirectory)
        try third.start()
        try await third.waitUntilReady()
        try await eventually("all three vote") {
            let nodes = try await pair[0].client.get("/nodes").json()
            return ["1", "2", "3"].allSatisfy { nodes[$0]["voter"].bool == true } ? true : nil
        }
        // A restart finds the recovered membership again, from log and database.
        cluster.stop()
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let again = try await leader.client.rows("SELECT count(*) FROM t", level: "linearizable")
        #expect(again[0][0].int == 20)
    }

    @Test func `The recover verb compares survivors, and makes the most complete one go on alone`()
        async throws
    {
        let cluster = try await Self.wreck()
        defer { cluster.stop() }
        let facts = try cluster.nodes.map(Self.facts)
        let newest = try #require(
            facts.indices.max {
                (facts[$0]["last_term"].int ?? 0, facts[$0]["last_index"].int ?? 0)
                    < (facts[$1]["last_term"].int ?? 0, facts[$1]["last_index"].int ?? 0)
            })
        #expect(facts.allSatisfy { $0["members"].array?.count == 3 })
        let node = cluster.nodes[newest]
        let term = try #require(facts[newest]["last_term"].int)
        let index = try #require(facts[newest]["last_index"].int)
        #expect(throws: ChildProcess.Failure.self) {
            try Self.rqlited(
                "recover", "--force", "--survivor", "\(term):\(index + 1)", node.dataDirectory)
        }
        let unchanged = try Self.facts(node)
        #expect(unchanged["cluster_id"].string == facts[newest]["cluster_id"].string)
        // Said twice, it is done once.
        for _ in 0..<2 {
            let text = try Self.rqlited(
                "recover", "--force", "--survivor", "\(term):\(index)", node.dataDirectory)
            #expect(text.contains("is the only voter of cluster"), "\(text)")
        }
        try node.start()
        try await node.waitUntilReady()
        #expect(try await node.client.rows("SELECT count(*) FROM t")[0][0].int == 20)
        #expect(throws: ChildProcess.Failure.self) { try Self.facts(node) }
        let others = cluster.nodes.filter { $0.id != node.id }
        for other in others {
            try FileManager.default.removeItem(atPath: other.dataDirectory)
            try other.start()
            try await other.waitUntilReady()
        }
        try await eventually("all three vote") {
            let nodes = try await node.client.get("/nodes").json()
            return ["1", "2", "3"].allSatisfy { nodes[$0]["voter"].bool == true } ? true : nil
        }
        for other in others {
            let rows = try await other.client.rows(
                "SELECT count(*) FROM t", level: "linearizable")
            #expect(rows[0][0].int == 20)
        }
    }

    @Test func `A peers file that makes no sense is refused with rqlite's words`() async throws {
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(v)"])
        node.kill()
        let read = "failed to open store: failed to read peers file: "
        let recover = "failed to open store: failed to recover node: "
        for (text, message) in [
            (#"{"#, read), (#"{}"#, read),
            (#"[{"id":"","address":"a:1"}]"#, read + "empty ID in configuration: "),
            (#"[{"id":"1"}]"#, read + "empty address in configuration: "),
            (
                #"[{"id":"1","address":"a:1"},{"id":"1","address":"b:1"}]"#,
                read + "found duplicate ID in configuration: 1"
            ),
            (
                #"[{"id":"1","address":"a:1"},{"id":"2","address":"a:1"}]"#,
                read + "found duplicate address in configuration: a:1"
            ),
            (
                #"[{"id":"1","address":"a:1","non_voter":true}]"#,
                read + "need at least one voter in configuration: "
            ),
            (
                #"[{"id":"1","address":"http://a:1"}]"#,
                recover + "protocol specified in address: http://a:1"
            ),
            (
                #"[{"id":"1","address":"a"}]"#,
                recover + "invalid address in configuration: a"
            ),
            (#"[{"id":"2","address":"a:1"}]"#, recover + "the configuration does not contain"),
            (
                #"[{"id":"1","address":"a:1"},{"id":"7","address":"b:1"}]"#,
                recover + "node 7 is no member that this node knows"
            ),
        ] {
            try Self.write(text, for: node)
            try node.start()
            #expect(try await node.waitForExit() == 1)
            #expect(node.log.contains(message), "\(text): \(node.log.suffix(400))")
            #expect(node.log.contains("raft/peers.json"), "\(text): \(node.log.suffix(400))")
        }
        try FileManager.default.removeItem(atPath: node.dataDirectory + "/raft/peers.json")
        try node.start()
        try await node.waitUntilReady()
        #expect(try await node.client.rows("SELECT count(*) FROM t")[0][0].int == 0)
    }

    @Test func `A skip file that was spoilt is refused by its name, and nothing was recovered`()
        async throws
    {
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(v)"])
        node.kill()
        let before = try Self.facts(node)
        try Self.write(Self.peers([node]), for: node)
        let skip = node.dataDirectory + "/raft/skip.json"
        for text in [
            "", "{", "[]", "7", "\0", #"{"index":70}"#, #"{"index":70,"hash":"a"}"#,
            #"{"index":0,"hash":1}"#, #"{"index":-1,"hash":1}"#, #"{"index":7.5,"hash":1}"#,
            #"{"index":70,"hash":1,"text":1}"#, #"{"index":70,"hash":1,"tezt":1,"offset":1}"#,
            #"{"index":18446744073709551616,"hash":1}"#,
            #"{"index":70,"hash":4294967296}"#,
            #"{"index":70,"hash":1,"text":0,"offset":4294967296}"#,
            // Applied here, whatever it is; and two that nobody has.
            #"{"index":1,"hash":1}"#, #"{"index":70,"hash":1}"#,
            #"{"index":18446744073709551615,"hash":1,"text":4294967295,"offset":4294967295}"#,
        ] {
            try text.write(toFile: skip, atomically: true, encoding: .utf8)
            try node.start()
            #expect(try await node.waitForExit() == 1, "\(text)")
            #expect(node.log.contains("skip.json"), "\(text): \(node.log.suffix(400))")
        }
        #expect(try Self.facts(node)["cluster_id"].string == before["cluster_id"].string)
        try FileManager.default.removeItem(atPath: skip)
        try node.start()
        try await node.waitUntilReady()
        #expect(try await node.client.rows("SELECT count(*) FROM t")[0][0].int == 0)
    }

    @Test func `An entry that no member has is left out by none, and the cluster goes on`()
        async throws
    {
        let cluster = try await Self.wreck()
        defer { cluster.stop() }
        let pair = Array(cluster.nodes[..<2])
        for node in pair {
            try Self.write(Self.peers(pair), for: node)
            try #"{"index":40,"hash":1}"#.write(
                toFile: node.dataDirectory + "/raft/skip.json", atomically: true, encoding: .utf8)
            try node.start()
        }
        for node in pair { try await node.waitUntilReady() }
        for round in 0..<2 {
            for value in 0..<40 {
                _ = try await pair[0].client.execute([["INSERT INTO t VALUES(?)", 100 + value]])
            }
            let count = 20 + 40 * (round + 1)
            for node in pair {
                let rows = try await node.client.rows(
                    "SELECT count(*) FROM t", level: "linearizable")
                #expect(rows[0][0].int == count)
            }
            // Whoever leads next has the same to say of it.
            guard round == 0 else { break }
            for node in pair { node.kill() }
            for node in pair { try node.start() }
            for node in pair { try await node.waitUntilReady() }
        }
        #expect(pair.contains { $0.log.contains("that no member had") })
    }
}
