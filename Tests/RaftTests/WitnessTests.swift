import Testing

@testable import Raft

/// A disk that went back to an older state: what others saw of this node binds it still.
@Suite struct WitnessTests {
    private func testimony(
        _ term: UInt64, _ acknowledged: LogPosition?, hasLeader: Bool = true,
        committed: LogPosition? = nil
    ) -> RaftMachine.Testimony {
        RaftMachine.Testimony(
            term: Term(term), hasLeader: hasLeader, acknowledged: acknowledged,
            committed: committed)
    }

    private func answers(
        _ raft: inout RaftMachine, term: UInt64, _ last: LogPosition, isPreVote: Bool = false
    ) -> Bool? {
        let request = Message.VoteRequest(
            isPreVote: isPreVote, isTransfer: false, lastLog: last)
        raft.receive(Elected.message(3, term: term, .voteRequest(request)))
        let effects = raft.takeEffects()
        let messages = effects.messages + effects.messagesAfterPersist.map(\.message)
        for message in messages {
            if case .voteAnswer(let answer) = message.body { return answer.granted }
        }
        return nil
    }

    @Test func `It votes for who holds what it acknowledged, and for nobody else`() {
        var raft = Elected.follower()
        #expect(raft.heard(testimony(4, position(9, 3))) == nil)
        #expect(raft.missing == position(9, 3))
        #expect(answers(&raft, term: 5, position(8, 3)) == false)
        #expect(answers(&raft, term: 5, position(8, 3), isPreVote: true) == false)
        #expect(answers(&raft, term: 6, position(9, 3)) == true)
        #expect(answers(&raft, term: 7, position(2, 4)) == true)
    }

    @Test func `It does not stand for election before it holds again what it acknowledged`() {
        var raft = Elected.follower()
        #expect(raft.heard(testimony(2, position(3, 2))) == nil)
        for _ in 0..<100 { raft.tick() }
        #expect(raft.role == .follower)
        #expect(raft.takeEffects().messages.isEmpty)
        raft.receive(
            Elected.append(
                term: 2, after: position(1, 1), [Entry(2, 2, "a"), Entry(3, 2, "b")]))
        raft.settleWrites()
        #expect(raft.missing == nil)
        for _ in 0..<100 { raft.tick() }
        #expect(raft.role == .preCandidate)
    }

    @Test func `It votes no more in a term that has a leader, in no later run either`() {
        var raft = Elected.follower()
        #expect(raft.heard(testimony(4, position(9, 3))) == nil)
        #expect(raft.term == Term(4))
        #expect(answers(&raft, term: 4, position(20, 4)) == false)
        let own = HardState.Vote(candidate: nodeID(1), incarnation: identity(1).incarnation)
        #expect(raft.hardState == HardState(term: Term(4), votedFor: own))
    }

    /// Who led it has stepped down since, and nobody has acknowledged anything to it.
    @Test
    func `It votes no more in a term that its disk does not know, though nobody leads there now`() {
        var raft = Elected.follower()
        #expect(raft.heard(testimony(4, nil, hasLeader: false)) == nil)
        #expect(raft.term == Term(4) && raft.missing == nil)
        #expect(answers(&raft, term: 4, position(20, 3)) == false)
        let own = HardState.Vote(candidate: nodeID(1), incarnation: identity(1).incarnation)
        #expect(raft.hardState == HardState(term: Term(4), votedFor: own))
        // It lets itself be asked, and stands, in the next.
        #expect(answers(&raft, term: 5, position(20, 3)) == true)
        for _ in 0..<100 { raft.tick() }
        #expect(raft.role == .preCandidate)
    }

    /// Who saw it acknowledge may have been restarted since, and knows what is committed all the same.
    @Test
    func `It votes for nobody who lacks what others know to be committed, and does not stand`() {
        var raft = Elected.follower()
        #expect(raft.heard(testimony(4, nil, committed: position(9, 3))) == nil)
        #expect(raft.missing == nil && raft.lackedCommitted == position(9, 3))
        #expect(answers(&raft, term: 5, position(8, 3)) == false)
        for _ in 0..<100 { raft.tick() }
        #expect(raft.role == .follower)
        #expect(answers(&raft, term: 6, position(9, 3)) == true)
        #expect(answers(&raft, term: 7, position(2, 4)) == true)
    }

    @Test func `What is committed and in its log binds it to nothing`() {
        var raft = Elected.follower()
        #expect(raft.heard(testimony(1, nil, hasLeader: false, committed: position(1, 1))) == nil)
        #expect(raft.lackedCommitted == nil)
        for _ in 0..<100 { raft.tick() }
        #expect(raft.role == .preCandidate)
        // As a candidate it hears of more.
        #expect(raft.heard(testimony(1, nil, hasLeader: false, committed: position(2, 1))) == nil)
        #expect(raft.role == .follower)
    }

    @Test func `A candidate that hears of its loss is none any more`() {
        var raft = Elected.follower()
        raft.campaign()
        #expect(raft.role == .preCandidate)
        #expect(raft.heard(testimony(1, position(9, 1), hasLeader: false)) == nil)
        #expect(raft.role == .follower)
    }

