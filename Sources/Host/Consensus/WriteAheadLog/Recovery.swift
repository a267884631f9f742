import Raft

/// Reads the segments of a log in their order and finds its state and its end. All it
/// changes on the disk: files that belong to no log any more are removed.
struct Recovery<D: Disk> {
    private let disk: D
    private let directory: String
    var state = LogState()
    var segments: [Segment] = []
    private(set) var index = SparseIndex()
    private(set) var torn: TornTail?
    private(set) var last: ActiveSegment<D.File>?
    /// How much of the last segment is known to be durable.
    private(set) var provenSize = 0
    /// The last entry that should have been in a segment that is gone.
    private var missingThrough = LogIndex.zero

    init(on disk: D, directory: String, bootID: RandomID) throws(LogError) {
        self.disk = disk
        self.directory = directory
        do throws(DiskError) {
            try disk.createDirectory(directory)
            // A process that died between renaming a segment and this left a name that a power
            // failure could still take back, when the segments before it are gone already.
            try disk.syncDirectory(directory)
            let names = try disk.list(directory)
            for name in names where name.hasSuffix(ActiveSegment<D.File>.unfinishedSuffix) {
                try disk.remove(directory + "/" + name)
            }
        } catch {
            throw LogError(error)
        }
        let (headers, leftovers) = try chain()
        for (place, header) in headers.enumerated() {
            let next = place + 1 < headers.count ? headers[place + 1] : nil
            try read(header, isFirst: place == 0, next: next, bootID: bootID)
        }
        guard missingThrough <= state.base.index else {
            throw .corrupt(
                file: path(headers.first?.number ?? 0), offset: 0,
                reason: """
                    the segments before it are gone, with entries through \(missingThrough); \
                    only those through \(state.base.index) were compacted
                    """)
        }
        do throws(DiskError) {
            for number in leftovers { try disk.remove(path(number)) }
        } catch {
            throw LogError(error)
        }
    }

    /// The headers of the segments that make up the log, oldest first, and the numbers of older
    /// ones that a crash left.
    private func chain() throws(LogError) -> ([SegmentHeader], leftovers: [UInt64]) {
        var numbers: [UInt64]
        do throws(DiskError) {
            numbers = try disk.list(directory).compactMap(SegmentHeader.number(ofFileNamed:))
        } catch {
            throw LogError(error)
        }
        numbers.sort()
        var headers: [SegmentHeader] = []
        while let number = numbers.last {
            if let later = headers.last {
                guard !later.startsAnew, number + 1 == later.number else { break }
            }
            headers.append(try readHeader(number))
            numbers.removeLast()
        }
        return (headers.reversed(), numbers)
    }

    private func path(_ number: UInt64) -> String {
        directory + "/" + SegmentHeader.fileName(number)
    }

    private func readHeader(_ number: UInt64) throws(LogError) -> SegmentHeader {
        let path = path(number)
        let bytes: [UInt8]
        let size: Int
        do throws(DiskError) {
            let file = try disk.openFile(path)
            bytes = try file.read(SegmentHeader.size, at: 0)
            size = try file.size()
        } catch {
            throw LogError(error)
        }
        let header = try SegmentHeader(decoding: bytes, file: path)
        guard header.number == number else {
            throw .corrupt(
                file: path, offset: 16, reason: "the header is segment \(header.number)'s")
        }
        guard size >= header.capacity else {
            throw .corrupt(
                file: path, offset: size,
                reason: "the file ends there, but \(header.capacity) bytes were claimed")
        }
        return header
    }

    private mutating func read(
        _ header: SegmentHeader, isFirst: Bool, next: SegmentHeader?, bootID: RandomID
    ) throws(LogError) {
        let path = path(header.number)
        let file: D.File
        do throws(DiskError) { file = try disk.openFile(path) } catch { throw LogError(error) }
        var scanner = SegmentScanner(
            file, path: path, salt: header.salt, from: SegmentHeader.size,
            checksum: header.checksum, limit: next?.previousEnd ?? header.capacity)
        try readHead(&scanner, of: path, isFirst: isFirst)
        provenSize = scanner.offset
        var isUnmarked = false
        while let (batch, records) = try scanner.next() {
            provenSize = max(provenSize, batch.durableSize)
            isUnmarked = records != [.durableMark]
            for record in records {
                try note(record, at: LogPlace(segment: header.number, offset: batch.offset))
            }
        }
        segments.append(Segment(header: header, end: scanner.offset))
        if let next {
            guard scanner.offset == next.previousEnd, scanner.checksum == next.previousChecksum
            else {
                throw .corrupt(
                    file: path, offset: scanner.offset,
                    reason: "no intact batch there, but the segment goes on to byte "
                        + "\(next.previousEnd)")
            }
            return
        }
        let inspection = TailInspection(
            file: file, path: path, header: header, size: header.capacity)
        torn = try inspection.inspect(
            from: scanner.offset, next: try scanner.nextHeader(),
            sameBoot: state.bootID == bootID)
        last = ActiveSegment(
            file, path: path, header: header, end: scanner.offset,
            checksum: scanner.checksum ?? header.checksum, isUnmarked: isUnmarked)
    }

    private mutating func readHead(
        _ scanner: inout SegmentScanner<D.File>, of path: String, isFirst: Bool
    ) throws(LogError) {
        guard let (_, records) = try scanner.next(), case .head(let head)? = records.first else {
            throw .corrupt(
                file: path, offset: SegmentHeader.size, reason: "the segment has no intact head")
        }
        if isFirst, let objection = state.objection(to: .head(head)) {
            throw .corrupt(file: path, offset: SegmentHeader.size, reason: objection)
        }
        if isFirst {
            missingThrough = head.last.index > head.base.index ? head.last.index : .zero
        } else if head.base != state.base || head.last != state.last {
            throw .corrupt(
                file: path, offset: SegmentHeader.size,
                reason: """
                    its head says the log holds \(head.base) to \(head.last), the segments \
                    before it hold \(state.base) to \(state.last)
                    """)
        }
        state.apply(.head(head))
    }

    private mutating func note(_ record: LogRecord, at place: LogPlace) throws(LogError) {
        if let objection = state.objection(to: record) {
            throw .corrupt(file: path(place.segment), offset: place.offset, reason: objection)
        }
        switch record {
        // It would replace the state that the batches before it add up to.
        case .head:
            throw .corrupt(
                file: path(place.segment), offset: place.offset,
                reason: "a head, which stands only at the beginning of a segment")
        case .entries(let entries):
            guard let first = entries.first?.index else { break }
            if first <= missingThrough { missingThrough = first.previous }
            index.add(first, last: state.last.index, at: place)
        case .base(let base): index.compact(through: base.index)
        default: break
        }
        state.apply(record)
    }
}
