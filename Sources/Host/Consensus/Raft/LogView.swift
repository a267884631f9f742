/// What the core knows of the log: the terms of all entries after the base, as runs, and the
/// entries themselves where they may still be needed soon, as a suffix held in memory.
///
/// - `base.index <= settledIndex <= lastIndex`
/// - every entry after `settledIndex` is in memory;
/// - settled entries (durable here, and applied, or read from the log when they are) stay in memory
///   up to `maxCachedBytes`, oldest first out, because a follower usually lacks the newest.
struct LogView: Sendable {
    /// The entry before the first one of the log.
    private(set) var base: LogPosition
    private(set) var lastIndex: LogIndex
    /// The first position of each term after the base, ascending.
    private var runs: [LogPosition]
    /// Entries in memory, up to `lastIndex`, from `head` on; those before `head` are gone and hold
    /// no payload any more.
    private var cache: [Entry]
    private var head = 0
    private var cachedBytes = 0
    /// Bytes of entries after `settledIndex`.
    private(set) var unsettledBytes = 0
    private(set) var settledIndex: LogIndex
    private let maxCachedBytes: Int

    init(restored: RestoredState, maxCachedBytes: Int) {
        let last = restored.lastIndex
        precondition(
            restored.base.index <= restored.appliedIndex && restored.appliedIndex <= last,
            "applied \(restored.appliedIndex) outside the log \(restored.base.index)...\(last)")
        let first = restored.tail.first?.index ?? last.next
        precondition(
            first <= restored.commitIndex.next,
            "the restored tail begins at \(first), committed is \(restored.commitIndex)")
        base = restored.base
        lastIndex = last
        runs = restored.termRuns
        cache = restored.tail.filter { $0.index > restored.base.index }
        settledIndex = max(restored.appliedIndex, first.previous)
        self.maxCachedBytes = maxCachedBytes
        precondition(
            runs.first.map { $0.index == base.index.next } ?? (last == base.index),
            "term runs don't begin after the base \(base)")
        precondition(cache.last.map { $0.index == last } ?? true, "the tail ends before \(last)")
        for entry in cache {
            cachedBytes += entry.size
            if entry.index > settledIndex { unsettledBytes += entry.size }
        }
        evict()
    }

    // MARK: Queries

    var lastPosition: LogPosition {
        LogPosition(index: lastIndex, term: runs.last?.term ?? base.term)
    }

    /// The first entry in memory; `lastIndex.next` when there is none.
    var firstCachedIndex: LogIndex {
        LogIndex(lastIndex.rawValue - UInt64(cache.count - head)).next
    }

    /// The term of an entry, the base included; nil before the base and past the end.
    func term(at index: LogIndex) -> Term? {
        guard index >= base.index && index <= lastIndex else { return nil }
        guard index > base.index else { return base.term }
        return runs[run(holding: index)].term
    }

    /// The last position that is neither after `index` nor of a term after `term`; nil when that
    /// lies before the base.
    func lastPosition(notAfter index: LogIndex, term: Term) -> LogPosition? {
        var end = lastIndex
        for run in runs.reversed() {
            if run.index <= index && run.term <= term {
                return LogPosition(index: min(end, index), term: run.term)
            }
            end = run.index.previous
        }
        return base.index <= index && base.term <= term ? base : nil
    }

    /// Entries in (`start`, `end`], which must be in memory.
    func entries(after start: LogIndex, through end: LogIndex) -> ArraySlice<Entry> {
        guard start < end else { return [] }
        precondition(start.next >= firstCachedIndex && end <= lastIndex, "not in memory: \(start)")
        let first = offset(of: start.next)
        return cache[first..<first + end.distance(from: start)]
    }

    /// Entries from `start` on, at least one, within the limits of one message.
    func batch(from start: LogIndex, maxBytes: Int, maxCount: Int) -> [Entry] {
        precondition(start >= firstCachedIndex && start <= lastIndex, "not in memory: \(start)")
        return cache[offset(of: start)...].batch(maxBytes: maxBytes, maxCount: maxCount)
    }

    // MARK: Changes

    mutating func append(_ entries: some Collection<Entry>) {
        for entry in entries {
            precondition(entry.index == lastIndex.next, "\(entry.index) appended to \(lastIndex)")
            if runs.isEmpty || lastPosition.term != entry.term { runs.append(entry.position) }
            cache.append(entry)
            lastIndex = entry.index
            cachedBytes += entry.size
            unsettledBytes += entry.size
        }
    }

    /// Discards `index` and all after it.
    mutating func truncate(from index: LogIndex) {
        precondition(index > settledIndex, "settled entry \(index) would be discarded")
        let first = offset(of: index)
        for entry in cache[first...] {
            cachedBytes -= entry.size
            unsettledBytes -= entry.size
        }
        cache.removeSubrange(first...)
        lastIndex = index.previous
        runs.removeAll { $0.index >= index }
    }

    /// Entries through `index` are durable here, and nobody needs them in memory.
    mutating func settle(through index: LogIndex) {
        guard index > settledIndex else { return }
        for entry in entries(after: settledIndex, through: index) { unsettledBytes -= entry.size }
        settledIndex = index
        evict()
    }

    /// The log begins after `position` now, which it holds.
    mutating func compact(through position: LogPosition) {
        guard position.index > base.index else { return }
        precondition(
            term(at: position.index) == position.term, "compaction at \(position): another term")
        settle(through: position.index)
        while head < cache.count && cache[head].index <= position.index { dropFirst() }
        if position.index == lastIndex {
            runs = []
        } else {
            let first = run(holding: position.index.next)
            let start = LogPosition(index: position.index.next, term: runs[first].term)
            runs.replaceSubrange(...first, with: [start])
        }
        base = position
        evict()
    }

    /// The log is empty and begins after `position`.
    mutating func reset(to position: LogPosition) {
        base = position
        lastIndex = position.index
        settledIndex = position.index
        runs = []
        cache = []
        head = 0
        cachedBytes = 0
        unsettledBytes = 0
    }

    // MARK: Helpers

    private func run(holding index: LogIndex) -> Int {
        var low = 0
        var high = runs.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if runs[middle].index <= index { low = middle } else { high = middle - 1 }
        }
        return low
    }

    private func offset(of index: LogIndex) -> Int {
        precondition(index >= firstCachedIndex, "entry \(index) is not in memory")
        return head + index.distance(from: firstCachedIndex)
    }

    private mutating func evict() {
        while head < cache.count && cache[head].index <= settledIndex
            && cachedBytes - unsettledBytes > maxCachedBytes
        {
            dropFirst()
        }
        // Removing from the front moves the rest: only when that is no more than was removed.
        if head * 2 > cache.count {
            cache.removeFirst(head)
            head = 0
        }
    }

    private mutating func dropFirst() {
        cachedBytes -= cache[head].size
        cache[head].payload = .noop
        head += 1
    }
}

extension Collection<Entry> where SubSequence == ArraySlice<Entry> {
    /// The first entries that fit in one message: at least one, however large.
    func batch(maxBytes: Int, maxCount: Int) -> [Entry] {
        var bytes = 0
        var count = 0
        for entry in self {
            bytes += entry.size
            guard count == 0 || (bytes <= maxBytes && count < maxCount) else { break }
            count += 1
        }
        return Array(prefix(count))
    }
}
