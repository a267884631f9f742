import Testing

@testable import Raft

@Suite struct SnapshotTests {
    private let membership = Membership([member(1), member(2), member(3)])

    private func mark(_ at: LogPosition) -> SnapshotMark {
        SnapshotMark(
            position: at, membership: membership.setting(member(4)), membershipIndex: index(4))
    }

    /// Entries 1:2 … 1:6 after the bootstrap's, none committed.
    private func follower() -> RaftMachine {
        var raft = Elected.follower()
        let entries = (2...6).map { Entry($0, 1, "e") }
        raft.receive(Elected.append(term: 1, after: position(1, 1), entries))
        return raft
    }

    @Test func `A snapshot beyond the log replaces it`() {
        var raft = follower()
        raft.settleWrites()
        raft.snapshotInstalled(mark(position(9, 3)))
        #expect(raft.lastPosition == position(9, 3))
        #expect(raft.commitIndex == index(9))
        #expect(raft.membership == membership.setting(member(4)))
        #expect(raft.membershipIndex == index(4))
        raft.receive(Elected.append(term: 3, after: position(9, 3), [Entry(10, 3, "x")]))
        #expect(raft.lastPosition == position(10, 3))
    }

    @Test func `A snapshot that the log contains leaves what follows`() {
        var raft = follower()
        raft.snapshotInstalled(mark(position(4, 1)))
        #expect(raft.lastPosition == position(6, 1))
        #expect(raft.commitIndex == index(4))
        let effects = raft.takeEffects()
        #expect(effects.persist?.entries.map(\.index) == [index(5), index(6)])
        #expect(effects.committed.isEmpty)
    }

    @Test func `A snapshot of another term discards the entries, and what was said of them`() {
        var raft = follower()
        raft.snapshotInstalled(mark(position(4, 2)))
        #expect(raft.lastPosition == position(4, 2))
        let effects = raft.takeEffects()
        #expect(effects.persist?.entries == [])
        #expect(effects.messagesAfterPersist.isEmpty)
        #expect(effects.observations.contains(.entriesDiscarded(from: index(2))))
    }

    @Test func `A snapshot of what is committed changes nothing but the base`() {
        var raft = follower()
        raft.receive(Elected.append(term: 1, after: position(6, 1), commit: 6))
        raft.settleWrites()
        raft.snapshotInstalled(mark(position(4, 1)))
        #expect(raft.commitIndex == index(6))
        #expect(raft.lastPosition == position(6, 1))
        #expect(raft.membershipIndex == index(1))
        #expect(raft.log.base == position(4, 1))
    }

    @Test func `A snapshot of a later term ends a leadership it knows nothing of`() {
        var raft = Elected.leader()
        raft.snapshotInstalled(mark(position(9, 4)))
        #expect(raft.role == .follower)
        #expect(raft.term == Term(4))
        let effects = raft.takeEffects()
        #expect(effects.persist?.hardState == HardState(term: Term(4)))
    }

    @Test func `A term that only the installed snapshot knows is not gone back behind`() {
        var restored = TestDisk.bootstrapped(membership).restored
        restored.base = position(9, 4)
        restored.termRuns = []
        restored.tail = []
        restored.lastIndex = index(9)
        restored.commitIndex = index(9)
        restored.appliedIndex = index(9)
        var raft = RaftMachine(
            identity: identity(1), cluster: testCluster, settings: Elected.settings,
            restored: restored, seed: 1)
        #expect(raft.term == Term(4))
        let effects = raft.takeEffects()
        #expect(effects.persist?.hardState == HardState(term: Term(4)))
    }

    @Test func `After a restart what was committed and not applied is given out again`() {
        var restored = TestDisk.bootstrapped(membership).restored
        restored.tail = [Entry(2, 1, "a"), Entry(3, 1, "b")]
        restored.lastIndex = index(3)
        restored.commitIndex = index(2)
        var raft = RaftMachine(
            identity: identity(1), cluster: testCluster, settings: Elected.settings,
            restored: restored, seed: 1)
        let effects = raft.takeEffects()
        #expect(effects.committed == [Entry(2, 1, "a")])
        let next = raft.takeEffects()
        #expect(next.isEmpty)
    }
}
