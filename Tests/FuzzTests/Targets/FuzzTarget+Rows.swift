import Wire

@testable import HTTPAPI

/// Bodies of imports: comma-separated values and JSON lines. However their bytes arrive, the rows are
/// the same, and CSV that is written of them is read as the same again.
///
///     offset  size  input
///          0     1  0 CSV, 1 CSV whose columns are given, 2 JSON lines
///          1     1  so many bytes, and one more, come at a time
///          2     …  the body
extension FuzzTarget {
    static let rows = FuzzTarget(name: "rows", largestInput: 8192) { bytes throws(Complaint) in
        guard bytes.count >= 2 else { return }
        let body = Array(bytes[2...])
        let form = RowsForm.allCases[Int(bytes[0]) % RowsForm.allCases.count]
        let whole = form.read(body, piece: .max)
        let inPieces = form.read(body, piece: Int(bytes[1]) + 1)
        try Complaint.unless(whole == inPieces, "\(whole) became \(inPieces) in pieces")
        try whole.check(form, byteCount: body.count)
    } seeds: {
        let csv = "a,b\n1,\"x, \"\"y\"\"\nz\"\r\n,\"\"\n2,é\r\n\n"
        let lines =
            #"{"a":1,"b":"x"}"# + "\n\r\n" + #"{"a":null,"b":[1,{"c":"\u00e9"}]}"# + "\n"
            + #"{"a":-2.5e3,"b":true}"#
        return [
            FuzzSeed("csv", [0, 255] + Array(csv.utf8)),
            FuzzSeed("csv-mark", [0, 1, 0xEF, 0xBB, 0xBF] + Array(csv.utf8)),
            FuzzSeed("csv-columns", [1, 3] + Array(csv.utf8)),
            FuzzSeed("csv-open", [0, 2] + Array("a\n\"no end".utf8)),
            FuzzSeed("lines", [2, 4] + Array(lines.utf8)),
            FuzzSeed("lines-doubled", [2, 0] + Array(#"{"a":1,"a":2}"#.utf8)),
        ]
    }
}

private enum RowsForm: CaseIterable {
    case csv, csvOfColumns, lines

    var columns: [String]? { self == .csvOfColumns ? ["a", "b"] : nil }

    func read(_ body: [UInt8], piece: Int) -> RowsRead {
        let file = RowsFile(body, piece: piece)
        let source: any ImportRows =
            self == .lines ? LineRows(file) : CSVRows(file, columns: columns)
        var found = RowsRead()
        do throws(ImportFault) {
            while let row = try source.next() { found.rows.append(row) }
        } catch {
            found.fault = error
        }
        return found
    }
}

/// What came of a body: its rows, and why there were no more.
private struct RowsRead: Equatable {
    var rows: [ImportRow] = []
    var fault: ImportFault?

    func check(_ form: RowsForm, byteCount: Int) throws(Complaint) {
        if let fault {
            try Complaint.unless(
                !fault.text.isEmpty && (fault.line ?? 0) > 0, "refused as \(fault)")
        }
        var last = 0
        var bytes = 0
        for row in rows {
            try Complaint.unless(
                row.line > last && row.values.count == row.columns.count, "\(row) behind \(last)")
            last = row.line
            for case .text(let text) in row.values { bytes += text.utf8.count }
        }
        // A character of a document within a line may be written as six.
        try Complaint.unless(bytes <= 6 * byteCount, "\(byteCount) bytes became \(bytes)")
        if form != .lines { try rewrite(form) }
    }

    private func rewrite(_ form: RowsForm) throws(Complaint) {
        guard let columns = rows.first?.columns else { return }
        let head = form.columns == nil ? Self.line(columns.map { .text($0) }) : []
        let again = form.read(head + rows.flatMap { Self.line($0.values) }, piece: .max)
        try Complaint.unless(
            again.fault == nil && again.rows.map(\.columns) == rows.map(\.columns)
                && again.rows.map(\.values) == rows.map(\.values),
            "\(rows) were read as \(again)")
    }

    private static func line(_ values: [Value]) -> [UInt8] {
        var line: [UInt8] = []
        for (place, value) in values.enumerated() {
            if place > 0 { line.append(UInt8(ascii: ",")) }
            guard case .text(let text) = value else { continue }
            line.append(UInt8(ascii: "\""))
            for byte in text.utf8 {
                if byte == UInt8(ascii: "\"") { line.append(byte) }
                line.append(byte)
            }
            line.append(UInt8(ascii: "\""))
        }
        return line + [UInt8(ascii: "\n")]
    }
}

/// A body that gives some bytes at a time.
private final class RowsFile: KeptFile {
    private let bytes: [UInt8]
    private let piece: Int

    init(_ bytes: [UInt8], piece: Int) {
        self.bytes = bytes
        self.piece = piece
    }

    func read(at offset: Int, _ count: Int) -> [UInt8]? {
        Array(bytes.dropFirst(offset).prefix(min(count, piece)))
    }

    func table(_ name: String) throws(KeptFileFault) -> any KeptTable {
        throw KeptFileFault(text: "there is none")
    }
}
