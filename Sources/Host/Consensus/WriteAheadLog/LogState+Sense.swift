import Raft

/// What a start makes of records whose checksums are right: they must go on from the state before
/// them, or whoever reads the log later would look for entries that nobody wrote.
extension LogState {
    /// Why the record can't follow this state; nil: it can.
    func objection(to record: LogRecord) -> String? {
        switch record {
        case .entries(let entries): objection(to: entries)
        case .base(let position):
            position.index < base.index || position.index > last.index
                ? "compacted through \(position), but the log holds \(base) to \(last)" : nil
        case .head(let head):
            head.base.index > head.last.index || head.last.index > Reach.lastIndex
                ? "its head says the log holds \(head.base) to \(head.last)" : nil
        case .hardState, .commitIndex, .metadata, .boot, .durableMark: nil
        }
    }

    private func objection(to entries: [Entry]) -> String? {
        guard let first = entries.first?.index, let last = entries.last?.index else { return nil }
        guard first > base.index, first <= self.last.index.next, last <= Reach.lastIndex else {
            return "entries \(first) to \(last), but the log holds \(base) to \(self.last)"
        }
        for (entry, next) in zip(entries, entries.dropFirst())
        where next.index != entry.index.next {
            return "entry \(next.index) stands behind entry \(entry.index)"
        }
        return nil
    }
}
