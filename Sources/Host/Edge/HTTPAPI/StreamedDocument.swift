import Wire

/// The document of results that come in parts, written as far as they go. The bytes are those that
/// `ResultDocument` makes of the whole, but for what parts can tell and a whole can't: rows that end
/// with an error have it as a member behind them.
///
/// In the form of lines (`application/x-ndjson`) each line is a document:
///
///     {"columns":[…],"types":[…]}     of a statement with rows; associative: {"types":{…}}
///     […]                             a row; associative: {…}
///     {}                              the statement's end, or all of one without rows; with
///                                     "error", "time", "rows_affected" … as elsewhere
///     {"end":true}                    nothing follows; with "error", "time" and "raft_index"
struct StreamedDocument {
    private enum Stage {
        case opening
        /// The next piece decides.
        case between
        /// Rows of a statement that is there as a whole.
        case statement(StatementResult, RowWriter)
        /// Rows that come by and by.
        case rows(RowWriter, RowSet)
        case finished
    }

    private var output: JSONOutput
    private let members: ResultMembers
    /// Asked when the end is written.
    private let elapsed: () -> Duration
    private var stage = Stage.opening
    private var queue = PieceQueue()
    /// Of `rows`, not written.
    private var cells: [UInt8] = []

    init(_ format: ResultFormat, elapsed: @escaping () -> Duration) {
        members = ResultMembers(format: format)
        self.elapsed = elapsed
        output = JSONOutput(continuing: [], pretty: format.pretty && !format.lines)
    }

    /// Bytes of parts that are not written.
    var heldBytes: Int { queue.waitingBytes + cells.count }

    mutating func feed(_ part: ResultPart) { queue.feed(part) }

    /// What was written since it was last taken.
    mutating func takeBytes() -> [UInt8] { output.takeBytes() }

    /// Bytes of parts that were used up since this was last asked.
    mutating func takeUsedUp() -> Int { queue.takeUsedUp() }

    /// Writes until at least `size` bytes are there to be taken, or all that has come is written. A step
    /// may be spent, without a byte, on looking what a long cell is.
    /// Fails where the cells are not what the columns promise, or the pieces are out of order.
    mutating func advance(until size: Int) throws(WireError) -> HTTPSlice {
        while output.bytes.count < size {
            switch stage {
            case .opening:
                if !members.format.lines {
                    output.beginObject()
                    output.member("results")
                    output.beginArray()
                }
                stage = .between
            case .between:
                guard let piece = queue.take() else { return .starved }
                try begin(piece)
            case .statement(let result, var writer):
                stage = .between
                guard case .rows(let rows) = result.outcome else { continue }
                guard try writer.advance(rows, to: &output, until: size) else {
                    stage = .statement(result, writer)
                    return .more
                }
                endStatement(result.nanoseconds, error: nil)
            case .rows(var writer, let header):
                // Leaves `writer` the only owner of its lists.
                stage = .between
                let isWritten = try writer.advance(
                    over: cells, rowsOf: header.columns.count, to: &output, until: size)
                guard isWritten else {
                    stage = .rows(writer, header)
                    return .more
                }
                guard let piece = queue.take() else {
                    stage = .rows(writer, header)
                    return .starved
                }
                try go(on: piece, writer, header)
            case .finished: return .last
            }
        }
        if case .finished = stage { return .last }
        return .more
    }

    private mutating func begin(_ piece: ResultPart.Piece) throws(WireError) {
        switch piece {
        case .statement(let result):
            if case .rows(let rows) = result.outcome {
                openStatement()
                stage = .statement(result, RowWriter(rows, members.format))
            } else {
                openStatement(hasRows: false)
                members.write(result, to: &output)
                closeStatement()
            }
        case .rowsBegin(let columns, let types, _):
            let header = RowSet(columns: columns, types: types)
            var writer = RowWriter(header, members.format)
            openStatement()
            writer.begin(header, to: &output)
            stage = .rows(writer, header)
        case .end(let error, let logIndex):
            if members.format.lines {
                members.writeEndLine(
                    error: error, logIndex: logIndex, elapsed: elapsed, to: &output)
            } else {
                output.endArray()
                members.writeEnd(error: error, logIndex: logIndex, elapsed: elapsed, to: &output)
            }
            stage = .finished
        case .cells, .rowsEnd, .contentBegins, .copyBegins, .content:
            throw .invalid(field: "piece of a result", value: 0)
        }
    }

    /// What follows on whole rows.
    private mutating func go(
        on piece: ResultPart.Piece, _ writer: RowWriter, _ header: RowSet
    ) throws(WireError) {
        var writer = writer
        switch piece {
        case .cells(let more):
            writer.dropWritten(from: &cells)
            if cells.isEmpty { cells = more } else { cells += more }
            stage = .rows(writer, header)
        case .rowsEnd(let nanoseconds, let error):
            writer.dropWritten(from: &cells)
            // An error may cut a row.
            guard cells.isEmpty || error != nil else { throw .trailingBytes(cells.count) }
            cells = []
            writer.end(to: &output)
            endStatement(nanoseconds, error: error)
        case .statement, .rowsBegin, .end, .contentBegins, .copyBegins, .content:
            throw .invalid(field: "piece of a result", value: 0)
        }
    }

    /// - Parameter hasRows: as lines these stand outside of the statement's own.
    private mutating func openStatement(hasRows: Bool = true) {
        if members.format.lines {
            if !hasRows { output.beginObject() }
        } else {
            output.element()
            output.beginObject()
        }
    }

    private mutating func closeStatement() {
        output.endObject()
        if members.format.lines { output.endLine() }
    }

    private mutating func endStatement(_ nanoseconds: UInt64, error: String?) {
        if members.format.lines { output.beginObject() }
        if let error {
            members.write(error: error, to: &output)
        } else {
            members.write(nanoseconds: nanoseconds, to: &output)
        }
        closeStatement()
        stage = .between
    }
}
