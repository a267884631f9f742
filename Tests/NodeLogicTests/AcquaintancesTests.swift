import PeerProtocol
import Raft
import Testing
import Time

@testable import NodeLogic

/// What a node remembers of others.
@Suite struct AcquaintancesTests {
    private func hello(_ id: String) -> Hello {
        Hello(
            identity: NodeIdentity(id: NodeID(id), incarnation: Samples.incarnation(1)),
            cluster: nil, address: PeerAddress("\(id):4002"), apiURL: "",
            versions: Hello.Versions(data: 1, program: "", engine: ""), suffrage: .voter,
            bootstrapExpect: nil, leader: nil, term: .zero, commitIndex: .zero, isReady: false,
            run: RandomID(high: 1, low: 1))
    }

    @Test func `Whoever asks to join under ever new names fills no memory, and members stay`() {
        var known = Acquaintances()
        known.met(hello("member"))
        known.metJoiner(hello("admitted"))
        _ = known.hinted(PeerAddress("admitted:4002"), for: NodeID("admitted"))
        for number in 0..<1000 {
            known.metJoiner(hello("stranger-\(number)"))
            known.metJoiner(hello("stranger-\(number)"))
        }
        #expect(known.hellos.count <= Acquaintances.mostJoiners + 2)
        #expect(known[NodeID("member")] != nil && known[NodeID("admitted")] != nil)
        #expect(known[NodeID("stranger-999")] != nil)
    }

    @Test func `Who was not reached is asked again soon, for it may come back as another version`()
    {
        var known = Acquaintances()
        let member = Member(
            id: NodeID("2"), incarnation: Samples.incarnation(1), address: PeerAddress("2:4002"),
            suffrage: .voter)
        let membership = Membership([member])
        _ = known.hinted(member.address, for: member.id)
        func isAsked(_ seconds: Int) -> Bool {
            let now = MonotonicTime.zero + .seconds(seconds)
            return !known.due(membership, except: NodeID("1"), now: now).isEmpty
        }
        #expect(isAsked(10))
        known.met(hello("2"))
        #expect(!isAsked(20))
        known.unreachable(member.id)
        known.unreachable(NodeID("stranger"))
        #expect(isAsked(21))
        #expect(isAsked(23))
        known.met(hello("2"))
        #expect(!isAsked(26))
        #expect(isAsked(90))
    }
}
