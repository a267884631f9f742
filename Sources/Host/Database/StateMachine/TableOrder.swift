internal import CSQLite
internal import SQLite
internal import Wire

/// In which order the rows of a table are read, and how one goes on behind a row: by rowid, or by
/// the primary key of a table without rowid; by counting, where neither can be said or there is no room for it.
struct TableOrder {
    /// The parts of the key: expressions to select and compare, in SQL.
    private let key: [String]
    private let keyed: Bool
    private let hasRowid: Bool
    private let name: [UInt8]
    private let columns: [[UInt8]]

    /// Nil if there is no such table with content of its own.
    init?(of name: [UInt8], on connection: borrowing Connection) throws(SQLiteError) {
        self.name = name
        let quoted = Self.quoted(name)
        var columns: [[UInt8]] = []
        var names: Set<String> = []
        let list = try connection.prepare(
            utf8: Array("PRAGMA main.table_xinfo(".utf8) + quoted + [41])
        while try list.step() {
            names.insert((list.text(at: 1) ?? "").loweredASCII)
            // Virtual generated columns have no bytes of their own, and may fail.
            if [0, 3].contains(list.integer(at: 6)) {
                columns.append(list.withBytes(at: 1, isText: true) { Array($0) })
            }
        }
        guard !columns.isEmpty else { return nil }
        self.columns = columns
        hasRowid = try Self.hasRowid(quoted, on: connection)
        var key: [String]
        if hasRowid {
            let alias = ["rowid", "_rowid_", "oid"].first { !names.contains($0) }
            key = alias.map { [$0] } ?? []
        } else {
            key = try Self.primaryKey(quoted, on: connection)
        }
        // SQLite gives no row of more: such a table is counted.
        if key.count + columns.count > Self.mostColumns { key = [] }
        self.key = key
        keyed = !key.isEmpty
    }

    /// Of a result, and of a table (`SessionSetup`).
    private static let mostColumns = 2000

    /// A table without rowid is the b-tree of its primary key.
    private static func hasRowid(_ quoted: [UInt8], on connection: borrowing Connection)
        throws(SQLiteError) -> Bool
    {
        let list = try connection.prepare(
            utf8: Array("PRAGMA main.index_list(".utf8) + quoted + [41])
        while try list.step() {
            guard list.text(at: 3) == "pk" else { continue }
            // The primary key of a table with rowid is an index of its own, with a root.
            let root = try connection.prepare(
                "SELECT 1 FROM main.sqlite_schema WHERE type = 'index' AND name = ?1")
            try root.bind(list.text(at: 1) ?? "", at: 1)
            return try root.step()
        }
        return true
    }

    /// Empty where a part of the key descends.
    private static func primaryKey(_ quoted: [UInt8], on connection: borrowing Connection)
        throws(SQLiteError) -> [String]
    {
        let list = try connection.prepare(
            utf8: Array("PRAGMA main.index_list(".utf8) + quoted + [41])
        var index: [UInt8]?
        while try list.step() {
            guard list.text(at: 3) == "pk" else { continue }
            index = list.withBytes(at: 1, isText: true) { Array($0) }
        }
        guard let index else { return [] }
        let parts = try connection.prepare(
            utf8: Array("PRAGMA main.index_xinfo(".utf8) + Self.quoted(index) + [41])
        var key: [String] = []
        while try parts.step() {
            guard parts.integer(at: 5) != 0 else { continue }
            guard parts.integer(at: 3) == 0, let column = parts.text(at: 2),
                let collation = parts.text(at: 4)
            else { return [] }
            key.append(
                "\(named(column)) COLLATE \(named(collation))")
        }
        return key
    }

    private static func quoted(_ name: [UInt8]) -> [UInt8] {
        var quoted: [UInt8] = [34]
        for byte in name { quoted += byte == 34 ? [34, 34] : [byte] }
        return quoted + [34]
    }

    private static func named(_ name: String) -> String {
        String(decoding: quoted(Array(name.utf8)), as: UTF8.self)
    }

