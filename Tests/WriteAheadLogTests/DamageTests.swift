import Raft
import Simulator
import Testing
import Wire

@testable import WriteAheadLog

/// A torn tail is cut, damage to what was durable refuses the start.
@Suite struct DamageTests {
    /// Five batches of one entry, each synced; where each begins, and where the last ends.
    private func fiveBatches(
        _ disk: SimulatedDisk, markClean: Bool = false
    ) throws -> [Int] {
        var log = try openLog(disk)
        var offsets = [log.active.end]
        for index in 1...5 as ClosedRange<UInt64> {
            try log.append(LogBatch(entries: entries(index...index, size: 50)))
            try log.sync()
            offsets.append(log.active.end)
        }
        if markClean { try log.markClean() }
        disk.kill()
        return offsets
    }

    @Test func `Damage before data known to be durable names file, offset and the way back`()
        throws
    {
        for batch in 0..<4 {
            let disk = SimulatedDisk(seed: 1)
            let offsets = try fiveBatches(disk)
            disk.corrupt(segmentPath(1), at: offsets[batch] + 40)
            let error = try #require(throws: LogError.self) { _ = try openLog(disk) }
            guard case .corrupt(let file, let offset, _) = error else {
                Issue.record("\(error)")
                continue
            }
            #expect(file == segmentPath(1))
            #expect(offset == offsets[batch])
            for part in [segmentPath(1), "byte \(offset)", "To rejoin", "empty directory"] {
                #expect(error.description.contains(part), "\(part)")
            }
        }
    }

