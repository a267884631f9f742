package import Raft

/// A base and the pieces that follow it, each behind the one whose hash it names, as far as the names of
/// what is there tell. Two leaders may for a while have put pieces there side by side: then the way that
/// leads farthest counts, and each way holds the same entries.
package struct ArchiveChain: Equatable, Sendable {
    /// What the first piece follows.
    package let base: BaseName
    /// In their order: each begins behind the end of the one before, and names its hash.
    package private(set) var pieces: [PieceName]
    /// Why what is there beyond the end can't be reached; nil: there is nothing.
    package private(set) var gap: String?

    /// - Parameter names: what lies in the base's folder; what is no piece is passed over.
    package init(base: BaseName, names: [String]) {
        self.base = base
        let all = names.compactMap { PieceName($0) }.sorted {
            ($0.first, $0.last, $0.text) < ($1.first, $1.last, $1.text)
        }
        // Where the log stands behind an object that is reached, and by which piece.
        var reached = [String(base.hash.prefix(16)): (end: base.position.index, piece: Int?.none)]
        var farthest = (end: base.position.index, piece: Int?.none)
        for (place, piece) in all.enumerated() {
            // What it follows ends before it begins, so it was looked at before.
            guard let before = reached[piece.predecessor], before.end.next == piece.first else {
                continue
            }
            // The first with a hash counts: what names one another would be followed for ever.
            let key = String(piece.hash.prefix(16))
            if reached[key] == nil { reached[key] = (piece.last, place) }
            if piece.last > farthest.end { farthest = (piece.last, place) }
        }
        pieces = []
        var place = farthest.piece
        while let next = place {
            pieces.append(all[next])
            place = reached[all[next].predecessor]?.piece
        }
        pieces.reverse()
        let beyond = all.first { $0.last > farthest.end }
        gap = beyond.map { beyond in
            beyond.first <= farthest.end.next
                ? "\(beyond.text) follows another object than those that are there: it is missing, or "
                    + "was replaced"
                : "entries \(farthest.end.next) to \(beyond.first.previous) are missing: the next "
                    + "piece there is \(beyond.text)"
        }
    }

    /// The last entry that is there.
    package var end: LogIndex { pieces.last?.last ?? base.position.index }
    /// The clock of the log there.
    package var endMilliseconds: Int64 { pieces.last?.milliseconds ?? base.milliseconds }
    /// Of the object that the next piece follows.
    package var endHash: String { pieces.last?.hash ?? base.hash }

    /// By the log's clock, as bases are newer.
    func leadsFarther(than other: ArchiveChain) -> Bool {
        (endMilliseconds, end) > (other.endMilliseconds, other.end)
    }
}
