import Testing

@testable import Raft

@Suite struct ReplicationTests {
    /// Node 1 leads; both followers are in step.
    private func leader(_ change: (inout RaftSettings) -> Void = { _ in }) -> RaftMachine {
        var settings = Elected.settings
        change(&settings)
        return Elected.leader(settings: settings)
    }

    @Test func `Messages in flight are limited by number, and go on as they are answered`() throws {
        var raft = leader {
            $0.maxMessageEntries = 1
            $0.maxInflightMessages = 2
        }
        _ = try raft.propose([[1], [2], [3], [4]])
        let effects = raft.takeEffects()
        #expect(effects.appends(to: 2).map(\.previous.index.rawValue) == [2, 3])
        raft.receive(Elected.matched(2, 3))
        let next = raft.takeEffects()
        #expect(next.appends(to: 2).first?.previous == position(4, 2))
    }

    @Test func `Messages in flight are limited by bytes`() throws {
        var raft = leader {
            $0.maxMessageEntries = 1
            $0.maxInflightBytes = 150
        }
        _ = try raft.propose([[UInt8]](repeating: [UInt8](repeating: 0, count: 68), count: 5))
        let effects = raft.takeEffects()
        #expect(effects.appends(to: 2).count == 2)
    }

    @Test func `Entries of one message are limited by bytes`() throws {
        var raft = leader { $0.maxMessageBytes = 250 }
        _ = try raft.propose([[UInt8]](repeating: [UInt8](repeating: 0, count: 68), count: 5))
        let effects = raft.takeEffects()
        #expect(effects.appends(to: 2).map(\.entries.count) == [2, 2, 1])
    }

    @Test func `A follower that lost a message is asked anew where to begin`() throws {
        var raft = leader()
        _ = try raft.propose([[1]])
        _ = try raft.propose([[2]])
        _ = raft.takeEffects()
        let mismatch = Elected.message(
            2, term: 2,
            .appendAnswer(
                .init(
                    result: .mismatched(previous: index(4), hint: position(2, 2)), round: 0)))
        raft.receive(mismatch)
        let effects = raft.takeEffects()
        #expect(effects.appends(to: 2).map(\.previous) == [position(2, 2)])
        // The same answer late: nothing new.
        raft.receive(mismatch)
        let next = raft.takeEffects()
        #expect(next.appends(to: 2).isEmpty)
        raft.receive(Elected.matched(2, 4))
        #expect(raft.progress.first?.state == .replicate)
        raft.receive(mismatch)
        #expect(raft.progress.first?.state == .replicate)
    }

    @Test func `A leader's own disk counts only for what it holds durably`() throws {
        var raft = leader()
        _ = try raft.propose([[1]])
        let effects = raft.takeEffects()
        raft.receive(Elected.matched(2, 3))
        #expect(raft.commitIndex == index(2))
        raft.persisted(try #require(effects.persist?.ticket))
        #expect(raft.commitIndex == index(3))
    }

    @Test func `A commit is told to followers that are in step at once`() throws {
        var raft = leader()
        _ = try raft.propose([[1]])
        raft.settleWrites()
        raft.receive(Elected.matched(2, 3))
        let effects = raft.takeEffects()
        #expect(effects.committed.map(\.index) == [index(3)])
        #expect(effects.appends(to: 2).map(\.commitIndex) == [index(3)])
        #expect(effects.appends(to: 3).map(\.commitIndex) == [index(3)])
        let next = raft.takeEffects()
        #expect(next.isEmpty)
    }

    @Test func `A follower learns of no commit beyond what it is known to share`() {
        var raft = Elected.follower()
        raft.receive(
            Elected.append(term: 1, after: position(1, 1), [Entry(2, 1, "a")], commit: 1))
        // Another leader committed index 2, but another entry.
        raft.receive(Elected.append(3, term: 2, after: position(1, 1), commit: 2))
        #expect(raft.commitIndex == index(1))
    }

    @Test func `A message from before the commit is answered with what is committed`() {
        var raft = Elected.follower()
        let entries = [Entry(2, 1, "a"), Entry(3, 1, "b")]
        raft.receive(Elected.append(term: 1, after: position(1, 1), entries, commit: 3))
        raft.settleWrites()
        raft.receive(Elected.append(term: 1, after: .zero, [], commit: 3))
        let messages = raft.takeEffects().messages
        #expect(
            messages.map(\.body) == [
                .appendAnswer(.init(result: .matched(through: index(3)), round: 0))
            ])
    }