    @Test func `Where nobody saw more nothing changes`() {
        var raft = Elected.follower()
        let before = raft.hardState
        #expect(raft.heard(testimony(0, nil, hasLeader: false)) == nil)
        #expect(raft.heard(testimony(1, position(1, 1))) == nil)
        #expect(raft.missing == nil && raft.hardState == before)
        // One of the two was recovered since.
        #expect(raft.heard(testimony(7 << 32, position(9, 7 << 32))) == nil)
        #expect(raft.missing == nil && raft.hardState == before)
    }

    private static let numbers: [UInt64] = [
        .max, .max - 1, 1 << 63, 1 << 62, (1 << 62) + 1, 1 << 50, 1 << 32, 1 << 24, 0,
    ]

    @Test(arguments: numbers)
    func `No number of a witness traps, or is taken if none can be so high`(number: UInt64) {
        let terms: [UInt64] = [0, 1, 2, .max, UInt64(UInt32.max), number]
        for term in terms {
            for acknowledged in [
                position(number, 1), position(1, number), position(number, number),
            ] {
                var raft = Elected.follower()
                _ = raft.heard(testimony(term, nil, committed: acknowledged))
                _ = raft.heard(testimony(term, acknowledged))
                #expect(raft.term.rawValue <= 1 + Reach.terms)
                for _ in 0..<50 { raft.tick() }
                _ = raft.takeEffects()
                #expect(answers(&raft, term: raft.term.rawValue + 1, position(1 << 61, 1)) != nil)
            }
        }
    }

    @Test func `What was acknowledged to a leader is known when it leads no more`() {
        var raft = Elected.leader()
        #expect(raft.acknowledgedBefore.isEmpty)
        for _ in 0..<100 { raft.tick() }
        #expect(raft.role != .leader)
        #expect(
            raft.acknowledgedBefore == [identity(2): position(2, 2), identity(3): position(2, 2)])
    }

    @Test func `What a follower denies is not counted before it is asked again`() throws {
        var raft = Elected.leader()
        _ = try raft.propose([[1]])
        raft.settleWrites()
        // It acknowledged through 2, and now denies that.
        let denial = Message.AppendAnswer(
            result: .mismatched(previous: index(2), hint: position(1, 1)), round: 0)
        raft.receive(Elected.message(2, term: 2, .appendAnswer(denial)))
        _ = raft.takeEffects()
        #expect(raft.progress[0].acknowledged == position(2, 2))
        raft.receive(Elected.matched(2, 3))
        #expect(raft.commitIndex == index(2))
        raft.receive(Elected.matched(3, 3))
        #expect(raft.commitIndex == index(3))
    }
}

/// A leader whose log went back in time, as a cluster's that was restored from copies: a follower that
/// holds more of what was committed must come to deny it, and never acknowledge what it can't compare.
@Suite struct RestoredLeaderTests {
    /// Entries 2 to 6 of term 2 are committed.
    private func follower() -> RaftMachine {
        var raft = Elected.follower()
        let entries = (2...6 as ClosedRange<UInt64>).map { Entry($0, 2, "old") }
        raft.receive(Elected.append(term: 2, after: position(1, 1), entries, commit: 6))
        raft.settleWrites()
        raft.receive(Elected.append(term: 2, after: position(6, 2), commit: 6))
        raft.applied(through: raft.commitIndex)
        _ = raft.takeEffects()
        return raft
    }

    private func acknowledged(_ raft: inout RaftMachine) -> LogIndex? {
        let effects = raft.takeEffects()
        for message in effects.messages + effects.messagesAfterPersist.map(\.message) {
            if case .appendAnswer(let answer) = message.body,
                case .matched(let index) = answer.result
            {
                return index
            }
        }
        return nil
    }

    private func isDenied(_ raft: inout RaftMachine) -> Bool {
        raft.takeEffects().observations.contains {
            if case .messageRefused(_, .contradictsCommitted) = $0 { true } else { false }
        }
    }

    @Test
    func `A follower acknowledges no more than the message covers, whatever it has committed`() {
        var raft = follower()
        #expect(raft.commitIndex == LogIndex(6))
        raft.receive(Elected.append(3, term: 3, after: position(3, 2), commit: 3))
        #expect(acknowledged(&raft) == LogIndex(3))
        raft.receive(
            Elected.append(3, term: 3, after: position(3, 2), [Entry(4, 2, "old")], commit: 3))
        #expect(acknowledged(&raft) == LogIndex(4))
    }

    @Test func `It denies the first entry that is another`() {
        var raft = follower()
        raft.receive(
            Elected.append(3, term: 3, after: position(3, 2), [Entry(4, 3, "new")], commit: 3))
        #expect(isDenied(&raft))
    }

    @Test func `It denies a later term among what it has compacted`() {
        for previous in [position(3, 2), position(4, 3)] {
            var raft = follower()
            raft.compacted(through: position(6, 2))
            let next = previous.index.rawValue + 1
            raft.receive(
                Elected.append(3, term: 3, after: previous, [Entry(next, 3, "new")], commit: 3))
            #expect(isDenied(&raft))
        }
    }
}
