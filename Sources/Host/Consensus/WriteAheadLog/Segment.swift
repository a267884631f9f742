/// A segment file by what a read of it needs.
struct Segment {
    var header: SegmentHeader
    /// Where its last batch ends.
    var end: Int

    var number: UInt64 { header.number }
}

/// The segment that batches are appended to.
struct ActiveSegment<File: DiskFile> {
    let file: File
    let path: String
    let header: SegmentHeader
    /// Where the next batch goes.
    private(set) var end: Int
    /// `durableEnd <= end`
    private(set) var durableEnd: Int
    /// Of the last batch.
    private(set) var checksum: UInt32
    /// No header on the disk states yet that the last batch was durable.
    private(set) var isUnmarked: Bool

    /// - Parameter isUnmarked: true when an unmarked batch may stand at the end.
    init(
        _ file: File, path: String, header: SegmentHeader, end: Int, checksum: UInt32,
        isUnmarked: Bool
    ) {
        self.file = file
        self.path = path
        self.header = header
        self.end = end
        durableEnd = end
        self.checksum = checksum
        self.isUnmarked = isUnmarked
    }

    func hasRoom(for count: Int, reserve: Int) -> Bool {
        end + count + reserve <= header.capacity
    }

    /// Writes the batch behind the last one, or leaves the segment as it was in memory while the
    /// file may hold a part of the batch.
    mutating func append(_ batch: consuming BatchEncoder, isMark: Bool) throws(DiskError) {
        let (bytes, checksum) = batch.sealed(
            at: end, durableSize: durableEnd, previousChecksum: checksum, salt: header.salt)
        try file.write(bytes, at: end)
        end += bytes.count
        self.checksum = checksum
        isUnmarked = !isMark
    }

    mutating func sync() throws(DiskError) {
        guard durableEnd < end else { return }
        try file.syncData()
        durableEnd = end
    }
}

extension ActiveSegment: Sendable where File: Sendable {}

extension ActiveSegment {
    /// Makes a segment that begins with `state`, durably, unless it throws.
    static func create<D: Disk>(
        on disk: D, directory: String, header: SegmentHeader, state: LogState
    ) throws(DiskError) -> ActiveSegment where D.File == File {
        let path = directory + "/" + SegmentHeader.fileName(header.number)
        let unfinished = path + Self.unfinishedSuffix
        var head = BatchEncoder(reserving: 1024)
        head.add(.head(state))
        let (bytes, checksum) = head.sealed(
            at: SegmentHeader.size, durableSize: 0, previousChecksum: header.checksum,
            salt: header.salt)
        let file: File
        do throws(DiskError) {
            file = try disk.createFile(unfinished)
            try file.preallocate(header.capacity)
            try file.write(header.encoded + bytes, at: 0)
            try file.sync()
            // Either the new name is there and durable, or batches go on in the segment before: one
            // that was renamed but given up would hide them from the next start.
            try disk.rename(unfinished, to: path, durablyIn: directory)
        } catch {
            // What was claimed so far must not fill the disk further. Before its creation there is
            // no such file, and none behind the change of names.
            if error.mayPass, error.operation != .create, error.operation != .syncDirectory {
                try disk.remove(unfinished)
            }
            throw error
        }
        return ActiveSegment(
            file, path: path, header: header, end: SegmentHeader.size + bytes.count,
            checksum: checksum, isUnmarked: false)
    }

    static var unfinishedSuffix: String { ".new" }
}

extension DiskFile {
    func write(_ bytes: [UInt8], at offset: Int) throws(DiskError) {
        var failure: DiskError?
        bytes.withUnsafeBytes { buffer in
            do throws(DiskError) { try write(buffer, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
