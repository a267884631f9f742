import Raft
import Simulator
import Testing
import Wire
import WriteAheadLog

@Suite struct RoundTripTests {
    @Test func `A new log is empty and stays so`() throws {
        let disk = SimulatedDisk(seed: 1)
        for _ in 0..<2 {
            var log = try openLog(disk)
            #expect(log.state.identity == nil)
            #expect(log.state.last == .zero)
            #expect(log.torn == nil)
            #expect(try log.tail(after: .zero).isEmpty)
            #expect(log.segmentCount == 1)
        }
    }

    @Test func `All that was written and synced is found again`() throws {
        let disk = SimulatedDisk(seed: 2)
        let written = entries(1...20) + [entry(21, term: 2, .noop)]
        let before: LogState
        do {
            var log = try openLog(disk)
            try log.append(
                LogBatch(
                    hardState: vote, entries: written, commitIndex: LogIndex(7),
                    records: allMetadata))
            try log.sync()
            before = log.state
        }
        disk.crash()
        var log = try openLog(disk)
        #expect(log.state == before)
        #expect(log.state.identity == identity)
        #expect(log.state.cluster == cluster(3))
        #expect(log.state.generation == 4)
        #expect(log.state.abandonedClusters == [cluster(1), cluster(2)])
        #expect(log.state.formation == [9, 9, 9])
        #expect(log.state.registry == [8, 8])
        #expect(log.state.hardState == vote)
        #expect(log.state.commitIndex == LogIndex(7))
        #expect(log.state.membership == membership("n1", "n2"))
        #expect(log.state.membershipIndex == .zero)
        #expect(log.state.termRuns == [position(1), position(21, term: 2)])
        #expect(log.state.last == position(21, term: 2))
        #expect(try log.tail(after: .zero) == written)
        #expect(try log.tail(after: LogIndex(20)) == [written[20]])
    }

    @Test
    func `A start holds no more committed entries than there is room for, and what they decide`()
        throws
    {
        let disk = SimulatedDisk(seed: 9)
        var log = try openLog(disk)
        let decision = entry(3, .command(LogCommand.skip(EntrySkip(index: 2, hash: 1)).encoded()))
        let change = entry(5, .membership(membership("n1", "n2", "n3")))
        let all =
            entries(1...2, size: 100) + [decision] + entries(4...4, size: 100) + [change]
            + entries(6...20, size: 100)
        try log.append(LogBatch(entries: all, commitIndex: LogIndex(15)))
        try log.sync()
        let room = try log.tail(after: .zero, holding: 1 << 20)
        #expect(room == LogTail(entries: all))
        let little = try log.tail(after: .zero, holding: 700)
        #expect(little.entries == Array(all[14...]) || little.entries == Array(all[15...]))
        #expect(little.passed == [decision, change])
        // What is not committed is held, whatever it takes.
        let none = try log.tail(after: LogIndex(2), holding: 0)
        #expect(none == LogTail(entries: Array(all[15...]), passed: [decision, change]))
        #expect(try log.tail(after: LogIndex(5), holding: 0).passed.isEmpty)
        #expect(try log.tail(after: LogIndex(20), holding: 0) == LogTail())
    }

    @Test(arguments: [(4096, 100), (1 << 20, 1000)])
    func `Entries are read from any index up to a limit, across segments and marks`(
        segmentBytes: Int, entryBytes: Int
    ) throws {
        let disk = SimulatedDisk(seed: 3)
        let limits = LogLimits(segmentBytes: segmentBytes)
        var log = try openLog(disk, limits: limits)
        let written = entries(1...400, size: entryBytes)
        for start in stride(from: 0, to: 400, by: 8) {
            try log.append(LogBatch(entries: Array(written[start..<start + 8])))
        }
        #expect(segmentBytes > 4096 || log.segmentCount > 8)
        for from in stride(from: 1, through: 400, by: 13) {
            let found = try log.entries(
                from: LogIndex(UInt64(from)), byteLimit: (entryBytes + 32) * 20)
            #expect(found == Array(written[(from - 1)..<min(400, from + 19)]))
        }
        #expect(try log.entries(from: LogIndex(5), byteLimit: 0) == [written[4]])
        #expect(try log.entries(from: LogIndex(401), byteLimit: 10).isEmpty)
        #expect(try log.tail(after: .zero) == written)
        var reopened = try openLog(disk, limits: limits)
        #expect(try reopened.tail(after: .zero) == written)
    }

    @Test func `Entries at an index already there discard the old ones, again and again`() throws {
        let disk = SimulatedDisk(seed: 4)
        var log = try openLog(disk)
        var expected: [Entry] = []
        for (term, first): (UInt64, UInt64) in [(1, 1), (2, 50), (3, 30), (4, 60), (5, 55), (6, 2)]
        {
            let new = entries(first...first + 99, term: term, size: 40)
            expected = expected.filter { $0.index < LogIndex(first) } + new
            try log.append(LogBatch(entries: new))
            #expect(try log.tail(after: .zero) == expected)
            for from in stride(from: UInt64(1), to: first + 100, by: 7) {
                let found = try log.entries(from: LogIndex(from), byteLimit: 1)
                #expect(found == [expected[Int(from) - 1]])
            }
        }
        try log.sync()
        disk.crash()
        var reopened = try openLog(disk)
        #expect(try reopened.tail(after: .zero) == expected)
        #expect(reopened.state.termRuns == [position(1), position(2, term: 6)])
        #expect(reopened.state.last == position(101, term: 6))
    }

