package import Raft

extension SegmentedLog {
    /// Entries from `from` on, until their size reaches `byteLimit`: at least one unless `from`
    /// lies outside of the log. They need not be durable yet.
    package mutating func entries(
        from: LogIndex, byteLimit: Int
    ) throws(LogError) -> [Entry] {
        var found: [Entry] = []
        var size = 0
        try scan(from: from) { entry in
            found.append(entry)
            size += entry.size
            return size < byteLimit
        }
        return found
    }

    /// Goes through entries from `from` on, as long as `goesOn` says so.
    private mutating func scan(
        from: LogIndex, _ goesOn: (Entry) -> Bool
    ) throws(LogError) {
        guard from > state.base.index, from <= state.last.index else { return }
        var wanted = from
        var open: (segment: UInt64, scanner: SegmentScanner<D.File>)?
        while wanted <= state.last.index {
            guard let region = index.region(of: wanted) else { throw missing(wanted) }
            let place = region.mark.place
            if open?.segment != place.segment {
                open = (place.segment, try scanner(at: place))
            }
            open?.scanner.seek(to: place.offset)
            let end = region.end ?? state.last.index.next
            while wanted < end {
                guard let records = try open?.scanner.next()?.records else {
                    throw missing(wanted)
                }
                for case .entries(let entries) in records {
                    for entry in entries where entry.index == wanted && wanted < end {
                        wanted = wanted.next
                        guard goesOn(entry) else { return }
                    }
                }
            }
        }
    }

    /// All entries after `index`, which the database has applied.
    package mutating func tail(after index: LogIndex) throws(LogError) -> [Entry] {
        try entries(from: max(index, state.base.index).next, byteLimit: .max)
    }

    /// What a start needs of the entries after `index`, which the database has applied.
    ///
    /// A node that applied nothing for long has any number of them: they are gone through, and not
    /// held.
    /// - Parameter byteLimit: of the entries held, beside those that are not committed.
    package mutating func tail(
        after index: LogIndex, holding byteLimit: Int
    ) throws(LogError) -> LogTail {
        var tail = LogTail.Collector(committed: state.commitIndex, byteLimit: byteLimit)
        try scan(from: max(index, state.base.index).next) { entry in
            tail.append(entry)
            return true
        }
        return tail.tail
    }

    /// Room claimed on the disk.
    package var bytesOnDisk: Int { segments.reduce(0) { $0 + $1.header.capacity } }
    /// Files of the log.
    package var segmentCount: Int { segments.count }

    private mutating func scanner(
        at place: LogPlace
    ) throws(LogError) -> SegmentScanner<D.File> {
        guard let segment = segments.first(where: { $0.number == place.segment }) else {
            preconditionFailure("an entry in segment \(place.segment), which is gone")
        }
        return SegmentScanner(
            try file(of: segment), path: path(of: segment), salt: segment.header.salt,
            from: place.offset, checksum: nil, limit: segment.end)
    }

    private mutating func file(of segment: Segment) throws(LogError) -> D.File {
        if segment.number == active.header.number { return active.file }
        if let reader, reader.number == segment.number { return reader.file }
        do throws(DiskError) {
            let file = try disk.openFile(path(of: segment))
            reader = (segment.number, file)
            return file
        } catch {
            throw LogError(error)
        }
    }

    private func missing(_ wanted: LogIndex) -> LogError {
        let place = index.region(of: wanted)?.mark.place
        let segment = place?.segment ?? active.header.number
        return .corrupt(
            file: directory + "/" + SegmentHeader.fileName(segment), offset: place?.offset ?? 0,
            reason: "entry \(wanted) is not found from there on")
    }
}
