import Raft
import Testing

@testable import NodeLogic

/// Who is removed for being silent, and what speaks against a removal.
@Suite struct ReaperTests {
    private let tick = Duration.milliseconds(10)

    private func due(
        _ membership: Membership, _ silence: KeyValuePairs<String, Int>,
        voter: Duration? = nil, nonvoter: Duration? = nil, busy: NodeID? = nil
    ) -> [Reaper.Due] {
        Reaper(timeouts: ReapTimeouts(voter: voter, nonvoter: nonvoter)).due(
            membership, Samples.progress(silence), tick: tick, patience: .milliseconds(500),
            busy: busy)
    }

    @Test func `A voter is due when it was silent for longer than its limit`() {
        let members = Samples.voters("1", "2", "3")
        let soon = due(members, ["2": 1, "3": 100], voter: .seconds(2))
        #expect(soon.map(\.id) == [NodeID("3")])
        #expect(soon.first?.remaining == .seconds(1))
        #expect(soon.first?.isOver == false)
        let now = due(members, ["2": 1, "3": 201], voter: .seconds(2))
        #expect(now.first?.isOver == true)
        #expect(now.first?.remaining == .zero)
    }

    @Test func `Read replicas have a limit of their own, learners that of voters`() {
        let members = Samples.voters("1")
            .setting(Samples.member("2", .nonvoter)).setting(Samples.member("3", .learner))
        let silence: KeyValuePairs = ["2": 300, "3": 300]
        #expect(due(members, silence, voter: .seconds(1)).map(\.id) == [NodeID("3")])
        #expect(due(members, silence, nonvoter: .seconds(1)).map(\.id) == [NodeID("2")])
        #expect(due(members, silence).isEmpty)
    }

    @Test func `A node that gets a snapshot is not due`() {
        let members = Samples.voters("1", "2", "3")
        let found = due(members, ["2": 900, "3": 0], voter: .seconds(1), busy: NodeID("2"))
        #expect(found.isEmpty)
    }

    @Test func `A removal that would leave no answering quorum names who does not answer`() {
        let members = Samples.voters("1", "2", "3")
        let reach = Reachability(
            leader: NodeID("1"), Samples.progress(["2": 0, "3": 900]), quorumTicks: 50)
        #expect(reach.quorumLost(without: NodeID("2"), in: members) == [NodeID("3")])
        #expect(reach.quorumLost(without: NodeID("3"), in: members) == nil)
        // Without the leader 2 and 3 would remain.
        #expect(reach.quorumLost(without: NodeID("1"), in: members) == [NodeID("3")])
    }

    @Test func `Silent voters of five can be removed one by one down to a quorum that answers`() {
        var members = Samples.voters("1", "2", "3", "4", "5")
        let reach = Reachability(
            leader: NodeID("1"), Samples.progress(["2": 0, "3": 0, "4": 900, "5": 900]),
            quorumTicks: 50)
        for id in ["5", "4"] {
            #expect(reach.quorumLost(without: NodeID(id), in: members) == nil)
            members = members.removing(NodeID(id))
        }
        #expect(members == Samples.voters("1", "2", "3"))
    }

    @Test func `A read replica may go whoever answers`() {
        let members = Samples.voters("1", "2").setting(Samples.member("9", .nonvoter))
        let reach = Reachability(
            leader: NodeID("1"), Samples.progress(["2": 900, "9": 900]), quorumTicks: 50)
        #expect(reach.quorumLost(without: NodeID("9"), in: members) == nil)
    }

    @Test func `The queue knows which removals wait`() {
        var queue = MembershipQueue()
        queue.append(.reap(NodeID("3")))
        #expect(queue.isRemoving(NodeID("3")))
        #expect(!queue.isRemoving(NodeID("2")))
        queue.finishFirst()
        #expect(!queue.isRemoving(NodeID("3")))
    }
}
