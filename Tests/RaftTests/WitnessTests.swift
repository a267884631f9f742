import Testing

@testable import Raft

/// A disk that went back to an older state: what others saw of this node binds it still.
@Suite struct WitnessTests {
    private func testimony(
        _ term: UInt64, _ acknowledged: LogPosition?, hasLeader: Bool = true
    ) -> RaftMachine.Testimony {
        RaftMachine.Testimony(
            term: Term(term), hasLeader: hasLeader, acknowledged: acknowledged)
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
                _ = raft.heard(testimony(term, acknowledged))
                #expect(raft.term.rawValue <= 1 + Reach.terms)
                for _ in 0..<50 { raft.tick() }
                _ = raft.takeEffects()
                #expect(answers(&raft, term: raft.term.rawValue + 1, position(1 << 61, 1)) != nil)
            }
        }
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
