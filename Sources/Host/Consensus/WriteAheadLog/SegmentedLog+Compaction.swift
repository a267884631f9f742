package import Raft

extension SegmentedLog {
    /// Entries through `position` are needed no more: a finished, synced checkpoint of the
    /// database covers them. Segments that hold only such entries are removed; all else they said
    /// stands in the head of the first segment that stays.
    package mutating func compact(through position: LogPosition) throws(LogError) {
        guard position.index > state.base.index else { return }
        precondition(
            state.term(at: position.index) == position.term,
            "compaction to \(position) of a log to \(state.last)")
        try write([.base(position)], isUrgent: true)
        index.compact(through: position.index)
        let first = index.region(of: position.index.next)?.mark.place.segment
        try removeSegments(before: first ?? active.header.number)
    }

    /// As `compact(through:)`, but no further than the log reaches.
    /// - Throws: `diskFull` or `outOfDescriptors` if nothing changed and the call can be made again;
    ///   any other error stays.
    package mutating func compact(asFarAs index: LogIndex) throws(LogError) {
        let target = min(index, state.lastIndex)
        guard let term = state.term(at: target) else { return }
        try compact(through: LogPosition(index: target, term: term))
    }

    /// The log begins after a snapshot that is durable, and the database stands in a new
    /// generation: one step on the disk switches to both. No entry remains.
    package mutating func reset(to mark: SnapshotMark, generation: UInt64) throws(LogError) {
        var newState = state
        newState.reset(to: mark, generation: generation)
        try begin(newState, room: 0, startsAnew: true, isUrgent: true)
        state = newState
        index.removeAll()
        try removeSegments(before: active.header.number)
    }

    private mutating func removeSegments(before number: UInt64) throws(LogError) {
        guard let oldest = segments.first, oldest.number < number else { return }
        try sync()
        while let segment = segments.first, segment.number < number {
            if reader?.number == segment.number { reader = nil }
            do throws(DiskError) {
                // A removal that a crash undoes is repeated by the next start.
                try disk.remove(path(of: segment))
            } catch {
                throw fail(error)
            }
            segments.removeFirst()
        }
    }

    func path(of segment: Segment) -> String {
        directory + "/" + SegmentHeader.fileName(segment.number)
    }
}
