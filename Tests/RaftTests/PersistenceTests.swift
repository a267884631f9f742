import Testing

@testable import Raft

/// What is durable, and what waits for it.
@Suite struct PersistenceTests {
    @Test func `Discarded entries don't become durable with a write begun before`() {
        var ledger = WriteLedger(durableIndex: index(3))
        let first = ledger.begin()
        ledger.addEntries(through: index(6))
        ledger.discard(from: index(5))
        let second = ledger.begin()
        ledger.addEntries(through: index(8))
        #expect(ledger.ticket(holding: index(4)) == first)
        #expect(ledger.ticket(holding: index(5)) == second)
        ledger.persisted(first)
        #expect(ledger.durableIndex == index(4))
        ledger.persisted(second)
        #expect(ledger.durableIndex == index(8))
    }

    @Test func `A write that discards durable entries takes durability back at once`() {
        var ledger = WriteLedger(durableIndex: index(9))
        ledger.discard(from: index(4))
        #expect(ledger.durableIndex == index(3))
    }

    @Test func `Inputs before the effects are taken share one write`() throws {
        var raft = Elected.leader()
        _ = try raft.propose([[1]])
        _ = try raft.propose([[2], [3]])
        let effects = raft.takeEffects()
        #expect(effects.persist?.entries.map(\.index.rawValue) == [3, 4, 5])
        #expect(effects.appends(to: 2).map(\.entries.count) == [3])
        #expect(effects.appends(to: 3).map(\.entries.count) == [3])
        _ = try raft.propose([[4]])
        let next = raft.takeEffects()
        #expect(next.persist?.entries.map(\.index.rawValue) == [6])
        #expect(next.persist?.ticket != effects.persist?.ticket)
    }

    @Test func `A discard within one write leaves only what remains`() {
        var raft = Elected.follower()
        let old = (2...5).map { Entry($0, 1, "old") }
        raft.receive(Elected.append(term: 1, after: position(1, 1), old))
        raft.receive(
            Elected.append(3, term: 2, after: position(2, 1), [Entry(3, 2, "new")]))
        let effects = raft.takeEffects()
        #expect(effects.persist?.entries == [Entry(2, 1, "old"), Entry(3, 2, "new")])
        #expect(effects.persist?.hardState?.term == Term(2))
        // The answer about the discarded entries is gone with them.
        #expect(effects.messagesAfterPersist.map(\.message.to) == [nodeID(3)])
        #expect(effects.observations.contains(.entriesDiscarded(from: index(3))))
    }

    @Test func `A discard of what an earlier write holds begins its own write there`() throws {
        var raft = Elected.follower()
        let old = (2...5).map { Entry($0, 1, "old") }
        raft.receive(Elected.append(term: 1, after: position(1, 1), old))
        let first = try #require(raft.takeEffects().persist)
        raft.receive(
            Elected.append(3, term: 2, after: position(2, 1), [Entry(3, 2, "new")]))
        let effects = raft.takeEffects()
        #expect(effects.persist?.entries == [Entry(3, 2, "new")])
        // Nothing beyond index 2 is durable when the first write ends.
        raft.persisted(first.ticket)
        raft.receive(Elected.append(3, term: 2, after: position(3, 2)))
        let answers = raft.takeEffects().messagesAfterPersist.map(\.message.body)
        #expect(
            answers == [
                .appendAnswer(.init(result: .matched(through: index(2)), round: 0))
            ])
    }

    @Test func `Entries held but not yet durable are acknowledged only when they are`() throws {
        var raft = Elected.follower()
        let message = Elected.append(term: 1, after: position(1, 1), [Entry(2, 1, "a")])
        raft.receive(message)
        let first = raft.takeEffects()
        let ticket = try #require(first.persist?.ticket)
        #expect(first.messages.isEmpty)
        #expect(first.messagesAfterPersist.map(\.after) == [ticket])
        // The same again: nothing to write, and still to wait for.
        raft.receive(message)
        let second = raft.takeEffects()
        #expect(second.persist == nil && second.messages.isEmpty)
        #expect(second.messagesAfterPersist.map(\.after) == [ticket])
        raft.persisted(ticket)
        raft.receive(message)
        let effects = raft.takeEffects()
        #expect(effects.messages.count == 1)
    }

    @Test func `A vote waits for its write, and so does all that is said in the new term`() throws {
        var raft = Elected.follower()
        raft.receive(
            Elected.message(
                2, term: 5,
                .voteRequest(
                    .init(isPreVote: false, isTransfer: false, lastLog: position(1, 1)))))
        let effects = raft.takeEffects()
        let persist = try #require(effects.persist)
        #expect(
            persist.hardState
                == HardState(
                    term: Term(5),
                    votedFor: .init(candidate: nodeID(2), incarnation: incarnation(2))))
        #expect(effects.messages.isEmpty)
        #expect(effects.messagesAfterPersist.map(\.after) == [persist.ticket])
        raft.receive(Elected.append(term: 5, after: position(1, 1)))
        let next = raft.takeEffects()
        #expect(next.messages.isEmpty)
        #expect(next.messagesAfterPersist.map(\.after) == [persist.ticket])
        raft.persisted(persist.ticket)
        raft.receive(Elected.append(term: 5, after: position(1, 1)))
        let later = raft.takeEffects()
        #expect(later.messages.count == 1)
    }

    @Test func `A candidate's own vote counts once it is durable`() throws {
        var raft = Elected.follower(.bootstrapped(Membership([member(1)])))
        raft.campaign()
        let persist = try #require(raft.takeEffects().persist)
        #expect(raft.role == .candidate)
        raft.persisted(persist.ticket)
        #expect(raft.role == .leader)
        #expect(raft.commitIndex == index(1))
        raft.settleWrites()
        #expect(raft.commitIndex == index(2))
    }
}
