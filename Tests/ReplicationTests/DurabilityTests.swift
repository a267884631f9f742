import Raft
import Replication
import Testing

/// Nothing is said or applied before it is durable here.
@Suite struct DurabilityTests {
    @Test func `An acknowledgement leaves only when its write is durable`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)])
        let effects = node.take()
        #expect(effects.sent.isEmpty)
        let write = effects.writes[0]
        node.log.persisted(write.ticket)
        #expect(node.take().acknowledged == [LogIndex(1)])
    }

    @Test func `Held messages leave in the order of their writes`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)])
        let first = node.take().writes
        node.hear(term: 1, previous: entry(1, term: 1).position, entries: [entry(2, term: 1)])
        let second = node.take().writes
        node.log.persisted(first[0].ticket)
        #expect(node.take().acknowledged == [LogIndex(1)])
        node.log.persisted(second[0].ticket)
        #expect(node.take().acknowledged == [LogIndex(2)])
    }

    @Test func `One report covers all writes before it`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)])
        node.hear(term: 1, previous: entry(1, term: 1).position, entries: [entry(2, term: 1)])
        let writes = node.take().writes
        #expect(writes.count == 2)
        node.log.persisted(writes[1].ticket)
        #expect(node.take().acknowledged == [LogIndex(1), LogIndex(2)])
        #expect(node.log.durableIndex == LogIndex(2))
        #expect(node.log.outstandingWrites == 0)
    }

    @Test func `A committed entry is applied only when it is durable here`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)], commit: 1)
        let effects = node.take()
        #expect(node.log.raft.commitIndex == LogIndex(1))
        #expect(effects.batches.isEmpty)
        node.log.persisted(effects.writes[0].ticket)
        #expect(node.take().batches.map(\.entries) == [[entry(1, term: 1)]])
    }

    @Test func `What replaced an entry that was being written is not durable with it`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1), entry(2, term: 1), entry(3, term: 1)])
        let old = node.take().writes[0]
        node.hear(
            term: 2, previous: entry(1, term: 1).position,
            entries: [entry(2, term: 2), entry(3, term: 2)], commit: 3)
        let new = node.take().writes[0]
        node.log.persisted(old.ticket)
        #expect(node.log.durableIndex == LogIndex(1))
        #expect(node.take().batches.map(\.entries) == [[entry(1, term: 1)]])
        node.log.applied(through: LogIndex(1))
        node.log.persisted(new.ticket)
        #expect(
            node.take().batches.map(\.entries) == [[entry(2, term: 2), entry(3, term: 2)]])
    }

    @Test func `A durable tail that is replaced is not durable any more`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1), entry(2, term: 1)])
        node.settle()
        #expect(node.log.durableIndex == LogIndex(2))
        node.hear(
            term: 2, previous: entry(1, term: 1).position, entries: [entry(2, term: 2)],
            commit: 2)
        #expect(node.log.durableIndex == LogIndex(1))
        #expect(node.take().batches.map(\.entries) == [[entry(1, term: 1)]])
    }
}
