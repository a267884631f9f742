import Foundation
import Testing

/// Three nodes, each in a network namespace of its own, between which the test cuts links.
@Suite(.serialized, .enabled(if: Namespace.isPossible)) struct IsolationTests {
    /// Nodes `1`, `2`, `3` and the network they live in.
    private final class Site: Sendable {
        let network: PodNetwork
        let cluster: TestCluster

        init() throws {
            let names = ["1", "2", "3"]
            let network = try PodNetwork(names: names)
            let addresses = try names.map { try network.add($0) }
            let directory = try TestDirectory()
            let list = addresses.map { "\($0):4002" }.joined(separator: ",")
            let nodes = zip(names, addresses).map { name, address in
                Daemon(
                    id: name, host: address, httpPort: 4001, raftPort: 4002,
                    directory: directory.path,
                    arguments: ["-bootstrap-expect", "3", "-join", list],
                    prefix: ["ip", "netns", "exec", network.namespace(name)])
            }
            self.network = network
            cluster = TestCluster(nodes, in: directory)
        }

        /// What the node sends to, or hears from, the others is lost; the test still reaches it.
        func cut(_ node: Daemon, _ direction: String, _ others: [Daemon]) throws {
            let match = direction == "output" ? "daddr" : "saddr"
            let list = others.map(\.host).joined(separator: ", ")
            try nft(
                node,
                "add table ip cut; add chain ip cut \(direction) "
                    + "{ type filter hook \(direction) priority 0; }; "
                    + "add rule ip cut \(direction) ip \(match) { \(list) } drop")
        }

        func heal(_ node: Daemon) throws { try nft(node, "delete table ip cut") }

        private func nft(_ node: Daemon, _ command: String) throws {
            try run(["ip", "netns", "exec", network.namespace(node.id), "nft", command])
        }
    }

    private func term(_ node: Daemon) async throws -> Int {
        try await node.client.get("/status").json()["store"]["raft"]["term"].int ?? -1
    }

    private func role(_ node: Daemon) async throws -> String? {
        try await node.client.get("/status").json()["store"]["raft"]["state"].string
    }

    private func status(_ node: Daemon, level: String) async throws -> Int {
        let path = "/db/query?level=\(level)&timeout=200ms&linearizable_timeout=200ms"
        let answer = try await node.client.send(
            "POST", path, body: Data(#"["SELECT v FROM t"]"#.utf8), timeout: .seconds(5))
        let isError = answer.text.contains(#""error""#)
        return isError ? 500 : answer.status
    }

    @Test func `A leader that is cut off refuses what it can't know, and heals without a storm`()
        async throws
    {
        let site = try Site()
        let cluster = site.cluster
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        let others = cluster.nodes.filter { $0.id != leader.id }
        let before = try await term(leader)
        try site.cut(leader, "output", others)
        try site.cut(leader, "input", others)
        let start = ContinuousClock.now
        try await eventually("it refuses weak reads", within: .seconds(3)) {
            try await status(leader, level: "weak") != 200 ? true : nil
        }
        // An election timeout of 500 ms, and the 200 ms that a read waits for a leader.
        #expect(ContinuousClock.now - start < stretched(.milliseconds(1_200)))
        for level in ["weak", "linearizable", "strong"] {
            #expect(try await status(leader, level: level) != 200, "\(level)")
        }
        let write = try await leader.client.send(
            "POST", "/db/execute?timeout=200ms", body: Data(#"["INSERT INTO t VALUES(9)"]"#.utf8))
        #expect(write.status == 503, "\(write.text)")
        #expect(write.text.hasPrefix("leader not found: waiting for a leader: 2 of the 3 voters"))
        #expect(try await leader.client.rows("SELECT v FROM t", level: "none")[0][0].int == 1)
        try await eventually("the others go on") {
            let result = try await others[0].client.execute(
                ["INSERT INTO t VALUES(2)"], parameters: "?timeout=2s")
            return result["results"][0]["rows_affected"].int == 1 ? true : nil
        }
        // It asks for votes in vain, for several election timeouts, and no term passes.
        try await eventually("it has asked again and again") {
            let hasAsked = try await role(leader) == "Candidate"
            return hasAsked && ContinuousClock.now - start > .seconds(3) ? true : nil
        }
        let elected = try await term(others[0])
        #expect(elected - before <= 2, "\(before) to \(elected)")
        try site.heal(leader)
        try await cluster.waitForAgreement()
        for node in cluster.nodes { #expect(try await term(node) == elected) }
        try await eventually("it has what it missed, and not what it refused") {
            let rows = try await leader.client.rows("SELECT v FROM t ORDER BY v", level: "none")
            return rows.map { $0[0].int } == [1, 2] ? true : nil
        }
    }

    @Test func `A follower that hears nobody but can speak deposes no working leader`()
        async throws
    {
        let site = try Site()
        let cluster = site.cluster
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        let before = try await term(leader)
        // The leader's packets to it are lost, those of its own and of the third node arrive.
        try site.cut(leader, "output", [follower])
        let start = ContinuousClock.now
        try await eventually("it asks for votes, for several election timeouts") {
            _ = try await leader.client.execute(
                ["INSERT INTO t VALUES(1)"], parameters: "?timeout=1s")
            let hasAsked = try await role(follower) == "Candidate"
            return hasAsked && ContinuousClock.now - start > .seconds(3) ? true : nil
        }
        #expect(try await term(leader) == before)
        #expect(try await role(leader) == "Leader")
        try site.heal(leader)
        let after = try await cluster.waitForAgreement()
        #expect(after.id == leader.id)
        #expect(try await term(leader) == before)
    }
}
