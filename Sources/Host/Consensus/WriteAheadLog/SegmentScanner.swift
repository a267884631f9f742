import Wire

/// Reads the batches of a segment one after the other.
struct SegmentScanner<File: DiskFile> {
    private static var windowSize: Int { 256 << 10 }

    private let file: File
    private let path: String
    private let salt: UInt64
    /// Nothing is read from here on.
    private let limit: Int
    /// Where the next batch begins.
    private(set) var offset: Int
    /// Checksum of the batch before it; nil when unknown.
    private(set) var checksum: UInt32?
    private var window: [UInt8] = []
    private var windowStart = 0

    init(
        _ file: File, path: String, salt: UInt64, from offset: Int, checksum: UInt32?, limit: Int
    ) {
        self.file = file
        self.path = path
        self.salt = salt
        self.offset = offset
        self.checksum = checksum
        self.limit = limit
    }

    /// Goes on at a place where a batch is known to begin.
    mutating func seek(to offset: Int) {
        if offset != self.offset { checksum = nil }
        self.offset = offset
    }

    /// The header of the batch that should stand next, if it is intact and follows what was read.
    mutating func nextHeader() throws(LogError) -> BatchHeader? {
        try load(BatchHeader.size)
        guard
            let header = BatchHeader(
                at: offset - windowStart, of: window, offset: offset, salt: salt),
            header.end <= limit, checksum == nil || header.previousChecksum == checksum
        else { return nil }
        return header
    }

    /// The next batch; nil when none stands intact at `offset`, which then stays where it is.
    mutating func next() throws(LogError) -> (header: BatchHeader, records: [LogRecord])? {
        guard let header = try nextHeader() else { return nil }
        try load(header.length)
        let start = offset - windowStart
        guard start + header.length <= window.count else { return nil }
        let range = start + BatchHeader.size..<start + header.length
        guard BatchHeader.checksum(of: window[range], salt: salt) == header.contentChecksum
        else { return nil }
        let records: [LogRecord]
        do throws(WireError) {
            var reader = ByteReader(window, in: range)
            records = try LogRecord.all(in: &reader)
        } catch {
            throw .corrupt(
                file: path, offset: offset, reason: "a batch with a valid checksum: \(error)")
        }
        offset = header.end
        checksum = header.checksum
        return (header, records)
    }

    /// Makes `count` bytes from `offset` stand in the window, if the file has them.
    private mutating func load(_ count: Int) throws(LogError) {
        // A place that a header tells may lie behind the end.
        let left = max(0, limit - offset)
        let wanted = min(count, left)
        if offset >= windowStart, offset + wanted <= windowStart + window.count { return }
        do throws(DiskError) {
            window = try file.read(
                min(max(wanted, Self.windowSize), left), at: offset)
        } catch {
            throw LogError(error)
        }
        windowStart = offset
    }
}
