import Wire

/// A body that comes in parts and goes out as it is: a copy of the database.
struct StreamedContent {
    private var queue = PieceQueue()
    private var bytes: [UInt8] = []

    /// Bytes of parts that are not written.
    var heldBytes: Int { queue.waitingBytes }

    mutating func feed(_ part: ResultPart) { queue.feed(part) }

    /// What was made since it was last taken.
    mutating func takeBytes() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    /// Bytes of parts that were used up since this was last asked.
    mutating func takeUsedUp() -> Int { queue.takeUsedUp() }

    /// Goes on until at least `size` bytes are there to be taken, or all that has come is. A body
    /// that can't be had to its end has none: the client sees that it is not complete.
    mutating func advance(until size: Int) throws(WireError) -> HTTPSlice {
        while bytes.count < size {
            guard let piece = queue.take() else { return .starved }
            switch piece {
            case .contentBegins, .copyBegins: break
            case .content(let more): if bytes.isEmpty { bytes = more } else { bytes += more }
            case .end(let error, _): return error == nil ? .last : .failed
            case .statement, .rowsBegin, .cells, .rowsEnd:
                throw .invalid(field: "piece of a body", value: 0)
            }
        }
        return .more
    }
}
