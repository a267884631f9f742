import Replication
import PeerProtocol
import Raft
import Testing

@testable import NodeLogic

/// Members that are still of an earlier version, while a cluster is upgraded node by node.
@Suite struct EarlierVersionTests {
    /// What the leader of three answers, of whom another speaks an earlier minor version.
    private func answer(to command: String, minor: UInt8) throws -> String {
        var scenario = NodeScenario()
        _ = scenario.run(
            (1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" } + ["run 3000"])
        let leader = try #require(
            (1...3).first {
                scenario.ensemble.nodes[$0]?.machine?.replicated?.raft.role == .leader
            })
        let other = NodeID(leader == 1 ? "2" : "1")
        var hello = try #require(
            scenario.ensemble.nodes[leader]?.machine?.acquaintances[other])
        hello.versions.protocolVersion = ProtocolVersion(major: 1, minor: minor)
        scenario.ensemble.nodes[leader]?.machine?.acquaintances.met(hello)
        let words = command.split(separator: " ", maxSplits: 1)
        let rest = words.count > 1 ? " \(words[1])" : ""
        return scenario.run(["\(words[0]) \(leader)\(rest)", "run 100"]).joined(separator: "\n")
    }

    /// It would take nothing behind such an entry, and a majority of these would let no write be committed.
    @Test(arguments: [
        ("load", UInt8(3)), ("load empty=yes", 4), ("piece", 4), ("write x:1 key=k", 4),
    ])
    func `What a member of an earlier version can't read does not come into the log`(
        command: String, since: UInt8
    ) throws {
        for minor in [since - 1, since] {
            let answer = try answer(to: command, minor: minor)
            #expect(answer.contains(" -> "), "\(answer)")
            let isRefused = answer.contains("install this version on all nodes first")
            #expect(isRefused == (minor < since), "1.\(minor): \(answer)")
        }
    }
}
