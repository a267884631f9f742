import Foundation
import Testing

/// The leader keeps its entry true, by compare-and-set only, and leaves alone what is not its own.
@Suite(.serialized) struct RegistryEntryTests {
    @Test func `The entry follows every change of leadership within a second`() async throws {
        let three = try RegistryCluster(3, expect: 3)
        defer { three.cluster.stop() }
        try three.cluster.start()
        var leader = try await three.waitForOneCluster()
        var delays: [Duration] = []
        for round in 0..<4 {
            let others = three.nodes.filter { $0.id != leader.id && $0.isRunning }
            if round < 3 {
                let body = Data(#"{"id":"\#(others[0].id)"}"#.utf8)
                let answer = try await leader.client.send("POST", "/leader", body: body)
                #expect(answer.status == 200)
            } else {
                leader.kill()
            }
            let (next, delay) = try await entryFollows(others, in: three)
            delays.append(delay)
            leader = next
        }
        print("entry after a change of leadership: \(delays)")
        #expect(delays.allSatisfy { $0 <= stretched(.seconds(1)) }, "\(delays)")
        let writes = three.entryWrites
        #expect(writes.filter { $0.expected == nil && $0.status == 0 }.count == 1, "\(writes)")
        let line = "updated Leader API address to \(leader.client.base) due to leadership change"
        let last = leader
        try await eventually("node \(last.id) says so") { last.log.contains(line) ? true : nil }
    }

    /// From the moment one of the nodes leads until the entry names it.
    private func entryFollows(
        _ candidates: [Daemon], in three: RegistryCluster
    ) async throws -> (leader: Daemon, delay: Duration) {
        let next = try await eventually("another node leads", every: .milliseconds(5)) {
            for node in candidates {
                let store = try await node.client.get("/status").json()["store"]
                if store["raft"]["state"].string == "Leader" { return node }
            }
            return Daemon?.none
        }
        let start = ContinuousClock.now
        try await eventually("the entry names node \(next.id)", every: .milliseconds(5)) {
            try three.registry.entry(key: three.key)["id"].string == next.id ? true : nil
        }
        return (next, ContinuousClock.now - start)
    }

    @Test func `A rival's write in between is seen, not overwritten`() async throws {
        let three = try RegistryCluster(3, expect: 3)
        defer { three.cluster.stop() }
        try three.cluster.start()
        let leader = try await three.waitForOneCluster()
        let before = try await three.entryOfLeader(leader)
        try three.registry.stop(at: .beforeFormed)
        let other = try #require(three.nodes.first { $0.id != leader.id })
        let body = Data(#"{"id":"\#(other.id)"}"#.utf8)
        #expect(try await leader.client.send("POST", "/leader", body: body).status == 200)
        let next = try await three.stopped()
        // The new leader is about to write over the revision that it read. A rival is faster: it
        // says the same as before, so the entry is still wrong.
        #expect(
            try three.registry.write("leader", before.value, expected: before.revision))
        let rival = try #require(three.registry.record("leader"))
        try three.registry.release(next.id)
        try await eventually("the entry is right") {
            try three.registry.entry()["id"].string == next.id ? true : nil
        }
        let writes = three.entryWrites.suffix(2)
        #expect(writes.first?.expected == before.revision)
        #expect(writes.first?.status == 2)
        #expect(writes.last?.expected == rival.revision)
        #expect(writes.last?.status == 0)
    }

    @Test func `The entry of another cluster is left alone, and one that is gone put back`()
        async throws
    {
        let one = try RegistryCluster(1)
        defer { one.cluster.stop() }
        try one.cluster.start()
        let leader = one.nodes[0]
        try await leader.waitUntilReady()
        let mine = try await one.entryOfLeader(leader)
        let own = try #require(try mine.json["cluster"].string)
        let others = String(repeating: "ab", count: 16)
        let foreign = mine.value.replacingOccurrences(of: own, with: others)
        #expect(try one.registry.write("leader", foreign, expected: mine.revision))
        let alarm = try await eventually("the leader raises an alarm") {
            try await leader.client.get("/status").json()["disco"]["alarms"][0].string
        }
        #expect(alarm.contains(own))
        #expect(alarm.contains(others))
        try await eventually("its log says so, too") {
            leader.log.contains("discovery service needs attention") ? true : nil
        }
        let variables = try await leader.client.get("/debug/vars").json()
        #expect(variables["disco"]["registry_alarms"].int == 1)
        // It looks every second; two looks later nothing has changed.
        let calls = try await leader.client.get("/debug/vars").json()["disco"]["registry_reads"].int
        try await eventually("it has looked again") {
            let now = try await leader.client.get("/debug/vars").json()["disco"]["registry_reads"]
            return (now.int ?? 0) >= (calls ?? 0) + 2 ? true : nil
        }
        #expect(one.registry.record("leader")?.value == foreign)
        #expect(try await leader.client.execute(["CREATE TABLE t(v)"])["error"].string == nil)

        try one.registry.erase("leader")
        try one.registry.erase("nodes/1")
        let start = ContinuousClock.now
        try await eventually("the leader puts its entry back", every: .milliseconds(5)) {
            try one.registry.entry()["cluster"].string == own ? true : nil
        }
        #expect(ContinuousClock.now - start < stretched(.milliseconds(1_500)))
        try await eventually("and its record", within: .seconds(12)) {
            one.registry.record("nodes/1")
        }
        try await eventually("the alarm is over") {
            let alarms = try await leader.client.get("/status").json()["disco"]["alarms"].array
            return alarms?.isEmpty == true ? true : nil
        }
    }
}
