import Chance
import Cluster
import PeerProtocol
import Raft
import Registry
import Testing
import Time
import WriteAheadLog

@testable import NodeLogic

/// A founder by a registry, whose cluster never had a leader, meets one that works.
@Suite struct RegistryDisposalTests {
    private let identity = NodeIdentity(id: NodeID("3"), incarnation: Samples.incarnation(1))
    private let own = ClusterID(RandomID(high: 7, low: 7))
    private let other = ClusterID(RandomID(high: 8, low: 8))
    private let founders = Samples.voters("1", "2", "3")
    /// A founder's, where a node of the other cluster lives now.
    private let place = PeerAddress("n1:4002")

    private func founder(timeout: Duration? = nil) -> Rendezvous {
        var settings = MachineSettings(
            explicitID: nil, fallbackID: identity.id, address: PeerAddress("n3:4002"),
            apiURL: "", dataDirectory: "", version: "")
        settings.plan = .registry(expect: 3, timeout: timeout, suffrage: .voter)
        var rendezvous = Rendezvous(
            NodeOptions(identity: identity, engine: "", settings: settings),
            chance: Xoshiro256((1, 2, 3, 4)))
        rendezvous.beginRegistry(
            RegistryState(
                claim: nil, founding: BootstrapValue(cluster: own, members: founders.members)))
        return rendezvous
    }

    private func entry(of cluster: ClusterID) -> StoredRecord {
        let entry = LeaderEntry(
            id: NodeID("1"), apiURL: nil, address: place, cluster: cluster, state: .formed,
            nonce: RandomID(high: 1, low: 2), term: .zero,
            founders: cluster == own ? founders.members : [])
        return StoredRecord(
            name: RecordName.leader, value: entry.encoded(), revision: Revision([1]))
    }

    /// What it writes to leave its cluster, where it meets the other's leader for eight seconds; nil: it stays.
    private func left(
        _ rendezvous: inout Rendezvous, whereRegistryShows entry: StoredRecord
    ) -> [MetadataRecord]? {
        var situation = Rendezvous.Situation()
        situation.cluster = own
        situation.takesPart = true
        situation.membership = founders
        let leader = Hello(
            identity: NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(2)),
            cluster: other, address: place, apiURL: nil,
            versions: Hello.Versions(data: 1, program: "test", engine: "e"), suffrage: .voter,
            bootstrapExpect: nil, leader: LeaderHint(id: NodeID("1"), address: place, apiURL: nil),
            term: .zero, commitIndex: .zero, isReady: true)
        for second: UInt64 in 1...8 {
            rendezvous.tick(situation, MonotonicTime(nanoseconds: second * 1_000_000_000))
            rendezvous.answered(.hello, at: place, .success(.hello(leader)))
            var decisions = rendezvous.takeDecisions()
            while !decisions.isEmpty {
                for decision in decisions {
                    switch decision {
                    case .askRegistry(let request, let id, timeout: _):
                        let answer = answer(to: request, showing: entry)
                        rendezvous.registryAnswered(request, id, RegistryReply(answer))
                    case .record(let records, .disposal): return records
                    default: break
                    }
                }
                decisions = rendezvous.takeDecisions()
            }
        }
        return nil
    }

    private func answer(
        to request: RegistryRequest, showing entry: StoredRecord
    ) -> RegistryAnswer {
        switch request {
        case .read(RecordName.leader): .record(entry)
        case .read: .record(nil)
        case .list: .records([])
        case .write: .written(Revision([2]))
        case .erase: .erased
        }
    }

    @Test func `It leaves its founding with its cluster, and looks at the registry anew`() throws {
        var rendezvous = founder()
        let written = left(&rendezvous, whereRegistryShows: entry(of: other))
        let records = try #require(written)
        #expect(records.contains(.abandoned(own)))
        let stored: [[UInt8]] = records.compactMap {
            if case .registry(let bytes) = $0 { bytes } else { nil }
        }
        #expect(stored == [RegistryState().encoded()])
        rendezvous.recorded(.disposal)
        _ = rendezvous.takeDecisions()
        rendezvous.tick(Rendezvous.Situation(), MonotonicTime(nanoseconds: 9_000_000_000))
        for decision in rendezvous.takeDecisions() {
            if case .record = decision { Issue.record("it founds again: \(decision)") }
        }
        #expect(rendezvous.registry?.formation?.isFinished == false)
    }

    /// What passed while it waited for its own cluster does not count.
    @Test func `It has all its time to come to the cluster that works`() throws {
        var rendezvous = founder(timeout: .seconds(5))
        let written = left(&rendezvous, whereRegistryShows: entry(of: other))
        _ = try #require(written)
        rendezvous.recorded(.disposal)
        _ = rendezvous.takeDecisions()
        rendezvous.tick(Rendezvous.Situation(), MonotonicTime(nanoseconds: 9_000_000_000))
        for decision in rendezvous.takeDecisions() {
            if case .fail(let text) = decision { Issue.record("it gave up: \(text)") }
        }
        #expect(rendezvous.registry?.formation?.isFinished == false)
    }

    @Test func `It stays while the registry names its own cluster`() {
        var rendezvous = founder()
        let written = left(&rendezvous, whereRegistryShows: entry(of: own))
        #expect(written == nil)
    }
}
