internal import SQLite
internal import Wire

/// Bounds what the answer to one command holds in memory: a request may have a million statements, and
/// each may fail with a long text, or yield rows.
///
/// What is kept of an answer under a key must be the same on every node. What the bounds leave out is in
/// none: by then the answer is too large to be kept
/// (docs/decisions/0186-texts-of-failures-have-a-bound.md).
struct AnswerRoom {
    /// Of the texts of failures, before they are shortened, in bytes.
    private static let mostTextBytes = 16 << 20
    /// What of each is left then.
    private static let shortTextBytes = 200
    /// In place of rows that are not shown: those of a statement have columns.
    static let unshownRows = StatementOutcome.rows(RowSet(columns: [], types: []))

    private let rowLimit: Int
    private var textBytes = 0
    private(set) var rowBytes = 0

    /// - Parameter rowLimit: bytes of rows behind which those of further statements are not shown.
    init(rowLimit: Int) { self.rowLimit = rowLimit }

    /// What takes the place of an outcome, which is one of the answer's from now on.
    mutating func admit(_ outcome: StatementOutcome) -> StatementOutcome {
        count(outcome, times: 1)
        guard case .failed(let text) = outcome, textBytes > Self.mostTextBytes else {
            return outcome
        }
        return .failed(SQLiteError.shortened(text, to: Self.shortTextBytes))
    }

    /// The outcome is none of the answer's any more.
    mutating func release(_ outcome: StatementOutcome) { count(outcome, times: -1) }

    /// Whether the rows of one more statement are shown.
    /// - Parameter replaced: the outcome in whose place they would come.
    func hasRoomForRows(inPlaceOf replaced: StatementOutcome?) -> Bool {
        var room = self
        if let replaced { room.release(replaced) }
        return room.rowBytes <= rowLimit
    }

    /// The results, as the client is told of them.
    func shown(_ results: [StatementResult]) -> [StatementResult] {
        guard rowBytes > rowLimit else { return results }
        return results.map {
            guard $0.outcome == Self.unshownRows else { return $0 }
            var result = $0
            result.outcome = .failed(
                "the statement was carried out; its rows are not shown, for those of the statements "
                    + "before it are larger than \(rowLimit) bytes: ask for fewer rows at once")
            return result
        }
    }

    private mutating func count(_ outcome: StatementOutcome, times: Int) {
        switch outcome {
        case .failed(let text): textBytes += times * text.utf8.count
        case .rows: rowBytes += times * StatementResult(outcome).byteCount
        case .changed, .empty: break
        }
    }
}
