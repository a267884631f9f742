import JSON
import Wire

/// A row that is to be imported.
struct ImportRow: Equatable {
    /// SQLite's tables have no more (`SQLITE_LIMIT_COLUMN`).
    static let mostColumns = 2000

    /// Where it begins in the body: the line, from 1, or of a table the number of the row.
    var line: Int
    var columns: [String]
    var values: [Value]

    /// About.
    var byteCount: Int {
        values.reduce(16) { sum, value in
            switch value {
            case .text(let text): sum + 9 + text.utf8.count
            case .blob(let bytes): sum + 9 + bytes.count
            case .null, .integer, .real: sum + 9
            }
        }
    }
}

/// Why an import can't go on, in words for the client.
struct ImportFault: Error, Equatable {
    /// From 1; nil: it is about no line.
    var line: Int?
    var text: String
    /// No row is wrong: this node can't read them any more.
    var isOfNode = false
}

/// Gives rows one after the other. Belongs to one thread at a time; waits for the disk.
protocol ImportRows: AnyObject {
    /// - Returns: nil: there is no other.
    func next() throws(ImportFault) -> ImportRow?
}

/// The bytes of a body, piece by piece.
struct ImportBytes {
    /// Bytes that a line, or a record, may have.
    static let lineBytes = 16 << 20

    private let file: any KeptFile
    private var piece: [UInt8] = []
    private var place = 0
    private var offset = 0

    init(_ file: any KeptFile) { self.file = file }

    /// The next byte; nil: there is none.
    mutating func next() throws(ImportFault) -> UInt8? {
        if place == piece.count {
            guard let read = file.read(at: offset, 256 << 10) else {
                throw ImportFault(
                    text:
                        "the body can't be read any more: the disk fails, or no descriptor is left",
                    isOfNode: true)
            }
            piece = read
            place = 0
            offset += read.count
            if read.isEmpty { return nil }
        }
        defer { place += 1 }
        return piece[place]
    }
}

/// JSON objects, one on each line (https://jsonlines.org): their members are the columns.
final class LineRows: ImportRows {
    private var bytes: ImportBytes
    private var line = 0

    init(_ file: any KeptFile) { bytes = ImportBytes(file) }

    func next() throws(ImportFault) -> ImportRow? {
        while let text = try nextLine() {
            if text.allSatisfy({ [9, 13, 32].contains($0) }) { continue }
            return try row(text)
        }
        return nil
    }

    private func nextLine() throws(ImportFault) -> [UInt8]? {
        var text: [UInt8] = []
        line += 1
        while let byte = try bytes.next() {
            if byte == UInt8(ascii: "\n") { return text }
            text.append(byte)
            guard text.count <= ImportBytes.lineBytes else {
                throw ImportFault(
                    line: line, text: "it has more than \(ImportBytes.lineBytes) bytes")
            }
        }
        return text.isEmpty ? nil : text
    }

    private func row(_ text: [UInt8]) throws(ImportFault) -> ImportRow {
        let line = line
        return try text.withUnsafeBytes { bytes -> Result<ImportRow, ImportFault> in
            var reader = LineReader(bytes, line)
            do throws(ImportFault) { return .success(try reader.row()) } catch {
                return .failure(error)
            }
        }.get()
    }
}

/// Makes a row of a line, token by token: a tree of it takes fifty times as much memory.
private struct LineReader {
    private var reader: JSONReader
    private let line: Int

    init(_ bytes: UnsafeRawBufferPointer, _ line: Int) {
        reader = JSONReader(bytes)
        self.line = line
    }

    mutating func row() throws(ImportFault) -> ImportRow {
        guard try next() == .beginObject else { throw fault("it is no JSON object") }
        var row = ImportRow(line: line, columns: [], values: [])
        while case .name(let span) = try next() {
            guard row.columns.count < ImportRow.mostColumns else {
                throw fault(
                    "it has more than \(ImportRow.mostColumns) members, which no table has columns for"
                )
            }
            row.columns.append(reader.text(of: span))
            row.values.append(try value(try next()))
        }
        // Nothing may stand behind it.
        _ = try next()
        guard Set(row.columns.map { Array($0.utf8) }).count == row.columns.count else {
            throw fault("a member stands there twice")
        }
        return row
    }

    private func fault(_ text: String) -> ImportFault { ImportFault(line: line, text: text) }

    private mutating func next() throws(ImportFault) -> JSONToken {
        do throws(JSONError) { return try reader.next() } catch {
            throw fault("it is no JSON: \(error)")
        }
    }

    private mutating func value(_ token: JSONToken) throws(ImportFault) -> Value {
        switch token {
        case .bool(let value): return .integer(value ? 1 : 0)
        case .string(let span): return .text(reader.text(of: span))
        case .number(let span): return try number(reader.text(of: span))
        case .beginArray, .beginObject: return .text(try document(token))
        // The reader offers none of the others where a value stands.
        case .null, .name, .endArray, .endObject, .endOfInput: return .null
        }
    }

    private func number(_ text: String) throws(ImportFault) -> Value {
        if let integer = Int64(text) { return .integer(integer) }
        let isWhole = text.utf8.allSatisfy { $0 == UInt8(ascii: "-") || (48...57).contains($0) }
        guard !isWhole, let real = Double(text), real.isFinite else {
            throw fault("the number \(text.prefix(40)) is too large")
        }
        return .real(real)
    }

    /// An array or an object that begins with the token, without white space.
    private mutating func document(_ first: JSONToken) throws(ImportFault) -> String {
        var output = JSONOutput(continuing: [])
        /// Of each container that is open, whether it is an array.
        var open: [Bool] = []
        var token = first
        while true {
            if open.last == true, token != .endArray { output.element() }
            switch token {
            case .name(let span): output.member(text: reader.text(of: span))
            case .beginArray, .beginObject:
                open.append(token == .beginArray)
                if token == .beginArray { output.beginArray() } else { output.beginObject() }
            case .endArray, .endObject:
                open.removeLast()
                if token == .endArray { output.endArray() } else { output.endObject() }
            case .string(let span): output.text(reader.text(of: span))
            case .number(let span): output.value(.number(reader.text(of: span)))
            case .bool(let value): output.bool(value)
            case .null, .endOfInput: output.null()
            }
            if open.isEmpty { return String(decoding: output.bytes, as: UTF8.self) }
            token = try next()
        }
    }
}

/// The rows of a table of an SQLite file.
final class TableRows: ImportRows {
    private let table: any KeptTable
    private var count = 0

    init(_ table: any KeptTable) { self.table = table }

    func next() throws(ImportFault) -> ImportRow? {
        count += 1
        do throws(KeptFileFault) {
            guard let values = try table.next() else { return nil }
            return ImportRow(line: count, columns: table.columns, values: values)
        } catch {
            throw ImportFault(
                line: error.isOfNode ? nil : count, text: error.text, isOfNode: error.isOfNode)
        }
    }
}
