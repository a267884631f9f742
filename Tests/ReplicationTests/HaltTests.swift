import Raft
import Replication
import Testing
import Wire

/// A node that must not apply an entry goes on with everything else.
@Suite struct HaltTests {
    /// The only voter, whose log holds these commands, committed; nothing of them is applied yet.
    private func leader(with commands: [[UInt8]]) throws -> (Fixture, ApplyBatch) {
        var fixture = Fixture.leader()
        fixture.log.propose(
            commands.enumerated().map { (ProposalID(UInt64($0.offset)), $0.element) })
        let batch = try batch(of: &fixture)
        return (fixture, batch)
    }

    /// Writes what is asked for, until a batch is handed out.
    private func batch(of fixture: inout Fixture) throws -> ApplyBatch {
        for _ in 0..<10 {
            for effect in fixture.take() {
                switch effect {
                case .persist(let write): fixture.write(write)
                case .fetchLog(let fetch): fixture.answer(fetch)
                case .apply(let batch): return batch
                default: break
                }
            }
        }
        Issue.record("nothing is handed out")
        throw CancellationError()
    }

    private static let skip = EntrySkip(index: 3, hash: 7)

    @Test func `A halted node commits on, applies nothing, and goes on where it stopped`() throws {
        var (fixture, batch) = try leader(with: [[1], [2], [3]])
        let last = try #require(batch.entries.last?.index)
        fixture.log.applyHalted(after: last.previous)
        #expect(fixture.log.isApplyHalted)
        #expect(fixture.log.appliedIndex == last.previous)

        fixture.log.propose([(ProposalID(9), [4])])
        for effect in fixture.take() {
            if case .persist(let write) = effect { fixture.write(write) }
        }
        #expect(fixture.log.raft.commitIndex == last.next)
        for effect in fixture.take() {
            if case .apply = effect { Issue.record("handed out while halted") }
        }

        fixture.log.resumeApplying()
        let rest = try self.batch(of: &fixture)
        #expect(rest.entries.map(\.index) == [last, last.next])
        #expect(rest.completions.map(\.id) == [ProposalID(9)])
        fixture.log.applied(through: last.next)
        #expect(fixture.log.appliedIndex == last.next)
    }

    @Test func `A halt at the first entry of a batch keeps all of it`() throws {
        var (fixture, batch) = try leader(with: [[1], [2]])
        let first = try #require(batch.entries.first?.index)
        fixture.log.applyHalted(after: first.previous)
        fixture.log.resumeApplying()
        #expect(try self.batch(of: &fixture).entries == batch.entries)
    }

    @Test func `A skip that is committed is told before the entries that were not handed out`()
        throws
    {
        var fixture = Fixture.leader()
        fixture.log.propose([
            (ProposalID(1), [1]), (ProposalID(2), LogCommand.skip(Self.skip).encoded()),
        ])
        var told: [EntrySkip] = []
        var isHandedOut = false
        for _ in 0..<10 where !isHandedOut {
            for effect in fixture.take() {
                switch effect {
                case .persist(let write): fixture.log.persisted(write.ticket)
                case .decided(let skips): told += skips
                case .apply: isHandedOut = true
                default: break
                }
                if isHandedOut { break }
            }
        }
        #expect(isHandedOut)
        #expect(told == [Self.skip])
    }

    /// A follower whose database refuses the first entry of a command, and whose bound on what waits
    /// is small.
    private func haltedFollower() -> Fixture {
        var fixture = Fixture(voters: ["a", "b", "c"]) { $0.maxUncommittedBytes = 1000 }
        fixture.hear(term: 1, entries: [entry(1, term: 1)], commit: 1)
        for effect in fixture.take() {
            if case .persist(let write) = effect { fixture.write(write) }
        }
        _ = fixture.take()
        fixture.log.applyHalted(after: .zero)
        return fixture
    }

    private func large(_ index: UInt64, term: UInt64 = 1) -> Entry {
        Entry(
            index: LogIndex(index), term: Term(term),
            payload: .command([UInt8](repeating: UInt8(index % 200), count: 300)))
    }

    @Test func `A halted node acknowledges whatever is written, and applies all of it in the end`()
        throws
    {
        var fixture = haltedFollower()
        for index in UInt64(2)...100 {
            fixture.hear(
                term: 1, previous: LogPosition(index: LogIndex(index - 1), term: Term(1)),
                entries: [large(index)], commit: index - 1)
            fixture.settle()
            let last = fixture.effects.acknowledged.last
            #expect(last == LogIndex(index), "stands still at \(index)")
        }
        #expect(fixture.effects.batches.isEmpty)
        #expect(fixture.log.raft.commitIndex == LogIndex(99))
        fixture.log.resumeApplying()
        fixture.settle()
        let applied = fixture.effects.batches.flatMap(\.entries)
        #expect(applied == [entry(1, term: 1)] + (UInt64(2)...99).map { large($0) })
        #expect(fixture.log.appliedIndex == LogIndex(99))
        // From here on entries are handed out as they are committed.
        fixture.hear(
            term: 1, previous: LogPosition(index: LogIndex(100), term: Term(1)), commit: 100)
        #expect(fixture.take().batches.first?.entries == [large(100)])
    }

