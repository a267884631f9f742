import Testing

@testable import Raft

/// What a broken or hostile peer can do: nothing that traps, uses up a number space, or stays.
@Suite struct HostileTests {
    // MARK: Any message, any role

    enum Situation: CaseIterable {
        case follower, newMember, preCandidate, candidate, leader, freshLeader, alone, stalledLeader
        case lastTerm

        var raft: RaftMachine {
            var raft = Elected.follower()
            switch self {
            case .follower: break
            case .newMember: raft = Elected.follower(TestDisk())
            case .preCandidate: raft.campaign()
            case .candidate:
                raft.campaign()
                _ = raft.takeEffects()
                raft.receive(
                    Elected.message(2, term: 2, .voteAnswer(.init(isPreVote: true, granted: true))))
            case .leader: raft = Elected.leader()
            case .freshLeader: raft = Elected.leader(isReady: false)
            case .alone:
                raft = Elected.follower(.bootstrapped(Membership([member(1)])))
                raft.campaign()
                raft.settleWrites()
            case .stalledLeader:
                raft = Elected.leader()
                raft.storageStalled(true)
            case .lastTerm:
                var disk = TestDisk.bootstrapped(Membership([member(1), member(2), member(3)]))
                disk.hardState = HardState(term: Term(UInt64(UInt32.max)))
                raft = Elected.follower(disk)
            }
            _ = raft.takeEffects()
            return raft
        }
    }

    @Test(arguments: Situation.allCases)
    func `No number of a peer traps, goes beyond its reach, or is kept when it is refused`(
        situation: Situation
    ) {
        var refused = 0
        for seed in 0..<400 {
            var forger = Forger(seed: UInt64(seed))
            var raft = situation.raft
            let epoch = raft.term.epoch
            let isNew = situation == .newMember
            var ceiling = raft.term.rawValue + Reach.terms
            for _ in 0..<60 {
                let before = (raft.hardState, raft.lastPosition, raft.commitIndex)
                let asked = raft.pending.persist
                let message = forger.message(to: raft)
                raft.receive(message)
                let isRefused = raft.pending.observations.contains {
                    if case .messageRefused = $0 { true } else { false }
                }
                if isRefused {
                    refused += 1
                    let after = (raft.hardState, raft.lastPosition, raft.commitIndex)
                    #expect(before == after && raft.pending.persist == asked, "seed \(seed)")
                }
                if isNew, case .appendEntries = message.body, before.0.term == .zero,
                    raft.term > .zero
                {
                    // Where it begins is its leader's word, and leaves most of the numbers.
                    #expect(raft.term.number < 1 << 31 && raft.term.epoch < 1 << 31)
                    ceiling = raft.term.rawValue + Reach.terms
                } else if !isNew {
                    #expect(raft.term.epoch == epoch, "seed \(seed): \(message.text)")
                }
                let entries: Int =
                    if case .appendEntries(let append) = message.body {
                        append.entries.count
                    } else { 0 }
                #expect(raft.lastPosition.index.distance(from: before.1.index) <= entries + 1)
                _ = raft.breach(of: forger.mark(near: raft))
                if forger.chance(30) {
                    raft.tick()
                    ceiling += 1
                }
                // A campaign of its own adds one.
                ceiling += 1
                #expect(raft.term.rawValue <= ceiling, "seed \(seed): \(message.text)")
                if let ticket = raft.takeEffects().persist?.ticket, forger.chance(70) {
                    raft.persisted(ticket)
                }
            }
        }
        #expect(refused > 1000)
    }

    @Test(arguments: 0..<6)
    func `A cluster keeps its promises and goes on while a peer spoils numbers`(group: Int) {
        var refused = 0
        for seed in group * 20..<(group + 1) * 20 {
            var chaos = Chaos(seed: UInt64(seed), isSpoilt: true)
            chaos.run(steps: 1000)
            chaos.settle()
            chaos.checkLogMatching()
            #expect(chaos.violation == nil, "seed \(seed)")
            refused += chaos.refusals
        }
        #expect(refused > 200)
    }

