import Raft

/// What a test node keeps over a crash.
struct TestDisk {
    var hardState = HardState()
    var base = LogPosition.zero
    var baseMembership = Membership()
    var baseMembershipIndex = LogIndex.zero
    var entries: [Entry] = []
    /// What the database holds durably.
    var appliedIndex = LogIndex.zero

    var lastIndex: LogIndex { entries.last?.index ?? base.index }

    func entry(at index: LogIndex) -> Entry? {
        guard index > base.index && index <= lastIndex else { return nil }
        return entries[index.distance(from: base.index) - 1]
    }

    mutating func write(_ persist: Persist) {
        if let state = persist.hardState { hardState = state }
        guard let first = persist.entries.first else { return }
        precondition(first.index <= lastIndex.next, "a gap in the log before \(first.index)")
        entries.removeAll { $0.index >= first.index }
        entries += persist.entries
    }

    mutating func compact(through index: LogIndex) {
        guard let last = entry(at: index) else { return }
        (baseMembership, baseMembershipIndex) = membership(at: index)
        base = last.position
        entries.removeAll { $0.index <= index }
    }

    func membership(at index: LogIndex) -> (Membership, LogIndex) {
        for entry in entries.reversed()
        where entry.index <= index && entry.term.epoch == hardState.term.epoch {
            if case .membership(let membership) = entry.payload { return (membership, entry.index) }
        }
        return (baseMembership, baseMembershipIndex)
    }

    /// What an operator's recovery does to log and database.
    mutating func recover(_ membership: Membership) {
        baseMembership = membership
        baseMembershipIndex = appliedIndex
        hardState = HardState(term: hardState.term.nextEpoch)
    }

    func snapshot(at index: LogIndex) -> SnapshotMark? {
        let (membership, membershipIndex) = membership(at: index)
        let position = index == base.index ? base : entry(at: index)?.position
        return position.map {
            SnapshotMark(position: $0, membership: membership, membershipIndex: membershipIndex)
        }
    }

    mutating func install(_ mark: SnapshotMark) {
        if entry(at: mark.position.index)?.term == mark.position.term {
            compact(through: mark.position.index)
        } else if mark.position.index > base.index {
            entries = []
        }
        if mark.position.index >= base.index {
            base = mark.position
            baseMembership = mark.membership
            baseMembershipIndex = mark.membershipIndex
        }
        appliedIndex = max(appliedIndex, mark.position.index)
    }

    /// As a node finds it when it starts.
    var restored: RestoredState {
        var runs: [LogPosition] = []
        for entry in entries where runs.last?.term != entry.term { runs.append(entry.position) }
        let (latest, latestIndex) = membership(at: lastIndex)
        let (applied, appliedMembershipIndex) = membership(at: appliedIndex)
        return RestoredState(
            hardState: hardState, base: base, termRuns: runs, lastIndex: lastIndex,
            tail: entries.filter { $0.index > appliedIndex }, membership: latest,
            membershipIndex: latestIndex, appliedMembership: applied,
            appliedMembershipIndex: appliedMembershipIndex, commitIndex: appliedIndex,
            appliedIndex: appliedIndex)
    }

    /// A fresh cluster's: the membership is the first entry, committed.
    static func bootstrapped(_ membership: Membership) -> TestDisk {
        var disk = TestDisk()
        disk.hardState = HardState(term: Term(1))
        disk.entries = [
            Entry(index: LogIndex(1), term: Term(1), payload: .membership(membership))
        ]
        disk.appliedIndex = LogIndex(1)
        return disk
    }
}

/// A node: the core and a driver that performs its effects on a disk of the test's.
struct TestNode {
    var identity: NodeIdentity
    var raft: RaftMachine
    var disk: TestDisk
    /// Writes asked for and not done yet, and the messages that wait for them.
    var writes: [Persist] = []
    var held: [Effects.HeldMessage] = []
    var doneTicket = PersistTicket(0)
    /// Committed and not yet applied, for the log lacks them on disk.
    var committed: [Entry] = []
    var appliedIndex: LogIndex
    var isDown = false
    /// Writes wait for `persist`.
    var hasSlowDisk = false

    init(identity: NodeIdentity, disk: TestDisk, settings: RaftSettings, seed: UInt64) {
        self.identity = identity
        self.disk = disk
        appliedIndex = disk.appliedIndex
        raft = RaftMachine(
            identity: identity, cluster: testCluster, settings: settings,
            restored: disk.restored, seed: seed)
    }

    /// Makes the oldest writes durable, and says which messages may go now.
    mutating func persist(count: Int = .max) -> [Message] {
        for _ in 0..<min(count, writes.count) {
            let write = writes.removeFirst()
            disk.write(write)
            doneTicket = write.ticket
            raft.persisted(write.ticket)
        }
        let free = held.filter { $0.after <= doneTicket }
        held.removeAll { $0.after <= doneTicket }
        return free.map(\.message)
    }

    /// Applies what is committed and durable here.
    mutating func apply() -> [Entry] {
        let ready = Array(committed.prefix { disk.entry(at: $0.index)?.term == $0.term })
        committed.removeFirst(ready.count)
        if let last = ready.last {
            appliedIndex = last.index
            raft.applied(through: last.index)
        }
        return ready
    }
}
