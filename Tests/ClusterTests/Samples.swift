import Cluster
import Raft

/// Nodes, addresses and values for tests: node k has ID "k", incarnation k and address 10.0.0.k.
func address(_ k: Int) -> PeerAddress { PeerAddress("10.0.0.\(k):4002") }
func incarnation(_ k: Int) -> Incarnation { Incarnation(RandomID(high: 0, low: UInt64(k))) }

func node(
    _ k: Int, id: String? = nil, expect: Int = 3, suffrage: Suffrage = .voter
) -> FormationIntroduction {
    FormationIntroduction(
        identity: NodeIdentity(id: NodeID(id ?? "\(k)"), incarnation: incarnation(k)),
        address: address(k), suffrage: suffrage, expect: expect)
}

func list(_ nodes: [Int], expect: Int = 3) -> CandidateList {
    CandidateList(
        expect: expect,
        entries: nodes.map { .init(address: address($0), incarnation: incarnation($0)) })
}

func value(_ cluster: UInt64, _ nodes: [Int]) -> BootstrapValue {
    BootstrapValue(
        cluster: ClusterID(RandomID(high: 7, low: cluster)),
        members: nodes.map { k in
            Member(
                id: NodeID("\(k)"), incarnation: incarnation(k), address: address(k),
                suffrage: .voter)
        })
}

func ballot(_ counter: UInt64, by k: Int) -> Ballot {
    Ballot(counter: counter, proposer: incarnation(k))
}

func facts(
    _ node: FormationIntroduction, cluster: UInt64? = nil, leader: PeerAddress? = nil
) -> CandidateFacts {
    CandidateFacts(
        introduction: node, cluster: cluster.map { ClusterID(RandomID(high: 7, low: $0)) },
        leader: leader)
}
