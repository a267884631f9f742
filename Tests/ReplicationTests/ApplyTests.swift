import Raft
import Replication
import Testing

/// Batches for the state machine, and what proposals and reads wait for.
@Suite struct ApplyTests {
    private func command(_ id: UInt64) -> (id: ProposalID, bytes: [UInt8]) {
        (ProposalID(id), [UInt8(id)])
    }

    @Test func `One batch is out at a time and the next begins where it ended`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)], commit: 1)
        node.log.persisted(node.take().writes[0].ticket)
        #expect(node.take().batches.count == 1)
        node.hear(
            term: 1, previous: entry(1, term: 1).position,
            entries: [entry(2, term: 1), entry(3, term: 1)], commit: 3)
        node.log.persisted(node.take().writes[0].ticket)
        #expect(node.take().batches.isEmpty)
        node.log.applied(through: LogIndex(1))
        #expect(node.take().batches[0].entries.map(\.index) == [LogIndex(2), LogIndex(3)])
    }

    @Test func `A batch is bounded by entries and by bytes, and one entry always goes`() {
        var settings = ReplicationSettings()
        settings.maxApplyEntries = 2
        var node = Fixture(voters: ["a", "b", "c"], settings: settings)
        let entries = (1...3).map { entry($0, term: 1) }
        node.hear(term: 1, entries: entries, commit: 3)
        node.log.persisted(node.take().writes[0].ticket)
        #expect(node.take().batches[0].entries.count == 2)

        settings.maxApplyEntries = 100
        settings.maxApplyBytes = 1
        node = Fixture(voters: ["a", "b", "c"], settings: settings)
        node.hear(term: 1, entries: entries, commit: 3)
        node.log.persisted(node.take().writes[0].ticket)
        #expect(node.take().batches[0].entries.count == 1)
    }

    @Test func `A proposal comes with the batch that applies it`() {
        var node = Fixture.leader()
        node.log.propose([command(1), command(2)])
        #expect(node.log.openProposals == 2)
        let effects = node.take()
        #expect(effects.batches.isEmpty)
        node.log.persisted(effects.writes[0].ticket)
        let batch = node.take().batches[0]
        #expect(
            batch.completions == [
                .init(id: ProposalID(1), index: LogIndex(2)),
                .init(id: ProposalID(2), index: LogIndex(3)),
            ])
        #expect(node.log.openProposals == 0)
    }

    @Test func `A follower refuses proposals and names the leader`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1)
        _ = node.take()
        node.log.propose([command(7)])
        #expect(node.take() == [.refused(ProposalID(7), .notLeader(leader: NodeID("b")))])
    }

    @Test func `An entry of another leader at a proposal's index is not its completion`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.elect()
        node.log.propose([command(9)])
        node.settle()
        #expect(node.log.openProposals == 1)
        // Another leader commits an entry of its own at both indexes.
        node.hear(
            term: 5, entries: [entry(1, term: 5), entry(2, term: 5)], commit: 2)
        node.settle()
        #expect(node.effects.discarded == [ProposalID(9)])
        #expect(node.effects.batches.allSatisfy { $0.completions.isEmpty })
        #expect(node.log.appliedIndex == LogIndex(2))
        #expect(node.log.openProposals == 0)
    }

    @Test func `A read waits until the state machine stands at its index`() throws {
        var node = Fixture.leader()
        node.log.propose([command(1)])
        node.log.persisted(node.take().writes[0].ticket)
        let batch = node.take().batches[0]
        node.log.requestRead(ReadID(5))
        #expect(!node.take().contains(.readable([ReadID(5)])))
        node.log.applied(through: batch.entries[0].index)
        #expect(node.take().contains(.readable([ReadID(5)])))
    }

    @Test func `A read on a follower fails`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.log.requestRead(ReadID(5))
        #expect(node.take() == [.readsFailed([ReadID(5)])])
    }
}
