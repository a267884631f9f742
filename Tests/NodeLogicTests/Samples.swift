import PeerProtocol
import Raft

/// Members, and what a leader knows of them, for tests.
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

    /// What the leader knows: how many ticks each other member was silent.
    static func progress(_ silence: KeyValuePairs<String, Int>) -> [PeerProgress] {
        silence.map { id, ticks in
            PeerProgress(
                id: NodeID(id), state: .replicate, matchIndex: LogIndex(1), ticksSinceAnswer: ticks)
        }
    }

    static func join(
        _ id: String, incarnation number: UInt64 = 1, at address: String? = nil,
        _ suffrage: Suffrage = .voter
    ) -> JoinRequest {
        JoinRequest(
            identity: NodeIdentity(id: NodeID(id), incarnation: incarnation(number)),
            address: PeerAddress(address ?? "n\(id):4002"), apiURL: nil, suffrage: suffrage,
            cluster: nil)
    }
}
