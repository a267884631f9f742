internal import CSQLite
internal import SQLite
internal import Wire

/// The answer to a read while it is being made. It is gathered, and handed over as a whole, as long
/// as it is small; beyond that it goes out in parts, of which little is held at any time. Where parts
/// aren't taken, all is gathered, within the limits on results.
///
/// A text's outcome is that of its last statement, so only the rows of a statement that is the last
/// of its text go out before they end.
struct ReadAnswer {
    private enum Phase {
        case gathering
        case streaming
        /// Nothing was handed over: there is no room.
        case refused
        /// Nobody takes the rest.
        case ended
    }

    /// The rows of the statement that runs.
    private struct Rows {
        var header = RowSet(columns: [], types: [])
        /// Columns whose type must still be found in a value.
        var untypedLeft = 0
        var mayGoInParts = false
        /// A part with some of them has been made.
        var haveBegun = false
        /// Bytes of the present row that went out.
        var bytesOut = 0
        var isOverLimit = false
    }

    private let stream: (any ResultStream)?
    private let watchdog: Watchdog
    private let resultBytes: Int
    private let gatheredBytes: Int
    private var share: GatherShare
    private var phase = Phase.gathering
    private var results: [StatementResult] = []
    /// Bytes of `results`, roughly.
    private var kept = 0
    private var rows = Rows()
    /// Of `rows`, not handed over.
    private var cells: [UInt8] = []
    private var pieces: [ResultPart.Piece] = []
    private var pieceBytes = 0
    /// Rows have begun in what was sent, and not ended.
    private var isOpen = false
    /// How long nobody asked for more.
    private(set) var waited = Duration.zero

    /// - Parameter stream: nil: parts aren't taken.
    init(
        _ stream: (any ResultStream)?, _ limits: ApplierLimits, budget: GatherBudget?,
        watchdog: Watchdog
    ) {
        self.stream = stream
        self.watchdog = watchdog
        resultBytes = limits.resultBytes
        gatheredBytes = limits.gatheredBytes
        share = GatherShare(of: budget)
    }

    /// Nothing more is wanted.
    var isOver: Bool {
        switch phase {
        case .gathering, .streaming: false
        case .refused, .ended: true
        }
    }

    // MARK: Statements

    /// The statement is done.
    mutating func add(_ outcome: StatementOutcome, isRead: Bool, nanoseconds: UInt64) {
        defer {
            rows = Rows()
            cells = []
        }
        if rows.haveBegun {
            var error: String?
            if case .failed(let message) = outcome { error = message }
            pushCells()
            push(.rowsEnd(nanoseconds: nanoseconds, error: error))
            return
        }
        let result = StatementResult(outcome, isRead: isRead, nanoseconds: nanoseconds)
        switch phase {
        case .streaming: push(result)
        case .gathering:
            results.append(result)
            // Names and texts of failures take memory as rows do.
            share.keep(result.byteCount)
            kept += 32 + result.byteCount
            if stream != nil, kept >= gatheredBytes {
                begin()
            } else if !share.cover(0) {
                phase = .refused
            }
        case .refused, .ended: break
        }
    }

    /// The whole answer, or what became of its parts.
    mutating func finish() -> ReadOutcome {
        share.end()
        switch phase {
        case .gathering: return .result(CommandResult(results))
        case .refused: return .busy
        case .streaming: break
        case .ended:
            // Who waits for the rest is told why there is none.
            guard let reason = watchdog.reason, !watchdog.isCancelled else { return .abandoned }
            let failed = StatementResult(.failed(reason), isRead: true)
            pieces = [isOpen ? .rowsEnd(nanoseconds: 0, error: reason) : .statement(failed)]
        }
        pieces.append(.end(error: nil, logIndex: 0))
        guard let stream, case .sent = stream.send(ResultPart(pieces)) else { return .abandoned }
        return .streamed
    }

    // MARK: Rows

    /// - Parameters:
    ///   - names: of the columns, in place of what SQLite says.
    ///   - isLast: the statement is the last of its text.
    mutating func beginRows(
        of statement: borrowing PreparedStatement, names: [String]?, qualifyColumns: Bool,
        isLast: Bool
    ) {
        let header = RowCollector.header(
            of: statement, names: names, qualifyColumns: qualifyColumns)
        cells = []
        rows = Rows(
            header: header, untypedLeft: header.types.count { $0.isEmpty },
            mayGoInParts: isLast && stream != nil)
    }

