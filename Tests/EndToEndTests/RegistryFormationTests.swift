import Foundation
import Testing

/// Nodes come to their cluster by way of a registry, and to nothing else.
@Suite(.serialized) struct RegistryFormationTests {
    @Test(arguments: [nil, 3])
    func `Three nodes started at once form one cluster`(_ expect: Int?) async throws {
        let three = try RegistryCluster(3, expect: expect)
        defer { three.cluster.stop() }
        do {
            let start = ContinuousClock.now
            try three.cluster.start()
            let leader = try await three.waitForOneCluster()
            print(
                "cluster through a registry, expect \(expect ?? 0): \(ContinuousClock.now - start)")
            try await expectStatus(of: leader, in: three)
        } catch {
            Issue.record("\(error)\n\(three.cluster.logs)")
        }
    }

    private func expectStatus(of leader: Daemon, in three: RegistryCluster) async throws {
        let store = try await leader.client.get("/status").json()["store"]
        let disco = try await eventually("the entry names the leader, in /status, too") {
            let disco = try await leader.client.get("/status").json()["disco"]
            return disco["leader"]["value"]["id"].string == leader.id
                && disco["node"]["value"]["cluster"].string == store["cluster_id"].string
                ? disco : nil
        }
        #expect(disco["mode"].string == "directory")
        #expect(disco["register_interval"].int == 1_000_000_000)
        #expect(disco["report_interval"].int == 10_000_000_000)
        #expect(disco["last_contact"].string?.hasPrefix("20") == true)
        #expect(disco["alarms"].array?.isEmpty == true)
        #expect(disco["leader"]["revision"].string == three.registry.record("leader")?.revision)
        let entry = try three.registry.entry()
        #expect(entry["state"].string == "formed")
        #expect(entry["api_addr"].string == leader.client.base)
        #expect(entry["addr"].string == "\(leader.host):\(leader.raftPort)")
        #expect(entry["cluster"].string == store["cluster_id"].string)
    }

    @Test func `Nodes may come one after the other, in any order`() async throws {
        let three = try RegistryCluster(3, expect: 3)
        defer { three.cluster.stop() }
        let (first, second, third) = (three.nodes[0], three.nodes[1], three.nodes[2])
        try third.start()
        try first.start()
        try await eventually("both say what they wait for") {
            for node in [first, third] {
                let text = try await node.client.get("/readyz").text
                guard text.contains("2 of 3") else {
                    throw UnexpectedStatus(status: 503, text: text)
                }
            }
            return true
        }
        #expect(three.registry.record("leader") == nil)
        try second.start()
        try await three.waitForOneCluster()
    }

    @Test func `A read replica waits for a cluster and never founds one`() async throws {
        let registry = try DirectoryRegistry()
        let directory = try TestDirectory()
        let replica = try RegistryCluster(
            9...9, registry: registry, in: directory, arguments: ["-raft-non-voter"])
        let voter = try RegistryCluster(1...1, registry: registry, in: directory)
        defer {
            replica.cluster.stop()
            voter.cluster.stop()
        }
        try replica.cluster.start()
        try await eventually("the replica's record is there") { registry.record("nodes/9") }
        try voter.cluster.start()
        try await voter.nodes[0].waitUntilReady()
        try await replica.nodes[0].waitUntilReady()
        let nodes = try await voter.nodes[0].client.get("/nodes?nonvoters").json()
        #expect(nodes["9"]["voter"].bool == false)
        #expect(try registry.entry()["id"].string == "1")
    }

    @Test(arguments: [DirectoryRegistry.Failure.down, .hang])
    func `A node that waits for its registry ends at once on SIGTERM`(
        _ failure: DirectoryRegistry.Failure
    ) async throws {
        let one = try RegistryCluster(1)
        defer { one.cluster.stop() }
        try one.registry.fail(failure)
        let node = one.nodes[0]
        try node.start()
        try await eventually("it says that it can't go on") {
            let answer = try await node.client.get("/readyz")
            return answer.status == 503 && answer.text.contains("registry") ? true : nil
        }
        let start = ContinuousClock.now
        #expect(try await node.terminate() == 0)
        #expect(ContinuousClock.now - start < stretched(.seconds(2)), "\(node.log)")
    }

