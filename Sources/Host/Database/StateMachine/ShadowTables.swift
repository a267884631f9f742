internal import SQLite

/// What may stand in place of the tables in which virtual tables keep their rows, where modules don't
/// make them: in dumps and in files that are loaded.
///
/// Modules read some of them when a connection opens the file, outside of all counting. A view there, a
/// column that is generated, or a virtual table whose rows are those of a view, may run for ever, at every
/// start of every node.
enum ShadowTables {
    private static let suffixes = [
        "data", "idx", "content", "docsize", "config", "segments", "segdir", "stat", "node",
        "rowid",
        "parent",
    ]

    /// Of those that are read when a table is connected: no virtual table may stand there. Elsewhere one may be
    /// called so by its own right, for it is no module's.
    private static let readSuffixes = ["config", "node"]

    /// - Parameters:
    ///   - tables: the virtual tables, in lower case.
    ///   - isVirtual: what has the name is a virtual table itself.
    static func isName(_ name: String, beside tables: Set<ByteText>, isVirtual: Bool = false)
        -> Bool
    {
        let lower = name.loweredASCII
        return (isVirtual ? readSuffixes : suffixes).contains { suffix in
            guard lower.utf8.count > suffix.utf8.count + 1, lower.hasSuffix("_\(suffix)") else {
                return false
            }
            return tables.contains(ByteText(lower.utf8.dropLast(suffix.utf8.count + 1)))
        }
    }

    /// Whether it is text that makes an ordinary table: no view, no virtual table, and nothing in it is
    /// generated.
    static func isOrdinary(_ sql: UnsafeRawBufferPointer) -> Bool {
        var tokens = SQLTokenizer(sql)
        var isTable = false
        while let token = tokens.next() {
            guard case .word(let range) = token else { continue }
            if !isTable, tokens.isKeyword(range, "VIRTUAL") { return false }
            if tokens.isKeyword(range, "TABLE") { isTable = true }
            if tokens.isKeyword(range, "AS") || tokens.isKeyword(range, "GENERATED") {
                return false
            }
        }
        return isTable
    }

    static func isOrdinary(_ sql: String) -> Bool {
        var copy = sql
        return copy.withUTF8 { isOrdinary(UnsafeRawBufferPointer($0)) }
    }

    static func refusal(_ name: String) -> String {
        "\(name) has the name of a table in which a virtual table keeps its rows, and may be no view, no "
            + "virtual table, and have no generated columns"
    }

    /// The first object of the database that may not stand there.
    /// - Parameter tables: see `isName`.
    static func strange(beside tables: Set<ByteText>, on connection: borrowing Connection)
        throws(SQLiteError) -> String?
    {
        let objects = try connection.prepare(
            """
            SELECT name, sql, type = 'table' AND rootpage = 0 FROM main.sqlite_schema
            WHERE type = 'view' OR type = 'table'
            """)
        while try objects.step() {
            let name = objects.text(at: 0) ?? ""
            let isVirtual = objects.integer(at: 2) != 0
            guard isName(name, beside: tables, isVirtual: isVirtual) else { continue }
            if isVirtual || !isOrdinary(objects.text(at: 1) ?? "") { return name }
        }
        return nil
    }

    /// A module reads all its options when it is connected: FTS5 sets some ten of them.
    private static let mostOptions = 100

    /// The first table of options that has more rows than a module sets.
    /// - Parameter tables: see `isName`; none of them is connected.
    static func overfull(beside tables: Set<ByteText>, on connection: borrowing Connection)
        throws(SQLiteError) -> String?
    {
        let objects = try connection.prepare(
            """
            SELECT name FROM main.sqlite_schema
            WHERE type = 'table' AND rootpage > 0 AND name LIKE '%\\_config' ESCAPE '\\'
            """)
        while try objects.step() {
            let name = objects.text(at: 0) ?? ""
            guard isName(name, beside: tables) else { continue }
            let rows = try connection.integer(
                "SELECT count(*) FROM (SELECT 1 FROM main.\(name.quotedName) LIMIT \(mostOptions + 1))"
            )
            if rows ?? 0 > mostOptions { return name }
        }
        return nil
    }

    static func refusal(overfull name: String) -> String {
        "\(name) has the name of a table in which a full-text table keeps its options, and more rows than "
            + "it has: at most \(mostOptions)"
    }
}
