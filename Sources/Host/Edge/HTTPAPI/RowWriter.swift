import Notation
import Wire

/// Writes the members of one statement's result that tell of its rows, in steps. It holds places
/// in the cells, never the cells, and goes on where it stopped.
struct RowWriter {
    private struct Column {
        /// Its place among the cells of a row.
        let index: Int
        /// The name as JSON text; only the associative form repeats it.
        let name: [UInt8]
        let form: ColumnForm
    }

    private let columns: [Column]
    private let format: ResultFormat
    private var hasBegun = false
    private var row = 0
    private var isRowOpen = false
    /// The next of `columns` to be written.
    private var place = 0
    /// The cell that is read next.
    private var offset = 0
    /// Associative: where the cells of the open row begin.
    private var starts: [Int] = []
    private var long: LongCell?

    init(_ rows: RowSet, _ format: ResultFormat) {
        self.format = format
        columns = format.associative ? Self.sorted(rows) : Self.listed(rows)
    }

    private static func listed(_ rows: RowSet) -> [Column] {
        rows.types.indices.map {
            Column(index: $0, name: [], form: ColumnForm(type: rows.types[$0]))
        }
    }

    /// Members sorted by name; of columns with one name the last is shown.
    private static func sorted(_ rows: RowSet) -> [Column] {
        let shown = rows.columns.indices.sorted {
            (rows.columns[$0].utf8Order, $0) < (rows.columns[$1].utf8Order, $1)
        }
        var columns: [Column] = []
        for index in shown {
            var name = JSONOutput(continuing: [])
            name.text(rows.columns[index])
            if columns.last?.name == name.bytes { columns.removeLast() }
            columns.append(
                Column(
                    index: index, name: name.bytes, form: ColumnForm(type: rows.types[index])))
        }
        return columns
    }

    /// - Returns: whether all is written.
    mutating func advance(
        _ rows: RowSet, to output: inout JSONOutput, until size: Int
    ) throws(WireError) -> Bool {
        if !hasBegun { begin(rows, hasRows: rows.rowCount > 0, &output) }
        return try rows.cells.withUnsafeBufferPointer { (bytes) throws(WireError) in
            let cells = UnsafeRawBufferPointer(bytes)
            while row < rows.rowCount {
                if !isRowOpen { try openRow(cells, rows.columns.count, &output) }
                guard try writeCells(cells, to: &output, until: size) else { return false }
                closeRow(&output)
            }
            guard offset == cells.count else { throw .trailingBytes(cells.count - offset) }
            if format.associative || rows.rowCount > 0 { end(to: &output) }
            return true
        }
    }

    // MARK: Rows that come by and by

    /// Writes what stands before the rows, of which there are some.
    mutating func begin(_ header: RowSet, to output: inout JSONOutput) {
        begin(header, hasRows: true, &output)
    }

    /// Writes as many rows as there are whole ones.
    /// - Parameters:
    ///   - cells: grows from call to call; `dropWritten` takes away what is not needed any more.
    ///   - count: of a row's cells.
    /// - Returns: whether these are written; else there is about `size` to be taken.
    mutating func advance(
        over cells: [UInt8], rowsOf count: Int, to output: inout JSONOutput, until size: Int
    ) throws(WireError) -> Bool {
        // There would be no end of rows without cells.
        guard count > 0 || cells.isEmpty else { throw .trailingBytes(cells.count) }
        return try cells.withUnsafeBufferPointer { (bytes) throws(WireError) in
            let cells = UnsafeRawBufferPointer(bytes)
            while true {
                if !isRowOpen {
                    guard output.bytes.count < size else { return false }
                    guard try Self.isWhole(cells, from: offset, count) else { return true }
                    try openRow(cells, count, &output)
                }
                guard try writeCells(cells, to: &output, until: size) else { return false }
                closeRow(&output)
            }
        }
    }

