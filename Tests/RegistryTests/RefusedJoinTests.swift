import Cluster
import Raft
import Registry
import Testing

/// A node that the registry leads to a cluster which doesn't take it in.
@Suite struct RefusedJoinTests {
    private let cluster = ClusterID(RandomID(high: 1, low: 1))
    private let leader = PeerAddress("10.0.0.1:4002")

    private func introduction(_ incarnation: UInt64, at address: String) -> FormationIntroduction {
        FormationIntroduction(
            identity: NodeIdentity(
                id: NodeID("1"), incarnation: Incarnation(RandomID(high: 0, low: incarnation))),
            address: PeerAddress(address), suffrage: .voter, expect: 0)
    }

    /// What it says while the leader refuses it for ten seconds, and what it wants written to its disk.
    private func outcome(
        ofRefusalFor reason: String, foundsAnew: Bool
    ) -> (lines: [String], writes: Int) {
        var settings = RegistryFormationSettings(
            introduction(2, at: "10.0.0.2:4002"), apiURL: nil, limit: nil)
        settings.foundsAnew = foundsAnew
        var machine = RegistryFormation(
            settings, state: RegistryState(), freshID: RandomID(high: 0, low: 256), seed: 7)
        let entry = LeaderEntry(
            id: NodeID("1"), apiURL: nil, address: leader, cluster: cluster, state: .formed,
            nonce: RandomID(high: 1, low: 2), term: Term(1), founders: [])
        let record = StoredRecord(
            name: RecordName.leader, value: entry.encoded(), revision: Revision([1]))
        let facts = CandidateFacts(
            introduction: introduction(1, at: "10.0.0.1:4002"), cluster: cluster, leader: leader)
        var lines: [String] = []
        var writes = 0
        var now = Duration.zero
        while now < .seconds(10) {
            machine.tick(now)
            for effect in machine.takeEffects() {
                switch effect {
                case .ask(.read, let id, _): machine.answered(.record(record), to: id)
                case .ask(_, let id, _): machine.answered(.records([]), to: id)
                case .sendHello(let address): machine.helloAnswered(facts, from: address)
                case .attemptJoin(let address):
                    machine.joinRefused(via: address, reason: reason, leader: leader)
                case .waiting(let line): lines.append(line)
                case .persist: writes += 1
                default: break
                }
            }
            now += .milliseconds(1)
        }
        return (lines, writes)
    }

    /// By a node with its own ID: nothing is to be cleared for that.
    @Test func `Its waiting line has the leader's reason, and does not change each time`() {
        let (lines, _) = outcome(ofRefusalFor: "node ID 1 is in use", foundsAnew: false)
        let last = lines.last ?? ""
        #expect(last.contains("; 10.0.0.1:4002: node ID 1 is in use; "), "\(last)")
        #expect(!last.contains("without data"), "\(last)")
        #expect(lines.count <= 4, "\(lines)")
    }

    /// It looked as if nobody but itself had to be asked.
    @Test func `With another's ID it founds no successor before that one was asked`() {
        let (_, writes) = outcome(ofRefusalFor: "node ID 1 is in use", foundsAnew: true)
        #expect(writes == 0)
    }
}