    /// The key's parts, then the columns, behind the row of the cursor.
    func statement(from cursor: ScrubCursor, on connection: borrowing Connection)
        throws(SQLiteError) -> PreparedStatement
    {
        let parts = key.joined(separator: ", ")
        var sql = Array("SELECT ".utf8)
        if keyed { sql += Array((parts + ", ").utf8) }
        sql += Array(columns.map(Self.quoted).joined(separator: [44]))
        sql += Array(" FROM main.".utf8) + Self.quoted(name)
        // An index that holds all columns would give another order.
        if hasRowid { sql += Array(" NOT INDEXED".utf8) }
        let values = keyed ? KeyBytes.values(of: cursor.key) : []
        // The table of the cursor may be gone, and another one have its name.
        let goesByKey = keyed && !cursor.key.isEmpty && values.count == key.count
        if goesByKey {
            let places = values.indices.map { "?\($0 + 1)" }.joined(separator: ", ")
            sql += Array(" WHERE (\(parts)) > (\(places))".utf8)
        }
        if keyed { sql += Array(" ORDER BY \(parts)".utf8) }
        if !goesByKey, cursor.passed > 0 {
            sql += Array(" LIMIT -1 OFFSET \(Int64(clamping: cursor.passed))".utf8)
        }
        let statement = try connection.prepare(utf8: sql)
        if goesByKey {
            for (place, value) in values.enumerated() {
                try KeyBytes.bind(value, to: statement, at: place + 1)
            }
        }
        return statement
    }

    /// Of the present row; empty where it is none, or too long.
    func key(of row: borrowing PreparedStatement) -> [UInt8] {
        guard keyed else { return [] }
        return KeyBytes.encoded(row, count: key.count)
    }
}

/// The key of a row in a cursor: `u8 SQLite's type | u32 length | bytes` for each part. Integers and
/// reals are 8 bytes, little-endian.
private enum KeyBytes {
    struct Part {
        var type: Int32
        var bytes: [UInt8]
    }

    static func encoded(_ row: borrowing PreparedStatement, count: Int) -> [UInt8] {
        var writer = ByteWriter()
        for column in 0..<count {
            let type = row.type(at: column)
            writer.write(UInt8(truncatingIfNeeded: type))
            switch type {
            case SQLITE_INTEGER: writer.write(word(UInt64(bitPattern: row.integer(at: column))))
            case SQLITE_FLOAT: writer.write(word(row.real(at: column).bitPattern))
            case SQLITE_TEXT, SQLITE_BLOB:
                let isText = type == SQLITE_TEXT
                guard row.byteCount(at: column, isText: isText) <= ScrubCursor.longestKey else {
                    return []
                }
                writer.write(row.withBytes(at: column, isText: isText) { Array($0) })
            default: return []
            }
        }
        return writer.count <= ScrubCursor.longestKey ? writer.bytes : []
    }

    private static func word(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    /// None where the bytes are no key: they come from the log.
    static func values(of bytes: [UInt8]) -> [Part] {
        var reader = ByteReader(bytes)
        var parts: [Part] = []
        do throws(WireError) {
            while !reader.isAtEnd {
                parts.append(
                    Part(type: Int32(try reader.readByte()), bytes: try reader.readBytes()))
            }
        } catch {
            return []
        }
        return parts
    }

    static func bind(_ part: Part, to statement: borrowing PreparedStatement, at place: Int)
        throws(SQLiteError)
    {
        let word = part.bytes.prefix(8).enumerated().reduce(UInt64(0)) {
            $0 | UInt64($1.element) << ($1.offset * 8)
        }
        switch part.type {
        case SQLITE_INTEGER: try statement.bind(Int64(bitPattern: word), at: place)
        case SQLITE_FLOAT: try statement.bind(Double(bitPattern: word), at: place)
        case SQLITE_TEXT: try statement.bind(text: part.bytes, at: place)
        default: try statement.bind(part.bytes, at: place)
        }
    }
}
