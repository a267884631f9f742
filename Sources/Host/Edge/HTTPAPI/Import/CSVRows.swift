import Wire

/// Records of comma-separated values (RFC 4180; a lone LF ends a line, too). The first one names the
/// columns, unless they are given. A field without quotes in which nothing stands is NULL; all else is
/// text, which the column's affinity makes a number where it is one.
final class CSVRows: ImportRows {
    private struct Field {
        var bytes: [UInt8] = []
        var isQuoted = false
    }

    /// Fields, as far as there are columns for them, and how many there are.
    private struct Record {
        var fields: [Field] = []
        var count = 0
    }

    private var bytes: ImportBytes
    private let recordBytes: Int
    private var columns: [String]?
    private var line = 1
    private var isAtStart = true
    /// Bytes that were looked at, and stand before the rest.
    private var ahead: [UInt8] = []

    /// - Parameter recordBytes: what a record may have, in bytes, with its commas.
    init(
        _ file: any KeptFile, columns: [String]?, recordBytes: Int = ImportBytes.lineBytes
    ) {
        bytes = ImportBytes(file)
        self.recordBytes = recordBytes
        self.columns = columns
    }

    func next() throws(ImportFault) -> ImportRow? {
        while true {
            let start = line
            guard let record = try self.record() else { return nil }
            let fields = record.fields
            if record.count == 1, fields[0].bytes.isEmpty, !fields[0].isQuoted,
                columns?.count != 1
            {
                continue
            }
            guard let columns else {
                guard record.count <= ImportRow.mostColumns else {
                    throw ImportFault(
                        line: start,
                        text: "it has \(record.count) fields, and a table has "
                            + "\(ImportRow.mostColumns) columns at most")
                }
                columns = try fields.map { field throws(ImportFault) in
                    try text(field.bytes, start)
                }
                continue
            }
            guard record.count == columns.count else {
                throw ImportFault(
                    line: start,
                    text: "it has \(record.count) fields, and there are \(columns.count) columns")
            }
            let values = try fields.map { field throws(ImportFault) in
                field.bytes.isEmpty && !field.isQuoted
                    ? Value.null : .text(try text(field.bytes, start))
            }
            return ImportRow(line: start, columns: columns, values: values)
        }
    }

    private func text(_ bytes: [UInt8], _ line: Int) throws(ImportFault) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ImportFault(line: line, text: "it is not UTF-8")
        }
        return text
    }

    private func nextByte() throws(ImportFault) -> UInt8? {
        ahead.isEmpty ? try bytes.next() : ahead.removeFirst()
    }

    /// - Returns: nil: there is no other.
    private func record() throws(ImportFault) -> Record? {
        let start = line
        let most = columns?.count ?? ImportRow.mostColumns
        var record = Record()
        var size = 0
        guard var byte = try nextByte() else { return nil }
        if isAtStart {
            isAtStart = false
            guard let first = try withoutMark(byte) else { return nil }
            byte = first
        }
        var next: UInt8? = byte
        while true {
            let field = try self.field(&next, &size, start)
            record.count += 1
            // An empty one takes memory, too: a body that was packed has any number of them.
            if record.count <= most { record.fields.append(field) }
            switch next {
            case UInt8(ascii: ","):
                try grow(&size, start)
                next = try nextByte()
            default:
                // The end of the record, or of the body.
                line += next == nil ? 0 : 1
                return record
            }
        }
    }

    /// A field from `next` on; then `next` is what ends it: a comma, LF, or nil for the end of the body.
    private func field(
        _ next: inout UInt8?, _ size: inout Int, _ start: Int
    ) throws(ImportFault) -> Field {
        var field = Field()
        func add(_ byte: UInt8) throws(ImportFault) {
            field.bytes.append(byte)
            try grow(&size, start)
        }
        if next == UInt8(ascii: "\"") {
            field.isQuoted = true
            while true {
                guard let byte = try nextByte() else {
                    throw ImportFault(line: start, text: "a quoted field has no end")
                }
                if byte == UInt8(ascii: "\"") {
                    next = try nextByte()
                    guard next == UInt8(ascii: "\"") else { break }
                } else if byte == UInt8(ascii: "\n") {
                    line += 1
                }
                try add(byte)
            }
            if next == 13 { next = try nextByte() }
            guard next == nil || next == UInt8(ascii: ",") || next == UInt8(ascii: "\n") else {
                throw ImportFault(line: start, text: "something stands behind a quoted field")
            }
            return field
        }
        while let byte = next, byte != UInt8(ascii: ","), byte != UInt8(ascii: "\n") {
            next = try nextByte()
            if byte == 13, next == nil || next == UInt8(ascii: "\n") { break }
            try add(byte)
        }
        return field
    }

    private func grow(_ size: inout Int, _ start: Int) throws(ImportFault) {
        size += 1
        guard size <= recordBytes else {
            throw ImportFault(line: start, text: "it has more than \(recordBytes) bytes")
        }
    }

    /// A mark of the order of bytes, as some programs write it before UTF-8. Other characters begin with
    /// its first byte, too, such as those of half and full width.
    private func withoutMark(_ first: UInt8) throws(ImportFault) -> UInt8? {
        guard first == 0xEF else { return first }
        while ahead.count < 2, let byte = try bytes.next() { ahead.append(byte) }
        guard ahead == [0xBB, 0xBF] else { return first }
        ahead = []
        return try bytes.next()
    }
}
