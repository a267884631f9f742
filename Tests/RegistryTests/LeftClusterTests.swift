import Cluster
import Raft
import Registry
import Testing

/// A node that left the cluster that it founded, and came to lead another.
@Suite struct LeftClusterTests {
    private let identity = NodeIdentity(
        id: NodeID("1"), incarnation: Incarnation(RandomID(high: 0, low: 1)))
    private let address = PeerAddress("10.0.0.1:4002")
    private let left = ClusterID(RandomID(high: 1, low: 1))
    private let joined = ClusterID(RandomID(high: 2, low: 2))

    private func record(in cluster: ClusterID?) -> NodeRecord {
        NodeRecord(
            identity: identity, cluster: cluster, address: address, apiURL: nil, suffrage: .voter,
            expect: 3)
    }

    /// What the record `leader` says after two seconds, if somebody wrote one.
    private func written(
        by keeper: inout RegistryKeeper, in cluster: ClusterID?,
        _ standing: RegistryKeeper.Standing, from start: Duration
    ) -> LeaderEntry? {
        var stored: StoredRecord?
        var now = start
        while now < start + .seconds(2) {
            keeper.tick(now)
            keeper.update(record(in: cluster), standing)
            for effect in keeper.takeEffects() {
                switch effect {
                case .ask(.write(RecordName.leader, let value, _), let id, _):
                    let revision = Revision([1])
                    stored = StoredRecord(
                        name: RecordName.leader, value: value, revision: revision)
                    keeper.answered(.written(revision), to: id)
                case .ask(.read(RecordName.leader), let id, _):
                    keeper.answered(.record(stored), to: id)
                case .ask(_, let id, _):
                    keeper.answered(.failed(RegistryFailure(.unavailable, "busy")), to: id)
                default: break
                }
            }
            now += .milliseconds(10)
        }
        guard let stored, case .entry(let entry) = LeaderContent(parsing: stored.value) else {
            return nil
        }
        return entry
    }

    @Test func `Its entry names no founders of the cluster that it left`() {
        let founders = [
            Member(
                id: identity.id, incarnation: identity.incarnation, address: address,
                suffrage: .voter),
            Member(
                id: NodeID("2"), incarnation: Incarnation(RandomID(high: 0, low: 2)),
                address: PeerAddress("10.0.0.2:4002"), suffrage: .voter),
        ]
        var keeper = RegistryKeeper(
            record(in: left), nonce: RandomID(high: 0, low: 192), seed: 7)
        let founding = BootstrapValue(cluster: left, members: founders)
        let first = written(by: &keeper, in: left, .founder(founding), from: .zero)
        #expect(first?.founders == founders)
        _ = written(by: &keeper, in: nil, .fresh, from: .seconds(2))
        let second = written(by: &keeper, in: joined, .leader(Term(1)), from: .seconds(4))
        #expect(second?.cluster == joined)
        #expect(second?.founders == [])
    }
}
