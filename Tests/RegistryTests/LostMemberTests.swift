import Cluster
import Raft
import Registry
import Testing

/// A member that lost contact, where records of nodes tell nothing.
@Suite struct LostMemberTests {
    private let cluster = ClusterID(RandomID(high: 1, low: 1))
    private let leader = PeerAddress("10.0.0.9:4002")

    private func entry(of cluster: ClusterID, by id: String) -> StoredRecord {
        let entry = LeaderEntry(
            id: NodeID(id), apiURL: nil, address: leader, cluster: cluster, state: .formed,
            nonce: RandomID(high: 1, low: 2), term: .zero, founders: [])
        return StoredRecord(
            name: RecordName.leader, value: entry.encoded(), revision: Revision([1]))
    }

    /// Where it is told to look within ten seconds, each time.
    private func told(
        entry: StoredRecord?, list: RegistryAnswer,
        as standing: RegistryKeeper.Standing = .member(isLost: true)
    ) -> [[PeerAddress]] {
        let record = NodeRecord(
            identity: NodeIdentity(
                id: NodeID("1"), incarnation: Incarnation(RandomID(high: 0, low: 1))),
            cluster: cluster, address: PeerAddress("10.0.0.1:4002"), apiURL: nil, suffrage: .voter,
            expect: 0)
        var keeper = RegistryKeeper(record, nonce: RandomID(high: 0, low: 192), seed: 7)
        var told: [[PeerAddress]] = []
        var now = Duration.zero
        while now < .seconds(10) {
            keeper.tick(now)
            keeper.update(record, standing)
            for effect in keeper.takeEffects() {
                switch effect {
                case .ask(.read(RecordName.leader), let id, _):
                    keeper.answered(.record(entry), to: id)
                case .ask(.list, let id, _): keeper.answered(list, to: id)
                case .ask(_, let id, _):
                    keeper.answered(.failed(RegistryFailure(.forbidden, "no nodes/")), to: id)
                case .candidates(let addresses): told.append(addresses)
                default: break
                }
            }
            now += .milliseconds(1)
        }
        return told
    }

    private static let silent: [RegistryAnswer] = [
        .failed(RegistryFailure(.forbidden, "no nodes/")), .records([]),
    ]

    @Test(arguments: silent)
    func `It finds the leader where the entry says that it is`(_ list: RegistryAnswer) {
        #expect(told(entry: entry(of: cluster, by: "2"), list: list) == [[leader]])
    }

    @Test(arguments: silent)
    func `What the entry says of itself, or of another cluster, leads nowhere`(
        _ list: RegistryAnswer
    ) {
        #expect(told(entry: entry(of: cluster, by: "1"), list: list) == [[]])
        let other = ClusterID(RandomID(high: 2, low: 2))
        #expect(told(entry: entry(of: other, by: "2"), list: list) == [[]])
        #expect(told(entry: nil, list: list) == [[]])
    }

    /// It may leave its own cluster for that one, whose nodes need not be where the founders were.
    @Test func `A founder without a leader looks where the entry of another cluster leads, too`() {
        let founders = ["1", "3"].map { id in
            Member(
                id: NodeID(id), incarnation: Incarnation(RandomID(high: 0, low: 1)),
                address: PeerAddress("10.0.0.\(id):4002"), suffrage: .voter)
        }
        let founder = RegistryKeeper.Standing.founder(
            BootstrapValue(cluster: cluster, members: founders))
        let other = ClusterID(RandomID(high: 2, low: 2))
        #expect(
            told(entry: entry(of: other, by: "2"), list: .records([]), as: founder) == [[leader]])
        #expect(told(entry: entry(of: cluster, by: "2"), list: .records([]), as: founder) == [[]])
    }
}
