import PeerProtocol
import Raft
import Testing

@testable import NodeLogic

/// What a join changes in the membership, step by step.
@Suite struct JoinTests {
    private let three = Samples.voters("1", "2", "3")

    @Test func `A new voter is added as a learner, a read replica as what it stays`() {
        #expect(
            MembershipDesk.change(toAdd: Samples.join("4"), to: three)
                == .add(Samples.member("4", .learner)))
        #expect(
            MembershipDesk.change(toAdd: Samples.join("4", .nonvoter), to: three)
                == .add(Samples.member("4", .nonvoter)))
    }

    @Test func `A member that joins again as it is changes nothing`() {
        #expect(MembershipDesk.change(toAdd: Samples.join("2"), to: three) == nil)
    }

    @Test func `The same ID and data directory on a new address moves the member`() {
        #expect(
            MembershipDesk.change(toAdd: Samples.join("2", at: "elsewhere:4002"), to: three)
                == .move(NodeID("2"), to: PeerAddress("elsewhere:4002")))
    }

    @Test func `A wiped disk under a known ID is removed, then added as a learner`() {
        let request = Samples.join("2", incarnation: 9)
        #expect(MembershipDesk.change(toAdd: request, to: three) == .remove(NodeID("2")))
        let without = three.removing(NodeID("2"))
        let learner = Samples.member("2", .learner, incarnation: 9)
        #expect(MembershipDesk.change(toAdd: request, to: without) == .add(learner))
        #expect(MembershipDesk.change(toAdd: request, to: without.setting(learner)) == nil)
    }

    @Test func `A data directory that became the member since is not replaced`() {
        let request = Samples.join("2", incarnation: 9)
        let known = Samples.member("2", .voter)
        #expect(MembershipDesk.refusal(toAdd: request, replacing: known, to: three) == nil)
        let other = three.setting(Samples.member("2", .learner, incarnation: 8))
        for replaced in [nil, known, Samples.member("2", .learner, incarnation: 9)] {
            let text = MembershipDesk.refusal(toAdd: request, replacing: replaced, to: other)
            #expect(text?.contains("node ID 2 was taken meanwhile") == true)
        }
        let own = three.setting(Samples.member("2", .learner, incarnation: 9))
        #expect(MembershipDesk.refusal(toAdd: request, replacing: known, to: own) == nil)
        let without = three.removing(NodeID("2"))
        #expect(MembershipDesk.refusal(toAdd: request, replacing: known, to: without) == nil)
    }

    /// Of two copies of one data directory that ask together the second finds the first alive.
    @Test func `A member is not moved from where nobody looked for it`() {
        let request = Samples.join("2", at: "elsewhere:4002")
        let known = Samples.member("2", .voter)
        #expect(MembershipDesk.refusal(toAdd: request, replacing: known, to: three) == nil)
        var moved = known
        moved.address = PeerAddress("third:4002")
        let since = three.setting(moved)
        for replaced in [nil, known, Samples.member("2", .voter, incarnation: 8)] {
            let text = MembershipDesk.refusal(toAdd: request, replacing: replaced, to: since)
            #expect(text?.contains("node 2 came to third:4002 meanwhile") == true)
        }
        #expect(MembershipDesk.refusal(toAdd: request, replacing: moved, to: since) == nil)
        let there = Samples.join("2", at: "third:4002")
        #expect(MembershipDesk.refusal(toAdd: there, replacing: nil, to: since) == nil)
    }

    @Test func `A new ID on the address of a member leaves that member alone`() {
        let request = Samples.join("4", at: "n2:4002")
        let added = MembershipDesk.change(toAdd: request, to: three)
        guard case .add(let member) = added else {
            Issue.record("\(String(describing: added))")
            return
        }
        #expect(member.id == NodeID("4"))
        #expect(member.suffrage == .learner)
    }

    @Test func `Joins are counted by what they brought about`() {
        var joins = Joins()
        let (new, known, wiped) = (PeerQuestionID(1), PeerQuestionID(2), PeerQuestionID(3))
        // The first proposal came to nothing.
        joins.proposed(.add(Samples.member("4", .learner)), for: new)
        joins.proposed(.add(Samples.member("4", .learner)), for: new)
        joins.granted(new)
        joins.granted(known)
        #expect([joins.added, joins.ignored, joins.replaced] == [1, 1, 0])
        joins.proposed(.remove(NodeID("2")), for: wiped)
        joins.proposed(.add(Samples.member("2", .learner, incarnation: 9)), for: wiped)
        joins.granted(wiped)
        #expect([joins.added, joins.ignored, joins.replaced] == [2, 1, 1])
    }

    @Test func `Whether a member votes is not changed by joining again`() {
        #expect(MembershipDesk.change(toAdd: Samples.join("2", .nonvoter), to: three) == nil)
        let replica = three.setting(Samples.member("4", .nonvoter))
        #expect(MembershipDesk.change(toAdd: Samples.join("4"), to: replica) == nil)
    }
}
