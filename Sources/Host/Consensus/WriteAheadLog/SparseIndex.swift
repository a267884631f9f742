import Raft

/// Where entries stand: one mark for every 32 KiB of log, from which a read scans forward.
///
/// The entries from a mark's index up to the next mark's stand behind the mark in ascending order,
/// in one segment: discarding entries always sets a new mark where their successors begin.
struct SparseIndex {
    struct Mark: Equatable {
        var index: LogIndex
        var place: LogPlace
    }

    private static let stride = 32 << 10
    /// Ascending by index.
    private var marks: [Mark] = []

    /// A batch at `place` holds entries from `first` on, which discards those at or after it.
    mutating func add(_ first: LogIndex, last: LogIndex, at place: LogPlace) {
        if first <= last {
            marks.removeAll { $0.index >= first }
        } else if let mark = marks.last, mark.place.segment == place.segment,
            place.offset - mark.place.offset < Self.stride
        {
            return
        }
        marks.append(Mark(index: first, place: place))
    }

    /// Entries through `base` are never read again.
    mutating func compact(through base: LogIndex) {
        let kept = position(of: base.next)
        if kept > 0 { marks.removeFirst(kept) }
    }

    mutating func removeAll() { marks = [] }

    /// The mark to scan from for an entry, and the index at which the next mark takes over.
    func region(of index: LogIndex) -> (mark: Mark, end: LogIndex?)? {
        let place = position(of: index)
        guard place < marks.count, marks[place].index <= index else { return nil }
        return (marks[place], place + 1 < marks.count ? marks[place + 1].index : nil)
    }

    /// The last mark at or before `index`; zero when there is none.
    private func position(of index: LogIndex) -> Int {
        var low = 0
        var high = marks.count
        while low < high {
            let middle = (low + high) / 2
            if marks[middle].index <= index { low = middle + 1 } else { high = middle }
        }
        return max(0, low - 1)
    }
}

/// Where a batch begins.
struct LogPlace: Equatable {
    var segment: UInt64
    var offset: Int
}
