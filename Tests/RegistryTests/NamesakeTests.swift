import Cluster
import Raft
import Registry
import Testing

/// Another process writes over the own record.
@Suite struct NamesakeTests {
    private func record(at address: String) -> NodeRecord {
        NodeRecord(
            identity: NodeIdentity(
                id: NodeID("1"), incarnation: Incarnation(RandomID(high: 0, low: 1))),
            cluster: nil, address: PeerAddress(address), apiURL: nil, suffrage: .voter, expect: 0)
    }

    /// The alarms at the end, where this stands there from some time after the own one was written.
    private func alarms(over other: NodeRecord, until end: Duration) -> [RegistryAlarm] {
        let own = record(at: "10.0.0.1:4002")
        var keeper = RegistryKeeper(own, nonce: RandomID(high: 0, low: 192), seed: 7)
        var now = Duration.zero
        while now < end {
            keeper.tick(now)
            keeper.update(own, .fresh)
            for effect in keeper.takeEffects() {
                switch effect {
                case .ask(.read(let name), let id, _):
                    let found = StoredRecord(
                        name: name, value: other.encoded(), revision: Revision([2]))
                    keeper.answered(.record(now < .seconds(5) ? nil : found), to: id)
                case .ask(.write, let id, _): keeper.answered(.written(Revision([1])), to: id)
                case .ask(_, let id, _): keeper.answered(.records([]), to: id)
                default: break
                }
            }
            now += .milliseconds(1)
        }
        return keeper.alarms
    }

    @Test func `A copy of the data directory, elsewhere, is an alarm`() {
        let place = "10.0.0.9:4002"
        // The second time in a row: what comes late was perhaps this node's own.
        #expect(alarms(over: record(at: place), until: .seconds(15)) == [])
        #expect(
            alarms(over: record(at: place), until: .seconds(25)) == [
                .nodeIDTaken(NodeID("1"), other: PeerAddress(place))
            ])
        #expect(alarms(over: record(at: "10.0.0.1:4002"), until: .seconds(25)) == [])
    }
}
