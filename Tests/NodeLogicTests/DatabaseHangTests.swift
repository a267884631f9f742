import PeerProtocol
import Raft
import Replication
import Testing

@testable import NodeLogic

/// A leader whose database applies nothing, whatever its log does.
@Suite struct DatabaseHangTests {
    private static let forming =
        (1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" } + ["run 1500"]

    private func leads(_ number: Int, in scenario: NodeScenario) -> Bool {
        scenario.ensemble.nodes[number]?.machine?.replicated?.raft.role == .leader
    }

    @Test func `A leader whose database stands still hands over to a node that applies its log`() {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming)
        #expect(leads(3, in: scenario))
        let lines = scenario.run(["hang 3 database", "write 3 x:1 timeout=60000", "run 15000"])
        #expect(!leads(3, in: scenario))
        #expect(
            lines.contains { $0.hasPrefix("3: leadership goes to a node that applies its log") },
            "\(lines)")
        let written = scenario.run(["write 1 y:1", "run 1000"])
        #expect(written.contains("write 1 y:1 -> ok"), "\(written)")
        let revived = scenario.run(["revive 3", "run 1000"])
        #expect(revived.contains("write 3 x:1 -> ok"), "\(revived)")
    }

    /// Each would be made when the database goes on, one after the other, before anything else is applied.
    @Test func `Checkpoints that are asked for have a bound, and who has given up counts`() {
        var scenario = NodeScenario()
        _ = scenario.run(["node 1", "run 1000", "hang 1 database", "write 1 x:1", "run 100"])
        // There is something for a checkpoint to do.
        let last = scenario.ensemble.nodes[1]?.machine?.replicated?.raft.commitIndex ?? .zero
        scenario.say(.database(.applied(through: last)), to: 1)
        let first = scenario.run(["checkpoint 1 count=60 timeout=10", "run 1000"])
        #expect(!first.contains { $0.hasSuffix("-> busy") }, "\(first)")
        let lines = scenario.run(["checkpoint 1 count=10"])
        #expect(lines.count { $0.hasSuffix("-> busy") } == 6, "\(lines)")
    }

    @Test func `Those who wait for a shorter log have a bound, where its disk hangs`() {
        var scenario = NodeScenario()
        _ = scenario.run(["node 1", "run 1000", "write 1 x:1", "run 100", "hang 1"])
        let lines = scenario.run(["checkpoint 1 keep=0 count=70"])
        #expect(lines.count { $0.hasSuffix("-> busy") } == 6, "\(lines)")
        let revived = scenario.run(["revive 1", "run 100"])
        #expect(revived.count { $0.hasSuffix("-> done") } == 64, "\(revived.count)")
    }

    /// As with a write that takes long everywhere: the others have it a moment later than the leader.
    @Test func `Where all databases stand still leadership stays`() {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming)
        let hanging = (1...3).map { "hang \($0) database" }
        let lines = scenario.run(hanging + ["write 3 x:1 timeout=60000", "run 30000"])
        #expect(leads(3, in: scenario))
        #expect(!lines.contains { $0.contains("leadership goes") }, "\(lines)")
    }

    /// It serves reads and may send a snapshot, which would begin anew, so that a long write may take it longer.
    @Test func `A leader gets as long again as the others took`() {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming)
        let hanging = (1...3).map { "hang \($0) database" }
        _ = scenario.run(
            hanging + [
                "write 3 x:1 timeout=120000", "run 20000", "revive 1", "revive 2", "run 10000",
            ])
        #expect(leads(3, in: scenario))
        _ = scenario.run(["run 15000"])
        #expect(!leads(3, in: scenario))
    }

    /// It would begin with the same write from the front, or not come so far in time.
    @Test func `Who has not come to where the leader stands does not count as one that goes on`()
        throws
    {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming)
        _ = scenario.run(["hang 3 database", "write 3 x:1 timeout=60000", "run 6500"])
        let follower = NodeID("1")
        var leader = try #require(scenario.ensemble.nodes[3]?.machine)
        var hello = try #require(scenario.ensemble.nodes[1]?.machine?.hello)
        let applied = try #require(leader.replicated?.appliedIndex)
        #expect(hello.isReady && hello.commitIndex > applied)
        #expect(leader.ableSince[follower] != nil)
        hello.commitIndex = applied
        leader.successorAnswered(follower, .success(.hello(hello)))
        #expect(leader.ableSince[follower] == nil)
    }

    /// The follower could not be elected without the vote that the leader can't write.
    @Test
    func `Of two voters one whose log has no room stays leader, though its database has none`() {
        var scenario = NodeScenario()
        _ = scenario.run((1...2).map { "node \($0) plan=expect:2 join=n1:1,n2:1" } + ["run 1500"])
        let leader = leads(1, in: scenario) ? 1 : 2
        #expect(leads(leader, in: scenario))
        scenario.say(.log(.full(true)), to: leader)
        scenario.say(.database(.full(true)), to: leader)
        _ = scenario.run(["run 5000"])
        #expect(leads(leader, in: scenario))
        // Its log can be written again, and with it its vote.
        scenario.say(.log(.full(false)), to: leader)
        _ = scenario.run(["run 5000"])
        #expect(leads(3 - leader, in: scenario))
    }
}
