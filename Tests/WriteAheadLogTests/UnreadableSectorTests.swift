import Raft
import Simulator
import Testing

@testable import WriteAheadLog

/// What can't be read is neither cut off nor skipped: it may hold what was promised.
@Suite struct UnreadableSectorTests {
    private func written(_ disk: SimulatedDisk) throws -> SegmentedLog<SimulatedDisk> {
        var log = try openLog(disk)
        for index in 1...60 as ClosedRange<UInt64> {
            try log.append(LogBatch(entries: entries(index...index, size: 100)))
        }
        try log.sync()
        return log
    }

    @Test func `A sector with data that can't be read refuses the start and changes nothing`()
        throws
    {
        let reference = SimulatedDisk(seed: 3)
        let log = try written(reference)
        let segments = log.segments
        #expect(segments.count >= 2)
        for segment in segments {
            for offset in stride(from: 0, to: segment.end, by: SimulatedDisk.sectorSize) {
                let disk = reference.copy(seed: 4)
                disk.spoilSector(of: segmentPath(segment.number), at: offset)
                let before = disk.files(in: "/data/log").map { disk.bytes(of: $0) }
                let error = try #require(throws: LogError.self) { _ = try openLog(disk) }
                guard case .failed(let cause) = error else {
                    Issue.record("segment \(segment.number) at \(offset): \(error)")
                    continue
                }
                #expect(cause.operation == .read)
                #expect(error.isFatal)
                #expect(error.description.contains("check the disk"))
                #expect(disk.files(in: "/data/log").map { disk.bytes(of: $0) } == before)
            }
        }
    }

    @Test func `A read that fails once costs one start, and nothing else`() throws {
        let disk = SimulatedDisk(seed: 5)
        let last = try written(disk).state.lastIndex
        disk.kill()
        disk.failNextRead()
        #expect(throws: LogError.self) { _ = try openLog(disk) }
        disk.kill()
        #expect(try openLog(disk).state.lastIndex == last)
    }

    @Test func `On a log that runs, entries in a bad sector can't be fetched, and others can`()
        throws
    {
        let disk = SimulatedDisk(seed: 6)
        var log = try written(disk)
        let first = try #require(log.segments.first)
        disk.spoilSector(of: segmentPath(first.number), at: first.end / 2)
        let error = try #require(throws: LogError.self) {
            _ = try log.entries(from: LogIndex(1), byteLimit: .max)
        }
        #expect(error.isFatal)
        let rest = try log.entries(from: LogIndex(60), byteLimit: .max)
        #expect(rest.map(\.index) == [LogIndex(60)])
    }
}
