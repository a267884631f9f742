import Raft
import Wire

@testable import WriteAheadLog

/// A segment of the log as a start finds it: it is refused by an error that names the file, or
/// what it holds can be read, goes on, and is found again.
///
/// The first byte of an input says what the rest is: the file (0), the file with checksums that are
/// set right (1), the records of a batch behind an intact head (2), or a head and more (3).
extension FuzzTarget {
    static let log = FuzzTarget(name: "log", largestInput: 8192) { bytes throws(Complaint) in
        guard let first = bytes.first else { return }
        let rest = Array(bytes.dropFirst())
        let content =
            switch first % 4 {
            case 0: rest
            case 1: LogCheck.mended(rest)
            case 2: LogCheck.segment([LogCheck.records([.head(LogState())]), rest])
            default: LogCheck.segment([rest])
            }
        try LogCheck.start(content)
    } seeds: {
        let head = LogCheck.records([.head(LogState())])
        let file = LogCheck.segment([head, LogCheck.records(LogCheck.samples)])
        return [FuzzSeed("file", [0] + file), FuzzSeed("mended", [1] + file)]
            + LogCheck.samples.enumerated().map {
                FuzzSeed("record-\($0)", [2] + LogCheck.records([$1]))
            } + [
                FuzzSeed("records", [2] + LogCheck.records(LogCheck.samples)),
                FuzzSeed("head", [3] + head),
            ]
    }
}

enum LogCheck {
    private static let bootID = RandomID(high: 1, low: 2)
    private static let path = "/log/" + SegmentHeader.fileName(1)
    private static let salt: UInt64 = 77
    private static let vote = HardState.Vote(
        candidate: NodeID("2"), incarnation: Samples.incarnation(2))

    static let samples: [LogRecord] = [
        .metadata(.identity(Samples.identity)), .metadata(.cluster(Samples.cluster)),
        .metadata(.bootstrapMembership(Samples.membership)), .metadata(.generation(1)),
        .hardState(HardState(term: Term(2), votedFor: vote)),
        .entries(Samples.entries), .commitIndex(LogIndex(2)),
        .base(LogPosition(index: LogIndex(1), term: Term(1))), .boot(bootID),
        .metadata(.abandoned(ClusterID(RandomID(high: 3, low: 4)))),
        .metadata(.formation([1, 2, 3])), .metadata(.registry([4])), .metadata(.quarantine([5])),
        .metadata(
            .recovered(
                ClusterID(RandomID(high: 8, low: 8)), Samples.membership, at: LogIndex(3))),
        .metadata(.caughtUp), .durableMark,
    ]

    static func records(_ records: [LogRecord]) -> [UInt8] {
        Samples.bytes { writer in for record in records { record.encode(into: &writer) } }
    }

    /// A file of one segment with batches of these contents.
    static func segment(_ contents: [[UInt8]]) -> [UInt8] {
        let size = contents.reduce(SegmentHeader.size) { $0 + $1.count + 64 }
        let header = SegmentHeader(
            number: 1, salt: salt, startsAnew: true, capacity: max(size, 4096), previousEnd: 0,
            previousChecksum: 0)
        var bytes = header.encoded
        var checksum = header.checksum
        for content in contents {
            (checksum, bytes) = appending(content, to: bytes, after: checksum)
        }
        return bytes + [UInt8](repeating: 0, count: max(0, header.capacity - bytes.count))
    }

    private static func appending(
        _ content: [UInt8], to bytes: [UInt8], after previous: UInt32
    ) -> (UInt32, [UInt8]) {
        let unit = BatchHeader.alignment
        let length = (BatchHeader.size + content.count + unit) / unit * unit
        var batch = Samples.bytes {
            $0.write(BatchHeader.magic)
            $0.write(UInt32(length))
            $0.write(UInt32(bytes.count))
            $0.write(UInt32(0))
            $0.write(previous)
            $0.writeZeros(8)
            $0.writeRaw(content)
            $0.writeZeros(length - BatchHeader.size - content.count - 1)
            $0.write(BatchHeader.lastByte)
        }
        return (seal(&batch, at: 0, salt: salt), bytes + batch)
    }

    /// Sets both checksums of the batch whose header stands there.
    private static func seal(_ bytes: inout [UInt8], at place: Int, salt: UInt64) -> UInt32 {
        let length = Int(Checksums.number(bytes, at: place + 4))
        let content = bytes[place + BatchHeader.size..<place + length]
        Checksums.set(
            BatchHeader.checksum(of: content, salt: salt), at: place + 20, of: &bytes)
        let checksum = BatchHeader.checksum(of: bytes[place..<place + 24], salt: salt)
        Checksums.set(checksum, at: place + 24, of: &bytes)
        return checksum
    }

    /// The file with all checksums right, as far as its batches are whole.
    static func mended(_ file: [UInt8]) -> [UInt8] {
        var bytes = file
        guard bytes.count >= SegmentHeader.size else { return bytes }
        Checksums.set(CRC32C(bytes[0..<60]).value, at: 60, of: &bytes)
        var checksum = CRC32C(bytes[0..<60]).value
        let salt = bytes[24..<32].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        var place = SegmentHeader.size
        while place + BatchHeader.size < bytes.count {
            let length = Int(Checksums.number(bytes, at: place + 4))
            guard length > BatchHeader.size, length <= bytes.count - place else { break }
            Checksums.set(checksum, at: place + 16, of: &bytes)
            checksum = seal(&bytes, at: place, salt: salt)
            place += length
        }
        return bytes
    }

    static func start(_ content: [UInt8]) throws(Complaint) {
        let disk = MemoryDisk()
        disk.createFile(path).bytes = content
        do throws(LogError) {
            let (state, entries) = try open(disk)
            let (later, found) = try open(disk)
            try Self.compare((state, entries), (later, found))
        } catch {
            try judge(error)
        }
    }

    private static func compare(
        _ one: (LogState, [Entry]), _ other: (LogState, [Entry])
    ) throws(LogError) {
        guard one.1 != other.1 || one.0 != other.0 else { return }
        throw .corrupt(file: "", offset: -1, reason: "\(one) became \(other)")
    }

    /// What a start finds, after it has added one entry and the log is closed.
    private static func open(_ disk: MemoryDisk) throws(LogError) -> (LogState, [Entry]) {
        var limits = LogLimits(segmentBytes: 4096)
        limits.maxBatchBytes = 1 << 16
        var log = try SegmentedLog.open(
            on: disk, directory: "/log", limits: limits, bootID: bootID)
        let entries = try log.tail(after: .zero)
        let count = log.state.last.index.distance(from: log.state.base.index)
        guard entries.count == count else {
            throw .corrupt(file: "", offset: -1, reason: "\(entries.count) entries of \(count)")
        }
        try log.append(LogBatch(commitIndex: log.state.commitIndex))
        try log.sync()
        return (log.state, entries)
    }

    private static func judge(_ error: LogError) throws(Complaint) {
        switch error {
        case .corrupt(let file, let offset, let reason):
            try Complaint.unless(
                file.hasPrefix("/log/log-") && offset >= 0, "\(reason), in \(file) at \(offset)")
        case .unsupportedVersion(let file, _, _):
            try Complaint.unless(file == path, "a version in \(file)")
        case .diskFull, .tooLarge: break
        case .outOfDescriptors, .syncFailed, .failed: throw Complaint("\(error)")
        }
    }
}
