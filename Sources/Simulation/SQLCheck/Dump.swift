internal import StateMachine
internal import Wire

/// All rows of one table, in the encoding in which results travel.
struct DumpedTable: Equatable {
    var name: String
    var columns: [String]
    var cells: [UInt8]
}

/// Every row of every table, shadow tables and SQLite's own among them.
enum Dump {
    /// Through a reader, for it has the functions that a schema may use.
    static func rows(of path: String) throws -> [DumpedTable] {
        let reader = try Reader(path: path)
        let schema = try rows(
            "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema ORDER BY rowid", reader)
        let names = try rows(
            """
            SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0
            AND name <> 'sqlite_rqlite' ORDER BY rowid
            """, reader)
        var tables = [DumpedTable(name: "sqlite_schema", columns: [], cells: schema?.cells ?? [])]
        for name in try names.map(texts) ?? [] {
            let quoted = name.split(separator: "\"", omittingEmptySubsequences: false)
                .joined(separator: "\"\"")
            // A table without rowid says so by an error.
            let found =
                try rows("SELECT rowid, * FROM main.\"\(quoted)\" ORDER BY rowid", reader)
                ?? rows("SELECT * FROM main.\"\(quoted)\"", reader)
            guard let found else { throw CheckError.noRows(name) }
            tables.append(DumpedTable(name: name, columns: found.columns, cells: found.cells))
        }
        return tables
    }

    private static func rows(_ sql: String, _ reader: Reader) throws -> RowSet? {
        let command = Command(kind: .query, statements: [Statement(sql)])
        guard case .result(let result) = reader.run(command) else { return nil }
        guard case .rows(let rows)? = result.statements.first?.outcome else { return nil }
        return rows
    }

    private static func texts(_ rows: RowSet) throws -> [String] {
        var reader = ByteReader(rows.cells)
        return try (0..<rows.rowCount).map { _ in
            guard case .text(let text) = try Value(from: &reader) else { return "" }
            return text
        }
    }
}

extension DumpedTable {
    /// A line per row, for people.
    var lines: [String] {
        guard !columns.isEmpty else { return [] }
        var reader = ByteReader(cells)
        var lines: [String] = []
        do {
            while !reader.isAtEnd {
                lines.append(
                    try columns.map { _ in "\(try Value(from: &reader))" }.joined(separator: " | "))
            }
        } catch {
            lines.append("\(error)")
        }
        return lines
    }
}
