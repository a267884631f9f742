import Service
import Wire

/// How a client wants its results written.
struct ResultFormat {
    var pretty = false
    var timings = false
    var associative = false
    var blobArray = false
    var raftIndex = false

    init() {}

    init(_ parameters: QueryParameters) {
        pretty = parameters.has(.pretty)
        timings = parameters.has(.timings)
        associative = parameters.has(.associative)
        blobArray = parameters.has(.blobArray)
        raftIndex = parameters.has(.raftIndex)
    }
}

/// The answer to `/db/execute`, `/db/query` and `/db/request`. Members that are zero or empty are
/// left out, except `results` and the associative form's `rows`. Rows are written straight from
/// their encoded cells: no object stands for a value.
struct ResultDocument {
    private var output: JSONOutput
    private let format: ResultFormat

    private init(_ format: ResultFormat, continuing bytes: consuming [UInt8]) {
        self.format = format
        output = JSONOutput(continuing: bytes, pretty: format.pretty)
    }

    /// Fails when the cells of a row set are not what its columns promise.
    static func render(
        _ result: CommandResult, _ format: ResultFormat, elapsed: Duration,
        continuing bytes: consuming [UInt8]
    ) throws(WireError) -> [UInt8] {
        var document = ResultDocument(format, continuing: bytes)
        try document.write(result, elapsed: elapsed)
        return document.output.bytes
    }

    private mutating func write(
        _ result: CommandResult, elapsed: Duration
    ) throws(WireError) {
        output.beginObject()
        output.member("results")
        output.beginArray()
        // A request that failed as a whole has no results to show.
        for statement in result.error == nil ? result.statements : [] {
            output.element()
            output.beginObject()
            try write(statement)
            output.endObject()
        }
        output.endArray()
        if let error = result.error {
            output.member("error")
            output.text(error)
        }
        writeTime(nanoseconds: UInt64(max(0, elapsed.wholeNanoseconds)))
        if format.raftIndex, result.logIndex != 0 {
            output.member("raft_index")
            output.integer(Int64(bitPattern: result.logIndex))
        }
        output.endObject()
    }

    private mutating func write(_ statement: StatementResult) throws(WireError) {
        switch statement.outcome {
        case .changed(let lastInsertID, let rowsAffected):
            if lastInsertID != 0 {
                output.member("last_insert_id")
                output.integer(lastInsertID)
            }
            if rowsAffected != 0 {
                output.member("rows_affected")
                output.integer(rowsAffected)
            }
            writeTime(nanoseconds: statement.nanoseconds)
            if format.associative { writeNullRows() }
        case .empty:
            if format.associative, statement.isRead { writeNoRows() }
            writeTime(nanoseconds: statement.nanoseconds)
            if format.associative, !statement.isRead { writeNullRows() }
        case .failed(let message):
            if format.associative, statement.isRead { writeNoRows() }
            output.member("error")
            output.text(message)
        case .rows(let rows):
            try rows.cells.withUnsafeBufferPointer { (cells) throws(WireError) in
                var reader = CellReader(UnsafeRawBufferPointer(cells))
                if format.associative {
                    try writeObjects(rows, from: &reader)
                } else {
                    try writeArrays(rows, from: &reader)
                }
                try reader.expectEnd()
            }
            writeTime(nanoseconds: statement.nanoseconds)
        }
    }

    private mutating func writeTime(nanoseconds: UInt64) {
        guard format.timings, nanoseconds != 0 else { return }
        output.member("time")
        output.real(Double(nanoseconds) / 1e9)
    }

    private mutating func writeNullRows() {
        output.member("rows")
        output.null()
    }

    private mutating func writeNoRows() {
        output.member("rows")
        output.beginArray()
        output.endArray()
    }

    private mutating func writeTexts(_ name: StaticString, _ texts: [String]) {
        guard !texts.isEmpty else { return }
        output.member(name)
        output.beginArray()
        for text in texts {
            output.element()
            output.text(text)
        }
        output.endArray()
    }

