import Glibc
import Raft
import Scratch
import Testing

@testable import WriteAheadLog

/// The log on the real file system.
@Suite struct PosixDiskTests {
    private func open(
        _ folder: TemporaryDirectory, bootID: RandomID = boot
    ) throws -> SegmentedLog<PosixDisk> {
        try .open(
            on: PosixDisk(), directory: folder.path + "/log",
            limits: LogLimits(segmentBytes: 64 << 10), bootID: bootID)
    }

    @Test func `A log on real files is found again, compacted and reset`() throws {
        let folder = try TemporaryDirectory("wal", isInMemory: false)
        do {
            var log = try open(folder)
            try log.append(LogBatch(hardState: vote, records: allMetadata))
            for first in stride(from: 1, to: 2000, by: 10) as StrideTo<UInt64> {
                try log.append(LogBatch(entries: entries(first...first + 9, size: 100)))
                if first % 100 == 1 { try log.sync() }
            }
            try log.sync()
            #expect(log.segmentCount >= 4)
        }
        do {
            var log = try open(folder)
            #expect(log.torn == nil)
            #expect(try log.tail(after: .zero) == entries(1...2000, size: 100))
            #expect(
                try log.entries(from: LogIndex(700), byteLimit: 132 * 3)
                    == entries(700...702, size: 100))
            try log.compact(through: position(1500))
            try log.markClean()
            #expect(try PosixDisk().list(folder.path + "/log").count == log.segmentCount)
        }
        do {
            var log = try open(folder, bootID: nextBoot)
            #expect(try log.tail(after: .zero) == entries(1501...2000, size: 100))
            let mark = SnapshotMark(
                position: position(9000), membership: membership("n1"),
                membershipIndex: LogIndex(1))
            try log.reset(to: mark, generation: 9)
        }
        let log = try open(folder, bootID: nextBoot)
        #expect(log.state.base == position(9000) && log.state.generation == 9)
        #expect(log.state.hardState == vote)
        #expect(log.bytesOnDisk == 64 << 10)
    }

    @Test func `A file takes its room at once, and reads stop at its end`() throws {
        let folder = try TemporaryDirectory("wal", isInMemory: false)
        let disk = PosixDisk()
        try disk.createDirectory(folder.path + "/log")
        try disk.createDirectory(folder.path + "/log")
        let path = folder.path + "/log/a"
        let file = try disk.createFile(path)
        try file.preallocate(10_000)
        #expect(try file.size() == 10_000)
        try file.write([7, 8, 9], at: 9_997)
        try file.syncData()
        try file.sync()
        #expect(try file.read(10, at: 9_996) == [0, 7, 8, 9])
        try disk.rename(path, to: path + "b")
        #expect(try disk.openFile(path + "b").size() == 10_000)
        #expect(try disk.list(folder.path + "/log") == ["ab"])
        try disk.remove(path + "b")
        #expect(try disk.list(folder.path + "/log").isEmpty)
    }

    @Test func `A failure names operation, path and the system's reason`() throws {
        let disk = PosixDisk()
        let missing = "/tmp/no-such-directory-here/x"
        let error = try #require(throws: DiskError.self) { _ = try disk.openFile(missing) }
        #expect(error.operation == .open && error.path == missing && error.code == ENOENT)
        #expect(!error.isNoSpace)
        #expect(error.description == "open \(missing): No such file or directory (2)")
        #expect(throws: DiskError.self) { _ = try disk.createFile(missing) }
        #expect(throws: DiskError.self) { try disk.createDirectory(missing) }
        #expect(throws: DiskError.self) { try disk.rename(missing, to: missing + "y") }
        #expect(throws: DiskError.self) { try disk.remove(missing) }
        #expect(throws: DiskError.self) { _ = try disk.list(missing) }
        #expect(throws: DiskError.self) { try disk.syncDirectory(missing) }
    }

    @Test func `A device without room reports it as such`() throws {
        let file = try PosixDisk().openFile("/dev/full")
        let error = try #require(throws: DiskError.self) { try file.write([1], at: 0) }
        #expect(error.isNoSpace && error.operation == .write && error.code == ENOSPC)
    }
}
