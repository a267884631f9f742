import Raft
import Replication
import Testing

/// Compaction and snapshots: what may go, and what waits for what.
@Suite struct SnapshotTests {
    private static let mark = SnapshotMark(
        position: LogPosition(index: LogIndex(50), term: Term(3)),
        membership: Membership(["a", "b", "c"].map { Fixture.member($0) }),
        membershipIndex: LogIndex(4))
    private static let token = SnapshotToken(1)

    private static func compacting() -> ReplicationSettings {
        var settings = ReplicationSettings()
        settings.compactionThreshold = 2
        settings.trailingEntries = 1
        return settings
    }

    private static func apply(_ node: inout Fixture, through last: UInt64) {
        node.hear(
            term: 1, entries: (1...last).map { entry($0, term: 1) }, commit: last)
        node.settle()
    }

    @Test func `The log is compacted only behind a finished checkpoint`() {
        var node = Fixture(voters: ["a", "b", "c"], settings: Self.compacting())
        Self.apply(&node, through: 10)
        #expect(!node.effects.contains { if case .compactLog = $0 { true } else { false } })
        node.log.checkpointed(through: LogIndex(5))
        #expect(node.take() == [.compactLog(through: LogIndex(5))])
    }

    @Test func `Entries for followers that lag stay`() {
        var node = Fixture(voters: ["a", "b", "c"], settings: Self.compacting())
        Self.apply(&node, through: 10)
        node.log.checkpointed(through: LogIndex(10))
        #expect(node.take() == [.compactLog(through: LogIndex(9))])
    }

    @Test func `One compaction is under way at a time`() {
        var node = Fixture(voters: ["a", "b", "c"], settings: Self.compacting())
        Self.apply(&node, through: 10)
        node.log.checkpointed(through: LogIndex(5))
        _ = node.take()
        node.log.checkpointed(through: LogIndex(10))
        #expect(node.take().isEmpty)
        node.log.compacted(through: LogPosition(index: LogIndex(5), term: Term(1)))
        #expect(node.take() == [.compactLog(through: LogIndex(9))])
    }

