import Raft
import Replication
import Testing

@testable import NodeLogic

/// Members speak to one whose log is older than their membership.
@Suite struct UnnamedTests {
    private static let forming =
        (1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" } + ["run 1500"]
    /// Of 2, 3 and perhaps 1.
    private static let replacing = [
        "node 4 plan=join join=n2:1", "run 3000", "transfer 2 4 wait=yes", "run 1000", "remove 4 3",
        "run 2000",
    ]

    private func raft(_ number: Int, of scenario: NodeScenario) -> RaftMachine? {
        scenario.ensemble.nodes[number]?.machine?.replicated?.raft
    }

    @Test func `A candidate that became a member while a voter was away gets its vote`() {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["kill 1"] + Self.replacing)
        #expect(raft(4, of: scenario)?.role == .leader)
        #expect(raft(4, of: scenario)?.membership.members.map(\.id.rawValue) == ["1", "2", "4"])
        _ = scenario.run([
            "kill 3", "kill 2", "run 2000", "start 1 join=n1:1,n2:1,n3:1", "run 10000",
        ])
        #expect(raft(4, of: scenario)?.role == .leader)
        #expect(raft(1, of: scenario)?.leader == NodeID("4"))
        let lines = scenario.run(["write 1 x:1", "run 2000"])
        #expect(lines.contains("write 1 x:1 -> ok"), "\(lines)")
    }

    /// 2 lacks what 1 and 4 hold, and 1 comes back on a disk from before 4 was a member.
    @Test func `A leader that an older disk does not name binds it, too`() {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["save 1"] + Self.replacing)
        #expect(raft(4, of: scenario)?.role == .leader)
        let written = scenario.run(["cut 2 4", "write 4 x:1", "run 300"])
        #expect(written.contains("write 4 x:1 -> ok"), "\(written)")
        let end = raft(4, of: scenario)?.lastPosition
        // It can't be caught up before the leader dies.
        _ = scenario.run([
            "kill 1", "restore 1", "hang 1", "start 1 join=n1:1,n2:1", "run 200",
        ])
        #expect(raft(1, of: scenario)?.membership.contains(NodeID("4")) == false)
        #expect(raft(1, of: scenario)?.missing == end)
        _ = scenario.run(["kill 4", "heal", "revive 1", "run 10000"])
        for number in 1...2 { #expect(raft(number, of: scenario)?.leader == nil) }
        let lines = scenario.run([
            "start 4 join=n1:1,n2:1", "run 8000", "read 4 x level=linearizable", "run 500",
        ])
        #expect(lines.contains { $0.hasPrefix("read 4 x -> x=1") }, "\(lines)")
    }

