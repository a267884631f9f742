import Cluster
import Raft
import Registry
import Testing

/// A registry whose reads and writes contradict each other.
@Suite struct ConflictTests {
    @Test func `A registry that refuses to make the entry that it does not show is not stormed`() {
        let introduction = FormationIntroduction(
            identity: NodeIdentity(
                id: NodeID("1"), incarnation: Incarnation(RandomID(high: 0, low: 1))),
            address: PeerAddress("10.0.0.1:4002"), suffrage: .voter, expect: 0)
        var machine = RegistryFormation(
            RegistryFormationSettings(introduction, apiURL: "http://10.0.0.1:4001", limit: nil),
            state: RegistryState(), freshID: RandomID(high: 0, low: 256), seed: 7)
        var time = Duration.zero
        var writes = 0
        var said: [String] = []
        while time < .seconds(10) {
            machine.tick(time)
            for effect in machine.takeEffects() {
                switch effect {
                case .ask(.read, let id, _): machine.answered(.record(nil), to: id)
                case .ask(.list, let id, _): machine.answered(.records([]), to: id)
                case .ask(_, let id, _):
                    writes += 1
                    machine.answered(.conflict, to: id)
                case .persist(_, let ticket): machine.persisted(ticket)
                case .waiting(let text): said.append(text)
                default: break
                }
            }
            time += .milliseconds(1)
        }
        #expect((10...101).contains(writes))
        // Once, and not with each claim.
        #expect(said.count <= 6, "\(said)")
        #expect(said.last?.hasPrefix("the registry refuses to make the leader entry") == true)
        #expect(!machine.isFinished)
    }
}