    @Test func `Discarding an entry that set a membership brings the one before back`() throws {
        let disk = SimulatedDisk(seed: 5)
        var log = try openLog(disk)
        try log.append(LogBatch(records: [.bootstrapMembership(membership("n1"))]))
        try log.append(
            LogBatch(entries: [
                entry(1), entry(2, .membership(membership("n1", "n2"))),
                entry(3, .membership(membership("n1", "n2", "n3"))),
            ]))
        #expect(log.state.membership == membership("n1", "n2", "n3"))
        #expect(log.state.membershipIndex == LogIndex(3))
        try log.append(LogBatch(entries: [entry(3, term: 2)]))
        #expect(log.state.membership == membership("n1", "n2"))
        #expect(log.state.membershipIndex == LogIndex(2))
        try log.append(LogBatch(entries: [entry(2, term: 3)]))
        #expect(log.state.membership == membership("n1"))
        #expect(log.state.membershipIndex == .zero)
        #expect(try openLog(disk).state == log.state)
    }

    @Test func `A membership is brought back across segments whose heads hold it`() throws {
        let disk = SimulatedDisk(seed: 6)
        var log = try openLog(disk)
        try log.append(LogBatch(entries: [entry(1, .membership(membership("n1", "n2")))]))
        try log.append(LogBatch(entries: [entry(2)], commitIndex: LogIndex(2)))
        try log.append(LogBatch(entries: [entry(3, .membership(membership("n1")))]))
        try log.append(LogBatch(entries: entries(4...40, size: 200)))
        try log.append(LogBatch(entries: entries(41...80, size: 200)))
        try log.compact(through: position(2))
        try log.append(LogBatch(entries: [entry(3, term: 2)]))
        #expect(log.state.membership == membership("n1", "n2"))
        let reopened = try openLog(disk)
        #expect(reopened.state.membership == membership("n1", "n2"))
        #expect(reopened.state.membershipIndex == LogIndex(1))
    }

    @Test func `A batch larger than a segment gets a segment of its size`() throws {
        let disk = SimulatedDisk(seed: 7)
        var log = try openLog(disk)
        let large = entry(1, .command([UInt8](repeating: 0xAB, count: 100_000)))
        try log.append(LogBatch(entries: [large]))
        try log.append(LogBatch(entries: entries(2...3)))
        #expect(log.bytesOnDisk > 100_000)
        try log.sync()
        disk.crash()
        var reopened = try openLog(disk)
        #expect(try reopened.tail(after: .zero) == [large] + entries(2...3))
    }

    @Test func `A commit index never goes back`() throws {
        let disk = SimulatedDisk(seed: 8)
        var log = try openLog(disk)
        try log.append(LogBatch(entries: entries(1...3), commitIndex: LogIndex(3)))
        try log.append(LogBatch(commitIndex: LogIndex(2)))
        #expect(log.state.commitIndex == LogIndex(3))
        #expect(try openLog(disk).state.commitIndex == LogIndex(3))
    }

    @Test func `The term of an entry is known by its index`() throws {
        let disk = SimulatedDisk(seed: 9)
        var log = try openLog(disk)
        try log.append(LogBatch(entries: entries(1...3, term: 1) + entries(4...6, term: 4)))
        try log.compact(through: position(2))
        #expect(log.state.term(at: LogIndex(1)) == nil)
        #expect(log.state.term(at: LogIndex(2)) == Term(1))
        #expect(log.state.term(at: LogIndex(3)) == Term(1))
        #expect(log.state.term(at: LogIndex(4)) == Term(4))
        #expect(log.state.term(at: LogIndex(7)) == nil)
        #expect(log.state.termRuns == [position(3), position(4, term: 4)])
    }

    @Test func `Abandoning its own cluster takes a bootstrap out of the log, across a restart`()
        throws
    {
        let disk = SimulatedDisk(seed: 77)
        var log = try openLog(disk)
        try log.append(
            LogBatch(records: [
                .identity(identity), .cluster(cluster(3)),
                .bootstrapMembership(membership("n1", "n2")),
            ]))
        try log.append(LogBatch(records: [.formation([1]), .abandoned(cluster(3))]))
        try log.sync()
        disk.crash()
        log = try openLog(disk)
        #expect(log.state.cluster == nil && log.state.membership.members.isEmpty)
        #expect(log.state.abandonedClusters == [cluster(3)] && log.state.identity == identity)
        // Another's is only remembered; and one that holds entries keeps what it has.
        try log.append(LogBatch(entries: entries(1...1), records: [.cluster(cluster(4))]))
        try log.append(LogBatch(records: [.abandoned(cluster(5)), .abandoned(cluster(4))]))
        #expect(log.state.cluster == cluster(4))
    }
}
