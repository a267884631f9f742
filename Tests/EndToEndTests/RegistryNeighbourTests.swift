import Foundation
import Testing

/// Two clusters in one registry.
@Suite(.serialized) struct RegistryNeighbourTests {
    @Test func `Under two keys they never meet; under one, both notice and the older stays`()
        async throws
    {
        let registry = try DirectoryRegistry()
        let directory = try TestDirectory()
        let older = try RegistryCluster(
            1...2, expect: 2, key: "a", registry: registry, in: directory)
        let younger = try RegistryCluster(
            3...4, expect: 2, key: "b", registry: registry, in: directory)
        defer {
            older.cluster.stop()
            younger.cluster.stop()
        }
        try older.cluster.start()
        try younger.cluster.start()
        let leader = try await older.waitForOneCluster()
        let other = try await younger.waitForOneCluster()
        #expect(try await leader.client.get("/nodes").json().members == ["1", "2"])
        #expect(try await other.client.get("/nodes").json().members == ["3", "4"])
        let (one, two) = (
            try #require(try registry.entry(key: "a")["cluster"].string),
            try #require(try registry.entry(key: "b")["cluster"].string)
        )
        #expect(one != two)

        for node in younger.nodes { node.kill() }
        let moved = TestCluster(younger.moved(toKey: "a"), in: directory)
        defer { moved.stop() }
        try moved.start()
        let newcomer = try await moved.waitForAgreement()
        for (node, name) in [(leader, "the older"), (newcomer, "the younger")] {
            let alarm = try await eventually("\(name) raises an alarm", within: .seconds(25)) {
                let alarms = try await node.client.get("/status").json()["disco"]["alarms"]
                return alarms[0].string
            }
            #expect(alarm.contains(one) && alarm.contains(two), "\(alarm)")
        }
        #expect(try registry.entry(key: "a")["cluster"].string == one)
        #expect(
            registry.journal.allSatisfy {
                $0.record != "a/leader" || ["1", "2"].contains($0.node) || $0.status != 0
            })
        for node in [leader, newcomer] {
            let result = try await node.client.execute(["CREATE TABLE t(v)"])
            #expect(result["results"][0]["error"].string == nil)
        }
    }
}
