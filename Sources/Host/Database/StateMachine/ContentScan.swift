internal import CSQLite
internal import SQLite
internal import Wire

/// How much a piece of a scrub holds at most, but for its last row. All nodes must agree in it.
package struct ScrubBounds: Sendable {
    /// Rows of all tables together.
    package var rows = 50_000
    /// What their columns hold, about.
    package var bytes: Int64 = 8 << 20
    /// Tables that end in the piece.
    package var tables = 500

    package init() {}
}

/// Reads and hashes a piece of the content of a database within one snapshot of it: rows of tables,
/// in the order of their names and keys, from a cursor on. Where a piece ends follows from the
/// content alone, so that nodes with the same rows hash the same piece.
///
/// Indexes and free pages are not content: what is damaged in them no row shows. A pass therefore
/// ends with SQLite's own check, on each node for itself (see `Scrubber`).
struct ContentScan: ~Copyable {
    private let bounds: ScrubBounds
    private(set) var digest = csqlite_digest()
    private(set) var rows = 0
    private(set) var bytes: Int64 = 0
    private var tables = 0

    init(bounds: ScrubBounds) {
        self.bounds = bounds
    }

    private var isFull: Bool {
        rows >= bounds.rows || bytes >= bounds.bytes || tables >= bounds.tables
    }

    /// - Returns: where the next piece begins; nil: the pass is over.
    mutating func run(from start: ScrubCursor, on connection: borrowing Connection)
        throws(SQLiteError) -> ScrubCursor?
    {
        var cursor = start
        if cursor.table.isEmpty {
            try hashSchema(on: connection)
            guard let first = try table(after: [], on: connection) else { return nil }
            cursor = ScrubCursor(table: first, passed: 0, key: [])
        }
        while !isFull {
            if let place = try hashTable(from: cursor, on: connection) { return place }
            tables += 1
            guard let next = try table(after: cursor.table, on: connection) else { return nil }
            cursor = ScrubCursor(table: next, passed: 0, key: [])
        }
        return cursor
    }

    // MARK: The schema

    /// Where the roots lie is no content.
    private mutating func hashSchema(on connection: borrowing Connection) throws(SQLiteError) {
        let statement = try connection.prepare(
            """
            SELECT type, name, tbl_name, sql FROM main.sqlite_schema
            WHERE name <> '\(MetadataTable.namePrefix)' ORDER BY rowid
            """)
        while try statement.step() { addRow(statement, from: 0) }
    }

    private mutating func addRow(_ statement: borrowing PreparedStatement, from first: Int32) {
        rows += 1
        bytes += csqlite_digest_row(&digest, statement.pointer, first)
    }

    /// Names are compared as bytes; what is no UTF-8 has its place, too.
    private func table(after name: [UInt8], on connection: borrowing Connection)
        throws(SQLiteError) -> [UInt8]?
    {
        let statement = try connection.prepare(
            """
            SELECT CAST(name AS BLOB) FROM main.sqlite_schema
            WHERE type = 'table' AND rootpage > 0 AND name <> '\(MetadataTable.namePrefix)'
            AND CAST(name AS BLOB) > ?1 ORDER BY 1 LIMIT 1
            """)
        try statement.bind(name, at: 1)
        return try statement.step() ? statement.blob(at: 0) : nil
    }

    // MARK: One table

    /// - Returns: where it goes on in the table; nil: at its end.
    private mutating func hashTable(
        from cursor: ScrubCursor, on connection: borrowing Connection
    ) throws(SQLiteError) -> ScrubCursor? {
        // It may have been dropped since the piece before.
        guard let order = try TableOrder(of: cursor.table, on: connection) else { return nil }
        cursor.table.withUnsafeBytes {
            csqlite_digest_bytes(&digest, $0.baseAddress, UInt64($0.count))
        }
        let statement = try order.statement(from: cursor, on: connection)
        var passed = cursor.passed
        while try statement.step() {
            passed &+= 1
            addRow(statement, from: 0)
            if isFull {
                return ScrubCursor(
                    table: cursor.table, passed: passed, key: order.key(of: statement))
            }
        }
        return nil
    }
}
