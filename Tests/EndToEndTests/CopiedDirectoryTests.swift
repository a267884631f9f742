import Foundation
import Testing

/// Two processes with one data directory: the second is refused by name, whichever it is.
@Suite(.serialized) struct CopiedDirectoryTests {
    @Test func `A copied data directory is refused beside its original, and nothing moves`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })

        // A copy of a stopped node, started after its original.
        _ = try await follower.terminate()
        let elsewhere = try TestDirectory()
        let copy = try copy(of: follower, in: cluster, elsewhere)
        defer { copy.kill() }
        try follower.start()
        try await follower.waitUntilReady()
        try copy.start()
        #expect(try await copy.waitForExit() == 1)
        let log = copy.log
        #expect(log.contains("is alive at \(follower.host):\(follower.raftPort)"), "\(log)")
        #expect(log.contains("would be at \(copy.host):\(copy.raftPort)"), "\(log)")
        let members = try await leader.client.get("/nodes").json()
        #expect(members[follower.id]["addr"].string == "\(follower.host):\(follower.raftPort)")
    }

    @Test func `The original is refused once its cluster knows the copy`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        follower.kill()
        let elsewhere = try TestDirectory()
        let copy = try copy(of: follower, in: cluster, elsewhere)
        defer { copy.kill() }
        try copy.start()
        try await copy.waitUntilReady()
        try await eventually("the cluster knows the copy") {
            let members = try await leader.client.get("/nodes").json()
            return members[copy.id]["addr"].string == "\(copy.host):\(copy.raftPort)" ? true : nil
        }
        try follower.start()
        #expect(try await follower.waitForExit() == 1)
        #expect(follower.log.contains("is alive at \(copy.host):\(copy.raftPort)"))
        try await copy.waitUntilReady()
    }

    @Test func `A data directory that went back to an older state is told so, and caught up`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        _ = try await follower.terminate()
        let elsewhere = try TestDirectory()
        let older = try copy(of: follower, in: cluster, elsewhere)
        try follower.start()
        try await follower.waitUntilReady()
        for number in 0..<5 {
            _ = try await leader.client.execute(["INSERT INTO t VALUES(\(number))"])
        }
        let count = "/db/query?level=none&q=SELECT%20count(*)%20FROM%20t"
        try await eventually("the follower has the rows") {
            try await follower.client.get(count).text.contains("[5]") ? true : nil
        }
        follower.kill()
        try FileManager.default.removeItem(atPath: follower.dataDirectory)
        try FileManager.default.copyItem(
            atPath: older.dataDirectory, toPath: follower.dataDirectory)
        try follower.start()
        try await follower.waitUntilReady()
        let log = follower.log
        #expect(log.contains("data are older than what the cluster saw of it"), "\(log)")
        #expect(try await follower.client.get(count).text.contains("[5]"))
    }

    private func copy(
        of node: Daemon, in cluster: TestCluster, _ directory: TestDirectory
    ) throws -> Daemon {
        let copy = try cluster.another(node.id, in: directory)
        try FileManager.default.copyItem(
            atPath: node.dataDirectory, toPath: copy.dataDirectory)
        return copy
    }
}
