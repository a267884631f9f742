internal import CSQLite
internal import SQLite

/// An ALTER TABLE by which a name becomes that of a column, or ceases to be.
///
/// In an index or a generated column some words are a column only where the table has one of the name: a
/// text in double quotes, TRUE and FALSE, and in the condition of an index the names of the rowid. SQLite
/// doesn't build an index anew when they come to mean something else: the index disagrees with its table,
/// and SQLite says of that what it says of a damaged file.
struct ColumnChange {
    private let table: String
    /// In lower case.
    private let column: String
    /// The name ceases to be a column's. Where that stands in double quotes SQLite looks after it.
    private let isRemoval: Bool

    private static let special = ["rowid", "oid", "_rowid_", "true", "false"]

    /// Nil for any other statement.
    init?(_ sql: UnsafeRawBufferPointer) {
        var reader = Reader(sql)
        guard reader.skip("ALTER"), reader.skip("TABLE"), var table = reader.name() else {
            return nil
        }
        if reader.skipDot() {
            guard let second = reader.name() else { return nil }
            table = second
        }
        self.table = table
        isRemoval = reader.skip("DROP")
        let isRenaming = !isRemoval && reader.skip("RENAME")
        guard isRemoval || isRenaming || reader.skip("ADD") else { return nil }
        _ = reader.skip("COLUMN")
        if isRenaming {
            guard !reader.skip("TO"), reader.name() != nil, reader.skip("TO") else { return nil }
        }
        guard let column = reader.name() else { return nil }
        self.column = column
        guard !isRemoval || Self.special.contains(column) else { return nil }
    }

    /// Whether the statement is an ALTER TABLE that adds a column.
    static func isAddition(_ sql: UnsafeRawBufferPointer) -> Bool {
        var reader = Reader(sql)
        guard reader.skip("ALTER"), reader.skip("TABLE"), reader.name() != nil else { return false }
        if reader.skipDot(), reader.name() == nil { return false }
        return reader.skip("ADD")
    }

    /// Why the statement is refused, in words for the client; nil when it isn't.
    func refusal(on connection: borrowing Connection) throws(SQLiteError) -> String? {
        let objects = try connection.prepare(
            """
            SELECT type = 'index', sql FROM main.sqlite_schema
            WHERE type IN ('table', 'index') AND tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL
            """)
        try objects.bind(table, at: 1)
        while try objects.step() {
            let isIndex = objects.integer(at: 0) != 0
            guard objects.withBytes(at: 1, isText: true, { stands(in: $0, isIndex: isIndex) })
            else { continue }
            return
                "\(column) stands in an index or a generated column of \(table), where it would come to "
                + "mean something else: drop that first, and write texts in single quotes"
        }
        return nil
    }

    /// Whether an index, or a table with generated columns, has the name where it may be a column or not.
    private func stands(in sql: UnsafeRawBufferPointer, isIndex: Bool) -> Bool {
        let isSpecial = Self.special.contains(column)
        var tokens = SQLTokenizer(sql)
        var isComputed = isIndex
        var isFound = false
        // In front of it stand the names of the object, and of an index' table.
        var isWithin = false
        while let token = tokens.next() {
            switch token {
            case .other(UInt8(ascii: "(")): isWithin = true
            case .word(let range):
                if tokens.isKeyword(range, "AS") || tokens.isKeyword(range, "GENERATED") {
                    isComputed = true
                } else if isWithin, isSpecial, tokens.lowercased(range) == column {
                    isFound = true
                }
            case .quoted(let range) where isWithin:
                let quote = sql[range.lowerBound - 1]
                let mayBeText = !isRemoval && quote == UInt8(ascii: "\"")
                guard mayBeText || isSpecial && quote != UInt8(ascii: "'") else { break }
                if Self.name(sql, range) == column { isFound = true }
            case .semicolon, .quoted, .other: break
            }
        }
        return isFound && isComputed
    }

    /// Of a token in quotes, in lower case.
    private static func name(_ sql: UnsafeRawBufferPointer, _ range: Range<Int>) -> String {
        let bytes = SQLTokenizer.undoubled(sql[range], sql[range.lowerBound - 1])
        return String(decoding: bytes, as: UTF8.self).loweredASCII
    }

    /// Takes one token after the other.
    private struct Reader {
        private let bytes: UnsafeRawBufferPointer
        private var tokens: SQLTokenizer

        init(_ bytes: UnsafeRawBufferPointer) {
            self.bytes = bytes
            tokens = SQLTokenizer(bytes)
            var following = tokens
            while following.next() == .semicolon { tokens = following }
        }

        /// Whether the next one is this keyword: then it is taken.
        mutating func skip(_ keyword: StaticString) -> Bool {
            var following = tokens
            guard case .word(let range)? = following.next(), following.isKeyword(range, keyword)
            else { return false }
            tokens = following
            return true
        }

        mutating func skipDot() -> Bool {
            var following = tokens
            guard following.next() == .other(UInt8(ascii: ".")) else { return false }
            tokens = following
            return true
        }

        /// In lower case; nil: the next token is none, and is taken.
        mutating func name() -> String? {
            switch tokens.next() {
            case .word(let range): tokens.lowercased(range)
            case .quoted(let range): ColumnChange.name(bytes, range)
            case .semicolon, .other, nil: nil
            }
        }
    }
}

extension WriteSession {
    /// Why an ALTER TABLE is refused; see `ColumnChange`.
    /// - Parameter sql: the statement begins at `offset` of it.
    func refusalOfColumn(_ statement: ScriptStatement, of sql: String, from offset: Int)
        throws(SQLiteError) -> SQLiteError?
    {
        guard statement.compiled.facts.changesSchema, statement.compiled.facts.keyword == .other,
            !statement.compiled.isReadOnly
        else { return nil }
        let change = statement.withText(of: sql, from: offset) { ColumnChange($0) }
        guard let reason = try change?.refusal(on: connection) else { return nil }
        return SQLiteError(extendedCode: SQLITE_ERROR, message: reason)
    }
}
