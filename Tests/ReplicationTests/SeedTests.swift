import Raft
import Replication
import Testing

/// A database that is not to be trusted: what is not applied to it, and what takes its place while
/// the log stays as it is.
@Suite struct SeedTests {
    private static let token = SnapshotToken(1)

    private static func mark(_ index: UInt64, term: UInt64 = 1) -> SnapshotMark {
        SnapshotMark(
            position: LogPosition(index: LogIndex(index), term: Term(term)),
            membership: Membership(["a", "b", "c"].map { Fixture.member($0) }),
            membershipIndex: .zero)
    }

    private static func distrusted(through last: UInt64) -> Fixture {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: (1...last).map { entry($0, term: 1) }, commit: last)
        node.settle()
        node.log.distrustDatabase()
        return node
    }

    private static func hear(_ node: inout Fixture, _ entries: ClosedRange<UInt64>, commit: UInt64)
    {
        let previous = LogPosition(index: LogIndex(entries.lowerBound - 1), term: Term(1))
        node.hear(
            term: 1, previous: previous, entries: entries.map { entry($0, term: 1) },
            commit: commit)
    }

    @Test func `Nothing is applied to a database that is not trusted, and all is acknowledged`() {
        var node = Self.distrusted(through: 5)
        Self.hear(&node, 6...8, commit: 8)
        let effects = node.take()
        #expect(effects.batches.isEmpty)
        for write in effects.writes { node.log.persisted(write.ticket) }
        let after = node.take()
        #expect(after.acknowledged == [LogIndex(8)])
        #expect(after.batches.isEmpty)
        #expect(node.log.appliedIndex == LogIndex(5))
    }

    @Test func `A seed takes the place of the database, and what follows it is applied`() {
        var node = Self.distrusted(through: 5)
        Self.hear(&node, 6...9, commit: 9)
        node.settle()
        node.log.snapshotReceived(Self.mark(7), token: Self.token)
        #expect(node.take().contains(.seed(Self.mark(7), Self.token)))
        #expect(node.log.isSeeding)
        #expect(!node.log.isInstalling)
        // The log goes on meanwhile.
        Self.hear(&node, 10...10, commit: 10)
        #expect(!node.take().writes.isEmpty)
        node.log.seeded(Self.mark(7))
        #expect(node.log.appliedIndex == LogIndex(7))
        node.settle()
        #expect(node.effects.batches.last?.entries.map(\.index) == [LogIndex(8), LogIndex(9)])
        #expect(!node.log.isApplyHalted)
    }

    @Test func `A seed waits for the batch that is being applied, and for the own log`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)], commit: 1)
        let write = node.take().writes[0]
        node.log.persisted(write.ticket)
        #expect(node.take().batches.count == 1)
        node.log.distrustDatabase()
        Self.hear(&node, 2...3, commit: 3)
        let second = node.take().writes[0]
        node.log.snapshotReceived(Self.mark(3), token: Self.token)
        #expect(node.take() == [.giveUpBatch])
        node.log.applied(through: LogIndex(1))
        #expect(!node.take().contains(.seed(Self.mark(3), Self.token)))
        node.log.persisted(second.ticket)
        #expect(node.take().contains(.seed(Self.mark(3), Self.token)))
    }

    @Test func `A seed that lacks what the database holds is not taken`() {
        var node = Self.distrusted(through: 5)
        node.log.snapshotReceived(Self.mark(4), token: Self.token)
        #expect(node.take().contains(.discardSnapshot(Self.token)))
        node.log.snapshotReceived(Self.mark(5), token: Self.token)
        #expect(node.take().contains(.seed(Self.mark(5), Self.token)))
    }

    @Test func `A node whose database is trusted takes no seed`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: (1...5).map { entry($0, term: 1) }, commit: 5)
        node.settle()
        node.log.snapshotReceived(Self.mark(5), token: Self.token)
        #expect(node.take().contains(.discardSnapshot(Self.token)))
    }

    @Test func `A seed that proved unusable leaves all as it was`() {
        var node = Self.distrusted(through: 5)
        node.log.snapshotReceived(Self.mark(5), token: Self.token)
        _ = node.take()
        node.log.snapshotUnusable()
        #expect(!node.log.isSeeding)
        #expect(node.log.isApplyHalted)
        node.log.snapshotReceived(Self.mark(5), token: Self.token)
        #expect(node.take().contains(.seed(Self.mark(5), Self.token)))
    }

    @Test func `A log too far behind is replaced with the database`() {
        var node = Self.distrusted(through: 5)
        node.log.snapshotReceived(Self.mark(50, term: 3), token: Self.token)
        #expect(node.take().contains(.installSnapshot(Self.mark(50, term: 3), Self.token)))
        node.log.snapshotInstalled(Self.mark(50, term: 3))
        #expect(!node.log.isApplyHalted)
        #expect(node.log.appliedIndex == LogIndex(50))
    }
}
