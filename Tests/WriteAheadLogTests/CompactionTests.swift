import Raft
import Simulator
import Testing

@testable import WriteAheadLog

/// Removing segments loses entries that are covered, and nothing else.
@Suite struct CompactionTests {
    private func filled(_ disk: SimulatedDisk) throws -> SimulatedLog {
        var log = try openLog(disk)
        try log.append(LogBatch(hardState: vote, records: allMetadata))
        try log.append(
            LogBatch(entries: [entry(1, .membership(membership("n1", "n2", "n3")))]))
        for index in 2...100 as ClosedRange<UInt64> {
            try log.append(LogBatch(entries: entries(index...index, size: 150)))
        }
        try log.append(LogBatch(commitIndex: LogIndex(95)))
        try log.sync()
        return log
    }

    @Test func `Compaction removes covered segments and keeps all else`() throws {
        let disk = SimulatedDisk(seed: 1)
        var log = try filled(disk)
        let before = log.state
        let segments = log.segmentCount
        let bytes = log.bytesOnDisk
        try log.compact(through: position(90))
        #expect(log.segmentCount < segments - 1)
        #expect(log.bytesOnDisk < bytes)
        #expect(try disk.list("/data/log").count == log.segmentCount)
        disk.crash()
        var found = try openLog(disk, bootID: nextBoot)
        #expect(found.state.base == position(90))
        #expect(found.state.last == position(100))
        #expect(found.state.termRuns == [position(91)])
        #expect(try found.tail(after: .zero) == entries(91...100, size: 150))
        #expect(try found.entries(from: LogIndex(90), byteLimit: 1).isEmpty)
        #expect(found.state.identity == before.identity)
        #expect(found.state.cluster == before.cluster)
        #expect(found.state.abandonedClusters == before.abandonedClusters)
        #expect(found.state.formation == before.formation)
        #expect(found.state.generation == before.generation)
        #expect(found.state.hardState == before.hardState)
        #expect(found.state.commitIndex == before.commitIndex)
        #expect(found.state.membership == membership("n1", "n2", "n3"))
        #expect(found.state.membershipIndex == LogIndex(1))
    }

    @Test func `A log can be compacted through its last entry and goes on`() throws {
        let disk = SimulatedDisk(seed: 2)
        var log = try filled(disk)
        try log.compact(through: position(100))
        #expect(log.segmentCount == 1)
        #expect(log.state.termRuns.isEmpty)
        try log.append(LogBatch(entries: entries(101...102, term: 3)))
        try log.sync()
        disk.crash()
        var found = try openLog(disk)
        #expect(found.state.base == position(100))
        #expect(try found.tail(after: .zero) == entries(101...102, term: 3))
        #expect(found.state.termRuns == [position(101, term: 3)])
    }

    @Test func `Compaction to an earlier place does nothing`() throws {
        let disk = SimulatedDisk(seed: 3)
        var log = try filled(disk)
        try log.compact(through: position(50))
        let steps = disk.stepCount
        try log.compact(through: position(40))
        #expect(disk.stepCount == steps)
        #expect(log.state.base == position(50))
    }

    @Test func `A reset begins after the snapshot, in one step`() throws {
        let disk = SimulatedDisk(seed: 4)
        var log = try filled(disk)
        let mark = SnapshotMark(
            position: position(500, term: 7), membership: membership("n1", "n5"),
            membershipIndex: LogIndex(300))
        try log.reset(to: mark, generation: 5)
        disk.crash()
        var found = try openLog(disk)
        #expect(found.segmentCount == 1)
        #expect(try disk.list("/data/log").count == 1)
        #expect(found.state.base == mark.position)
        #expect(found.state.last == mark.position)
        #expect(found.state.commitIndex == LogIndex(500))
        #expect(found.state.membership == mark.membership)
        #expect(found.state.membershipIndex == LogIndex(300))
        #expect(found.state.generation == 5)
        #expect(found.state.hardState == vote)
        #expect(found.state.cluster == cluster(3))
        try found.append(LogBatch(entries: entries(501...503, term: 7)))
        #expect(try found.tail(after: .zero) == entries(501...503, term: 7))
    }

    @Test func `Segments that a reset left behind are removed by the next start`() throws {
        let disk = SimulatedDisk(seed: 5)
        var log = try filled(disk)
        let count = log.segmentCount
        // Create, preallocate, write, sync, rename, sync of the directory; then the first removal.
        disk.plan(.death, atStep: disk.stepCount + 6)
        #expect(throws: LogError.self) {
            try log.reset(
                to: SnapshotMark(
                    position: position(500), membership: membership("n1"),
                    membershipIndex: LogIndex(1)), generation: 5)
        }
        disk.kill()
        #expect(try disk.list("/data/log").count == count + 1)
        let found = try openLog(disk)
        #expect(found.state.base == position(500) && found.state.generation == 5)
        #expect(try disk.list("/data/log").count == 1)
    }
}