    // MARK: Terms

    private func vote(term: UInt64, log: LogPosition = position(9, 1)) -> Message {
        Elected.message(
            2, term: term,
            .voteRequest(.init(isPreVote: false, isTransfer: true, lastLog: log)))
    }

    private func refusal(_ raft: inout RaftMachine, _ message: Message) -> DropReason? {
        _ = raft.takeEffects()
        raft.receive(message)
        return raft.takeEffects().observations.compactMap { observation in
            if case .messageRefused(_, let reason) = observation { reason } else { nil }
        }.first
    }

    @Test(
        arguments: [
            .max, .max - 1, 1 << 63, UInt64(UInt32.max), 2 + Reach.terms, 1 << 32, 5 << 32,
        ] as [UInt64])
    func `A term out of reach is refused whatever brings it, and kept by nobody`(term: UInt64) {
        let bodies: [Message.Body] = [
            .voteRequest(.init(isPreVote: false, isTransfer: true, lastLog: .zero)),
            .voteRequest(.init(isPreVote: true, isTransfer: false, lastLog: .zero)),
            .voteAnswer(.init(isPreVote: false, granted: false)),
            .voteAnswer(.init(isPreVote: true, granted: true)),
            .appendEntries(
                .init(previous: position(1, 1), entries: [], commitIndex: .zero, round: 0)),
            .appendAnswer(.init(result: .matched(through: .zero), round: 0)),
            .timeoutNow, .termIsBehind,
        ]
        for body in bodies {
            var raft = Elected.follower()
            let reason = refusal(&raft, Elected.message(2, term: term, body))
            #expect(reason == (term >> 32 == 0 ? .termTooFar : .otherEpoch), "\(body)")
            #expect(raft.term == Term(1))
        }
    }

    @Test func `Peers move a node by a bounded number of terms, and by one more each tick`() {
        var raft = Elected.follower()
        for step in 1...200 {
            let message = vote(term: raft.term.rawValue + Reach.terms / 64)
            let isTaken = refusal(&raft, message) == nil
            #expect(isTaken == (step <= 64))
        }
        #expect(raft.term.rawValue == 1 + Reach.terms)
        #expect(refusal(&raft, vote(term: raft.term.rawValue + 1)) == .termTooFar)
        raft.tick()
        #expect(refusal(&raft, vote(term: raft.term.rawValue + 1)) == nil)
    }

    @Test func `A member that was away for millions of elections comes back`() {
        var raft = Elected.follower()
        let term = 1 + Reach.terms
        #expect(refusal(&raft, Elected.append(term: term, after: position(1, 1))) == nil)
        #expect(raft.term == Term(term))
    }

