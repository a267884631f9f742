import PeerProtocol
import Raft
import Replication
import Testing

@testable import NodeLogic

/// Members that are still of an earlier version, while a cluster is upgraded node by node.
@Suite struct EarlierVersionTests {
    /// What one of three answers that knows another for a node of an earlier minor version.
    /// - Parameter isFollower: a follower is asked, and the leader is the other one; else the reverse.
    private func answer(
        to command: String, minor: UInt8, isFollower: Bool = false
    ) throws -> String {
        var scenario = NodeScenario()
        _ = scenario.run(
            (1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" } + ["run 3000"])
        let leader = try #require(
            (1...3).first {
                scenario.ensemble.nodes[$0]?.machine?.replicated?.raft.role == .leader
            })
        let follower = leader == 1 ? 2 : 1
        let (asked, other) = isFollower ? (follower, leader) : (leader, follower)
        var hello = try #require(
            scenario.ensemble.nodes[asked]?.machine?.acquaintances[NodeID("\(other)")])
        hello.versions.protocolVersion = ProtocolVersion(major: 1, minor: minor)
        scenario.ensemble.nodes[asked]?.machine?.acquaintances.met(hello)
        let words = command.split(separator: " ", maxSplits: 1)
        let rest = words.count > 1 ? " \(words[1])" : ""
        return scenario.run(["\(words[0]) \(asked)\(rest)", "run 100"]).joined(separator: "\n")
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

    /// It would take the sender for broken, and end all else that it was sent.
    @Test(arguments: [
        ("load", UInt8(3)), ("load empty=yes", 4), ("piece", 4), ("write x:1 key=k", 4),
    ])
    func `What a leader of an earlier version can't read is not sent on to it`(
        command: String, since: UInt8
    ) throws {
        for minor in [since - 1, since] {
            let answer = try answer(to: command, minor: minor, isFollower: true)
            #expect(answer.contains(" -> "), "\(answer)")
            let isRefused = answer.contains("install this version on all nodes first")
            #expect(isRefused == (minor < since), "1.\(minor): \(answer)")
        }
    }
}
