import Raft
import Simulator
import Testing
import Wire

@testable import WriteAheadLog

/// Batches with right checksums whose records don't follow what stands before them.
@Suite struct SenseTests {
    static let records: [LogRecord] = [
        .entries([entry(7)]), .entries([entry(.max)]), .entries([entry(3), entry(5)]),
        .entries([entry(3), entry(2)]), .entries([entry(0)]),
        .base(position(9)), .base(LogPosition(index: LogIndex(.max), term: Term(1))),
        .head(head(base: 5, last: 4)), .head(head(base: 0, last: .max)),
        .head(head(base: 0, last: 2)), .head(head(base: 0, last: 4)),
    ]

    private static func head(base: UInt64, last: UInt64) -> LogState {
        var state = LogState()
        state.base = position(base)
        state.last = position(last)
        return state
    }

    @Test(arguments: records.indices)
    func `A record that can't follow what stands before it refuses the start and names the file`(
        _ number: Int
    ) throws {
        let disk = SimulatedDisk(seed: 3)
        var log = try openLog(disk)
        try log.append(LogBatch(entries: entries(1...2)))
        try log.sync()
        let offset = log.active.end
        var batch = BatchEncoder()
        batch.add(Self.records[number])
        try log.active.append(batch, isMark: false)
        try log.active.sync()
        let error = try #require(throws: LogError.self) { _ = try openLog(disk) }
        guard case .corrupt(let file, let place, _) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(file == segmentPath(1))
        #expect(place == offset)
    }

    @Test func `A segment header with a size beyond all sizes is refused`() throws {
        for field in [32, 40] {
            let disk = SimulatedDisk(seed: 4)
            var log = try openLog(disk)
            try log.append(LogBatch(entries: entries(1...2)))
            try log.sync()
            var header = log.active.header.encoded
            for place in field..<field + 8 { header[place] = place == field + 7 ? 0x80 : 0 }
            var sealed = ByteWriter()
            sealed.writeRaw(header[..<60])
            sealed.write(CRC32C(header[..<60]).value)
            let file = try disk.openFile(segmentPath(1))
            try sealed.bytes.withUnsafeBytes { try file.write($0, at: 0) }
            try file.sync()
            let error = try #require(throws: LogError.self) { _ = try openLog(disk) }
            #expect("\(error)".contains(segmentPath(1)))
        }
    }
}
