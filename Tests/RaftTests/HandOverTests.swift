import Testing

@testable import Raft

/// A leader whose own log can't be written, and disks that don't keep what they promised.
@Suite struct HandOverTests {
    private static func tick(_ raft: inout RaftMachine, _ count: Int) -> Effects {
        var all = Effects()
        for _ in 0..<count {
            raft.tick()
            let effects = raft.takeEffects()
            all.messages += effects.messages
            all.observations += effects.observations
        }
        return all
    }

    private func isAsked(_ node: Int, in effects: Effects) -> Bool {
        effects.messages.contains { $0.to == nodeID(node) && $0.body == .timeoutNow }
    }

    /// Both followers answer and hold all there is.
    private func answer(_ raft: inout RaftMachine, _ nodes: [Int] = [2, 3]) {
        for node in nodes {
            raft.receive(Elected.matched(node, raft.lastPosition.index.rawValue))
        }
    }

    @Test func `A stalled leader asks the voter that holds most to take over`() throws {
        var raft = Elected.leader()
        raft.storageStalled(true)
        _ = try raft.propose([[1]])
        raft.receive(Elected.matched(3, 3))
        let effects = Self.tick(&raft, 1)
        #expect(effects.observations.contains(.storageStalled(true)))
        #expect(isAsked(3, in: effects) && !isAsked(2, in: effects))
        // Node 3 campaigns by its leader's leave; this node can't answer before its disk does.
        let request = Message.VoteRequest(
            isPreVote: false, isTransfer: true, lastLog: raft.lastPosition)
        raft.receive(Elected.message(3, term: 3, .voteRequest(request)))
        let rest = raft.takeEffects()
        #expect(raft.role == .follower)
        #expect(rest.observations.contains(.steppedDown(reason: .transferred)))
    }

    @Test func `A stalled leader that nobody relieves asks the next, and then steps down`() {
        var raft = Elected.leader()
        raft.storageStalled(true)
        var asked: [Int] = []
        var observations: [Observation] = []
        for _ in 0..<40 {
            answer(&raft)
            let effects = Self.tick(&raft, 1)
            for node in [2, 3] where isAsked(node, in: effects) && !asked.contains(node) {
                asked.append(node)
            }
            observations += effects.observations
        }
        #expect(asked == [2, 3])
        #expect(observations.contains(.steppedDown(reason: .storageStalled)))
        #expect(raft.role == .follower)
        // It is no candidate before it can write.
        let quiet = Self.tick(&raft, 100)
        #expect(raft.role == .follower && quiet.messages.isEmpty)
        raft.storageStalled(false)
        _ = Self.tick(&raft, 20)
        #expect(raft.role == .preCandidate)
    }

    @Test func `A stalled leader stays where the others are no quorum without it`() {
        var raft = Elected.leader()
        raft.storageStalled(true)
        for _ in 0..<100 {
            answer(&raft, [2])
            _ = Self.tick(&raft, 1)
        }
        #expect(raft.role == .leader)
        // With the other one back there is somebody to hand over to.
        answer(&raft)
        #expect(isAsked(3, in: Self.tick(&raft, 1)))
    }

    @Test func `A voter that answers without writing is not asked to take over`() throws {
        var settings = Elected.settings
        settings.stallTicks = 8
        var raft = Elected.leader(settings: settings)
        _ = try raft.propose([[1]])
        for _ in 0..<8 {
            raft.receive(Elected.matched(2, 2))
            raft.receive(Elected.matched(3, 3))
            _ = Self.tick(&raft, 1)
        }
        raft.storageStalled(true)
        for _ in 0..<100 {
            raft.receive(Elected.matched(2, 2))
            raft.receive(Elected.matched(3, 3))
            let effects = Self.tick(&raft, 1)
            #expect(!isAsked(2, in: effects))
        }
        // Node 3 alone is no quorum of three.
        #expect(raft.role == .leader)
        // Asked by an operator it goes to who writes, too.
        try raft.transferLeadership(to: nil)
        #expect(raft.transferTarget == nodeID(3))
    }

    @Test func `The only voter keeps leading without its disk`() {
        var raft = Elected.follower(.bootstrapped(Membership([member(1)])))
        raft.campaign()
        raft.settleWrites()
        raft.storageStalled(true)
        _ = Self.tick(&raft, 200)
        #expect(raft.role == .leader)
    }

