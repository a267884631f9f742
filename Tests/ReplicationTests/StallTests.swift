import Raft
import Replication
import Testing

/// Disks that are full or hang, and what is left undone for lack of room.
@Suite struct StallTests {
    private func stalls(_ effects: [ReplicationEffect]) -> [Bool] {
        effects.observations.compactMap { observation in
            if case .storageStalled(let isStalled) = observation { isStalled } else { nil }
        }
    }

    private func tick(_ fixture: inout Fixture, _ count: Int) -> [ReplicationEffect] {
        for _ in 0..<count { fixture.log.tick() }
        return fixture.take()
    }

    @Test func `A write that hangs is noticed, said once, and its end too`() {
        var fixture = Fixture.leader()
        fixture.log.propose([(ProposalID(1), [1])])
        let ticket = fixture.take().writes.first?.ticket
        #expect(stalls(tick(&fixture, 19)).isEmpty)
        #expect(stalls(tick(&fixture, 50)) == [true])
        #expect(fixture.log.isStorageStalled)
        if let ticket { fixture.log.persisted(ticket) }
        let after = fixture.take()
        #expect(stalls(after) == [false])
        // Alone in its cluster, it led on.
        #expect(after.batches.count == 1 && fixture.log.raft.role == .leader)
    }

    @Test func `A leader whose write hangs hands over, and steps down at last`() {
        var fixture = Fixture(voters: ["a", "b", "cc"])
        fixture.elect()
        fixture.log.propose([(ProposalID(1), [1])])
        var effects = fixture.take()
        for _ in 0..<100 {
            for id in ["b", "cc"] {
                let last = fixture.log.raft.lastPosition.index
                fixture.hear(
                    .appendAnswer(.init(result: .matched(through: last), round: 0)), from: id,
                    term: 1)
            }
            effects += tick(&fixture, 1)
        }
        let asked = effects.sent.filter { $0.body == .timeoutNow }.map(\.to.rawValue)
        #expect(Set(asked) == ["b", "cc"])
        #expect(effects.observations.contains(.steppedDown(reason: .storageStalled)))
    }

    @Test func `The shell's word that the disk is full counts at once`() {
        var fixture = Fixture(voters: ["a", "b", "cc"])
        fixture.elect()
        for id in ["b", "cc"] {
            fixture.hear(
                .appendAnswer(
                    .init(
                        result: .matched(through: fixture.log.raft.lastPosition.index), round: 0)),
                from: id, term: 1)
        }
        fixture.log.storageFull(true)
        let effects = tick(&fixture, 1)
        #expect(stalls(effects) == [true])
        #expect(effects.sent.contains { $0.body == .timeoutNow })
        fixture.log.storageFull(false)
        #expect(stalls(fixture.take()) == [false])
    }

    @Test func `What a candidate could not say in time, it never says`() {
        var fixture = Fixture(voters: ["a", "b", "cc"])
        fixture.log.campaign()
        fixture.settle()
        fixture.hear(.voteAnswer(.init(isPreVote: true, granted: true)), term: 1)
        let ticket = fixture.take().writes.first?.ticket
        #expect(ticket != nil)
        // The disk holds its vote back; meanwhile it hears leaders, and would answer each.
        var sent: [Message] = []
        for _ in 0..<200 {
            sent += tick(&fixture, 1).sent
            fixture.hear(term: 1)
        }
        #expect(sent.isEmpty)
        if let ticket { fixture.log.persisted(ticket) }
        let late = fixture.take().sent
        #expect(late.isEmpty, "\(late)")
        // It is heard again with the next heartbeat.
        fixture.hear(term: 1)
        #expect(fixture.take().acknowledged == [.zero])
    }

    @Test func `Messages of a term that has passed are not kept for the disk`() {
        var fixture = Fixture(voters: ["a", "b", "cc"])
        for term in 1...5 as ClosedRange<UInt64> {
            fixture.hear(
                .voteRequest(.init(isPreVote: false, isTransfer: true, lastLog: .zero)),
                term: term)
        }
        for write in fixture.take().writes { fixture.log.persisted(write.ticket) }
        let sent = fixture.take().sent
        #expect(sent.map(\.term) == [Term(5)])
    }

