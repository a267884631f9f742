import Wire

/// A body that comes in parts and goes out as it is: a copy of the database.
struct StreamedContent {
    /// Pieces before `front` are taken.
    private var pieces: [ResultPart.Piece] = []
    private var front = 0
    private var bytes: [UInt8] = []
    private var usedUp = 0
    private var waiting = 0

    /// Bytes of parts that are not written.
    var heldBytes: Int { waiting }

    mutating func feed(_ part: ResultPart) {
        if front == pieces.count {
            pieces = part.pieces
            front = 0
        } else {
            pieces += part.pieces
        }
        waiting += part.byteCount
    }

    /// What was made since it was last taken.
    mutating func takeBytes() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    /// Bytes of parts that were used up since this was last asked.
    mutating func takeUsedUp() -> Int {
        defer { usedUp = 0 }
        return usedUp
    }

    /// Goes on until at least `size` bytes are there to be taken, or all that has come is. A body
    /// that can't be had to its end has none: the client sees that it is not complete.
    mutating func advance(until size: Int) throws(WireError) -> HTTPSlice {
        while bytes.count < size {
            guard front < pieces.count else { return .starved }
            let piece = pieces[front]
            pieces[front] = .content([])
            front += 1
            let count = piece.byteCount
            usedUp += count
            waiting -= count
            switch piece {
            case .contentBegins: break
            case .content(let more): if bytes.isEmpty { bytes = more } else { bytes += more }
            case .end(let error, _): return error == nil ? .last : .failed
            case .statement, .rowsBegin, .cells, .rowsEnd:
                throw .invalid(field: "piece of a body", value: 0)
            }
        }
        return .more
    }
}
