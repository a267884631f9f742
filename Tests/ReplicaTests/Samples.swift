import Raft

/// Members, for tests.
enum Samples {
    static func incarnation(_ number: UInt64) -> Incarnation {
        Incarnation(RandomID(high: 0, low: number))
    }

    static func member(
        _ id: String, _ suffrage: Suffrage = .voter, incarnation number: UInt64 = 1
    ) -> Member {
        Member(
            id: NodeID(id), incarnation: incarnation(number), address: PeerAddress("n\(id):4002"),
            suffrage: suffrage)
    }

    static func voters(_ ids: String...) -> Membership { Membership(ids.map { member($0) }) }
}
