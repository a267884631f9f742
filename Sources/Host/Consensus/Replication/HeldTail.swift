internal import Raft

/// What follows a place of the log and is still to be copied elsewhere, entry by entry: as long as no more
/// bytes of it come than may, the log keeps it.
struct HeldTail: Sendable {
    private struct Mark {
        var index: LogIndex
        var total: Int
    }

    /// Through here nothing is needed any more.
    private var index = LogIndex.zero
    /// What is between it and `index` is wished for, and not needed.
    private var wish = LogIndex.zero
    /// Bytes that may stay.
    private var byteLimit = 0
    /// In which tick all that was said last.
    var saidAt: UInt64 = 0
    /// Bytes that were handed out for the database since something is held.
    private var total = 0
    /// Those of them through `index`, roughly.
    private var passed = 0
    /// … and through `wish`.
    private var wishPassed = 0
    /// How many had been handed out through some indexes, ascending.
    private var marks: [Mark] = []

    /// Between two marks, in bytes.
    private static let spacing = 1 << 20

    /// What follows this must stay; nil: nothing must, for it is too much.
    var needed: LogIndex? {
        if total - wishPassed <= byteLimit { return wish }
        return total - passed <= byteLimit ? index : nil
    }

    /// Entries were handed out for the database.
    mutating func add(_ bytes: Int, through index: LogIndex) {
        total += bytes
        guard total - (marks.last?.total ?? passed) >= Self.spacing else { return }
        marks.append(Mark(index: index, total: total))
    }

    /// - Parameters:
    ///   - index: through here nothing is needed from now on.
    ///   - wish: what follows this is wished for; at `index` at most.
    ///   - byteLimit: how much of what follows may stay.
    mutating func advance(to index: LogIndex, wishing wish: LogIndex, atMost byteLimit: Int) {
        self.index = index
        self.wish = min(wish, index)
        self.byteLimit = byteLimit
        if let last = marks.last(where: { $0.index <= index }) { passed = last.total }
        let gone = marks.prefix { $0.index <= self.wish }
        guard let last = gone.last else { return }
        wishPassed = last.total
        marks.removeFirst(gone.count)
    }
}
