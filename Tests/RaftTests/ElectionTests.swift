import Raft
import Testing

@Suite struct ElectionTests {
    @Test func `A campaign on three fresh nodes elects a leader and commits its first entry`() {
        var settings = RaftSettings()
        settings.electionTicks = 10
        settings.heartbeatTicks = 2
        settings.quorumTicks = 10
        var cluster = TestCluster(settings: settings)
        let disk = TestDisk.bootstrapped(Membership([member(1), member(2), member(3)]))
        for node in 1...3 { cluster.add(node, disk: disk) }
        cluster.nodes[0].raft.campaign()
        cluster.drain(0)
        while !cluster.network.isEmpty { cluster.deliver(cluster.network.removeFirst()) }
        #expect(cluster.nodes[0].raft.role == .leader)
        #expect(cluster.nodes.map(\.raft.commitIndex) == [index(2), index(2), index(2)])
    }
}
