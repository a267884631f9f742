package import Raft

/// The durable log of a node: entries, hard state and the node's own metadata in one stream of
/// batches over segment files (`SegmentHeader`, `BatchHeader`, `LogRecord` give the format).
///
/// 1. Opening it recovers what is on the disk: `state`, and `torn` for what had to be cut.
/// 2. `append` writes a batch; `sync` makes all that was appended durable with one `fdatasync`.
///    After a crash a prefix of the appended batches is found, and never less than was synced.
/// 3. `compact` and `reset` move the base and remove whole segments; `markClean` when idle or
///    stopping lets the next start tell damage from a torn write.
///
/// All calls block and belong on one thread. An error that may pass (`LogError.isFatal`) leaves the
/// log as it was before the call, or with a beginning of a batch that had to be split, and the same
/// call again completes it; after any other error from a writing call each later one throws the
/// same again.
package struct SegmentedLog<D: Disk>: ~Copyable {
    /// What the log says now, with all that was appended, durable or not.
    package internal(set) var state: LogState
    /// What opening the log cut off its end: one line for the operator's log.
    package let torn: TornTail?

    let disk: D
    let directory: String
    private let limits: LogLimits
    /// Oldest first; the last one is `active`, whose end stands there.
    var segments: [Segment]
    var active: ActiveSegment<D.File>
    var index: SparseIndex
    /// The older segment that was read last.
    var reader: (number: UInt64, file: D.File)?
    /// The active segment has bytes behind its end that must not be found there, or is of an older
    /// version: the next batch goes to a new one.
    private var mustRoll: Bool
    private var failure: LogError?

    /// Room in a segment that only the log's own records may take, so that a full disk does not
    /// keep it from compacting.
    private static var reserve: Int { 512 }

    /// Recovers the log in the directory, or begins one there.
    /// - Parameters:
    ///   - directory: holds nothing but this log; its parent exists.
    ///   - bootID: names the time since the machine started (Linux: its `boot_id`).
    package static func open(
        on disk: D, directory: String, limits: LogLimits = LogLimits(), bootID: RandomID
    ) throws(LogError) -> SegmentedLog {
        var recovery = try Recovery(on: disk, directory: directory, bootID: bootID)
        if let last = recovery.last {
            var log = SegmentedLog(
                on: disk, directory: directory, limits: limits, recovery: recovery, active: last)
            try log.rewrite(from: recovery.provenSize)
            try log.recordStart(in: bootID)
            return log
        }
        recovery.state.bootID = bootID
        let active = try first(
            on: disk, directory: directory, limits: limits, state: recovery.state)
        recovery.segments = [Segment(header: active.header, end: active.end)]
        return SegmentedLog(
            on: disk, directory: directory, limits: limits, recovery: recovery, active: active)
    }

    private init(
        on disk: D, directory: String, limits: LogLimits, recovery: Recovery<D>,
        active: ActiveSegment<D.File>
    ) {
        self.disk = disk
        self.directory = directory
        self.limits = limits
        self.active = active
        state = recovery.state
        torn = recovery.torn
        segments = recovery.segments
        index = recovery.index
        mustRoll =
            recovery.torn != nil || active.header.version < SegmentHeader.formatVersion
    }

    /// The first segment of a new log.
    private static func first(
        on disk: D, directory: String, limits: LogLimits, state: LogState
    ) throws(LogError) -> ActiveSegment<D.File> {
        let header = SegmentHeader(
            number: 1, salt: salt(state.bootID, number: 1, checksum: 0), startsAnew: true,
            capacity: limits.segmentBytes, previousEnd: 0, previousChecksum: 0)
        do throws(DiskError) {
            return try .create(on: disk, directory: directory, header: header, state: state)
        } catch {
            throw LogError(error)
        }
    }

    // MARK: Recovery

    /// Writes again what no header proves durable. It was read from the page cache, perhaps after
    /// a sync that failed; then the pages count as clean and a sync alone would do nothing.
    private mutating func rewrite(from start: Int) throws(LogError) {
        do throws(DiskError) {
            var offset = start
            while offset < active.end {
                let bytes = try active.file.read(min(1 << 20, active.end - offset), at: offset)
                try active.file.write(bytes, at: offset)
                offset += max(1, bytes.count)
            }
            if start < active.end { try active.file.syncData() }
        } catch {
            throw LogError(error)
        }
    }

    /// Makes the start and, if a tail is cut, the cut durable. Without room both happen with
    /// the first batch that finds room.
    private mutating func recordStart(in bootID: RandomID) throws(LogError) {
        let isNewBoot = state.bootID != bootID
        state.bootID = bootID
        if torn?.isDamage == true { state.mustCatchUpBeforeVoting = true }
        do throws(LogError) {
            if mustRoll {
                try roll(for: 0, isUrgent: true)
            } else if isNewBoot {
                try write([.boot(bootID)], isUrgent: true)
                try sync()
            }
        } catch {
            guard !error.isFatal else { throw error }
        }
    }

    // MARK: Writing

    /// Writes the batch behind all others; `sync` makes it durable. Entries past half of
    /// `LogLimits.maxBatchBytes` are written as further batches, in order: after a crash a beginning
    /// of them is found, as after several calls.
    package mutating func append(_ batch: LogBatch) throws(LogError) {
        check(batch)
        var records = batch.records.map(LogRecord.metadata)
        if let hardState = batch.hardState { records.append(.hardState(hardState)) }
        var rest = batch.entries[...]
        while true {
            let (part, size) = Self.part(of: rest, bytes: limits.maxBatchBytes / 2)
            rest = rest.dropFirst(part.count)
            if !part.isEmpty { records.append(.entries(part)) }
            if rest.isEmpty, let commitIndex = batch.commitIndex, commitIndex > state.commitIndex {
                records.append(.commitIndex(commitIndex))
            }
            if !records.isEmpty {
                try write(records, isUrgent: false, reserving: size + 256)
            }
            guard !rest.isEmpty else { return }
            records = []
        }
    }

    /// The first entries that fit: at least one, however large.
    private static func part(
        of entries: ArraySlice<Entry>, bytes limit: Int
    ) -> (entries: [Entry], size: Int) {
        var size = 0
        var count = 0
        for entry in entries {
            guard count == 0 || size + entry.size <= limit else { break }
            size += entry.size
            count += 1
        }
        return (Array(entries.prefix(count)), size)
    }

    /// Makes everything appended durable.
    package mutating func sync() throws(LogError) {
        if let failure { throw failure }
        do throws(DiskError) {
            try active.sync()
        } catch {
            throw fail(error)
        }
    }

    /// Lets the next start know that all so far was durable, so that damage to it is not taken for
    /// a write that never finished. For when the node is idle, and when it stops.
    package mutating func markClean() throws(LogError) {
        if let failure { throw failure }
        guard active.isUnmarked, !mustRoll else { return }
        try sync()
        try write([.durableMark], isUrgent: true)
        try sync()
    }

    private func check(_ batch: LogBatch) {
        if let hardState = batch.hardState {
            precondition(
                hardState.term >= state.hardState.term,
                "term \(hardState.term) after \(state.hardState.term)")
        }
        if let first = batch.entries.first {
            precondition(
                first.index > state.base.index && first.index <= state.last.index.next,
                "entry \(first.index) on a log of \(state.base.index) to \(state.last.index)")
            precondition(
                batch.entries.indices.allSatisfy {
                    batch.entries[$0].index == first.index.advanced(by: $0)
                }, "entries from \(first.index) are not contiguous")
        }
        for case .bootstrapMembership in batch.records {
            precondition(state.last == .zero, "a bootstrap membership at \(state.last)")
        }
    }

    /// - Parameter isUrgent: may use the reserve, and a small segment when there is no room for a
    ///   full one.
    mutating func write(
        _ records: [LogRecord], isUrgent: Bool, reserving size: Int = 64
    ) throws(LogError) {
        if let failure { throw failure }
        var encoder = BatchEncoder(reserving: size)
        for record in records { encoder.add(record) }
        let count = encoder.sealedCount
        guard count <= limits.maxBatchBytes else {
            throw .tooLarge(bytes: count, limit: limits.maxBatchBytes)
        }
        if mustRoll || !active.hasRoom(for: count, reserve: isUrgent ? 0 : Self.reserve) {
            try roll(for: count, isUrgent: isUrgent)
        }
        let place = LogPlace(segment: active.header.number, offset: active.end)
        do throws(DiskError) {
            try active.append(encoder, isMark: records == [.durableMark])
        } catch {
            mustRoll = true
            throw fail(error)
        }
        segments[segments.count - 1].end = active.end
        for record in records {
            if case .entries(let entries) = record, let first = entries.first {
                index.add(first.index, last: state.last.index, at: place)
            }
            state.apply(record)
        }
    }

    // MARK: Segments

    /// Begins a new segment with room for a batch of `count` bytes. The active one is synced
    /// first: all before the last segment is durable, always.
    private mutating func roll(for count: Int, isUrgent: Bool) throws(LogError) {
        try sync()
        var head = state
        if limits.rules.breaks(.losesHardState) { head.hardState = HardState() }
        try begin(head, room: count, startsAnew: false, isUrgent: isUrgent)
    }

    /// - Parameter room: of the first batch.
    mutating func begin(
        _ newState: LogState, room: Int, startsAnew: Bool, isUrgent: Bool
    ) throws(LogError) {
        var head = BatchEncoder(reserving: 1024)
        head.add(.head(newState))
        let needed = SegmentHeader.size + head.sealedCount + room + Self.reserve
        do throws(LogError) {
            try create(
                newState, capacity: max(limits.segmentBytes, needed), startsAnew: startsAnew)
        } catch {
            guard case .diskFull = error, isUrgent else { throw error }
            try create(newState, capacity: needed, startsAnew: startsAnew)
        }
    }

    private mutating func create(
        _ newState: LogState, capacity: Int, startsAnew: Bool
    ) throws(LogError) {
        if let failure { throw failure }
        let number = active.header.number + 1
        let header = SegmentHeader(
            number: number,
            salt: Self.salt(newState.bootID, number: number, checksum: active.checksum),
            startsAnew: startsAnew, capacity: capacity,
            previousEnd: active.end, previousChecksum: active.checksum)
        do throws(DiskError) {
            active = try .create(
                on: disk, directory: directory, header: header, state: newState)
        } catch {
            throw fail(error)
        }
        segments.append(Segment(header: header, end: active.end))
        mustRoll = false
    }

    /// What to throw for the error; unless it may pass, every later call throws it too.
    mutating func fail(_ error: DiskError) -> LogError {
        let logError = LogError(error)
        if logError.isFatal { failure = logError }
        return logError
    }

    private static func salt(_ bootID: RandomID?, number: UInt64, checksum: UInt32) -> UInt64 {
        // A mix of what differs between nodes, starts and segments; clients see none of it.
        var value = bootID.map { $0.high ^ $0.low &* 0x9E37_79B9_7F4A_7C15 } ?? 0
        value = (value ^ number << 32 ^ UInt64(checksum)) &* 0xBF58_476D_1CE4_E5B9
        return value ^ value >> 31
    }
}

extension SegmentedLog: Sendable where D: Sendable, D.File: Sendable {}