    /// 3 lost its disk and came back as another data directory, which 1 comes back from before.
    @Test func `A leader of whose ID an older disk knows another data directory binds it, too`() {
        var scenario = NodeScenario()
        _ = scenario.run(
            Self.forming + [
                "save 1", "kill 3", "wipe 3", "start 3 join=n1:1,n2:1", "run 3000",
                "transfer 2 3 wait=yes", "run 1000",
            ])
        #expect(raft(3, of: scenario)?.role == .leader)
        let written = scenario.run(["cut 2 3", "write 3 x:1", "run 300"])
        #expect(written.contains("write 3 x:1 -> ok"), "\(written)")
        let end = raft(3, of: scenario)?.lastPosition
        // It can't be caught up before the leader dies.
        _ = scenario.run([
            "kill 1", "restore 1", "hang 1", "start 1 join=n1:1,n2:1", "run 200",
        ])
        let known = raft(1, of: scenario)?.membership[NodeID("3")]?.incarnation
        #expect(known != nil && known != raft(3, of: scenario)?.identity.incarnation)
        #expect(raft(1, of: scenario)?.missing == end)
        _ = scenario.run(["kill 3", "heal", "revive 1", "run 10000"])
        for number in 1...2 { #expect(raft(number, of: scenario)?.leader == nil) }
        let lines = scenario.run([
            "start 3 join=n1:1,n2:1", "run 8000", "read 3 x level=linearizable", "run 500",
        ])
        #expect(lines.contains { $0.hasPrefix("read 3 x -> x=1") }, "\(lines)")
    }

    /// What the core would not take in, nobody would say once more.
    @Test func `A leader that tells while a snapshot is put in place is asked again`() {
        var scenario = NodeScenario.lagging()
        let sent = scenario.run(["hold on", "start 3", "run 3000"])
        #expect(sent.contains("3: receives a snapshot of 1"), "\(sent)")
        _ = scenario.run(["hang 3 database", "deliver 3"])
        func machine() -> NodeMachine? { scenario.ensemble.nodes[3]?.machine }
        #expect(machine()?.replicated?.isInstalling == true)
        // As if none of its questions at the start had been answered.
        guard let options = machine()?.options, let run = machine()?.identityWatch.run else {
            Issue.record("no node")
            return
        }
        var watch = IdentityWatch(options, run: run)
        _ = watch.questions(raft(3, of: scenario)?.membership ?? Membership())
        scenario.ensemble.nodes[3]?.machine?.identityWatch = watch
        _ = scenario.run(["run 2000"])
        #expect(machine()?.replicated?.isInstalling == true)
        #expect(machine()?.identityWatch.awaitsLeader == true)
        _ = scenario.run(["hold off", "revive 3", "run 3000"])
        #expect(machine()?.replicated?.isInstalling == false)
        #expect(machine()?.identityWatch.awaitsLeader == false)
    }

    @Test(arguments: [false, true])
    func `Beside a leader only the candidate that it chose is answered`(isChosen: Bool) {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming)
        guard let node = scenario.ensemble.nodes[1], let raft = self.raft(1, of: scenario) else {
            Issue.record("no node")
            return
        }
        #expect(raft.leader != nil)
        let other = NodeIdentity(
            id: NodeID("9"), incarnation: Incarnation(RandomID(high: 0, low: 9)))
        let request = Message.VoteRequest(
            isPreVote: false, isTransfer: isChosen, lastLog: raft.lastPosition)
        let message = Message(
            cluster: raft.cluster, from: other, to: node.options.identity.id, term: raft.term.next,
            body: .voteRequest(request))
        scenario.say(.spoke(other, at: PeerAddress("n9:1")), to: 1)
        scenario.say(.messages([message]), to: 1)
        #expect((scenario.ensemble.nodes[1]?.book[other.id] != nil) == isChosen)
    }

    @Test func `No more candidates are remembered than a membership changes by in a while`() {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["kill 2", "kill 3", "run 3000"])
        guard let node = scenario.ensemble.nodes[1], let cluster = node.machine?.cluster else {
            Issue.record("no cluster")
            return
        }
        for number in 10..<60 as Range<UInt64> {
            let other = NodeIdentity(
                id: NodeID("\(number)"),
                incarnation: Incarnation(RandomID(high: 0, low: number)))
            scenario.say(.spoke(other, at: PeerAddress("x\(number):1")), to: 1)
            let request = Message.VoteRequest(
                isPreVote: true, isTransfer: false, lastLog: .zero)
            let message = Message(
                cluster: cluster, from: other, to: node.options.identity.id, term: Term(9),
                body: .voteRequest(request))
            scenario.say(.messages([message]), to: 1)
        }
        #expect(scenario.ensemble.nodes[1]?.machine?.unnamed.count == 16)
        #expect(scenario.ensemble.nodes[1]?.book.count == 18)
        _ = scenario.run(["start 2 join=n1:1", "start 3 join=n1:1", "run 5000"])
        #expect(scenario.ensemble.nodes[1]?.machine?.unnamed.isEmpty == true)
        #expect(scenario.ensemble.nodes[1]?.book.count == 2)
    }
}
