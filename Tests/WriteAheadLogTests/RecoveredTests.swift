import Raft
import Simulator
import Testing

@testable import WriteAheadLog

/// A log whose cluster was recovered by an operator.
@Suite struct RecoveredTests {
    private let survivors = membership("n1")

    /// A log with an uncommitted change of the membership at its end.
    private func written(on disk: SimulatedDisk) throws -> SegmentedLog<SimulatedDisk> {
        var log = try openLog(disk)
        try log.append(LogBatch(records: allMetadata))
        try log.append(
            LogBatch(
                hardState: vote,
                entries: entries(1...4) + [
                    entry(5, term: 1, .membership(membership("n1", "n2", "n3")))
                ], commitIndex: LogIndex(4)))
        try log.sync()
        return log
    }

    @Test func `The recovered membership replaces all before it, also those that come back`()
        throws
    {
        let disk = SimulatedDisk(seed: 21)
        do {
            var log = try written(on: disk)
            #expect(log.state.membershipIndex == LogIndex(5))
            #expect(
                log.state.settledMembership
                    == .init(index: .zero, membership: membership("n1", "n2")))
            try log.append(LogBatch(records: [.recovered(cluster(7), survivors, at: LogIndex(4))]))
            try log.sync()
        }
        disk.crash()
        var log = try openLog(disk)
        #expect(log.state.cluster == cluster(7))
        #expect(log.state.membership == survivors)
        #expect(log.state.membershipIndex == LogIndex(4))
        #expect(log.state.settledMembership == .init(index: LogIndex(4), membership: survivors))
        #expect(log.state.hardState.term.epoch == 1)
        #expect(log.state.hardState.votedFor == nil)
        #expect(log.state.last == position(5))
        // A leader of the new epoch discards the old change, or sends one like it again.
        try log.append(
            LogBatch(entries: [entry(5, term: 2, .membership(membership("n1", "n2")))]))
        #expect(log.state.membership == survivors)
        let term = log.state.hardState.term
        try log.append(
            LogBatch(
                entries: [
                    Entry(
                        index: LogIndex(6), term: term,
                        payload: .membership(membership("n1", "n4")))
                ]))
        #expect(log.state.membership == membership("n1", "n4"))
    }

    @Test func `A recovery that was not synced did not happen`() throws {
        let disk = SimulatedDisk(seed: 22)
        do {
            let log = try written(on: disk)
            #expect(log.state.cluster == cluster(3))
        }
        disk.crash()
        let log = try openLog(disk)
        #expect(log.state.cluster == cluster(3))
        #expect(log.state.hardState == vote)
    }

    @Test func `It stands in the heads of later segments`() throws {
        let disk = SimulatedDisk(seed: 23)
        let limits = LogLimits(segmentBytes: 4096)
        do {
            var log = try openLog(disk, limits: limits)
            try log.append(LogBatch(records: allMetadata))
            try log.append(LogBatch(entries: entries(1...4), commitIndex: LogIndex(4)))
            try log.append(LogBatch(records: [.recovered(cluster(7), survivors, at: LogIndex(4))]))
            let term = log.state.hardState.term
            for index in 5...40 {
                let bytes = [UInt8](repeating: 1, count: 400)
                try log.append(
                    LogBatch(
                        entries: [
                            Entry(
                                index: LogIndex(UInt64(index)), term: term,
                                payload: .command(bytes))
                        ], commitIndex: LogIndex(UInt64(index))))
            }
            try log.sync()
            try log.compact(through: LogPosition(index: LogIndex(35), term: term))
            try log.sync()
        }
        let log = try openLog(disk, limits: limits)
        #expect(log.state.cluster == cluster(7))
        #expect(log.state.membership == survivors)
        #expect(log.state.hardState.term.epoch == 1)
    }
}
