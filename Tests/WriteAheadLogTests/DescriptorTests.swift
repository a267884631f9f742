import Glibc
import Raft
import Scratch
import Simulator
import Testing

@testable import WriteAheadLog

/// A process without a free file descriptor waits for one, as it waits for room.
@Suite struct DescriptorTests {
    @Test(arguments: 0..<12)
    func `A roll without a descriptor leaves the log as it was, and works later`(
        step: Int
    ) throws {
        let disk = SimulatedDisk(seed: UInt64(step))
        var log = try openLog(disk)
        var last: UInt64 = 0
        while log.segmentCount < 2 {
            last += 1
            try log.append(LogBatch(entries: entries(last...last, size: 200)))
        }
        try log.sync()
        disk.plan(.noDescriptors, atStep: disk.stepCount + step)
        var refusals = 0
        while last < 80 {
            let next = last + 1
            do {
                try log.append(LogBatch(entries: entries(next...next, size: 200)))
                last = next
            } catch {
                guard case .outOfDescriptors = error else { throw error }
                #expect(!error.isFatal && error.description.contains("goes on by itself"))
                #expect(try disk.list("/data/log").allSatisfy { !$0.hasSuffix(".new") })
                refusals += 1
                // What still finds room goes to the segment before, and must be found there.
                try log.append(LogBatch(hardState: vote))
                try log.sync()
                disk.crash()
                log = try openLog(disk)
                #expect(log.state.hardState == vote)
                #expect(log.state.last.index.rawValue == last)
            }
        }
        #expect(refusals == 1)
        #expect(try log.tail(after: .zero) == entries(1...80, size: 200))
    }

    @Test func `A real roll without a descriptor is waited out, and a sync of a directory too`()
        async
    {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory("wal", isInMemory: false)
            defer { withExtendedLifetime(directory) {} }
            let folder = directory.path
            let disk = PosixDisk()
            var log = try SegmentedLog<PosixDisk>.open(
                on: disk, directory: folder + "/log", limits: smallLimits, bootID: boot)
            try log.append(LogBatch(entries: entries(1...1)))
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let free = open("/dev/null", O_RDONLY)
            close(free)
            var none = limit
            none.rlim_cur = rlim_t(free)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &none)
            do throws(LogError) {
                try log.append(LogBatch(entries: entries(2...2, size: 5000)))
                exit(3)
            } catch {
                guard case .outOfDescriptors(let cause) = error, cause.code == EMFILE else {
                    exit(4)
                }
            }
            do throws(DiskError) {
                try disk.syncDirectory(folder)
                exit(5)
            } catch {
                guard error.mayPass, LogError(error).isFatal == false else { exit(6) }
            }
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            try log.append(LogBatch(entries: entries(2...2, size: 5000)))
            try log.sync()
            guard log.segmentCount == 2, log.state.last.index == LogIndex(2) else { exit(7) }
        }
    }

    @Test func `A log whose files may grow no further waits for room`() async {
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            let directory = try TemporaryDirectory("wal", isInMemory: false)
            defer { withExtendedLifetime(directory) {} }
            var log = try SegmentedLog<PosixDisk>.open(
                on: PosixDisk(), directory: directory.path + "/log", limits: smallLimits,
                bootID: boot)
            try log.append(LogBatch(entries: entries(1...1)))
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            var none = limit
            none.rlim_cur = 1
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &none)
            do throws(LogError) {
                try log.append(LogBatch(entries: entries(2...2, size: 5000)))
                exit(3)
            } catch {
                guard case .diskFull(let cause) = error, cause.code == EFBIG else { exit(4) }
            }
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            try log.append(LogBatch(entries: entries(2...2, size: 5000)))
            try log.sync()
            guard log.segmentCount == 2, log.state.last.index == LogIndex(2) else { exit(5) }
        }
    }

    // MARK: Large batches

    @Test func `A batch past the limit is written in parts, and found whole`() throws {
        let disk = SimulatedDisk(seed: 3)
        let limits = LogLimits(segmentBytes: 4096, maxBatchBytes: 8192)
        var log = try openLog(disk, limits: limits)
        let many = entries(1...100, size: 300)
        try log.append(
            LogBatch(hardState: vote, entries: many, commitIndex: LogIndex(60)))
        try log.sync()
        disk.crash()
        var found = try openLog(disk, limits: limits)
        #expect(try found.tail(after: .zero) == many)
        #expect(found.state.hardState == vote && found.state.commitIndex == LogIndex(60))
        // Others in their place, also in parts.
        let others = entries(41...140, term: 5, size: 300)
        try found.append(LogBatch(entries: others))
        #expect(try found.tail(after: LogIndex(40)) == others)
    }

    @Test func `A batch in parts that finds no room is completed by the same call`() throws {
        let disk = SimulatedDisk(seed: 4)
        let limits = LogLimits(segmentBytes: 4096, maxBatchBytes: 8192)
        var log = try openLog(disk, limits: limits)
        disk.capacity = 4096 * 4
        let batch = LogBatch(hardState: vote, entries: entries(1...100, size: 300))
        #expect(throws: LogError.self) { try log.append(batch) }
        disk.capacity = nil
        try log.append(batch)
        try log.sync()
        disk.crash()
        var found = try openLog(disk, limits: limits)
        #expect(try found.tail(after: .zero) == batch.entries)
    }

    @Test func `An entry that no batch can hold is refused, and nothing of it stays`() throws {
        let disk = SimulatedDisk(seed: 5)
        let limits = LogLimits(segmentBytes: 4096, maxBatchBytes: 8192)
        var log = try openLog(disk, limits: limits)
        let error = try #require(throws: LogError.self) {
            try log.append(LogBatch(entries: entries(1...1, size: 10_000)))
        }
        guard case .tooLarge(_, 8192) = error else {
            Issue.record("\(error)")
            return
        }
        try log.append(LogBatch(entries: entries(1...1)))
    }

    // MARK: Directories

    @Test func `Directories are made with all above them, and twice is no error`() throws {
        let directory = try TemporaryDirectory("wal", isInMemory: false)
        defer { withExtendedLifetime(directory) {} }
        let folder = directory.path
        let disk = PosixDisk()
        try disk.makeDirectories(folder + "/a//b/c/")
        try disk.makeDirectories(folder + "/a/b/c")
        #expect(try disk.list(folder + "/a/b") == ["c"])
        _ = try disk.createFile(folder + "/file")
        let error = try #require(throws: DiskError.self) {
            try disk.makeDirectories(folder + "/file/x")
        }
        #expect(error.operation == .createDirectory && error.code == ENOTDIR)
    }
}
