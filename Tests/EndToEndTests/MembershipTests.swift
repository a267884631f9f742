import Foundation
import Testing

/// Members that come, go, are removed and are lost: real processes.
@Suite(.serialized) struct MembershipTests {
    private static func removal(of id: String) -> Data { Data(#"{"id":"\#(id)"}"#.utf8) }

    private func voters(_ node: Daemon) async throws -> [String] {
        let nodes = try await node.client.get("/nodes").json()
        return (nodes.members ?? []).filter { nodes[$0]["voter"].bool == true }
    }

    private func waitForVoters(_ ids: [String], at node: Daemon) async throws {
        try await eventually("the voters are \(ids)") { () -> Bool? in
            let found = try await voters(node)
            guard found == ids else {
                throw UnexpectedStatus(status: 0, text: "\(found)\n\(node.log.suffix(4000))")
            }
            return true
        }
    }

    private func term(_ node: Daemon) async throws -> Int? {
        try await node.client.get("/status").json()["store"]["raft"]["term"].int
    }

    @Test func `Silent voters and read replicas are reaped, and come back by a restart`()
        async throws
    {
        let flags = ["-raft-reap-node-timeout=1s", "-raft-reap-read-only-node-timeout=800ms"]
        let cluster = try TestCluster.joined(3, arguments: flags)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let directory = try TestDirectory()
        let replica = try cluster.another("replica", in: directory, ["-raft-non-voter"])
        defer { replica.kill() }
        try replica.start()
        try await replica.waitUntilReady()
        let voter = try #require(cluster.nodes.first { $0.id != leader.id })
        voter.kill()
        replica.kill()
        try await eventually("status says who is due when") {
            let due = try await leader.client.get("/status").json()["store"]["reaping"]
            return due.array?.isEmpty == false ? true : nil
        }
        let counts = try await eventually("both are gone") { () -> JSON? in
            let counts = try await leader.client.get("/debug/vars").json()["store"]
            return counts["nodes_reaped_ok"].int == 2 ? counts : nil
        }
        let nodes = try await leader.client.get("/nodes?nonvoters").json()
        #expect(nodes.members?.count == 2, "\(nodes)")
        #expect(leader.log.contains("successfully reaped voting node \(voter.id)"))
        #expect(leader.log.contains("successfully reaped non-voting node replica"))
        #expect(counts["nodes_reaped_failed"].int == 0, "\(counts)")
        // Two voters are left, and both are needed: nobody else goes.
        let other = try #require(cluster.nodes.first { $0.id != leader.id && $0.id != voter.id })
        other.kill()
        try await eventually("the leader steps down before it could reap") {
            leader.log.contains("reason=quorumLost") ? true : nil
        }
        try other.start()
        try voter.start()
        try await cluster.waitForAgreement()
        try await waitForVoters(["1", "2", "3"], at: leader)
    }

    @Test func `A removed node hears of it, disturbs nobody, and joins again only by a restart`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        let removed = try #require(cluster.nodes.first { $0.id != leader.id })
        try await eventually("it has the row") {
            try await removed.client.rows("SELECT v FROM t", level: "none").count == 1 ? true : nil
        }
        let before = try await term(leader)
        let answer = try await leader.client.send(
            "DELETE", "/remove", body: Self.removal(of: removed.id))
        #expect(answer.status == 200)
        try await eventually("it knows") {
            removed.log.contains("this node was removed from the cluster") ? true : nil
        }
        let status = try await removed.client.get("/status").json()["store"]
        #expect(status["removed"].bool == true)
        #expect(status["raft"]["state"].string == "Follower")
        #expect(try await removed.client.rows("SELECT v FROM t", level: "none")[0][0].int == 1)
        let write = try await removed.client.send(
            "POST", "/db/execute", body: Data(#"["INSERT INTO t VALUES(2)"]"#.utf8))
        #expect(write.status == 503)
        #expect(write.text.contains("this node was removed from the cluster"), "\(write.text)")
        #expect(try await term(leader) == before)
        #expect(try await voters(leader).count == 2)
        removed.kill()
        try removed.start()
        try await removed.waitUntilReady()
        try await waitForVoters(["1", "2", "3"], at: leader)
        #expect(try await term(leader) == before)
    }

    @Test func `With -raft-remove-shutdown a removed node stops its RaftMachine and says so`()
        async throws
    {
        let cluster = try TestCluster.joined(3, arguments: ["-raft-remove-shutdown"])
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        // The leader itself: it hands over and is a member no more.
        let answer = try await leader.client.send(
            "DELETE", "/remove", body: Self.removal(of: leader.id))
        #expect(answer.status == 200, "\(answer.text)")
        try await eventually("it stopped") {
            let raft = try await leader.client.get("/status").json()["store"]["raft"]
            return raft["state"].string == "Shutdown" ? true : nil
        }
        #expect(leader.log.contains("Raft stopped because this node was removed"))
        let rest = cluster.nodes.filter { $0.id != leader.id }
        try await eventually("the others go on") {
            let result = try await rest[0].client.execute(["CREATE TABLE t(v)"])
            return result["results"][0]["error"].string == nil ? true : nil
        }
        #expect(try await voters(rest[0]) == rest.map(\.id))
    }

    @Test
    func `Nobody says of a removed node, a dead one or the leader, that there is no connection`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let others = cluster.nodes.filter { $0.id != leader.id }
        others[0].kill()
        try await eventually("the leader misses it") { () -> Bool? in
            let troubles = try await leader.client.get("/status").json()["store"]["troubles"]
            return "\(troubles)".contains("no connection to node") ? true : nil
        }
        try await remove(others[0].id, at: leader)
        try await eventually("the leader has forgotten it") { () -> Bool? in
            try await knowsOnly([others[1].id], leader)
        }
        try await remove(leader.id, at: leader)
        try await eventually("the last one has forgotten both") { () -> Bool? in
            try await knowsOnly([], others[1])
        }
    }

    private func remove(_ id: String, at node: Daemon) async throws {
        let answer = try await node.client.send("DELETE", "/remove", body: Self.removal(of: id))
        #expect(answer.status == 200, "\(answer.text)")
    }

    /// Whether the node has connections to these alone, and finds nothing wrong.
    private func knowsOnly(_ ids: [String], _ node: Daemon) async throws -> Bool? {
        let status = try await node.client.get("/status").json()
        let peers = status["network"]["peers"].array?.compactMap { $0["id"].string }
        let troubles = status["store"]["troubles"]
        guard peers == ids, troubles.array?.isEmpty == true else {
            throw UnexpectedStatus(
                status: 0, text: "peers \(peers ?? []), \(troubles)\n\(node.log.suffix(4000))")
        }
        return true
    }

    @Test func `With -raft-cluster-remove-shutdown nodes leave in order, and the last one stops`()
        async throws
    {
        let cluster = try TestCluster.joined(3, arguments: ["-raft-cluster-remove-shutdown"])
        defer { cluster.stop() }
        try cluster.start()
        var running = cluster.nodes
        while running.count > 1 {
            let leader = try await cluster.waitForAgreement()
            #expect(try await leader.terminate() == 0, "\(leader.log)")
            #expect(leader.log.contains("removed this node successfully from cluster"))
            running.removeAll { $0.id == leader.id }
            try await waitForVoters(running.map(\.id), at: running[0])
        }
        try await cluster.waitForAgreement()
        _ = try await running[0].client.execute(["CREATE TABLE t(v)"])
        #expect(try await running[0].terminate() == 0)
        #expect(running[0].log.contains("the cluster's last voter: it stays in it"))
        #expect(running[0].log.contains("rqlite server stopped"))
    }

    @Test func `Two machines with one node ID are told apart, and removals keep the quorum`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let others = cluster.nodes.filter { $0.id != leader.id }
        let directory = try TestDirectory()
        let second = try cluster.another(others[0].id, in: directory, ["-join-attempts", "1"])
        try second.start()
        #expect(try await second.waitForExit() == 1)
        for address in ["127.0.0.1:\(others[0].raftPort)", "127.0.0.1:\(second.raftPort)"] {
            #expect(second.log.contains(address), "\(second.log)")
        }
        let unknown = try await leader.client.send(
            "DELETE", "/remove", body: Self.removal(of: "nobody"))
        #expect(unknown.status == 200)
        others[0].kill()
        try await waitForSilence(of: others[0].id, at: leader)
        let refused = try await leader.client.send(
            "DELETE", "/remove", body: Self.removal(of: others[1].id))
        #expect(refused.status == 500)
        #expect(refused.text.contains("\(others[0].id) would remain"), "\(refused.text)")
        for id in [others[0].id, others[1].id] {
            let done = try await leader.client.send("DELETE", "/remove", body: Self.removal(of: id))
            #expect(done.status == 200, "\(done.text)")
        }
        let last = try await leader.client.send(
            "DELETE", "/remove", body: Self.removal(of: leader.id))
        #expect(last.status == 500)
        #expect(last.text.hasPrefix("need at least one voter in configuration"), "\(last.text)")
    }

    @Test
    func `A wiped disk comes back as a learner, another ID takes its address, both vote later`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        let others = cluster.nodes.filter { $0.id != leader.id }
        let old = try await incarnation(of: others[0].id, at: leader)
        others[0].kill()
        try FileManager.default.removeItem(atPath: others[0].dataDirectory)
        try others[0].start()
        try await others[0].waitUntilReady()
        try await waitForVoters(["1", "2", "3"], at: leader)
        #expect(try await incarnation(of: others[0].id, at: leader) != old)
        #expect(leader.log.contains("\(others[0].id)@127.0.0.1:\(others[0].raftPort) learner"))
        #expect(try await others[0].client.rows("SELECT v FROM t", level: "none").count == 1)
        // Another ID on the address of a node that is gone.
        others[1].kill()
        let directory = try TestDirectory()
        let fourth = Daemon(
            id: "4", httpPort: others[1].httpPort, raftPort: others[1].raftPort,
            directory: directory.path, arguments: ["-join", "127.0.0.1:\(leader.raftPort)"])
        defer { fourth.kill() }
        try fourth.start()
        try await fourth.waitUntilReady()
        try await waitForVoters(["1", "2", "3", "4"], at: leader)
        let nodes = try await leader.client.get("/nodes").json()
        #expect(nodes[others[1].id]["reachable"].bool == false, "\(nodes)")
        #expect(nodes["4"]["reachable"].bool == true, "\(nodes)")
        // Whoever led at the time counted them.
        try await eventually("both joins are counted") {
            var (joins, replaced) = (0, 0)
            for node in [leader, others[0]] {
                let store = try await node.client.get("/debug/vars?key=store").json()["store"]
                joins += store["num_joins"].int ?? 0
                replaced += store["num_removed_before_joins"].int ?? 0
            }
            return joins == 2 && replaced == 1 ? true : nil
        }
    }

    /// Until the leader counts the member as one that doesn't answer.
    private func waitForSilence(of id: String, at leader: Daemon) async throws {
        try await eventually("node \(id) is silent") { () -> Bool? in
            let raft = try await leader.client.get("/status").json()["store"]["raft"]
            let follower = raft["followers"].array?.first { $0["id"].string == id }
            guard let text = follower?["since_answer"].string else { return nil }
            if text.hasSuffix("ms") { return (Double(text.dropLast(2)) ?? 0) > 550 ? true : nil }
            return text.hasSuffix("s") && !text.hasSuffix("µs") && text != "0s" ? true : nil
        }
    }

    private func incarnation(of id: String, at node: Daemon) async throws -> String? {
        let members = try await node.client.get("/status").json()["store"]["nodes"].array ?? []
        return members.first { $0["id"].string == id }?["incarnation"].string
    }
}