    @Test func `Nodes that have their cluster need no registry, and no limit of time ends them`()
        async throws
    {
        let three = try RegistryCluster(
            1...3, expect: 3, registry: DirectoryRegistry(), in: TestDirectory(),
            arguments: ["-bootstrap-expect-timeout", "8s"])
        defer { three.cluster.stop() }
        try three.cluster.start()
        let leader = try await three.waitForOneCluster()
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        for node in three.nodes { node.kill() }
        try three.registry.fail(.hang)
        let start = ContinuousClock.now
        try three.cluster.start()
        let next = try await three.cluster.waitForAgreement()
        #expect(ContinuousClock.now - start < stretched(.seconds(5)))
        _ = try await next.client.execute(["INSERT INTO t VALUES(2)"])
        let stop = ContinuousClock.now
        for node in three.nodes { node.signal(SIGTERM) }
        for node in three.nodes { #expect(try await node.waitForExit() == 0) }
        #expect(ContinuousClock.now - stop < stretched(.seconds(2)))
    }

    @Test func `Who expects others and finds no cluster in time gives up and says why`()
        async throws
    {
        let one = try RegistryCluster(
            1...1, expect: 2, registry: DirectoryRegistry(), in: TestDirectory(),
            arguments: ["-bootstrap-expect-timeout", "2s"])
        defer { one.cluster.stop() }
        try one.cluster.start()
        #expect(try await one.nodes[0].waitForExit() == 1)
        #expect(one.nodes[0].log.contains("clustering failure: "))
        #expect(one.nodes[0].log.contains("1 of 2"))
    }

    @Test func `Who may have founded a cluster does not found another without the registry`()
        async throws
    {
        let one = try RegistryCluster(1)
        defer { one.cluster.stop() }
        try one.registry.stop(at: .beforeFormed)
        let node = one.nodes[0]
        try node.start()
        _ = try await one.stopped()
        node.kill()
        let alone = Daemon(
            id: node.id, httpPort: node.httpPort, raftPort: node.raftPort,
            directory: URL(fileURLWithPath: node.dataDirectory).deletingLastPathComponent().path)
        try alone.start()
        #expect(try await alone.waitForExit() == 1)
        let claimed = try #require(try one.registry.entry()["cluster"].string)
        #expect(alone.log.contains("this node has begun to found cluster \(claimed)"))
        try one.registry.release(node.id)
        try node.start()
        try await node.waitUntilReady()
        let store = try await node.client.get("/status").json()["store"]
        #expect(store["cluster_id"].string == claimed)
    }

    @Test func `A founder that joins before it has heard of the founding is a member like others`()
        async throws
    {
        let three = try RegistryCluster(3, expect: 3)
        defer { three.cluster.stop() }
        try three.registry.stop(at: .beforeFormed)
        try three.cluster.start()
        let winner = try await three.stopped()
        let late = try #require(three.nodes.first { $0.id != winner.id })
        late.kill()
        try three.registry.release(winner.id)
        try await winner.waitUntilReady()
        let joining = Daemon(
            id: late.id, httpPort: late.httpPort, raftPort: late.raftPort,
            directory: URL(fileURLWithPath: late.dataDirectory).deletingLastPathComponent().path,
            arguments: ["-join", "127.0.0.1:\(winner.raftPort)"])
        defer { joining.kill() }
        try joining.start()
        try await joining.waitUntilReady()
        #expect(joining.log.contains("successfully joined cluster"))
        let nodes = try await joining.client.get("/nodes").json()
        #expect(nodes.members == ["1", "2", "3"])
    }
}
