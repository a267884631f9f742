internal import SQLite

/// Virtual tables of a dump that is run piece by piece, which stand there as rows of the schema (`CatalogueRow`).
///
/// SQLite protects the tables in which such a table keeps its rows as soon as it knows it, and the dump brings these rows. So
/// what makes virtual tables is taken out of each piece, and comes when all else is there. Nothing of a dump needs it before.
struct DumpedTables {
    /// Statements of the dump.
    private var rows: [[UInt8]] = []
    /// Of all of them; they stay in memory until the dump is through.
    private(set) var byteCount = 0

    /// Rows that are put into the schema together: each such command has the steps of a request for itself.
    private static let rowsPerCommand = 16
    private static let switches: Set<String> = ["on", "off", "1", "0"]

    /// - Returns: the text without the rows, and without the PRAGMAs that allow them.
    mutating func take(outOf text: String) -> String {
        let bytes = Array(text.utf8)
        var kept: [UInt8] = []
        // Before it all is looked at, and kept or taken.
        var place = 0
        bytes.withUnsafeBytes { sql in
            var tokens = SQLTokenizer(sql)
            var trigger = TriggerRule()
            var isAtStart = true
            while let token = tokens.next() {
                switch token {
                case .semicolon: isAtStart = trigger.endsStatement(at: &tokens)
                case .word(let word) where isAtStart:
                    isAtStart = false
                    trigger = TriggerRule()
                    trigger.begin(with: word, &tokens)
                    let start = word.lowerBound
                    let rest = UnsafeRawBufferPointer(rebasing: sql[start...])
                    let row = CatalogueRow(rest)
                    guard let count = row?.end ?? Self.permission(rest) else { break }
                    if row != nil {
                        rows.append(Array(bytes[start..<start + count]))
                        byteCount += count
                    }
                    kept += bytes[place..<start]
                    place = start + count
                    while tokens.offset < place, tokens.next() != nil {}
                    isAtStart = true
                default: isAtStart = false
                }
            }
        }
        guard place > 0 else { return text }
        return String(decoding: kept + bytes[place...], as: UTF8.self)
    }

    /// - Returns: how many bytes the PRAGMA has that allows to write the schema, or forbids it; nil: it is another statement.
    private static func permission(_ sql: UnsafeRawBufferPointer) -> Int? {
        var tokens = SQLTokenizer(sql)
        guard case .word(let verb)? = tokens.next(), tokens.isKeyword(verb, "PRAGMA"),
            case .word(let name)? = tokens.next(), tokens.isKeyword(name, "WRITABLE_SCHEMA"),
            tokens.next() == .other(UInt8(ascii: "=")), case .word(let value)? = tokens.next(),
            switches.contains(tokens.lowercased(value)), tokens.next() == .semicolon
        else { return nil }
        return tokens.offset
    }

    /// What puts the rows into the schema, in transactions of their own.
    var commands: [String] {
        stride(from: 0, to: rows.count, by: Self.rowsPerCommand).map { start in
            let some = rows[start..<min(start + Self.rowsPerCommand, rows.count)]
            let text = some.map { String(decoding: $0, as: UTF8.self) + "\n" }.joined()
            return "BEGIN;\nPRAGMA writable_schema=ON;\n\(text)PRAGMA writable_schema=OFF;\nCOMMIT;"
        }
    }
}
