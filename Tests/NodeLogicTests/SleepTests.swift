import Raft
import Replication
import Testing

@testable import NodeLogic

/// A machine that was suspended: its clock says nothing of that.
@Suite struct SleepTests {
    private static let forming =
        (1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" }
        + ["run 1500", "write 1 x:1", "run 500"]

    @Test func `What a node knows is as old as it slept`() {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming)
        let read = "read 1 x level=none fresh=60000"
        let before = scenario.run([read])
        #expect(before.contains("read 1 x -> x=1 at 1"), "\(before)")
        _ = scenario.run(["cut 1 2,3"])
        scenario.ensemble.nodes[1]?.machine?.slept(.seconds(3600))
        let lines = scenario.run([read])
        #expect(lines.contains { $0.hasPrefix("read 1 x -> staleRead") }, "\(lines)")
    }

    /// Another may have led for as long.
    @Test func `A leader that slept leads no more, and has heard nobody since`() {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming)
        let leader = (1...3).first { number in
            scenario.ensemble.nodes[number]?.machine?.replicated?.raft.role == .leader
        }
        guard let leader else {
            Issue.record("nobody leads")
            return
        }
        let others = (1...3).filter { $0 != leader }.map { "\($0)" }.joined(separator: ",")
        _ = scenario.run(["cut \(leader) \(others)"])
        scenario.ensemble.nodes[leader]?.machine?.slept(.seconds(3600))
        let lines = scenario.run(["read \(leader) x level=none fresh=60000"])
        #expect(lines.contains { $0.hasPrefix("read \(leader) x -> staleRead") }, "\(lines)")
        #expect(scenario.ensemble.nodes[leader]?.machine?.replicated?.raft.role != .leader)
    }
}
