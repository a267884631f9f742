import Raft
import Testing

/// Votes, and which messages count. What several nodes do together stands in Scenarios.
@Suite struct ElectionTests {
    private func request(
        _ from: Int, term: UInt64, log: LogPosition = position(1, 1), isPreVote: Bool = false,
        isTransfer: Bool = false
    ) -> Message {
        Elected.message(
            from, term: term,
            .voteRequest(.init(isPreVote: isPreVote, isTransfer: isTransfer, lastLog: log)))
    }

    /// Receives, makes everything durable, and returns what was said.
    private func said(_ raft: inout RaftMachine, _ message: Message) -> [Message.Body] {
        raft.receive(message)
        let effects = raft.takeEffects()
        if let persist = effects.persist { raft.persisted(persist.ticket) }
        return (effects.messages + effects.messagesAfterPersist.map(\.message)).map(\.body)
    }

    private let granted = Message.Body.voteAnswer(.init(isPreVote: false, granted: true))
    private let refused = Message.Body.voteAnswer(.init(isPreVote: false, granted: false))

    @Test func `One vote is given in a term, and given again to the same candidate`() {
        var raft = Elected.follower()
        #expect(said(&raft, request(2, term: 2)) == [granted])
        #expect(said(&raft, request(3, term: 2)) == [refused])
        #expect(said(&raft, request(2, term: 2)) == [granted])
        #expect(said(&raft, request(3, term: 3)) == [granted])
    }

    @Test func `A shorter or older log gets no vote`() {
        var disk = TestDisk.bootstrapped(Membership([member(1), member(2), member(3)]))
        disk.hardState.term = Term(4)
        disk.entries += [Entry(2, 3, "a"), Entry(3, 3, "b")]
        var raft = Elected.follower(disk)
        #expect(said(&raft, request(2, term: 5, log: position(9, 2))) == [refused])
        #expect(said(&raft, request(2, term: 5, log: position(2, 3))) == [refused])
        #expect(said(&raft, request(2, term: 5, log: position(3, 3))) == [granted])
    }

    @Test func `A pre-vote changes nothing`() {
        var raft = Elected.follower()
        let answer = said(&raft, request(2, term: 2, isPreVote: true))
        #expect(answer == [.voteAnswer(.init(isPreVote: true, granted: true))])
        #expect(raft.term == Term(1))
        #expect(said(&raft, request(3, term: 2, isPreVote: true)) == answer)
    }

    @Test func `While a leader is heard vote requests are ignored, except a transfer's`() {
        var raft = Elected.follower()
        #expect(said(&raft, Elected.append(term: 1, after: position(1, 1))).count == 1)
        for _ in 0..<9 { raft.tick() }
        #expect(said(&raft, request(3, term: 7)).isEmpty)
        #expect(said(&raft, request(3, term: 7, isPreVote: true)).isEmpty)
        #expect(raft.term == Term(1))
        #expect(said(&raft, request(3, term: 7, isTransfer: true)) == [granted])
    }

    @Test func `After an election timeout of silence vote requests are heard again`() {
        var raft = Elected.follower()
        _ = said(&raft, Elected.append(term: 1, after: position(1, 1)))
        for _ in 0..<10 { raft.tick() }
        #expect(said(&raft, request(3, term: 7)) == [granted])
    }