    @Test func `A node that leads while it is halted takes decisions, whatever its log holds`()
        throws
    {
        var fixture = haltedFollower()
        for index in UInt64(2)...20 {
            fixture.hear(
                term: 1, previous: LogPosition(index: LogIndex(index - 1), term: Term(1)),
                entries: [large(index)], commit: index)
            fixture.settle()
        }
        fixture.log.campaign()
        for isPreVote in [true, false] {
            fixture.settle()
            fixture.hear(
                .voteAnswer(.init(isPreVote: isPreVote, granted: true)), from: "c", term: 2)
        }
        fixture.settle()
        #expect(fixture.log.raft.role == .leader)
        fixture.log.propose([(ProposalID(1), LogCommand.skip(Self.skip).encoded())])
        #expect(fixture.take().refused.isEmpty)
    }

    @Test func `What was committed before a start and is not in memory is read from the log`()
        throws
    {
        let decision = Entry(
            index: LogIndex(3), term: Term(1),
            payload: .command(LogCommand.skip(Self.skip).encoded()))
        let all = [entry(1, term: 1), large(2), decision] + (UInt64(4)...9).map { large($0) }
        var state = RestoredState()
        state.hardState = HardState(term: Term(1), votedFor: nil)
        state.termRuns = [LogPosition(index: LogIndex(1), term: Term(1))]
        state.lastIndex = LogIndex(9)
        state.tail = Array(all[7...])
        state.passed = [decision]
        state.commitIndex = LogIndex(8)
        var fixture = Fixture(voters: ["a", "b", "c"], log: state)
        fixture.find(all)
        fixture.settle()
        let decided = fixture.effects.firstIndex(of: .decided([Self.skip]))
        let handedOut = fixture.effects.firstIndex {
            if case .apply = $0 { true } else { false }
        }
        #expect(try #require(decided) < #require(handedOut))
        #expect(fixture.effects.batches.flatMap(\.entries) == Array(all[..<8]))
        #expect(fixture.log.appliedIndex == LogIndex(8))
    }

    /// They are committed, here before they are durable.
    @Test func `What was read before other entries took its place is not applied`() throws {
        var fixture = haltedFollower()
        let kept = [entry(1, term: 1), entry(2, term: 1)]
        let gone = [entry(3, term: 1), entry(4, term: 1)]
        let present = [entry(3, term: 2), entry(4, term: 2)]
        fixture.hear(
            term: 1, previous: LogPosition(index: LogIndex(1), term: Term(1)),
            entries: [kept[1]] + gone, commit: 2)
        fixture.settle()
        fixture.log.resumeApplying()
        let asked = fixture.take().compactMap { effect -> Effects.LogFetch? in
            if case .fetchLog(let fetch) = effect { fetch } else { nil }
        }
        let fetch = try #require(asked.first)
        fixture.hear(
            term: 2, previous: LogPosition(index: LogIndex(2), term: Term(1)), entries: present,
            commit: 4)
        #expect(fixture.log.raft.commitIndex == LogIndex(4))
        fixture.log.fetched(kept + gone, for: fetch)
        fixture.settle()
        #expect(fixture.effects.batches.flatMap(\.entries) == kept + present)
        #expect(fixture.log.appliedIndex == LogIndex(4))
    }

    @Test func `A skip in the log is told at a start before anything is applied`() throws {
        let entries = [
            Entry(index: LogIndex(1), term: Term(1), payload: .noop),
            Entry(
                index: LogIndex(2), term: Term(1),
                payload: .command(LogCommand.skip(Self.skip).encoded())),
        ]
        var state = RestoredState()
        state.hardState = HardState(term: Term(1), votedFor: nil)
        state.termRuns = [LogPosition(index: LogIndex(1), term: Term(1))]
        state.lastIndex = LogIndex(2)
        state.tail = entries
        state.commitIndex = LogIndex(2)
        var fixture = Fixture(voters: ["a", "b", "c"], log: state)
        let told = fixture.take().prefix { effect in
            if case .apply = effect { false } else { true }
        }
        #expect(told.contains(.decided([Self.skip])))
    }
}