    // MARK: Compaction

    @Test func `A compaction without room is proposed again after a while only`() {
        var settings = ReplicationSettings()
        settings.compactionThreshold = 2
        settings.trailingEntries = 0
        settings.compactionRetryTicks = 30
        var fixture = Fixture.leader(settings: settings)
        fixture.log.propose([(ProposalID(1), [1]), (ProposalID(2), [2])])
        fixture.settle()
        func compactions(_ effects: [ReplicationEffect]) -> Int {
            effects.count { if case .compactLog = $0 { true } else { false } }
        }
        fixture.log.checkpointed(through: LogIndex(3))
        #expect(compactions(fixture.take()) == 1)
        var proposed = 0
        for _ in 0..<90 {
            fixture.log.compacted(through: .zero)
            proposed += compactions(tick(&fixture, 1))
        }
        #expect(proposed == 0)
        for _ in 0..<90 {
            let count = compactions(tick(&fixture, 1))
            proposed += count
            if count > 0 { fixture.log.compacted(through: .zero) }
        }
        #expect(proposed == 3)
        // With room it goes on at once.
        _ = tick(&fixture, 31)
        fixture.log.compacted(through: LogPosition(index: LogIndex(3), term: Term(1)))
        fixture.log.propose([(ProposalID(3), [1]), (ProposalID(4), [2])])
        fixture.settle()
        fixture.log.checkpointed(through: LogIndex(5))
        #expect(compactions(fixture.take()) == 1)
    }

    // MARK: Bounds

    @Test func `More than there is room for is taken in parts, and the rest refused as busy`() {
        var fixture = Fixture(voters: ["a"]) { $0.maxUncommittedBytes = 1000 }
        fixture.log.campaign()
        fixture.settle()
        let commands = (1...8).map {
            (id: ProposalID($0), bytes: [UInt8](repeating: 0, count: 300))
        }
        fixture.log.propose(commands)
        let effects = fixture.take()
        let taken = effects.writes.flatMap(\.entries)
        #expect(taken.count == 3)
        #expect(effects.writes.allSatisfy { $0.entries.reduce(0) { $0 + $1.size } <= 1000 })
        #expect(effects.refused.count == 5)
        #expect(effects.refused.values.allSatisfy { $0 == .busy })
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `A command that is too large is refused alone, wherever it stands`(place: UInt64) {
        var fixture = Fixture(voters: ["a"]) { $0.maxEntryBytes = 200 }
        fixture.log.campaign()
        fixture.settle()
        let commands = (1...5 as ClosedRange<UInt64>).map { number in
            (
                id: ProposalID(number),
                bytes: [UInt8](repeating: UInt8(number), count: number == place ? 201 : 200)
            )
        }
        fixture.log.propose(commands)
        let effects = fixture.take()
        let taken = effects.writes.flatMap(\.entries).map(\.payload)
        let others = commands.filter { $0.id != ProposalID(place) }
        #expect(taken == others.map { Payload.command($0.bytes) })
        #expect(effects.refused == [ProposalID(place): .entryTooLarge(limit: 200)])
    }

    @Test func `A snapshot whose mark no leader can name is refused and discarded`() {
        var fixture = Fixture(voters: ["a", "b"])
        let mark = SnapshotMark(
            position: LogPosition(index: LogIndex(.max), term: Term(1)),
            membership: Membership([Fixture.member("a")]), membershipIndex: .zero)
        #expect(fixture.log.breach(of: mark) == .malformed)
        fixture.log.snapshotReceived(mark, token: SnapshotToken(1))
        #expect(
            fixture.take() == [
                .observe(.snapshotRefused(mark, reason: .malformed)),
                .discardSnapshot(SnapshotToken(1)),
            ])
        #expect(!fixture.log.isInstalling)
    }
}