    @Test func `A snapshot is put in place when nothing else is under way`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)], commit: 1)
        let write = node.take().writes[0]
        node.log.snapshotReceived(Self.mark, token: Self.token)
        #expect(node.log.isInstalling)
        #expect(node.take().isEmpty)
        node.log.persisted(write.ticket)
        #expect(node.take().contains(.installSnapshot(Self.mark, Self.token)))
        node.log.snapshotInstalled(Self.mark)
        #expect(!node.log.isInstalling)
        #expect(node.log.appliedIndex == LogIndex(50))
        #expect(node.log.durableIndex == LogIndex(50))
        #expect(node.log.raft.commitIndex == LogIndex(50))
    }

    /// What is under way may be a batch that takes an hour.
    @Test func `The leader is answered while a snapshot waits for what is under way`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)], commit: 1)
        let write = node.take().writes[0]
        node.log.persisted(write.ticket)
        #expect(node.take().batches.count == 1)
        node.log.snapshotReceived(Self.mark, token: Self.token)
        #expect(node.log.isInstalling)
        for _ in 0..<5 { node.log.tick() }
        #expect(node.log.raft.ticksSinceLeader == 5)
        let last = entry(1, term: 1).position
        node.hear(term: 1, previous: last, commit: 1)
        #expect(node.log.raft.ticksSinceLeader == 0)
        let answers = node.take().filter { if case .send = $0 { true } else { false } }
        #expect(answers.count == 1)
        // What would stand in the log that is to be replaced is lost.
        node.hear(term: 1, previous: last, entries: [entry(2, term: 1)])
        #expect(node.log.raft.lastPosition == last)
        node.log.applied(through: LogIndex(1))
        #expect(node.take().contains(.installSnapshot(Self.mark, Self.token)))
        node.hear(term: 2, previous: last)
        #expect(node.log.raft.term == Term(1))
    }

    /// It votes meanwhile.
    @Test func `What others saw of a node binds it while a snapshot waits for what is under way`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)])
        let ticket = node.take().writes.first?.ticket
        node.log.snapshotReceived(Self.mark, token: Self.token)
        #expect(node.log.isInstalling && !node.log.isReplacing)
        let seen = LogPosition(index: LogIndex(9), term: Term(1))
        let breach = node.log.heard(
            RaftMachine.Testimony(term: Term(1), hasLeader: true, acknowledged: seen))
        #expect(breach == nil)
        #expect(node.log.raft.missing == seen)
        if let ticket { node.log.persisted(ticket) }
        #expect(node.take().contains(.installSnapshot(Self.mark, Self.token)))
        #expect(node.log.isReplacing)
    }

    /// What it would have said meanwhile is old when the write is over.
    @Test func `A write that hangs is noticed while a snapshot waits for it`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)])
        let ticket = node.take().writes.first?.ticket
        node.log.snapshotReceived(Self.mark, token: Self.token)
        for _ in 0..<100 {
            node.log.tick()
            node.hear(term: 1)
        }
        #expect(node.log.isInstalling && node.log.isStorageStalled)
        #expect(node.take().sent.isEmpty)
        if let ticket { node.log.persisted(ticket) }
        let effects = node.take()
        #expect(effects.sent.isEmpty, "\(effects.sent.count)")
        #expect(effects.contains(.installSnapshot(Self.mark, Self.token)))
        #expect(!node.log.isStorageStalled)
    }

    /// Else the node would hear nobody before there is room.
    @Test func `A snapshot that waits for a write is dropped when that finds no room`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)], commit: 1)
        let write = node.take().writes[0]
        node.log.snapshotReceived(Self.mark, token: Self.token)
        #expect(node.log.isInstalling)
        node.log.storageFull(true)
        #expect(node.take().contains(.discardSnapshot(Self.token)))
        #expect(!node.log.isInstalling)
        node.log.storageFull(false)
        node.log.persisted(write.ticket)
        #expect(node.take().batches.count == 1)
        // It comes again, and one that is being put in place goes on.
        node.log.applied(through: LogIndex(1))
        node.log.snapshotReceived(Self.mark, token: SnapshotToken(2))
        #expect(node.take().contains(.installSnapshot(Self.mark, SnapshotToken(2))))
        node.log.storageFull(true)
        #expect(node.log.isInstalling)
    }

    @Test func `What arrives while a snapshot is put in place is lost`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.log.snapshotReceived(Self.mark, token: Self.token)
        #expect(node.take() == [.installSnapshot(Self.mark, Self.token)])
        node.hear(term: 4, entries: [entry(1, term: 4)])
        node.log.propose([(ProposalID(1), [])])
        #expect(node.take() == [.refused(ProposalID(1), .notLeader(leader: nil))])
        #expect(node.log.raft.term == .zero)
    }

    /// How fresh a read is goes by it.
    @Test func `The leader's silence counts while a snapshot is put in place`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)], commit: 1)
        let write = node.take().writes[0]
        node.log.snapshotReceived(Self.mark, token: Self.token)
        node.log.persisted(write.ticket)
        #expect(node.take().contains(.installSnapshot(Self.mark, Self.token)))
        for _ in 0..<100 { node.log.tick() }
        #expect(node.log.raft.ticksSinceLeader == 100)
        node.log.snapshotInstalled(Self.mark)
        node.log.tick()
        #expect(node.log.raft.ticksSinceLeader == 101)
    }

    @Test func `The leader's silence counts while the process stands still`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1)], commit: 1)
        node.settle()
        node.log.tick()
        node.log.stoodStill(ticks: 500)
        #expect(node.log.raft.ticksSinceLeader == 501)
        node.log.snapshotReceived(Self.mark, token: Self.token)
        #expect(node.log.isInstalling)
        node.log.stoodStill(ticks: 500)
        #expect(node.log.raft.ticksSinceLeader == 1001)
    }

    /// It may wait for the very room that the snapshot takes.
    @Test
    func `A batch without room is given up for a snapshot, and read again if that is unusable`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.hear(term: 1, entries: [entry(1, term: 1), entry(2, term: 1)], commit: 2)
        let write = node.take().writes[0]
        node.log.persisted(write.ticket)
        #expect(node.take().batches.count == 1)
        node.log.snapshotReceived(Self.mark, token: Self.token)
        #expect(node.take() == [.giveUpBatch])
        node.log.applyGivenUp(after: LogIndex(1))
        #expect(node.log.appliedIndex == LogIndex(1))
        #expect(node.take() == [.installSnapshot(Self.mark, Self.token)])
        node.log.snapshotUnusable()
        let asked = node.take().compactMap { effect -> LogIndex? in
            if case .fetchLog(let fetch) = effect { fetch.from } else { nil }
        }
        #expect(asked == [LogIndex(2)])
    }

    @Test func `An unusable snapshot changes nothing`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.log.snapshotReceived(Self.mark, token: Self.token)
        _ = node.take()
        node.log.snapshotUnusable()
        #expect(!node.log.isInstalling)
        node.hear(term: 1, entries: [entry(1, term: 1)])
        #expect(node.take().writes.count == 1)
    }

    @Test func `A second snapshot is discarded while one is put in place`() {
        var node = Fixture(voters: ["a", "b", "c"])
        node.log.snapshotReceived(Self.mark, token: Self.token)
        _ = node.take()
        node.log.snapshotReceived(Self.mark, token: SnapshotToken(2))
        #expect(node.take() == [.discardSnapshot(SnapshotToken(2))])
    }

    @Test func `A snapshot of what the log holds is discarded`() {
        var node = Fixture(voters: ["a", "b", "c"])
        Self.apply(&node, through: 10)
        let old = SnapshotMark(
            position: entry(10, term: 1).position, membership: Self.mark.membership,
            membershipIndex: .zero)
        node.log.snapshotReceived(old, token: Self.token)
        #expect(node.take() == [.discardSnapshot(Self.token)])
    }
}