    private mutating func writeArrays(
        _ rows: RowSet, from reader: inout CellReader
    ) throws(WireError) {
        writeTexts("columns", rows.columns)
        writeTexts("types", rows.types)
        guard rows.rowCount > 0 else { return }
        let forms = rows.types.map(ColumnForm.init)
        output.member("values")
        output.beginArray()
        for _ in 0..<rows.rowCount {
            output.element()
            output.beginArray()
            for form in forms {
                output.element()
                write(try reader.next(), as: form)
            }
            output.endArray()
        }
        output.endArray()
    }

    /// Members sorted by name; of columns with one name the last is shown.
    private mutating func writeObjects(
        _ rows: RowSet, from reader: inout CellReader
    ) throws(WireError) {
        let shown = rows.columns.indices.sorted {
            (rows.columns[$0].utf8Order, $0) < (rows.columns[$1].utf8Order, $1)
        }
        var columns: [(index: Int, name: [UInt8], form: ColumnForm)] = []
        for index in shown {
            var name = JSONOutput(continuing: [])
            name.text(rows.columns[index])
            if columns.last?.name == name.bytes { columns.removeLast() }
            columns.append((index, name.bytes, ColumnForm(type: rows.types[index])))
        }
        if !columns.isEmpty {
            output.member("types")
            output.beginObject()
            for column in columns {
                output.member(escaped: column.name)
                output.text(rows.types[column.index])
            }
            output.endObject()
        }
        output.member("rows")
        output.beginArray()
        var cells: [Cell] = []
        for _ in 0..<rows.rowCount {
            cells.removeAll(keepingCapacity: true)
            for _ in rows.columns { cells.append(try reader.next()) }
            output.element()
            output.beginObject()
            for column in columns {
                output.member(escaped: column.name)
                write(cells[column.index], as: column.form)
            }
            output.endObject()
        }
        output.endArray()
    }

    private mutating func write(_ cell: Cell, as form: ColumnForm) {
        switch cell {
        case .null: output.null()
        case .integer(let value): write(value, as: form)
        case .real(let value): output.real(value)
        case .text(let text):
            if form == .date, let date = DateText(parsing: text) {
                output.date(date)
            } else {
                output.text(text)
            }
        case .blob(let content):
            // A blob in a text column is shown as text only where that loses nothing.
            if form == .text, UTF8Check.isValid(content) {
                output.text(content)
            } else if format.blobArray {
                output.byteNumbers(content)
            } else {
                output.base64(content)
            }
        }
    }

    private mutating func write(_ value: Int64, as form: ColumnForm) {
        switch form {
        case .boolean: output.bool(value > 0)
        case .date:
            if let date = DateText(unixTime: value) {
                output.date(date)
            } else {
                // Beyond year 9999, which RFC 3339 can't write: shown as stored.
                output.integer(value)
            }
        case .text, .other: output.integer(value)
        }
    }
}

/// What a column's type means for the way its values are written. Only these exact type names
/// count; `bool` or `datetime(6)` do not.
private enum ColumnForm {
    case boolean
    case date
    /// Blobs are shown as text.
    case text
    case other

    private static let textPrefixes = [
        "varchar", "varying character", "nchar", "native character", "nvarchar", "clob",
    ]

    init(type: String) {
        switch type {
        case "boolean": self = .boolean
        case "date", "datetime", "timestamp": self = .date
        case "text", "json", "": self = .text
        default: self = Self.textPrefixes.contains { type.hasPrefix($0) } ? .text : .other
        }
    }
}

extension String {
    /// Compares by bytes, not by Unicode's equivalence.
    fileprivate var utf8Order: UTF8Order { UTF8Order(text: self) }
}

private struct UTF8Order: Comparable {
    let text: String

    static func == (a: UTF8Order, b: UTF8Order) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
    static func < (a: UTF8Order, b: UTF8Order) -> Bool {
        a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }
}