    @Test func `A lower term is answered with the higher one`() {
        var raft = Elected.follower()
        _ = said(&raft, request(2, term: 5))
        raft.receive(Elected.append(3, term: 4, after: position(1, 1)))
        raft.receive(request(3, term: 4))
        raft.receive(request(3, term: 4, isPreVote: true))
        let messages = raft.takeEffects().messages
        #expect(
            messages.map(\.body) == [
                .termIsBehind, refused, .voteAnswer(.init(isPreVote: true, granted: false)),
            ])
        #expect(messages.allSatisfy { $0.term == Term(5) })
    }

    @Test func `Timeouts lie between one and one and a half election timeouts, and differ`() {
        var waits: Set<Int> = []
        for seed in 0..<50 {
            var raft = RaftMachine(
                identity: identity(1), cluster: testCluster, settings: Elected.settings,
                restored: TestDisk.bootstrapped(Membership([member(1), member(2)])).restored,
                seed: UInt64(seed))
            var ticks = 0
            while raft.role == .follower && ticks < 100 {
                raft.tick()
                ticks += 1
            }
            waits.insert(ticks)
        }
        #expect(waits.min() == 10)
        #expect(waits.max() == 15)
    }

    @Test func `Messages that don't count are dropped and named`() {
        var raft = Elected.leader()
        func reason(_ change: (inout Message) -> Void) -> [Observation] {
            var message = Elected.matched(2, 2)
            change(&message)
            raft.receive(message)
            return raft.takeEffects().observations
        }
        func dropped(_ from: NodeIdentity, _ reason: DropReason) -> [Observation] {
            [.messageDropped(from: from, reason: reason)]
        }
        #expect(
            reason { $0.cluster = ClusterID(RandomID(high: 8, low: 8)) }
                == dropped(identity(2), .otherCluster))
        #expect(reason { $0.to = nodeID(2) } == dropped(identity(2), .otherDestination))
        #expect(reason { $0.from = identity(2, 1) } == dropped(identity(2, 1), .unknownIncarnation))
        #expect(reason { $0.from = identity(1, 1) } == dropped(identity(1, 1), .unknownIncarnation))
        #expect(reason { $0.from = identity(4) } == dropped(identity(4), .notMember))
        #expect(reason { $0.term = Term(1) } == dropped(identity(2), .staleTerm))
        #expect(
            reason {
                $0 = Elected.append(
                    term: 3, after: position(2, 2), [Entry(3, 3, "a"), Entry(5, 3, "b")])
            } == [.messageRefused(from: identity(2), reason: .malformed)])
        #expect(reason { _ in } == [])
    }

    @Test func `Another incarnation of a member gets no vote, a stranger may`() {
        var raft = Elected.follower()
        var wiped = request(2, term: 2)
        wiped.from = identity(2, 1)
        #expect(said(&raft, wiped).isEmpty)
        #expect(raft.term == Term(1))
        #expect(said(&raft, request(4, term: 2)) == [granted])
    }

    /// What it holds more may be that it took the other's place.
    @Test func `A data directory in the place of a known one gets a vote where it holds more`() {
        var raft = Elected.follower()
        var known = request(2, term: 2, log: raft.lastPosition)
        known.from = identity(2, 1)
        #expect(said(&raft, known).isEmpty)
        let more = position(raft.lastPosition.index.rawValue + 1, 1)
        var longer = request(2, term: 2, log: more)
        longer.from = identity(2, 1)
        #expect(said(&raft, longer) == [granted])
        // The other has none of the same term.
        #expect(said(&raft, request(2, term: 2, log: more)) == [refused])
    }

    @Test func `A learner and another incarnation of a voter never campaign`() {
        for members in [
            [member(1, .learner), member(2)], [member(1, .nonvoter), member(2)],
            [member(1, incarnation: 5), member(2)], [member(2)],
        ] {
            var raft = Elected.follower(.bootstrapped(Membership(members)))
            raft.campaign()
            for _ in 0..<40 { raft.tick() }
            raft.receive(Elected.append(term: 1, after: position(1, 1)))
            raft.receive(Elected.message(2, term: 1, .timeoutNow))
            #expect(raft.role == .follower)
            #expect(raft.term == Term(1))
        }
    }

    @Test func `TimeoutNow counts only from the leader`() {
        var raft = Elected.follower()
        raft.receive(Elected.append(2, term: 1, after: position(1, 1)))
        raft.receive(Elected.message(3, term: 1, .timeoutNow))
        #expect(raft.role == .follower)
        raft.receive(Elected.message(2, term: 1, .timeoutNow))
        #expect(raft.role == .candidate)
    }
}