    @Test func `A member that holds nothing begins in its leader's epoch, and nobody else's`() {
        var raft = Elected.follower(TestDisk())
        let epoch: UInt64 = 3 << 32
        #expect(refusal(&raft, vote(term: epoch + 7)) == .otherEpoch)
        let entry = Entry(
            index: index(1), term: Term(epoch),
            payload: .membership(Membership([member(1), member(2)])))
        #expect(
            refusal(&raft, Elected.append(term: epoch + 7, after: .zero, [entry], commit: 0))
                == nil)
        #expect(raft.term == Term(epoch + 7))
        #expect(raft.membership.isVoter(nodeID(1)))
        #expect(
            refusal(&raft, Elected.append(term: 4 << 32, after: position(1, epoch)))
                == .otherEpoch)
    }

    @Test(arguments: [UInt64(UInt32.max), .max])
    func `A node whose terms are used up starts, says so, and never campaigns`(term: UInt64) {
        var disk = TestDisk.bootstrapped(Membership([member(1), member(2), member(3)]))
        disk.hardState = HardState(term: Term(term))
        var raft = Elected.follower(disk)
        for _ in 0..<100 { raft.tick() }
        raft.campaign()
        let effects = raft.takeEffects()
        #expect(effects.observations.contains(.termsUsedUp(Term(term))))
        #expect(effects.messages.isEmpty && effects.persist == nil && raft.role == .follower)
    }

    @Test func `A recovery ends the use of a used-up epoch`() {
        #expect(Term(UInt64(UInt32.max)).nextEpoch == Term(1 << 32))
        #expect(Term(1 << 32).next == Term((1 << 32) + 1))
        #expect(Term(.max).nextEpoch == Term(.max) && Term(.max).next == Term(.max))
    }

    // MARK: Leaders and logs

    @Test func `A second leader of a term is refused by the first and by its followers`() {
        var leader = Elected.leader()
        #expect(refusal(&leader, Elected.append(term: 2, after: position(2, 2))) == .secondLeader)
        #expect(leader.role == .leader)
        var follower = Elected.follower()
        #expect(refusal(&follower, Elected.append(term: 1, after: position(1, 1))) == nil)
        #expect(
            refusal(&follower, Elected.append(3, term: 1, after: position(1, 1))) == .secondLeader)
        #expect(follower.leader == nodeID(2))
    }

    @Test func `What denies a committed entry is refused, and its term with it`() {
        var raft = Elected.follower()
        let entries = [Entry(2, 1, "a"), Entry(3, 1, "b")]
        raft.receive(Elected.append(term: 1, after: position(1, 1), entries, commit: 3))
        raft.settleWrites()
        let forged = [
            Elected.append(term: 5, after: position(3, 5), commit: 3),
            Elected.append(term: 5, after: position(4, 0), commit: 3),
            Elected.append(term: 5, after: position(2, 1), [Entry(3, 5, "x")], commit: 3),
            Elected.append(term: 5, after: position(1, 1), [Entry(2, 1, "a"), Entry(3, 5, "x")]),
        ]
        for message in forged {
            #expect(refusal(&raft, message) == .contradictsCommitted, "\(message.text)")
            #expect(raft.term == Term(1) && raft.lastPosition == position(3, 1))
        }
    }

    @Test func `What can't be acknowledged is refused`() throws {
        var raft = Elected.leader()
        for message in [
            Elected.matched(2, 3), Elected.matched(2, 1 << 62), Elected.matched(2, 2, round: 1),
        ] {
            #expect(refusal(&raft, message) == .acknowledgesUnknown)
        }
        // A forged round would confirm reads that are asked later.
        try raft.requestRead(ReadID(1))
        #expect(raft.takeEffects().reads.isEmpty)
    }

    @Test func `A membership that nobody could elect a leader of is refused`() {
        let memberships = [
            Membership(), Membership([member(2, .nonvoter)]),
            Membership([member(2), member(2)]), Membership((0...Reach.members).map { member($0) }),
        ]
        for membership in memberships {
            var raft = Elected.follower()
            let entry = Entry(index: index(2), term: Term(1), payload: .membership(membership))
            #expect(
                refusal(&raft, Elected.append(term: 1, after: position(1, 1), [entry]))
                    == .malformed)
        }
    }

    @Test func `A snapshot's mark is bounded like what else a peer says`() {
        let membership = Membership([member(1), member(2)])
        let raft = Elected.leader()
        func breach(_ position: LogPosition, of membership: Membership? = nil, from at: UInt64 = 1)
            -> DropReason?
        {
            raft.breach(
                of: SnapshotMark(
                    position: position,
                    membership: membership ?? Membership([member(1), member(2)]),
                    membershipIndex: index(at)))
        }
        #expect(breach(position(9, 2)) == nil)
        #expect(breach(position(9, 3)) == nil)
        #expect(breach(position(.max, 2)) == .malformed)
        #expect(breach(position(0, 0), from: 0) == .malformed)
        #expect(breach(position(9, 2), from: 10) == .malformed)
        #expect(breach(position(9, 2), of: Membership()) == .malformed)
        #expect(breach(position(1 << 49, 2)) == .indexTooFar)
        #expect(breach(position(9, .max)) == .otherEpoch)
        #expect(breach(position(9, 1 << 31)) == .termTooFar)
        #expect(breach(position(9, 1), of: membership) == .contradictsCommitted)
        #expect(breach(position(2, 1)) == .contradictsCommitted)
    }
}
