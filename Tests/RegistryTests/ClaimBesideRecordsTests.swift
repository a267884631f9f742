import Cluster
import Raft
import Registry
import Testing

/// A claim to found a cluster, where the registry has a record of a member of one.
@Suite struct ClaimBesideRecordsTests {
    private let cluster = ClusterID(RandomID(high: 2, low: 2))

    private func machine(foundsAnew: Bool = false) -> RegistryFormation {
        let introduction = FormationIntroduction(
            identity: identity(1), address: PeerAddress("10.0.0.1:4002"), suffrage: .voter,
            expect: 0)
        var settings = RegistryFormationSettings(introduction, apiURL: nil, limit: nil)
        settings.foundsAnew = foundsAnew
        return RegistryFormation(
            settings, state: RegistryState(), freshID: RandomID(high: 0, low: 256), seed: 7)
    }

    private var member: NodeRecord {
        NodeRecord(
            identity: identity(2), cluster: cluster, address: PeerAddress("10.0.0.2:4002"),
            apiURL: nil, suffrage: .voter, expect: 0)
    }

    private func identity(_ number: UInt64) -> NodeIdentity {
        NodeIdentity(
            id: NodeID("\(number)"), incarnation: Incarnation(RandomID(high: 0, low: number)))
    }

    /// It would wait for a cluster that nobody founds any more.
    @Test func `It says that the claim is not taken over, and what can be done`() {
        var machine = self.machine()
        let claim = LeaderEntry(
            id: NodeID("3"), apiURL: nil, address: PeerAddress("10.0.0.3:4002"),
            cluster: ClusterID(RandomID(high: 1, low: 1)), state: .forming,
            nonce: RandomID(high: 1, low: 2), term: .zero, founders: [])
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
    /// What comes of a claim where a member puts its record back, that the registry had lost, as soon as the claim
    /// stands there.
    private func outcome(
        of machine: RegistryFormation, fate: RegistryAnswer? = nil
    ) -> (founded: Bool, joined: [PeerAddress], registry: SimulatedRegistry) {
        var machine = machine
        var registry = SimulatedRegistry()
        var founded = false
        var joined: [PeerAddress] = []
        var now = Duration.zero
        while now < .seconds(3) {
            machine.tick(now)
            for effect in machine.takeEffects() {
                switch effect {
                case .ask(.erase, let id, _) where fate != nil:
                    if let fate { machine.answered(fate, to: id) }
                case .ask(let request, let id, _):
                    let answer = registry.perform(request)
                    if registry.leader != nil, registry["nodes/2"] == nil {
                        registry.put("nodes/2", member.encoded())
                    }
                    machine.answered(answer, to: id)
                case .persist(_, let ticket): machine.persisted(ticket)
                case .sendHello(let address):
                    let introduction = FormationIntroduction(
                        identity: identity(2), address: address, suffrage: .voter, expect: 0)
                    machine.helloAnswered(
                        CandidateFacts(
                            introduction: introduction, cluster: cluster, leader: address),
                        from: address)
                case .attemptJoin(let address):
                    joined.append(address)
                    machine.joined(cluster)
                case .start: founded = true
                default: break
                }
            }
            now += .milliseconds(1)
        }
        return (founded, joined, registry)
    }

    /// There would be two clusters: its leader, which is not elected yet, will find another's entry.
    @Test
    func `Who finds a record of a member before its claim is complete withdraws it and joins`() {
        let (founded, joined, registry) = outcome(of: machine())
        #expect(!founded)
        #expect(joined == [PeerAddress("10.0.0.2:4002")])
        #expect(registry.leader == nil)
    }

    /// A write of this node that is late may bring the claim to its end as long as the entry stands.
    @Test func `While the entry can't be erased it neither founds nor joins`() {
        let failure = RegistryFailure(.unavailable, "connection refused")
        let (founded, joined, registry) = outcome(of: machine(), fate: .failed(failure))
        #expect(!founded && joined.isEmpty)
        #expect(registry.leader?.state == .forming)
    }

    /// What that one replaces may have left records.
    @Test func `A claim with -bootstrap-anew is completed beside records of another cluster`() {
        let (founded, joined, registry) = outcome(of: machine(foundsAnew: true))
        #expect(founded && joined.isEmpty)
        #expect(registry.leader?.state == .formed)
    }
}
