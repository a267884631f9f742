import Raft
import Testing

@testable import NodeLogic

/// A founder whose cluster never had a leader, and that meets one that works.
@Suite struct LeftBootstrapTests {
    private func member(_ id: String, _ incarnation: Incarnation) -> Member {
        Member(
            id: NodeID(id), incarnation: incarnation, address: PeerAddress("n\(id):1"),
            suffrage: .voter)
    }

    @Test func `It dials nobody any more with whom it founded, and knows who leads the other`()
        throws
    {
        var scenario = NodeScenario()
        _ = scenario.run(["node 1", "run 1000", "node 3 plan=expect:3", "kill 3"])
        let identity = try #require(scenario.ensemble.nodes[3]?.options.identity)
        let stranger = Samples.incarnation(77)
        scenario.ensemble.nodes[3]?.disk.cluster = ClusterID(RandomID(high: 7, low: 7))
        scenario.ensemble.nodes[3]?.disk.bootstrap = Membership([
            member("1", stranger), member("2", stranger), member("3", identity.incarnation),
        ])
        scenario.ensemble.nodes[3]?.disk.isEstablished = true
        _ = scenario.run(["start 3 join=n1:1", "run 3000"])
        #expect(scenario.ensemble.nodes[3]?.book[NodeID("2")] == PeerAddress("n2:1"))
        let cluster = scenario.ensemble.nodes[1]?.machine?.cluster
        for _ in 0..<60 where scenario.ensemble.nodes[3]?.machine?.cluster != cluster {
            _ = scenario.run(["run 500"])
        }
        _ = scenario.run(["run 2000"])
        #expect(scenario.ensemble.nodes[3]?.machine?.cluster == cluster)
        #expect(scenario.ensemble.nodes[3]?.book == [NodeID("1"): PeerAddress("n1:1")])
    }
}