    @Test func `A stalled node encourages no candidate, and ignores a call to take over`() {
        var raft = Elected.follower()
        raft.receive(Elected.append(term: 1, after: position(1, 1)))
        raft.storageStalled(true)
        _ = raft.takeEffects()
        raft.receive(Elected.message(2, term: 1, .timeoutNow))
        #expect(raft.role == .follower && raft.term == Term(1))
        _ = Self.tick(&raft, 20)
        let request = Message.VoteRequest(
            isPreVote: true, isTransfer: false, lastLog: position(9, 1))
        raft.receive(Elected.message(3, term: 2, .voteRequest(request)))
        #expect(
            raft.takeEffects().messages.map(\.body) == [
                .voteAnswer(.init(isPreVote: true, granted: false))
            ])
    }

    // MARK: What a disk forgot

    private func denial(_ at: UInt64, hint: LogPosition, round: UInt64) -> Message {
        Elected.message(
            2, term: 2,
            .appendAnswer(
                .init(result: .mismatched(previous: index(at), hint: hint), round: round)))
    }

    /// Node 2 acknowledged the entries 3 to 6, and node 3 nothing of them.
    private func acknowledged() throws -> RaftMachine {
        var raft = Elected.leader()
        _ = try raft.propose([[1], [2], [3], [4]])
        raft.settleWrites()
        raft.receive(Elected.matched(2, 6))
        _ = raft.takeEffects()
        return raft
    }

    @Test func `A follower that lost what it acknowledged is caught up again, with an alarm`()
        throws
    {
        var raft = try acknowledged()
        raft.receive(denial(6, hint: position(4, 2), round: 0))
        let asked = raft.takeEffects()
        #expect(asked.observations.isEmpty)
        let question = try #require(asked.appends(to: 2).last)
        #expect(question.previous == position(6, 2) && question.round == 1)
        raft.receive(denial(6, hint: position(4, 2), round: 1))
        let effects = raft.takeEffects()
        #expect(
            effects.observations == [
                .followerLostEntries(nodeID(2), acknowledged: index(6), holds: index(4))
            ])
        #expect(effects.appends(to: 2).first?.previous == position(4, 2))
        #expect(effects.appends(to: 2).first?.entries.map(\.index) == [index(5), index(6)])
        // What is committed stays so.
        #expect(raft.commitIndex == index(6))
        raft.receive(Elected.matched(2, 6, round: 1))
        #expect(raft.progress.first { $0.id == nodeID(2) }?.matchIndex == index(6))
    }

    @Test func `A late denial of what was acknowledged since changes nothing`() throws {
        var raft = try acknowledged()
        raft.receive(denial(5, hint: position(2, 2), round: 0))
        _ = raft.takeEffects()
        raft.receive(denial(4, hint: position(2, 2), round: 0))
        raft.receive(Elected.matched(2, 6, round: 1))
        raft.receive(denial(5, hint: position(2, 2), round: 0))
        let effects = raft.takeEffects()
        #expect(effects.observations.isEmpty)
        #expect(raft.progress.first { $0.id == nodeID(2) }?.matchIndex == index(6))
        #expect(raft.progress.first { $0.id == nodeID(2) }?.state == .replicate)
    }

    @Test func `A follower that lost all of a compacted log gets a snapshot`() throws {
        var raft = try acknowledged()
        raft.receive(Elected.matched(3, 6))
        raft.applied(through: index(6))
        raft.compacted(through: position(5, 2))
        raft.receive(denial(6, hint: .zero, round: 0))
        _ = raft.takeEffects()
        raft.receive(denial(6, hint: .zero, round: 1))
        #expect(raft.takeEffects().snapshotsWanted == [nodeID(2)])
    }

    // MARK: Entries from disk

    @Test func `Entries fetched for an earlier request are not taken for those of a later one`()
        throws
    {
        var settings = Elected.settings
        settings.maxCachedBytes = 0
        var raft = Elected.leader(settings: settings)
        _ = try raft.propose([[1], [2]])
        raft.settleWrites()
        raft.receive(Elected.matched(3, 4))
        raft.applied(through: index(4))
        func fetch() throws -> Effects.LogFetch {
            raft.receive(denial(3, hint: position(2, 2), round: 0))
            return try #require(raft.takeEffects().logFetches.first)
        }
        let first = try fetch()
        // Before the disk answers the leader has lost its place and found it again.
        raft.receive(Elected.message(3, term: 3, .termIsBehind))
        raft.settleWrites()
        raft.campaign()
        _ = raft.takeEffects()
        raft.receive(
            Elected.message(3, term: 4, .voteAnswer(.init(isPreVote: true, granted: true))))
        raft.settleWrites()
        raft.receive(
            Elected.message(3, term: 4, .voteAnswer(.init(isPreVote: false, granted: true))))
        raft.settleWrites()
        #expect(raft.role == .leader && raft.term == Term(4))
        raft.receive(
            Elected.message(
                2, term: 4,
                .appendAnswer(
                    .init(
                        result: .mismatched(previous: index(4), hint: position(2, 2)), round: 0))))
        let second = try #require(raft.takeEffects().logFetches.first)
        #expect(second.from == first.from && second.id > first.id)
        raft.fetched([Entry(3, 2, "a"), Entry(4, 2, "b")], for: first)
        #expect(raft.takeEffects().appends(to: 2).isEmpty)
        raft.fetched([Entry(3, 2, "a"), Entry(4, 2, "b")], for: second)
        #expect(raft.takeEffects().appends(to: 2).first?.entries.count == 2)
    }

    // MARK: Batches

    @Test func `A batch past the limit is refused even when nothing waits, one command is not`()
        throws
    {
        var settings = Elected.settings
        settings.maxUncommittedBytes = 1000
        var raft = Elected.leader(settings: settings)
        raft.settleWrites()
        let large = [UInt8](repeating: 0, count: 600)
        #expect(throws: Refusal.busy) { try raft.propose([large, large]) }
        _ = try raft.propose([[UInt8](repeating: 0, count: 5000)])
    }
}
