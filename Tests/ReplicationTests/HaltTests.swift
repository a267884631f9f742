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
                case .persist(let write): fixture.log.persisted(write.ticket)
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
            if case .persist(let write) = effect { fixture.log.persisted(write.ticket) }
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