    /// Between two rows: forgets the cells of those that are written.
    mutating func dropWritten(from cells: inout [UInt8]) {
        precondition(!isRowOpen, "the cells of an open row are still read")
        if offset == cells.count { cells = [] } else { cells.removeFirst(offset) }
        offset = 0
    }

    /// Writes what stands behind the last row.
    func end(to output: inout JSONOutput) {
        if !format.lines { output.endArray() }
    }

    private static func isWhole(
        _ cells: UnsafeRawBufferPointer, from offset: Int, _ count: Int
    ) throws(WireError) -> Bool {
        guard offset < cells.count else { return false }
        var reader = CellReader(cells, from: offset)
        do throws(WireError) {
            for _ in 0..<count { _ = try reader.next() }
            return true
        } catch {
            if case .truncated = error { return false }
            throw error
        }
    }

    private mutating func begin(_ rows: RowSet, hasRows: Bool, _ output: inout JSONOutput) {
        hasBegun = true
        if format.lines { output.beginObject() }
        defer {
            if format.lines {
                output.endObject()
                output.endLine()
            }
        }
        if format.associative {
            if !columns.isEmpty {
                output.member("types")
                output.beginObject()
                for column in columns {
                    output.member(escaped: column.name)
                    output.text(rows.types[column.index])
                }
                output.endObject()
            }
            if format.lines { return }
            output.member("rows")
            output.beginArray()
        } else {
            writeTexts("columns", rows.columns, &output)
            writeTexts("types", rows.types, &output)
            guard hasRows, !format.lines else { return }
            output.member("values")
            output.beginArray()
        }
    }

    private func writeTexts(
        _ name: StaticString, _ texts: [String], _ output: inout JSONOutput
    ) {
        guard !texts.isEmpty else { return }
        output.member(name)
        output.beginArray()
        for text in texts {
            output.element()
            output.text(text)
        }
        output.endArray()
    }

    private mutating func openRow(
        _ cells: UnsafeRawBufferPointer, _ count: Int, _ output: inout JSONOutput
    ) throws(WireError) {
        if !format.lines { output.element() }
        isRowOpen = true
        place = 0
        guard format.associative else { return output.beginArray() }
        output.beginObject()
        starts.removeAll(keepingCapacity: true)
        var reader = CellReader(cells, from: offset)
        for _ in 0..<count {
            starts.append(reader.offset)
            _ = try reader.next()
        }
        offset = reader.offset
    }

    private mutating func closeRow(_ output: inout JSONOutput) {
        if format.associative { output.endObject() } else { output.endArray() }
        if format.lines { output.endLine() }
        isRowOpen = false
        row += 1
    }

    /// - Returns: whether the row's last cell is written.
    private mutating func writeCells(
        _ cells: UnsafeRawBufferPointer, to output: inout JSONOutput, until size: Int
    ) throws(WireError) -> Bool {
        if var cell = long {
            guard cell.advance(cells, to: &output, until: size) else {
                long = cell
                return false
            }
            long = nil
        }
        while place < columns.count {
            guard output.bytes.count < size else { return false }
            let column = columns[place]
            place += 1
            if format.associative {
                output.member(escaped: column.name)
            } else {
                output.element()
            }
            var reader = CellReader(
                cells, from: format.associative ? starts[column.index] : offset)
            let cell = try reader.next()
            if !format.associative { offset = reader.offset }
            if var begun = LongCell(cell, in: cells, as: column.form, blobArray: format.blobArray) {
                guard begun.advance(cells, to: &output, until: size) else {
                    long = begun
                    return false
                }
            } else {
                write(cell, as: column.form, to: &output)
            }
        }
        return true
    }

    private func write(_ cell: Cell, as form: ColumnForm, to output: inout JSONOutput) {
        switch cell {
        case .null: output.null()
        case .integer(let value): write(value, as: form, to: &output)
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

    private func write(_ value: Int64, as form: ColumnForm, to output: inout JSONOutput) {
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
