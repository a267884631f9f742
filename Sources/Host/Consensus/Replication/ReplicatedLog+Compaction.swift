package import Raft

/// When the log loses its oldest entries: only what a finished checkpoint covers, by the settings, or
/// once as somebody asks; and, but for that one, nothing that a member lacks which has just installed a snapshot, nor
/// what is still to be copied elsewhere. Without room little is kept for members that may come to lag.
extension ReplicatedLog {
    /// Drops what the last checkpoint covers, and keeps so many entries behind it; nil: as many as
    /// always. Members that lack what was dropped get a snapshot. Over when `isCompacting` is false.
    package mutating func compact(keeping tail: UInt64?) {
        let tail = tail ?? UInt64(settings.trailingEntries)
        wantedTail = min(tail, wantedTail ?? tail)
        drain()
    }

    /// Whether `compact` would drop anything now.
    package func canCompact(keeping tail: UInt64?) -> Bool {
        compactionTarget(keeping: tail ?? UInt64(settings.trailingEntries)) > baseIndex
    }

    /// Entries are being dropped, or will be next.
    package var isCompacting: Bool { compacting || wantedTail != nil }

    /// What follows `index` is copied elsewhere by and by. While this node leads it stays in the log, as long as no more
    /// of it comes than `byteLimit` bytes, and the log can be written. To be said again and again: beside a database without
    /// room an old word counts no more.
    /// - Parameter wish: what follows this stays, too, where it is not more either; nil: nothing else.
    package mutating func keep(
        behind index: LogIndex, wishing wish: LogIndex? = nil, atMost byteLimit: Int
    ) {
        var tail = heldTail ?? HeldTail()
        tail.advance(to: index, wishing: wish ?? index, atMost: byteLimit)
        tail.saidAt = ticks
        heldTail = tail
        drain()
    }

    /// There is no room for the database, or there is again: the log may be what fills the disk.
    package mutating func databaseFull(_ isFull: Bool) {
        isDatabaseFull = isFull
        drain()
    }

    /// - Parameter base: where the log begins now. One that did not move tells that the compaction
    ///   failed, for lack of room; it is proposed again after a while.
    package mutating func compacted(through base: LogPosition) {
        compacting = false
        if base.index <= baseIndex {
            compactionPausedUntil = ticks + UInt64(settings.compactionRetryTicks)
        }
        baseIndex = max(baseIndex, base.index)
        raft.compacted(through: base)
        drain()
    }

    private func compactionTarget(keeping tail: UInt64) -> LogIndex {
        let last = appliedIndex.rawValue
        return min(checkpointedIndex, LogIndex(last > tail ? last - tail : 0))
    }

    /// Here, or on the same disk.
    private var lacksRoom: Bool { isStorageFull || isDatabaseFull }

    /// What the settings keep is for members that may come to lag, in entries, however large. Without room none of
    /// it stays but what some lack now, by what a leader knows. A follower knows nothing of that and may lead next, when
    /// nobody has room for a snapshot: there the newest stay, as far as they are in memory.
    private var usualTarget: LogIndex {
        let target = compactionTarget(keeping: UInt64(settings.trailingEntries))
        guard lacksRoom else { return target }
        let end = compactionTarget(keeping: 0)
        let needless =
            raft.role == .leader ? raft.matchedByAll ?? end : raft.firstCachedIndex.previous
        return max(target, min(end, needless))
    }

    /// What follows this is still to be copied elsewhere; nil: nothing stays for that.
    private var neededByCopies: LogIndex? {
        guard let heldTail else { return nil }
        // Who copies hangs, perhaps, and would say now that less may stay.
        let isOld = ticks - heldTail.saidAt > UInt64(settings.copyingTicks)
        return isDatabaseFull && isOld ? nil : heldTail.needed
    }

    mutating func proposeCompaction() {
        if raft.role != .leader { heldTail = nil }
        guard !compacting else { return }
        if let tail = wantedTail {
            wantedTail = nil
            let target = compactionTarget(keeping: tail)
            if target > baseIndex { return startCompaction(target) }
        }
        guard ticks >= compactionPausedUntil else { return }
        var target = usualTarget
        let least = lacksRoom ? 1 : settings.compactionThreshold
        guard target.distance(from: baseIndex) >= least else { return }
        // Who has just installed a snapshot gets the rest from the log, or needs the next one at once, and so does
        // who copies the log. One that can't be written must get shorter all the same.
        if !isStorageStalled {
            if let needed = raft.neededBehind { target = min(target, needed) }
            if let needed = neededByCopies { target = min(target, needed) }
        }
        guard target.distance(from: baseIndex) >= least else { return }
        startCompaction(target)
    }

    private mutating func startCompaction(_ target: LogIndex) {
        compacting = true
        effects.append(.compactLog(through: target))
    }
}