    @Test func `A follower takes no more while its disk and state machine are behind`() {
        var settings = Elected.settings
        settings.maxUncommittedBytes = 100
        var raft = Elected.follower(settings: settings)
        let big = { (at: UInt64) in Entry(at, 1, String(repeating: "x", count: 90)) }
        raft.receive(Elected.append(term: 1, after: position(1, 1), [big(2)]))
        raft.receive(Elected.append(term: 1, after: position(2, 1), [big(3)]))
        #expect(raft.lastPosition == position(2, 1))
        // Only what waits for a quorum remains: refusing it could stop the cluster.
        raft.settleWrites()
        raft.receive(Elected.append(term: 1, after: position(2, 1), [big(3)]))
        #expect(raft.lastPosition == position(3, 1))
    }

    @Test func `Reads past the limit are refused as busy`() throws {
        var raft = leader { $0.maxWaitingReads = 2 }
        try raft.requestRead(ReadID(1))
        try raft.requestRead(ReadID(2))
        #expect(throws: Refusal.busy) { try raft.requestRead(ReadID(3)) }
    }

    /// A write that waits for room may be what cuts it off.
    @Test func `What a disk holds behind what was asked for, and the log does not, is not sent`()
        throws
    {
        var settings = Elected.settings
        settings.maxCachedBytes = 0
        var raft = Elected.leader(settings: settings)
        _ = try raft.propose([[1]])
        raft.settleWrites()
        raft.receive(Elected.matched(2, 3))
        raft.applied(through: index(3))
        raft.receive(
            Elected.message(
                3, term: 2,
                .appendAnswer(
                    .init(
                        result: .mismatched(previous: index(3), hint: position(2, 2)), round: 0)
                )))
        let fetch = try #require(raft.takeEffects().logFetches.first)
        raft.fetched([Entry(3, 2, "new"), Entry(4, 1, "old")], for: fetch)
        let sent = raft.takeEffects().appends(to: 3).flatMap(\.entries)
        #expect(sent == [Entry(3, 2, "new")])
    }

    @Test func `Entries that a disk no longer has call for a snapshot`() throws {
        var settings = Elected.settings
        settings.maxCachedBytes = 0
        var raft = Elected.leader(settings: settings)
        _ = try raft.propose([[1]])
        raft.settleWrites()
        raft.receive(Elected.matched(2, 3))
        raft.applied(through: index(3))
        raft.receive(
            Elected.message(
                3, term: 2,
                .appendAnswer(
                    .init(
                        result: .mismatched(previous: index(3), hint: position(2, 2)), round: 0)
                )))
        let fetch = try #require(raft.takeEffects().logFetches.first)
        #expect(fetch.peer == nodeID(3) && fetch.from == index(3))
        // One request at a time.
        let effects = raft.takeEffects()
        #expect(effects.logFetches.isEmpty)
        raft.fetched([], for: fetch)
        let next = raft.takeEffects()
        #expect(next.snapshotsWanted == [nodeID(3)])
    }

    /// A heartbeat that overtakes large messages finds a gap that is none.
    @Test func `What is on its way is sent again ever more rarely while nothing arrives`() {
        let settings = Elected.settings
        var peer = Progress(id: NodeID("2"), nextIndex: LogIndex(2))
        peer.matched(through: LogIndex(1), round: 1, base: .zero, settings)
        let entries = (2...9).map { Entry(index: LogIndex($0), term: Term(1), payload: .noop) }
        var resent = 0
        for _ in 0..<(20 * settings.electionTicks) {
            peer.tick(lastIndex: LogIndex(9))
            if peer.isReplicating { peer.sent(entries) }
            if peer.mayResend(settings) {
                resent += 1
                peer.probe(from: LogIndex(2))
                // The next heartbeat finds that the logs agree before the gap.
                peer.matched(through: LogIndex(1), round: 1, base: .zero, settings)
            }
        }
        #expect((4...16).contains(resent), "\(resent)")
    }