    /// Takes the row that the statement stands on.
    /// - Returns: whether the next is wanted.
    mutating func addRow(_ statement: borrowing PreparedStatement) -> Bool {
        // Before the first value: the types are told before any of a long row.
        if rows.untypedLeft > 0 { findTypes(statement) }
        rows.bytesOut = -cells.count
        for index in rows.header.columns.indices {
            guard add(statement.type(at: index), index, statement) else { return false }
            // After each value: a row can be larger than any memory.
            let size = cells.count + (rows.mayGoInParts ? rows.bytesOut : 0)
            guard size <= resultBytes else {
                rows.isOverLimit = true
                cells = []
                return false
            }
        }
        rows.header.rowCount += 1
        if rows.mayGoInParts { return true }
        if share.cover(cells.count) { return true }
        phase = .refused
        return false
    }

    /// The rows ended, or are more than there may be.
    mutating func takeRows() -> StatementOutcome {
        if rows.isOverLimit { return .failed(RowCollector.overLimitText(resultBytes)) }
        if rows.haveBegun { return .empty }
        var whole = rows.header
        whole.cells = cells
        return .rows(whole)
    }

    private mutating func findTypes(_ statement: borrowing PreparedStatement) {
        for index in rows.header.types.indices where rows.header.types[index].isEmpty {
            let type = statement.type(at: index)
            guard type != SQLITE_NULL else { continue }
            rows.header.types[index] = RowCollector.name(of: type)
            rows.untypedLeft -= 1
        }
    }

    /// - Returns: whether more is wanted.
    private mutating func add(
        _ type: Int32, _ index: Int, _ statement: borrowing PreparedStatement
    ) -> Bool {
        guard cells.appendCell(type, index, of: statement) else {
            return cells.count < room || spill()
        }
        return statement.withBytes(at: index, isText: type == SQLITE_TEXT) { add($0) }
    }

    private mutating func add(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var rest = bytes[...]
        while rest.count > max(0, room - cells.count) {
            let piece = rest.prefix(max(1, room - cells.count))
            cells.append(contentsOf: piece)
            rest = rest.dropFirst(piece.count)
            guard spill() else { return false }
        }
        cells.append(contentsOf: rest)
        return true
    }

    /// At so many bytes of cells they must go out.
    private var room: Int {
        guard rows.mayGoInParts else { return .max }
        if case .streaming = phase { return ResultWindow.partBytes }
        return max(1, gatheredBytes - kept)
    }

    // MARK: Parts

    private mutating func spill() -> Bool {
        if case .gathering = phase { begin() }
        pushCells()
        return !isOver
    }

    private mutating func begin() {
        guard let stream, case .began(let deadline) = stream.begin() else {
            phase = .refused
            return
        }
        watchdog.start(deadline: deadline)
        phase = .streaming
        let gathered = results
        results = []
        for result in gathered { push(result) }
    }

    /// What there is of the rows' cells.
    private mutating func pushCells() {
        guard !isOver, !cells.isEmpty else { return }
        if !rows.haveBegun {
            rows.haveBegun = true
            push(
                .rowsBegin(columns: rows.header.columns, types: rows.header.types, isRead: true))
        }
        let going = cells
        cells = []
        cells.reserveCapacity(ResultWindow.partBytes)
        rows.bytesOut += going.count
        push(cells: going)
    }

    private mutating func push(cells: [UInt8]) {
        for start in stride(from: 0, to: cells.count, by: ResultWindow.partBytes) {
            let end = min(cells.count, start + ResultWindow.partBytes)
            let isWhole = end - start == cells.count
            push(.cells(isWhole ? cells : Array(cells[start..<end])))
        }
    }

    private mutating func push(_ result: StatementResult) {
        guard case .rows(let rows) = result.outcome, rows.cells.count > ResultWindow.partBytes
        else { return push(.statement(result)) }
        push(.rowsBegin(columns: rows.columns, types: rows.types, isRead: result.isRead))
        push(cells: rows.cells)
        push(.rowsEnd(nanoseconds: result.nanoseconds, error: nil))
    }

    private mutating func noteOpen(_ part: ResultPart) {
        for piece in part.pieces {
            switch piece {
            case .rowsBegin: isOpen = true
            case .rowsEnd: isOpen = false
            case .statement, .cells, .end, .contentBegins, .copyBegins, .content: break
            }
        }
    }

    private mutating func push(_ piece: ResultPart.Piece) {
        guard case .streaming = phase, let stream else { return }
        pieces.append(piece)
        pieceBytes += piece.byteCount
        guard pieceBytes >= ResultWindow.partBytes else { return }
        let part = ResultPart(pieces)
        pieces = []
        pieceBytes = 0
        switch stream.send(part) {
        case .sent(let time):
            noteOpen(part)
            waited += time
            watchdog.postpone(by: time)
        case .ended: phase = .ended
        }
    }
}
