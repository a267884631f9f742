import Raft
import Replication
import Testing

@testable import NodeLogic

/// An operator has a node seeded of whose database nothing bad is known: from that there is no way back.
@Suite struct ReseedTests {
    private func leads(_ number: Int, in scenario: NodeScenario) -> Bool {
        scenario.ensemble.nodes[number]?.machine?.replicated?.raft.role == .leader
    }

    private func isTrusted(_ number: Int, in scenario: NodeScenario) -> Bool {
        scenario.ensemble.nodes[number]?.machine?.quarantine.cause == nil
    }

    @Test func `A node keeps its database where no other has agreed to give it one`() {
        var scenario = NodeScenario()
        _ = scenario.run((1...2).map { "node \($0) plan=expect:2 join=n1:1,n2:1" })
        _ = scenario.run(["run 1500", "write 1 a:1", "run 500"])
        let leader = leads(1, in: scenario) ? 1 : 2
        let other = 3 - leader
        #expect(leads(leader, in: scenario))
        let led = scenario.run(["reseed \(leader)"])
        #expect(
            led.contains { $0.hasPrefix("reseed \(leader) -> unsuitable(\"this node leads") },
            "\(led)")
        #expect(isTrusted(leader, in: scenario))
        // Each would wait for the other's, for ever.
        scenario.ensemble.nodes[leader]?.machine?.distrustDatabase("rot", at: LogIndex(1))
        let asked = scenario.run(["reseed \(other)"])
        #expect(
            asked.contains {
                $0.hasPrefix("reseed \(other) -> unsuitable(\"the leader does not seed this node")
            }, "\(asked)")
        #expect(isTrusted(other, in: scenario))
        let left = scenario.run(["kill \(leader)", "run 5000", "reseed \(other)"])
        #expect(
            left.contains { $0.hasPrefix("reseed \(other) -> unsuitable(\"no leader is known") },
            "\(left)")
        #expect(isTrusted(other, in: scenario))
    }

    @Test func `A leader is asked once however often that is wanted`() {
        var scenario = NodeScenario()
        _ = scenario.run((1...2).map { "node \($0) plan=expect:2 join=n1:1,n2:1" })
        _ = scenario.run(["run 1500"])
        let other = leads(1, in: scenario) ? 2 : 1
        let lines = scenario.run(["reseed \(other) count=3"])
        #expect(lines.count { $0.hasSuffix("-> busy") } == 2, "\(lines)")
        #expect(lines.count { $0.hasSuffix("-> done") } == 1, "\(lines)")
    }

    @Test func `A node in quarantine asks no more often because that is wanted often`() {
        var scenario = NodeScenario()
        _ = scenario.run((1...2).map { "node \($0) plan=expect:2 join=n1:1,n2:1" })
        _ = scenario.run(["run 1500", "cut 1 2"])
        let other = leads(1, in: scenario) ? 2 : 1
        scenario.ensemble.nodes[other]?.machine?.distrustDatabase("rot", at: LogIndex(1))
        for _ in 0..<20 {
            let lines = scenario.run(["reseed \(other)", "run 10"])
            #expect(lines.contains("reseed \(other) -> done"), "\(lines)")
        }
        let calls = scenario.ensemble.nodes[other]?.machine?.calls ?? [:]
        let asked = calls.values.count { if case .seed = $0 { true } else { false } }
        #expect((1...2).contains(asked), "\(asked)")
    }
}
