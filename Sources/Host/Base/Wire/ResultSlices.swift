/// A result that is there as a whole, made into parts one by one, so that it goes out as it is asked
/// for. It keeps the whole until it is dropped.
package struct ResultSlices: Sendable {
    private let result: CommandResult
    /// The statement that is next, or whose cells are being cut.
    private var index = 0
    /// Of that statement's cells; nil: its rows have not begun.
    private var offset: Int?
    /// The last part was made.
    package private(set) var isFinished = false

    package init(_ result: CommandResult) { self.result = result }

    /// The next part, of about `ResultWindow.partBytes`. Must not be called when all are made.
    package mutating func next() -> ResultPart {
        precondition(!isFinished, "a part after the last")
        var part = ResultPart([])
        var left = ResultWindow.partBytes
        while left > 0, !isFinished {
            let piece = nextPiece(atMost: left)
            left -= piece.byteCount
            part.pieces.append(piece)
        }
        return part
    }

    private mutating func nextPiece(atMost size: Int) -> ResultPart.Piece {
        guard index < result.statements.count else {
            isFinished = true
            return .end(error: result.error, logIndex: result.logIndex)
        }
        let statement = result.statements[index]
        guard case .rows(let rows) = statement.outcome,
            rows.cells.count > ResultWindow.partBytes
        else {
            index += 1
            return .statement(statement)
        }
        guard let start = offset else {
            offset = 0
            return .rowsBegin(columns: rows.columns, types: rows.types, isRead: statement.isRead)
        }
        guard start < rows.cells.count else {
            offset = nil
            index += 1
            return .rowsEnd(nanoseconds: statement.nanoseconds, error: nil)
        }
        let end = min(rows.cells.count, start + size)
        offset = end
        return .cells(Array(rows.cells[start..<end]))
    }
}
