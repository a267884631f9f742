import Raft
import Testing

@testable import Replication

/// What a leader keeps in its log for a member that has just installed a snapshot, and how long.
@Suite struct CompactionTests {
    private static func matched(_ index: UInt64) -> Message.Body {
        .appendAnswer(.init(result: .matched(through: LogIndex(index)), round: 0))
    }

    /// Node "a" leads, and "c" has all it has.
    private struct Cluster {
        var node: Fixture
        private var lastProposal: UInt64 = 0

        init(trailing: Int = 1) {
            var settings = ReplicationSettings()
            settings.compactionThreshold = 2
            settings.trailingEntries = trailing
            settings.copyingTicks = 50
            node = Fixture(voters: ["a", "b", "c"], settings: settings)
            node.elect()
            answer()
        }

        /// "c" holds everything.
        mutating func answer() {
            node.settle()
            let last = node.log.raft.lastPosition.index.rawValue
            node.hear(CompactionTests.matched(last), from: "c", term: 1)
            node.settle()
        }

        mutating func write(through index: UInt64) {
            while node.log.raft.lastPosition.index.rawValue < index {
                lastProposal += 1
                node.log.propose([(ProposalID(lastProposal), [7])])
            }
            answer()
        }

        /// - Parameter holding: what "b" says that it holds; nil: it says nothing.
        mutating func tick(_ count: Int, holding index: UInt64?) {
            for _ in 0..<count {
                node.log.tick()
                if let index { node.hear(CompactionTests.matched(index), term: 1) }
                answer()
            }
        }

        mutating func checkpoint(through index: UInt64) {
            node.log.checkpointed(through: LogIndex(index))
            node.settle()
        }

        var isCompacting: Bool { node.log.isCompacting }
    }

    /// "b" needed a snapshot, which took 100 ticks, in which entries 11 to 60 were committed.
    private func caughtBySnapshot() -> Cluster {
        var cluster = Cluster()
        cluster.write(through: 10)
        cluster.checkpoint(through: 10)
        #expect(cluster.node.effects.contains(.compactLog(through: LogIndex(9))))
        cluster.node.log.compacted(through: LogPosition(index: LogIndex(9), term: Term(1)))
        cluster.node.settle()
        #expect(cluster.node.effects.contains(.sendSnapshot(to: NodeID("b"))))
        cluster.write(through: 60)
        cluster.tick(100, holding: 0)
        cluster.node.log.snapshotSent(to: NodeID("b"), through: LogIndex(10))
        cluster.checkpoint(through: 60)
        return cluster
    }

    @Test func `What follows a snapshot stays until its receiver has it`() {
        var cluster = caughtBySnapshot()
        #expect(!cluster.isCompacting)
        cluster.tick(1, holding: 30)
        #expect(cluster.node.effects.contains(.compactLog(through: LogIndex(30))))
        cluster.node.log.compacted(through: LogPosition(index: LogIndex(30), term: Term(1)))
        cluster.tick(1, holding: 60)
        #expect(cluster.node.effects.contains(.compactLog(through: LogIndex(59))))
        let count = cluster.node.effects.count { $0 == .sendSnapshot(to: NodeID("b")) }
        #expect(count == 1)
    }

    @Test func `It stays no longer than the snapshot took`() {
        var cluster = caughtBySnapshot()
        cluster.tick(90, holding: 10)
        #expect(!cluster.isCompacting)
        cluster.tick(10, holding: 10)
        #expect(cluster.node.effects.contains(.compactLog(through: LogIndex(59))))
    }

    @Test func `It does not stay for one that died`() {
        var cluster = caughtBySnapshot()
        cluster.tick(10, holding: nil)
        #expect(cluster.node.effects.contains(.compactLog(through: LogIndex(59))))
    }

    @Test func `A log without room gets shorter whoever lacks what`() {
        var cluster = caughtBySnapshot()
        #expect(!cluster.isCompacting)
        cluster.node.log.storageFull(true)
        cluster.node.settle()
        #expect(cluster.node.effects.contains(.compactLog(through: LogIndex(59))))
    }

    // MARK: Without room

    @Test(arguments: [true, false])
    func `A follower's log keeps nothing for others where a disk has no room`(isForDatabase: Bool) {
        var node = Fixture(voters: ["a", "b", "c"], raft: { $0.maxCachedBytes = 0 })
        let entries = (1...10 as ClosedRange<UInt64>).map { entry($0, term: 1) }
        node.hear(term: 1, entries: entries, commit: 10)
        node.settle()
        node.log.checkpointed(through: LogIndex(8))
        node.settle()
        #expect(!node.log.isCompacting)
        if isForDatabase {
            node.log.databaseFull(true)
        } else {
            node.log.storageFull(true)
        }
        #expect(node.take().contains(.compactLog(through: LogIndex(8))))
        // Once: what is left is not in the database's file yet.
        node.log.compacted(through: LogPosition(index: LogIndex(8), term: Term(1)))
        node.settle()
        #expect(!node.log.isCompacting)
    }

