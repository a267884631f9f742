import Raft
import Testing

@testable import Transport

/// What is remembered of where others are.
@Suite struct WhereaboutsTests {
    @Test func `Who is nobody's peer makes room for who speaks now`() {
        var whereabouts = Whereabouts()
        func speak(_ id: String, at place: String = "a:1") -> Bool {
            let node = NodeIdentity(
                id: NodeID(id), incarnation: Incarnation(RandomID(high: 0, low: 1)))
            return whereabouts.spoke(node, at: PeerAddress(place), limit: 3) {
                $0 == NodeID("peer")
            }
        }
        let first = ["peer", "1", "2"].map { [speak($0), speak($0)] }
        #expect(first == [[true, false], [true, false], [true, false]])
        let hasMoved = speak("2", at: "b:1")
        #expect(hasMoved && whereabouts.spoken.count == 3)
        let isNew = speak("3")
        #expect(isNew)
        #expect(Set(whereabouts.spoken.keys) == [NodeID("peer"), NodeID("3")])
    }
}
