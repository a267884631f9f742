import Testing

@testable import Raft

@Suite struct MembershipTests {
    private func refusal(_ raft: inout RaftMachine, _ change: MembershipChange) -> Refusal? {
        do throws(Refusal) {
            _ = try raft.propose(change)
            return nil
        } catch {
            return error
        }
    }

    @Test func `No change before an entry of the leader's own term is committed`() {
        var raft = Elected.leader(isReady: false)
        #expect(refusal(&raft, .remove(nodeID(3))) == .changeInProgress)
        raft.receive(Elected.matched(2, 2))
        #expect(refusal(&raft, .remove(nodeID(3))) == nil)
    }

    @Test func `No change before the previous one is committed`() {
        var raft = Elected.leader()
        #expect(refusal(&raft, .add(member(4))) == nil)
        #expect(refusal(&raft, .remove(nodeID(3))) == .changeInProgress)
        raft.settleWrites()
        raft.receive(Elected.matched(2, 3))
        #expect(refusal(&raft, .remove(nodeID(3))) == nil)
    }

    @Test func `Changes that make no sense are refused by name`() throws {
        var raft = Elected.leader()
        #expect(refusal(&raft, .remove(nodeID(9))) == .unknownMember)
        #expect(refusal(&raft, .promote(nodeID(9))) == .unknownMember)
        #expect(refusal(&raft, .move(nodeID(9), to: PeerAddress("a"))) == .unknownMember)
        #expect(refusal(&raft, .add(member(2, incarnation: 1))) == .alreadyMember)
        #expect(refusal(&raft, .add(member(2, .nonvoter))) == .alreadyMember)
        var single = Elected.follower(.bootstrapped(Membership([member(1)])))
        #expect(refusal(&single, .remove(nodeID(1))) == .notLeader(leader: nil))
        single.campaign()
        single.settleWrites()
        #expect(refusal(&single, .remove(nodeID(1))) == .lastVoter)
        try raft.transferLeadership(to: nodeID(2))
        #expect(refusal(&raft, .remove(nodeID(3))) == .transferInProgress)
    }

    @Test func `What holds already needs no entry`() throws {
        var raft = Elected.leader()
        let at = try raft.propose(.add(member(2)))
        #expect(at == position(2, 2))
        let again = try raft.propose(.promote(nodeID(2)))
        #expect(again == position(2, 2))
        #expect(raft.lastPosition == position(2, 2))
    }

    @Test func `Adding a member at another address moves it`() throws {
        var raft = Elected.leader()
        var moved = member(2)
        moved.address = PeerAddress("elsewhere:4002")
        let at = try raft.propose(.add(moved))
        #expect(at == position(3, 2))
        #expect(raft.membership[nodeID(2)] == moved)
    }

    @Test func `A learner that only answers is not caught up`() throws {
        var raft = Elected.leader()
        _ = try raft.propose(.add(member(4)))
        raft.settleWrites()
        raft.receive(Elected.matched(2, 3))
        raft.receive(Elected.matched(4, 0))
        #expect(refusal(&raft, .promote(nodeID(4))) == .notCaughtUp)
        raft.receive(Elected.matched(4, 3))
        #expect(raft.membership.isVoter(nodeID(4)))
    }

    /// Whether a learner votes after so many ticks, each with more entries than it may lack.
    /// - Parameter delay: how many ticks its answers are late.
    private func isPromoted(withinTicks count: Int, delay: Int) throws -> Bool {
        var raft = Elected.leader()
        _ = try raft.propose(.add(member(4)))
        raft.settleWrites()
        raft.receive(Elected.matched(2, 3))
        var ends: [UInt64] = []
        for _ in 0..<count {
            _ = try raft.propose(
                Array(repeating: [7] as [UInt8], count: raft.settings.caughtUpEntries + 1))
            raft.settleWrites()
            let end = raft.lastPosition.index.rawValue
            ends.append(end)
            raft.receive(Elected.matched(2, end))
            raft.receive(Elected.matched(3, end))
            raft.receive(Elected.matched(4, ends.count > delay ? ends[ends.count - 1 - delay] : 3))
            raft.tick()
        }
        return raft.membership.isVoter(nodeID(4))
    }

    @Test func `A learner that keeps pace becomes a voter under any load`() throws {
        #expect(try isPromoted(withinTicks: Elected.settings.electionTicks, delay: 3))
    }

    @Test func `One that lags by an election timeout does not`() throws {
        #expect(try !isPromoted(withinTicks: 50, delay: Elected.settings.electionTicks))
    }

    @Test func `A learner's acknowledgement commits nothing`() throws {
        var raft = Elected.leader()
        _ = try raft.propose(.add(member(4)))
        raft.settleWrites()
        raft.receive(Elected.matched(4, 3))
        #expect(raft.commitIndex == index(2))
        raft.receive(Elected.matched(2, 3))
        #expect(raft.commitIndex == index(3))
    }

    @Test func `A removed member's acknowledgement counts no more`() throws {
        var raft = Elected.leader()
        _ = try raft.propose(.remove(nodeID(3)))
        raft.settleWrites()
        raft.receive(Elected.matched(3, 3))
        #expect(raft.commitIndex == index(2))
        raft.receive(Elected.matched(2, 3))
        #expect(raft.commitIndex == index(3))
        #expect(raft.progress.map(\.id) == [nodeID(2)])
    }

    @Test func `History keeps the committed membership and what follows it`() {
        let first = Membership([member(1)])
        let second = first.setting(member(2))
        let third = second.setting(member(3))
        var restored = RestoredState(
            tail: [
                Entry(index: index(5), term: Term(2), payload: .membership(second)),
                Entry(index: index(6), term: Term(2), payload: .membership(third)),
            ], membership: third, membershipIndex: index(6), appliedMembership: first,
            appliedMembershipIndex: index(1), commitIndex: index(4), appliedIndex: index(4))
        var history = MembershipHistory(restored: restored)
        #expect(history.latest.membership == third)
        let isChanged = history.truncate(from: index(6))
        #expect(isChanged)
        #expect(history.latest.membership == second)
        let isChangedAgain = history.truncate(from: index(5))
        #expect(isChangedAgain)
        #expect(history.latest == .init(index: index(1), membership: first))
        let isChangedLast = history.truncate(from: index(5))
        #expect(!isChangedLast)

        restored.commitIndex = index(5)
        history = MembershipHistory(restored: restored)
        #expect(history.previous?.membership == second)
        history.committed(through: index(6))
        #expect(history.previous == nil)
    }

    /// A database that was set aside left one behind that stands before the recovery's place.
    @Test func `What a recovery by hand set needs no entry, wherever the database stands`() {
        let old = Membership([member(1), member(2)])
        let new = Membership([member(1)])
        let epoch = Term(2).nextEpoch
        let restored = RestoredState(
            hardState: HardState(term: epoch), termRuns: [position(1, 2)], lastIndex: index(5),
            tail: (1...5 as ClosedRange<UInt64>).map {
                Entry(
                    index: index($0), term: Term(2),
                    payload: $0 == 3 ? .membership(old) : .noop)
            }, membership: new, membershipIndex: index(4), appliedMembership: new)
        var history = MembershipHistory(restored: restored)
        #expect(history.latest == .init(index: index(4), membership: new))
        history.committed(through: index(5))
        #expect(history.latest == .init(index: index(4), membership: new))
        #expect(history.previous == nil)
    }
}
