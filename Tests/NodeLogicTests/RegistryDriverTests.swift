import Raft
import Registry
import Testing

@testable import NodeLogic
import Time

/// What `/status` can say of the registry comes from the answers that pass through.
@Suite struct RegistryDriverTests {
    private let revision = Revision([5])

    private func driver() -> RegistryDriver {
        let record = NodeRecord(
            identity: NodeIdentity(id: NodeID("a/b"), incarnation: Samples.incarnation(1)),
            cluster: nil, address: PeerAddress("h:1"), apiURL: nil, suffrage: .voter, expect: 0)
        let keeper = RegistryKeeper(record, nonce: RandomID(high: 0, low: 1), seed: 1)
        return RegistryDriver(keeper, state: RegistryState(), now: .zero)
    }

    private func record(_ name: String) -> StoredRecord {
        StoredRecord(name: name, value: [1], revision: revision)
    }

    private let id = RegistryRequestID(owner: .formation, number: 1)

    @Test func `The leader's entry is shown as it was last read or written`() {
        var driver = driver()
        #expect(driver.status.entry == .unknown)
        driver.answered(.read("leader"), id, RegistryReply(.record(nil)))
        #expect(driver.status.entry == .absent)
        driver.answered(.read("leader"), id, RegistryReply(.record(record("leader"))))
        #expect(driver.status.entry == .found(record("leader")))
        driver.answered(
            .write("leader", value: [2], expected: revision), id,
            RegistryReply(.written(Revision([6]))))
        let written = StoredRecord(name: "leader", value: [2], revision: Revision([6]))
        #expect(driver.status.entry == .found(written))
        let refused: [RegistryAnswer] = [
            .conflict, .failed(RegistryFailure(.timeout, "late")), .records([]),
        ]
        for answer in refused {
            driver.answered(
                .write("leader", value: [3], expected: nil), id, RegistryReply(answer))
        }
        #expect(driver.status.entry == .found(written))
    }

    @Test func `Whether a cluster has had a leader is known by its entry's term`() {
        let (own, other) = (
            ClusterID(RandomID(high: 0, low: 7)), ClusterID(RandomID(high: 0, low: 8))
        )
        var driver = driver()
        #expect(!driver.hasHadLeader(own))
        for term in [Term.zero, Term(1)] {
            let entry = LeaderEntry(
                id: NodeID("1"), apiURL: nil, address: PeerAddress("h:1"), cluster: own,
                state: .formed, nonce: RandomID(high: 0, low: 1), term: term, founders: [])
            let record = StoredRecord(name: "leader", value: entry.encoded(), revision: revision)
            driver.answered(.read("leader"), id, RegistryReply(.record(record)))
            #expect(driver.hasHadLeader(own) == (term > .zero))
            #expect(!driver.hasHadLeader(other))
        }
    }

    @Test func `The own record is found in lists, too, under its encoded name`() {
        var driver = driver()
        driver.answered(
            .list(prefix: "nodes/"), id,
            RegistryReply(.records([record("nodes/c"), record("nodes/a%2Fb")])))
        #expect(driver.status.ownRecord == .found(record("nodes/a%2Fb")))
        driver.answered(.list(prefix: "nodes/"), id, RegistryReply(.records([])))
        #expect(driver.status.ownRecord == .absent)
        #expect(driver.status.entry == .unknown)
    }

    @Test func `Only a read of the leader's entry gives the state to watch from`() {
        var driver = driver()
        driver.answered(.read("nodes/c"), id, RegistryReply(.record(nil), token: [1]))
        #expect(driver.watch.begin(now: .zero) == nil)
        driver.answered(.read("leader"), id, RegistryReply(.record(nil), token: [2]))
        #expect(driver.watch.begin(now: .zero) == [2])
    }
}