    @Test func `What is large is not sent again before the time that the last one took`() {
        let settings = Elected.settings
        var peer = Progress(id: NodeID("2"), nextIndex: LogIndex(2))
        peer.matched(through: LogIndex(1), round: 1, base: .zero, settings)
        func entry(_ index: UInt64, bytes: Int) -> [Entry] {
            let payload = Payload.command([UInt8](repeating: 0, count: bytes))
            return [Entry(index: LogIndex(index), term: Term(1), payload: payload)]
        }
        /// Ticks until a gap has what is on its way sent again.
        func ticksUntilResent() -> Int? {
            (1...200).first { _ in
                peer.tick(lastIndex: LogIndex(9))
                return peer.mayResend(settings)
            }
        }
        peer.sent(entry(2, bytes: 1 << 20))
        for _ in 0..<15 { peer.tick(lastIndex: LogIndex(9)) }
        peer.matched(through: LogIndex(2), round: 1, base: .zero, settings)
        peer.sent(entry(3, bytes: 64))
        peer.matched(through: LogIndex(3), round: 1, base: .zero, settings)

        // What is small is not waited for so long.
        peer.sent(entry(4, bytes: 64))
        #expect(ticksUntilResent() == 1)
        peer.matched(through: LogIndex(4), round: 1, base: .zero, settings)
        peer.sent(entry(5, bytes: 1 << 20))
        #expect(ticksUntilResent() == 30)

        // Nothing is waited for that was lost with its connection.
        peer.matched(through: LogIndex(5), round: 1, base: .zero, settings)
        peer.sent(entry(6, bytes: 1 << 20))
        peer.probe(from: LogIndex(6), isAsked: true)
        for _ in 0..<(4 * settings.electionTicks) { peer.tick(lastIndex: LogIndex(9)) }
        peer.matched(through: LogIndex(5), round: 1, base: .zero, settings)
        #expect(peer.isReplicating)
    }

    @Test func `An answer that is no news has nothing sent again before its time`() {
        let settings = Elected.settings
        var peer = Progress(id: NodeID("2"), nextIndex: LogIndex(2))
        peer.matched(through: LogIndex(1), round: 1, base: .zero, settings)
        let entries = (2...9).map { Entry(index: LogIndex($0), term: Term(1), payload: .noop) }
        peer.sent(entries)
        var copies = 0
        for _ in 0..<(20 * settings.electionTicks) {
            peer.tick(lastIndex: LogIndex(9))
            // A heartbeat finds the gap, and what was sent before is acknowledged once more.
            if peer.isReplicating, peer.mayResend(settings) {
                peer.probe(from: LogIndex(2))
                peer.sent(entries)
                copies += 1
            }
            let isProbing = !peer.isReplicating
            peer.matched(through: LogIndex(1), round: 1, base: .zero, settings)
            guard isProbing, peer.isReplicating else { continue }
            peer.sent(entries)
            copies += 1
        }
        #expect((4...16).contains(copies), "\(copies)")
        // News goes on at once.
        peer.probe(from: LogIndex(2))
        peer.sent(entries)
        peer.matched(through: LogIndex(9), round: 2, base: .zero, settings)
        #expect(peer.isReplicating)
    }

    @Test func `A follower hears of commits before its own log reaches them`() {
        var raft = Elected.follower()
        raft.receive(Elected.append(term: 1, after: .zero, commit: 700))
        #expect(raft.knownCommitIndex == LogIndex(700))
        #expect(raft.commitIndex < LogIndex(700))

        // The leader falls silent, and what it said holds until another speaks.
        for _ in 0..<(10 * Elected.settings.electionTicks) { raft.tick() }
        #expect(raft.leader == nil)
        #expect(raft.knownCommitIndex == LogIndex(700))
        let term = raft.term.rawValue + 1
        raft.receive(Elected.append(term: term, after: .zero, commit: 600))
        #expect(raft.knownCommitIndex == LogIndex(600))
    }
}