    @Test func `Every byte that was known to be durable is guarded`() throws {
        let reference = SimulatedDisk(seed: 2)
        var log = try openLog(reference)
        try log.append(LogBatch(hardState: vote, records: allMetadata))
        for index in 1...60 as ClosedRange<UInt64> {
            try log.append(LogBatch(entries: entries(index...index, size: 100)))
            if index % 7 == 0 { try log.sync() }
        }
        try log.sync()
        let last = log.active.end
        try log.markClean()
        #expect(log.segmentCount >= 2)
        for segment in log.segments {
            let end = segment.number == log.active.header.number ? last : segment.end
            for offset in stride(from: 0, to: end, by: 13) {
                let disk = reference.copy(seed: 0)
                disk.corrupt(segmentPath(segment.number), at: offset, mask: 1 << (offset % 8))
                let error = #expect(
                    throws: LogError.self, "byte \(offset) of segment \(segment.number)"
                ) { _ = try openLog(disk) }
                guard case .corrupt? = error else {
                    Issue.record("\(String(describing: error)) at \(offset)")
                    continue
                }
            }
        }
    }

    @Test func `A write that the machine's stop interrupted is cut and the node votes`() throws {
        let disk = SimulatedDisk(seed: 3)
        let offsets = try fiveBatches(disk)
        disk.corrupt(segmentPath(1), at: offsets[4] + 30)
        var log = try openLog(disk, bootID: nextBoot)
        let found = log.torn
        let torn = try #require(found)
        #expect(torn.file == segmentPath(1) && torn.offset == offsets[4])
        #expect(torn.count == offsets[5] - offsets[4])
        #expect(!torn.isDamage && !log.state.mustCatchUpBeforeVoting)
        #expect(torn.description.contains("cut \(torn.count) bytes at byte \(torn.offset)"))
        #expect(!torn.description.contains("\n"))
        #expect(try log.tail(after: .zero) == entries(1...4, size: 50))
        let again = try openLog(disk, bootID: nextBoot)
        #expect(again.torn == nil)
    }

    @Test func `What was cut never comes back behind what is written next`() throws {
        let disk = SimulatedDisk(seed: 4)
        let offsets = try fiveBatches(disk)
        // The fourth and fifth batch were one unsynced write of which the fourth was lost.
        let bytes = try #require(disk.bytes(of: segmentPath(1)))
        let salt = try SegmentHeader(decoding: bytes, file: "").salt
        let fifth = try #require(
            BatchHeader(at: offsets[4], of: bytes, offset: offsets[4], salt: salt))
        var encoder = BatchEncoder()
        encoder.add(.entries(entries(5...5, size: 50)))
        let unsynced = encoder.sealed(
            at: offsets[4], durableSize: offsets[3],
            previousChecksum: fifth.previousChecksum, salt: salt)
        try disk.openFile(segmentPath(1)).write(unsynced.bytes, at: offsets[4])
        disk.corrupt(segmentPath(1), at: offsets[3] + 30)
        var log = try openLog(disk, bootID: nextBoot)
        #expect(log.torn?.offset == offsets[3])
        try log.append(LogBatch(entries: entries(4...4, term: 2, size: 50)))
        try log.sync()
        disk.crash()
        var again = try openLog(disk, bootID: boot)
        #expect(
            try again.tail(after: .zero)
                == entries(1...3, size: 50) + entries(4...4, term: 2, size: 50))
    }

    @Test func `Damage without a restart of the machine keeps the node from voting for good`()
        throws
    {
        let disk = SimulatedDisk(seed: 5)
        let offsets = try fiveBatches(disk)
        disk.corrupt(segmentPath(1), at: offsets[4] + 30)
        do {
            let log = try openLog(disk)
            #expect(log.torn?.isDamage == true)
            #expect(log.torn?.description.contains("catches up") == true)
            #expect(log.state.mustCatchUpBeforeVoting)
        }
        disk.crash()
        do {
            var log = try openLog(disk, bootID: nextBoot)
            #expect(log.torn == nil)
            #expect(log.state.mustCatchUpBeforeVoting)
            try log.append(LogBatch(records: [.caughtUp]))
            #expect(!log.state.mustCatchUpBeforeVoting)
            try log.sync()
        }
        disk.crash()
        #expect(try !openLog(disk, bootID: nextBoot).state.mustCatchUpBeforeVoting)
    }

    @Test(arguments: [false, true])
    func `Each start of the machine is remembered`(tailIsTorn: Bool) throws {
        let disk = SimulatedDisk(seed: 13)
        let offsets = try fiveBatches(disk)
        if tailIsTorn { disk.corrupt(segmentPath(1), at: offsets[4] + 30) }
        var log = try openLog(disk, bootID: nextBoot)
        #expect((log.torn != nil) == tailIsTorn)
        let last = log.active.end
        let path = log.active.path
        try log.append(LogBatch(entries: entries(5...5, term: 2, size: 50)))
        try log.sync()
        disk.kill()
        disk.corrupt(path, at: last + 30)
        #expect(try openLog(disk, bootID: nextBoot).torn?.isDamage == true)
    }

    @Test func `A process killed in the middle of a write left no damage`() throws {
        for seed in 0..<60 as Range<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            var log = try openLog(disk)
            try log.append(LogBatch(entries: entries(1...2)))
            disk.plan(.death, atStep: disk.stepCount)
            #expect(throws: LogError.self) {
                try log.append(LogBatch(entries: entries(3...5, size: 5)))
            }
            disk.kill()
            var found = try openLog(disk)
            #expect(found.torn?.isDamage != true && !found.state.mustCatchUpBeforeVoting)
            let tail = try found.tail(after: .zero)
            #expect(
                tail == entries(1...2) || tail == entries(1...2) + entries(3...5, size: 5))
        }
    }

    @Test func `A durable mark turns damage to the last batch into corruption`() throws {
        for markClean in [false, true] {
            let disk = SimulatedDisk(seed: 6)
            let offsets = try fiveBatches(disk, markClean: markClean)
            disk.corrupt(segmentPath(1), at: offsets[4] + 30)
            if markClean {
                #expect(throws: LogError.self) { _ = try openLog(disk, bootID: nextBoot) }
            } else {
                #expect(try openLog(disk, bootID: nextBoot).torn?.offset == offsets[4])
            }
        }
    }

    @Test func `A mark is written once`() throws {
        let disk = SimulatedDisk(seed: 7)
        var log = try openLog(disk)
        try log.append(LogBatch(entries: entries(1...2)))
        try log.markClean()
        let steps = disk.stepCount
        try log.markClean()
        #expect(disk.stepCount == steps)
    }

    @Test func `Bytes of a client that look like a batch prove nothing`() throws {
        let disk = SimulatedDisk(seed: 8)
        var log = try openLog(disk)
        let start = log.active.end
        // The client guessed where its bytes will stand, but can't know the salt.
        let padding = [UInt8](repeating: 0, count: 6)
        let place = start + BatchHeader.size + 5 + 4 + 21 + padding.count
        #expect(place % BatchHeader.alignment == 0)
        var forged = BatchEncoder()
        forged.add(.durableMark)
        let bytes = forged.sealed(
            at: place, durableSize: 1 << 20, previousChecksum: 0, salt: 0
        ).bytes
        try log.append(LogBatch(entries: [entry(1, .command(padding + bytes))]))
        #expect(disk.bytes(of: segmentPath(1))?[place...].starts(with: bytes) == true)
        disk.corrupt(segmentPath(1), at: start + 30)
        #expect(try openLog(disk, bootID: nextBoot).torn?.offset == start)
    }

    @Test func `A batch that was not written after the one before it is not taken`() throws {
        for isStale in [false, true] {
            let disk = SimulatedDisk(seed: 12)
            let log = try openLog(disk)
            var encoder = BatchEncoder()
            encoder.add(.entries(entries(1...1)))
            let batch = encoder.sealed(
                at: log.active.end, durableSize: log.active.end,
                previousChecksum: log.active.checksum ^ (isStale ? 1 : 0),
                salt: log.active.header.salt)
            try log.active.file.write(batch.bytes, at: log.active.end)
            var found = try openLog(disk, bootID: nextBoot)
            #expect(try found.tail(after: .zero) == (isStale ? [] : entries(1...1)))
            #expect(found.torn?.offset == (isStale ? log.active.end : nil))
        }
    }

    @Test func `Damage that appears while the log is open is found by the read`() throws {
        let disk = SimulatedDisk(seed: 9)
        var log = try openLog(disk)
        try log.append(LogBatch(entries: entries(1...5, size: 50)))
        disk.corrupt(segmentPath(1), at: log.active.end - 30)
        #expect(throws: LogError.self) { _ = try log.tail(after: .zero) }
    }

    @Test func `A segment that is gone, cut short or misnamed refuses the start`() throws {
        let reference = SimulatedDisk(seed: 10)
        var log = try openLog(reference)
        for index in 1...60 as ClosedRange<UInt64> {
            try log.append(LogBatch(entries: entries(index...index, size: 200)))
        }
        try log.sync()
        let segments = log.segmentCount
        try #require(segments >= 3)
        func refused(_ change: (SimulatedDisk) throws -> Void) throws {
            let disk = reference.copy(seed: 0)
            try change(disk)
            let names = try disk.list("/data/log")
            let error = try #require(throws: LogError.self) { _ = try openLog(disk) }
            guard case .corrupt = error else {
                Issue.record("\(error)")
                return
            }
            #expect(try disk.list("/data/log") == names)
        }
        try refused { try $0.remove(segmentPath(1)) }
        try refused { try $0.remove(segmentPath(2)) }
        try refused { try $0.rename(segmentPath(1), to: segmentPath(99)) }
        try refused { disk in
            let bytes = try #require(disk.bytes(of: segmentPath(2)))
            try disk.createFile(segmentPath(2)).write(Array(bytes.dropLast(8)), at: 0)
        }
        try refused { try $0.createFile(segmentPath(2)).write([1, 2, 3], at: 0) }
    }

    @Test func `A newer format is refused with both versions`() throws {
        let disk = SimulatedDisk(seed: 11)
        _ = try openLog(disk)
        var bytes = try #require(disk.bytes(of: segmentPath(1)))
        bytes[8] = 9
        var writer = ByteWriter()
        writer.write(CRC32C(bytes[0..<60]).value)
        bytes.replaceSubrange(60..<64, with: writer.bytes)
        try disk.openFile(segmentPath(1)).write(bytes, at: 0)
        let error = try #require(throws: LogError.self) { _ = try openLog(disk) }
        #expect(error == .unsupportedVersion(file: segmentPath(1), found: 9, supported: 2))
        #expect(error.description.contains("version 9"))
        #expect(error.description.contains("up to 2"))
    }
}