    /// Another may lack a few entries, and have no room for a snapshot when this one leads.
    @Test func `A follower's keeps what is in its memory`() {
        let size = entry(1, term: 1).size
        var node = Fixture(voters: ["a", "b", "c"], raft: { $0.maxCachedBytes = 2 * size })
        let entries = (1...10 as ClosedRange<UInt64>).map { entry($0, term: 1) }
        node.hear(term: 1, entries: entries, commit: 10)
        node.settle()
        node.log.checkpointed(through: LogIndex(10))
        node.settle()
        node.log.storageFull(true)
        #expect(node.take().contains(.compactLog(through: LogIndex(8))))
        node.log.compacted(through: LogPosition(index: LogIndex(8), term: Term(1)))
        node.settle()
        #expect(!node.log.isCompacting)
    }

    @Test func `A leader's keeps what a member lacks`() {
        var cluster = Cluster(trailing: 100)
        cluster.write(through: 10)
        cluster.tick(1, holding: 4)
        cluster.checkpoint(through: 10)
        #expect(!cluster.isCompacting)
        cluster.node.log.storageFull(true)
        cluster.node.settle()
        compact(&cluster, through: 4)
        #expect(!cluster.isCompacting)
        cluster.node.hear(Self.matched(10), term: 1)
        cluster.node.settle()
        compact(&cluster, through: 10)
    }

    // MARK: What is copied elsewhere

    /// Entries 1 to 10 are in the database, and what follows 3 is still to be copied.
    private func copied(atMost bytes: Int = 1 << 20) -> Cluster {
        var cluster = Cluster()
        cluster.write(through: 10)
        cluster.node.log.keep(behind: LogIndex(3), atMost: bytes)
        return cluster
    }

    private func compact(_ cluster: inout Cluster, through index: UInt64) {
        #expect(cluster.node.effects.contains(.compactLog(through: LogIndex(index))))
        cluster.node.log.compacted(
            through: LogPosition(index: LogIndex(index), term: Term(1)))
        cluster.node.settle()
    }

    @Test func `What is still to be copied elsewhere stays until it is`() {
        var cluster = copied()
        cluster.checkpoint(through: 10)
        compact(&cluster, through: 3)
        #expect(!cluster.isCompacting)
        cluster.node.log.keep(behind: LogIndex(8), atMost: 1 << 20)
        cluster.node.settle()
        compact(&cluster, through: 8)
    }

    @Test func `More of it than may does not stay`() {
        var cluster = copied(atMost: 10)
        cluster.write(through: 20)
        cluster.checkpoint(through: 20)
        compact(&cluster, through: 19)
    }

    @Test func `What is only wished for goes where it is too much, and what is needed stays`() {
        var tail = HeldTail()
        tail.advance(to: LogIndex(3), wishing: LogIndex(3), atMost: 4 << 20)
        for index: UInt64 in 4...7 { tail.add(1 << 20, through: LogIndex(index)) }
        tail.advance(to: LogIndex(6), wishing: LogIndex(3), atMost: 4 << 20)
        #expect(tail.needed == LogIndex(3))
        tail.add(1 << 20, through: LogIndex(8))
        #expect(tail.needed == LogIndex(6))
        tail.advance(to: LogIndex(7), wishing: LogIndex(5), atMost: 4 << 20)
        #expect(tail.needed == LogIndex(5))
        tail.add(4 << 20, through: LogIndex(9))
        #expect(tail.needed == nil)
        tail.advance(to: LogIndex(9), wishing: LogIndex(9), atMost: 4 << 20)
        #expect(tail.needed == LogIndex(9))
    }

    @Test func `It does not stay in a log without room, or that is to be shortened`() {
        for isFull in [true, false] {
            var cluster = copied()
            cluster.checkpoint(through: 10)
            compact(&cluster, through: 3)
            if isFull {
                cluster.node.log.storageFull(true)
            } else {
                cluster.node.log.compact(keeping: 1)
            }
            cluster.node.settle()
            #expect(cluster.node.effects.contains(.compactLog(through: LogIndex(9))))
        }
    }

    /// Who copies says each second how much may stay, unless it hangs: what it said when the disk was empty counts no more.
    @Test func `Beside a database without room it stays as long as who copies is heard of`() {
        var cluster = copied()
        cluster.checkpoint(through: 10)
        compact(&cluster, through: 3)
        cluster.tick(60, holding: nil)
        cluster.node.log.keep(behind: LogIndex(3), atMost: 1 << 20)
        cluster.node.log.databaseFull(true)
        for _ in 1...3 {
            cluster.tick(40, holding: nil)
            #expect(!cluster.isCompacting)
            cluster.node.log.keep(behind: LogIndex(3), atMost: 1 << 20)
        }
        cluster.tick(60, holding: nil)
        #expect(cluster.node.effects.contains(.compactLog(through: LogIndex(9))))
    }

    @Test func `It does not stay with who leads no more`() {
        var cluster = copied()
        cluster.checkpoint(through: 10)
        compact(&cluster, through: 3)
        cluster.node.hear(
            term: 2, previous: LogPosition(index: LogIndex(10), term: Term(1)), commit: 10)
        cluster.node.settle()
        #expect(cluster.node.effects.contains(.compactLog(through: LogIndex(9))))
    }
}
