import Raft
import Simulator
import Testing

@testable import WriteAheadLog

/// A full disk is a state that passes, not a failure of the log.
@Suite struct FullDiskTests {
    private func fill(_ log: inout SimulatedLog) throws -> LogError {
        try #require(throws: LogError.self) {
            while true {
                let index = log.state.last.index.rawValue + 1
                try log.append(LogBatch(entries: entries(index...index, size: 150)))
            }
        }
    }

    @Test func `A batch that found no room leaves no trace and can be written again`() throws {
        let disk = SimulatedDisk(seed: 1)
        disk.capacity = 4096 * 3
        var log = try openLog(disk)
        let error = try fill(&log)
        guard case .diskFull(let cause) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(cause.isNoSpace && !error.isFatal)
        #expect(error.description.contains("goes on by itself"))
        #expect(disk.faults.refusedForSpace > 0)
        #expect(try disk.list("/data/log").count == 3)
        let state = log.state
        let last = state.last.index.rawValue
        let written = try log.tail(after: .zero)
        #expect(written == entries(1...last, size: 150))
        try log.sync()
        let batch = LogBatch(hardState: vote, entries: entries(last + 1...last + 3, term: 5))
        #expect(throws: LogError.self) { try log.append(batch) }
        #expect(log.state == state)
        disk.capacity = nil
        try log.append(batch)
        try log.sync()
        disk.crash()
        var found = try openLog(disk)
        #expect(try found.tail(after: .zero) == written + batch.entries)
        #expect(found.state.hardState == vote)
    }

    @Test func `A full disk doesn't keep the log from compacting`() throws {
        let disk = SimulatedDisk(seed: 2)
        disk.capacity = 4096 * 3
        var log = try openLog(disk)
        _ = try fill(&log)
        #expect(throws: LogError.self) {
            while true { try log.append(LogBatch(hardState: vote)) }
        }
        let last = log.state.last
        try log.compact(through: last)
        #expect(log.segmentCount == 1)
        try log.append(LogBatch(entries: entries(last.index.rawValue + 1...200, size: 5)))
        try log.sync()
        disk.crash()
        #expect(try openLog(disk).state.base == last)
    }

    @Test func `A write that ran out of room in the file goes to a new segment`() throws {
        let disk = SimulatedDisk(seed: 3)
        var log = try openLog(disk)
        try log.append(LogBatch(entries: entries(1...2)))
        disk.plan(.noSpace, atStep: disk.stepCount)
        let batch = LogBatch(entries: entries(3...4))
        let error = try #require(throws: LogError.self) { try log.append(batch) }
        #expect(!error.isFatal)
        #expect(log.state.last == position(2))
        try log.append(batch)
        #expect(log.segmentCount == 2)
        try log.sync()
        disk.crash()
        var found = try openLog(disk)
        #expect(try found.tail(after: .zero) == entries(1...4))
    }

    @Test func `A new segment that finds no room says so, at whichever step that is`() throws {
        var told: [DiskError.Operation] = []
        for step in 0..<8 {
            let disk = SimulatedDisk(seed: 3)
            var log = try openLog(disk)
            try log.append(LogBatch(entries: entries(1...2)))
            disk.plan(.noSpace, atStep: disk.stepCount + step)
            let mark = SnapshotMark(
                position: position(500), membership: membership("n1"),
                membershipIndex: LogIndex(1))
            do throws(LogError) {
                try log.reset(to: mark, generation: 2)
            } catch {
                switch error {
                case .diskFull(let cause), .syncFailed(let cause): told.append(cause.operation)
                default: Issue.record("step \(step): \(error)")
                }
            }
        }
        #expect(told.contains(.syncDirectory))
    }

    @Test func `A reset needs no more than the room of its head`() throws {
        let disk = SimulatedDisk(seed: 4)
        disk.capacity = 4096 * 2 + 2048
        var log = try openLog(disk)
        _ = try fill(&log)
        let mark = SnapshotMark(
            position: position(500), membership: membership("n1"), membershipIndex: LogIndex(1))
        try log.reset(to: mark, generation: 2)
        #expect(log.state.base == mark.position)
        #expect(try disk.list("/data/log").count == 1)
    }

    @Test func `A start on a full disk reads the log and cuts its tail when there is room`()
        throws
    {
        let disk = SimulatedDisk(seed: 5)
        var log = try openLog(disk)
        try log.append(LogBatch(entries: entries(1...2)))
        try log.sync()
        let offset = log.active.end
        try log.append(LogBatch(entries: entries(3...4)))
        disk.corrupt(segmentPath(1), at: offset + 30)
        disk.capacity = 4096
        var found = try openLog(disk, bootID: nextBoot)
        #expect(found.torn?.offset == offset)
        #expect(try found.tail(after: .zero) == entries(1...2))
        let batch = LogBatch(entries: entries(3...3, term: 2))
        #expect(throws: LogError.self) { try found.append(batch) }
        try found.sync()
        try found.markClean()
        disk.capacity = nil
        try found.append(batch)
        try found.sync()
        var again = try openLog(disk, bootID: nextBoot)
        #expect(again.torn == nil)
        #expect(try again.tail(after: .zero) == entries(1...2) + batch.entries)
    }

    @Test func `A new log on a full disk says so`() throws {
        let disk = SimulatedDisk(seed: 6)
        disk.capacity = 100
        let error = try #require(throws: LogError.self) { _ = try openLog(disk) }
        #expect(!error.isFatal)
        #expect(try disk.list("/data/log").isEmpty)
    }
}
