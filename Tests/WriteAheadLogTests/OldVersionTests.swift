import Raft
import Simulator
import Testing
import Wire

@testable import WriteAheadLog

/// Logs of the version that did not know registries.
@Suite struct OldVersionTests {
    @Test func `The head of version 1 ends before the state of the registry`() throws {
        let disk = SimulatedDisk(seed: 22)
        var log = try openLog(disk)
        try log.append(LogBatch(records: allMetadata))
        var state = log.state
        state.registry = nil
        var writer = ByteWriter()
        state.encode(into: &writer)
        let old = Array(writer.bytes.dropLast())
        var reader = ByteReader(old)
        #expect(try LogState(from: &reader, length: old.count) == state)
    }

    @Test func `A log of version 1 is read, and goes on in a segment of version 2`() throws {
        let disk = SimulatedDisk(seed: 23)
        do {
            var log = try openLog(disk)
            try log.append(LogBatch(records: allMetadata))
            try log.sync()
        }
        let path = segmentPath(1)
        let header = try SegmentHeader(decoding: try #require(disk.bytes(of: path)), file: path)
        let old = SegmentHeader(
            version: 1, number: 1, salt: header.salt, startsAnew: header.startsAnew,
            capacity: header.capacity, previousEnd: 0, previousChecksum: 0)
        var state = LogState()
        state.cluster = cluster(3)
        var head = BatchEncoder()
        head.add(.head(state))
        let (bytes, _) = head.sealed(
            at: SegmentHeader.size, durableSize: 0, previousChecksum: old.checksum, salt: old.salt)
        let blank = [UInt8](repeating: 0, count: header.capacity - old.encoded.count - bytes.count)
        try disk.openFile(path).write(old.encoded + bytes + blank, at: 0)
        for _ in 0..<2 {
            let log = try openLog(disk)
            #expect(log.torn == nil)
            #expect(log.state.cluster == cluster(3))
            #expect(log.active.header.version == 2)
            #expect(log.segmentCount == 2)
        }
    }
}
