/// The rows of one statement. The values stay in one byte string, row after row, each value as
/// `ValueTag` describes, so that a result crosses threads and nodes without an object per value.
package struct RowSet: Equatable, Sendable {
    /// Their names, in the order of the statement.
    package var columns: [String]
    /// Per column: the declared type in lower case, else the storage class of the first value
    /// that is not null (`integer`, `real`, `text`, `blob`), else "".
    package var types: [String]
    /// Rows, each with a value for every column.
    package var rowCount: Int
    /// `rowCount * columns.count` encoded values.
    package var cells: [UInt8]

    package init(columns: [String], types: [String], rowCount: Int = 0, cells: [UInt8] = []) {
        self.columns = columns
        self.types = types
        self.rowCount = rowCount
        self.cells = cells
    }
}

/// What one statement of a request did.
package enum StatementOutcome: Equatable, Sendable {
    /// It changed rows, or was run only for its effect.
    case changed(lastInsertID: Int64, rowsAffected: Int64)
    case rows(RowSet)
    /// It yields no columns and changed nothing.
    case empty
    /// SQLite's message, or one of ours.
    case failed(String)
}

/// What came of one statement, and how long it took.
package struct StatementResult: Equatable, Sendable {
    /// Rows, what was changed, or an error.
    package var outcome: StatementOutcome
    /// The statement only read (or failed while only reading): decides the associative form.
    package var isRead: Bool
    /// Time the statement ran on the node that answers.
    package var nanoseconds: UInt64

    package init(_ outcome: StatementOutcome, isRead: Bool = false, nanoseconds: UInt64 = 0) {
        self.outcome = outcome
        self.isRead = isRead
        self.nanoseconds = nanoseconds
    }
}

/// The answer to one `Command`.
package struct CommandResult: Equatable, Sendable {
    /// One for each statement that ran, in order.
    package var statements: [StatementResult]
    /// The request failed as a whole; then `statements` is empty.
    package var error: String?
    /// The log entry that carried the request, 0 when it did not go through the log.
    package var logIndex: UInt64

    package init(_ statements: [StatementResult], error: String? = nil, logIndex: UInt64 = 0) {
        self.statements = statements
        self.error = error
        self.logIndex = logIndex
    }

    /// The beginning of what says why the first statement that failed did, or else the whole; nil: nothing failed.
    package var firstFailure: String? {
        for statement in statements {
            if case .failed(let text) = statement.outcome { return String(text.prefix(200)) }
        }
        return error.map { String($0.prefix(200)) }
    }
}

extension RowSet {
    package func encode(into writer: inout ByteWriter) {
        writer.write(columns) { $0.write($1) }
        writer.write(types) { $0.write($1) }
        writer.writeCount(rowCount)
        writer.write(cells)
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        (columns, types) = try reader.readColumns()
        rowCount = Int(try reader.read(UInt32.self))
        cells = try reader.readBytes()
        // Each cell has a byte at least. Of rows without any there would be no end for who writes them.
        guard rowCount <= (columns.isEmpty ? 0 : cells.count / columns.count) else {
            throw .invalid(field: "row count", value: UInt64(rowCount))
        }
    }
}

extension ByteReader {
    /// SQLite has no rows of more columns, whatever it is told (`SQLITE_MAX_COLUMN`). The head of a result is written
    /// in one go, and of a row that is not whole yet all cells are looked at with each part of it that comes.
    private static let mostColumns = 32_767

    /// The names and the types of a result's columns, as many of these as of those.
    mutating func readColumns() throws(WireError) -> (names: [String], types: [String]) {
        let (names, types) = (try readTextsOfColumns(), try readTextsOfColumns())
        guard types.count == names.count else {
            throw .invalid(field: "number of column types", value: UInt64(types.count))
        }
        return (names, types)
    }

    private mutating func readTextsOfColumns() throws(WireError) -> [String] {
        try readList(elementSize: 4, limit: Self.mostColumns) { (r) throws(WireError) in
            try r.readText()
        }
    }
}

extension StatementResult {
    package func encode(into writer: inout ByteWriter) {
        writer.write(isRead)
        writer.write(nanoseconds)
        switch outcome {
        case .changed(let lastInsertID, let rowsAffected):
            writer.write(UInt8(0))
            writer.write(lastInsertID)
            writer.write(rowsAffected)
        case .rows(let rows):
            writer.write(UInt8(1))
            rows.encode(into: &writer)
        case .empty:
            writer.write(UInt8(2))
        case .failed(let message):
            writer.write(UInt8(3))
            writer.write(message)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        isRead = try reader.readBool()
        nanoseconds = try reader.read()
        let tag = try reader.readByte()
        switch tag {
        case 0: outcome = .changed(lastInsertID: try reader.read(), rowsAffected: try reader.read())
        case 1: outcome = .rows(try RowSet(from: &reader))
        case 2: outcome = .empty
        case 3: outcome = .failed(try reader.readText())
        default: throw .invalid(field: "statement outcome", value: UInt64(tag))
        }
    }
}

extension CommandResult {
    package func encode(into writer: inout ByteWriter) {
        writer.write(logIndex)
        writer.write(error) { $0.write($1) }
        writer.write(statements) { $1.encode(into: &$0) }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        logIndex = try reader.read()
        error = try reader.readOptional { (r) throws(WireError) in try r.readText() }
        statements = try reader.readList(elementSize: 10) { (r) throws(WireError) in
            try StatementResult(from: &r)
        }
    }
}
