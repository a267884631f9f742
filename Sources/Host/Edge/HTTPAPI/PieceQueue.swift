import Wire

/// Pieces of an answer in parts that have come and are not used up yet.
struct PieceQueue {
    /// Those before `front` are taken.
    private var pieces: [ResultPart.Piece] = []
    private var front = 0
    private var usedUp = 0
    /// Bytes of the pieces that are not taken.
    private(set) var waitingBytes = 0

    mutating func feed(_ part: ResultPart) {
        if front == pieces.count {
            pieces = part.pieces
            front = 0
        } else {
            pieces += part.pieces
        }
        waitingBytes += part.byteCount
    }

    /// The next one; nil: there is none.
    mutating func take() -> ResultPart.Piece? {
        guard front < pieces.count else { return nil }
        let piece = pieces[front]
        // Its bytes are the taker's alone.
        pieces[front] = .content([])
        front += 1
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
