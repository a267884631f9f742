import Cluster
import Raft
import Registry
import Testing

/// A plugin that can't serve its configuration, from the start or for a while.
@Suite struct PassingErrorTests {
    private let permanent = RegistryAnswer.failed(RegistryFailure(.permanent, "no token file"))
    private let identity = NodeIdentity(
        id: NodeID("1"), incarnation: Incarnation(RandomID(high: 0, low: 1)))
    private let cluster = ClusterID(RandomID(high: 1, low: 1))

    /// What becomes of a node that forms, within twenty seconds: nil while it goes on.
    private func fate(permanentFrom start: Duration, to end: Duration) -> RegistryFormationEffect? {
        let introduction = FormationIntroduction(
            identity: identity, address: PeerAddress("10.0.0.1:4002"), suffrage: .voter, expect: 0)
        var machine = RegistryFormation(
            RegistryFormationSettings(introduction, apiURL: "http://10.0.0.1:4001", limit: nil),
            state: RegistryState(), freshID: RandomID(high: 0, low: 256), seed: 7)
        // Another's claim, which it may not take over as long as this takes.
        let claim = LeaderEntry(
            id: NodeID("2"), apiURL: nil, address: PeerAddress("10.0.0.2:4002"), cluster: cluster,
            state: .forming, nonce: RandomID(high: 1, low: 2), term: .zero, founders: [])
        var now = Duration.zero
        while now < .seconds(20) {
            let record = StoredRecord(
                name: RecordName.leader, value: claim.encoded(),
                revision: Revision([now < .seconds(10) ? 1 : 2]))
            machine.tick(now)
            for effect in machine.takeEffects() {
                let isOut = start <= now && now < end
                switch effect {
                case .ask(_, let id, _) where isOut: machine.answered(permanent, to: id)
                case .ask(.read, let id, _): machine.answered(.record(record), to: id)
                case .ask(_, let id, _): machine.answered(.records([]), to: id)
                case .fatal, .start, .gaveUp, .joined: return effect
                default: break
                }
            }
            now += .milliseconds(1)
        }
        return nil
    }

    @Test func `What can't be used from the start ends a node that forms`() {
        #expect(fate(permanentFrom: .zero, to: .seconds(20)) == .fatal("no token file"))
    }

    @Test func `What could be used before is asked again`() {
        #expect(fate(permanentFrom: .seconds(2), to: .seconds(6)) == nil)
    }

    @Test func `A leader asks a plugin again soon that can't serve its configuration`() {
        let record = NodeRecord(
            identity: identity, cluster: cluster, address: PeerAddress("10.0.0.1:4002"),
            apiURL: nil,
            suffrage: .voter, expect: 0)
        var keeper = RegistryKeeper(record, nonce: RandomID(high: 0, low: 192), seed: 7)
        var requests = 0
        var now = Duration.zero
        while now < .seconds(60) {
            keeper.tick(now)
            keeper.update(record, .leader(Term(1)), members: [identity.id])
            for case .ask(_, let id, _) in keeper.takeEffects() {
                requests += 1
                keeper.answered(permanent, to: id)
            }
            now += .milliseconds(1)
        }
        #expect((10...21).contains(requests))
    }
}
