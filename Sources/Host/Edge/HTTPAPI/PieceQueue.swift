import NIOCore
import Wire

/// Pieces of an answer in parts that have come and are not used up yet.
struct PieceQueue {
    private var pieces = CircularBuffer<ResultPart.Piece>()
    private var usedUp = 0
    /// Bytes of the pieces that are not taken.
    private(set) var waitingBytes = 0

    mutating func feed(_ part: ResultPart) {
        pieces.append(contentsOf: part.pieces)
        waitingBytes += part.byteCount
    }

    /// The next one, whose bytes are the taker's alone; nil: there is none.
    mutating func take() -> ResultPart.Piece? {
        guard let piece = pieces.popFirst() else { return nil }
        let count = piece.byteCount
        usedUp += count
        waitingBytes -= count
        return piece
    }

    /// Bytes of pieces that were taken since this was last asked.
    mutating func takeUsedUp() -> Int {
        defer { usedUp = 0 }
        return usedUp
    }
}
