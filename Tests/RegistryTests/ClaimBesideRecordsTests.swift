import Cluster
import Raft
import Registry
import Testing

/// Another's claim to found a cluster, where the registry has a record of a member of one.
@Suite struct ClaimBesideRecordsTests {
    private func identity(_ number: UInt64) -> NodeIdentity {
        NodeIdentity(
            id: NodeID("\(number)"), incarnation: Incarnation(RandomID(high: 0, low: number)))
    }

    /// It would wait for a cluster that nobody founds any more.
    @Test func `It says that the claim is not taken over, and what can be done`() {
        let introduction = FormationIntroduction(
            identity: identity(1), address: PeerAddress("10.0.0.1:4002"), suffrage: .voter,
            expect: 0)
        var machine = RegistryFormation(
            RegistryFormationSettings(introduction, apiURL: nil, limit: nil),
            state: RegistryState(), freshID: RandomID(high: 0, low: 256), seed: 7)
        let claim = LeaderEntry(
            id: NodeID("3"), apiURL: nil, address: PeerAddress("10.0.0.3:4002"),
            cluster: ClusterID(RandomID(high: 1, low: 1)), state: .forming,
            nonce: RandomID(high: 1, low: 2), term: .zero, founders: [])
        let cluster = ClusterID(RandomID(high: 2, low: 2))
        let member = NodeRecord(
            identity: identity(2), cluster: cluster, address: PeerAddress("10.0.0.2:4002"),
            apiURL: nil, suffrage: .voter, expect: 0)
        var last = ""
        var writes = 0
        var now = Duration.zero
        while now < .seconds(20) {
            machine.tick(now)
            for effect in machine.takeEffects() {
                switch effect {
                case .ask(.read, let id, _):
                    let record = StoredRecord(
                        name: RecordName.leader, value: claim.encoded(), revision: Revision([1]))
                    machine.answered(.record(record), to: id)
                case .ask(_, let id, _):
                    let record = StoredRecord(
                        name: "nodes/2", value: member.encoded(), revision: Revision([2]))
                    machine.answered(.records([record]), to: id)
                case .sendHello(let address):
                    machine.unreachable(address, reason: "connection refused")
                case .waiting(let line): last = line
                case .persist: writes += 1
                default: break
                }
            }
            now += .milliseconds(1)
        }
        #expect(writes == 0)
        #expect(last.contains("records of nodes of cluster \(cluster); joining"), "\(last)")
        #expect(last.hasSuffix("disco clear --cluster \(cluster)"), "\(last)")
    }
}
