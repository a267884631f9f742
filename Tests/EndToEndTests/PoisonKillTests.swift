import Foundation
import Testing

/// An entry that ends the process, and `kill -9` at each step of the way past it: nobody's decision
/// is lost or made up, and no node ends over and over.
@Suite(.serialized, .enabled(if: PoisonShim.hindrance == nil)) struct PoisonKillTests {
    /// What an operator sends to leave the entry out.
    private typealias Choice = [String: Int]

    private static func choice(_ node: Daemon) async throws -> Choice {
        let state = try await PoisonTests.apply(node)
        return [
            "index": try #require(state["index"].int), "hash": try #require(state["hash"].int),
        ]
    }

    /// Asks every node that is in doubt to leave the entry out, until none is and all are ready.
    private static func skip(_ choice: Choice, _ nodes: [Daemon]) async throws {
        try await eventually("all go on without the entry", within: .seconds(60)) {
            () async throws -> Bool? in
            for node in nodes {
                #expect(node.isRunning, "\(node.log.suffix(2_000))")
                guard node.isRunning else { return true }
                guard try await PoisonTests.apply(node)["state"].string == "halted" else {
                    continue
                }
                // Refused while nobody leads, and by who has gone on in between.
                _ = try? await PoisonTests.post("/cluster/apply/skip", choice, to: node)
            }
            for node in nodes { _ = try await node.isReady() }
            return true
        }
    }

    /// All hold the same rows, those of a new write among them.
    private static func expectEqual(_ nodes: [Daemon], _ number: Int, _ names: String)
        async throws
    {
        // Leadership may just be on its way.
        let sql = "INSERT INTO t SELECT \(number), 'n' WHERE NOT EXISTS (SELECT 1 FROM t WHERE a = "
        try await eventually("row \(number) is written", within: .seconds(30)) {
            () async throws -> Bool? in
            let answer = try await nodes[0].client.execute([sql + "\(number))"])
            return answer["results"][0]["rows_affected"].int == nil ? nil : true
        }
        for node in nodes {
            try await eventually("node \(node.id) has \(names)", within: .seconds(30)) {
                () async throws -> Bool? in
                let found = try await PoisonTests.names(node)
                if found != names { throw UnexpectedStatus(status: 200, text: found) }
                return true
            }
        }
    }

    private static func founded(_ cluster: TestCluster) async throws {
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(
            ["CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 'one')"])
        await PoisonTests.poison(leader)
    }

    @Test func `A kill at any step of an entry's doubt, retry and skip leaves one outcome`()
        async throws
    {
        let shim = try PoisonShim()
        let cluster = try shim.cluster()
        defer { cluster.stop() }
        try await Self.founded(cluster)
        _ = try await PoisonTests.supervise(cluster.nodes)
        let choice = try await Self.choice(cluster.nodes[0])

        // Nobody applies: an end is none of the entry's, and whoever starts is in doubt as before.
        for round in 0..<2 {
            for node in cluster.nodes {
                node.kill()
                try node.start()
            }
            #expect(try await PoisonTests.supervise(cluster.nodes).isEmpty, "\(round)")
            for node in cluster.nodes {
                #expect(try await PoisonTests.apply(node)["ends"].int == 2)
                #expect(try await Self.choice(node) == choice)
            }
        }
        // Killed once it was told to try again: it tried, or it is asked again.
        for node in cluster.nodes {
            async let answer = try? PoisonTests.post("/cluster/apply/retry", nil, to: node)
            node.kill()
            _ = await answer
            try node.start()
        }
        let starts = try await PoisonTests.supervise(cluster.nodes)
        for node in cluster.nodes {
            #expect(starts[node.id] ?? 0 <= 1, "\(starts)")
            #expect(try await Self.choice(node) == choice)
        }
        // Killed once it was told of the skip, one after the other.
        for node in cluster.nodes {
            async let answer = try? PoisonTests.post("/cluster/apply/skip", choice, to: node)
            node.kill()
            _ = await answer
            try node.start()
        }
        try await Self.skip(choice, cluster.nodes)
        // And all at once behind it, twice: what was decided stays decided.
        for round in 6...7 {
            for node in cluster.nodes { node.kill() }
            try cluster.start()
            try await cluster.waitForAgreement(within: .seconds(40))
            try await Self.expectEqual(cluster.nodes, round, round == 6 ? "1,6" : "1,6,7")
        }
    }

    @Test func `A kill at any step of a node's quarantine and seeding ends with the others' rows`()
        async throws
    {
        let shim = try PoisonShim()
        // The third runs without what ends the others.
        let cluster = try shim.cluster(ending: 2)
        defer { cluster.stop() }
        try await Self.founded(cluster)
        let ended = Array(cluster.nodes.prefix(2))
        let sound = cluster.nodes[2]
        _ = try await PoisonTests.supervise(ended)
        try await eventually("the third serves", within: .seconds(30)) {
            try await PoisonTests.names(sound) == "1,2,3,4" ? true : nil
        }
        let choice = try await Self.choice(ended[0])
        let told = try await PoisonTests.post("/cluster/apply/skip", choice, to: ended[0])
        #expect(told.status == 200, "\(told.text)")
        // From now on it is on its way to the others' database; it is killed at ever later lines of
        // its log, of which the last are of a node that was seeded.
        let quarantined = "it serves nothing about=\"\" cause=\"this node had applied log entry"
        var lines = 0
        for more in [0, 4, 5, 6, 7, 9] {
            try await eventually(
                "the third says more", within: .seconds(30), every: .milliseconds(2)
            ) { () async throws -> Bool? in
                let log = sound.log
                guard more > 0 || log.contains(quarantined) else { return nil }
                let count = log.utf8.count { $0 == UInt8(ascii: "\n") }
                return count >= lines + more || log.contains("database was replaced")
                    ? true : nil
            }
            sound.kill()
            lines = sound.log.utf8.count { $0 == UInt8(ascii: "\n") }
            try sound.start()
        }
        try await eventually("all serve", within: .seconds(60)) { () async throws -> Bool? in
            for node in cluster.nodes { _ = try await node.isReady() }
            return true
        }
        try await Self.expectEqual(cluster.nodes, 7, "1,7")
        // Whatever it takes again at a start, it takes as the others do.
        for node in cluster.nodes { node.kill() }
        try cluster.start()
        try await cluster.waitForAgreement(within: .seconds(40))
        try await Self.expectEqual(cluster.nodes, 8, "1,7,8")
    }
}
