internal import CSQLite
internal import SQLite
internal import Wire

/// The SQL that makes a database anew, as SQLite's shell writes it: tables with their rows in the
/// order of their names, then indexes, triggers and views in the order in which they were made.
///
///     PRAGMA foreign_keys=OFF;
///     BEGIN TRANSACTION;
///     CREATE TABLE …;
///     INSERT INTO "name" VALUES(…);
///     …
///     COMMIT;
///
/// What SQLite keeps for itself comes behind all tables, when it is there to be filled, and statistics at the end
/// (`writeStatistics`). A virtual table is a row of the schema, and its module's own tables hold its rows.
struct SQLDump {
    private struct Table {
        var name: String
        var sql: String
        var isVirtual: Bool

        var isNumbered: Bool { !isVirtual && SQLDump.isNumbered(sql) }
    }

    /// A table by this text counts in `sqlite_sequence`. No name is written like this without quotes.
    static func isNumbered(_ sql: String) -> Bool {
        var copy = sql
        return copy.withUTF8 { utf8 in
            var tokens = SQLTokenizer(UnsafeRawBufferPointer(utf8))
            while let token = tokens.next() {
                if case .word(let range) = token, tokens.isKeyword(range, "AUTOINCREMENT") {
                    return true
                }
            }
            return false
        }
    }

    private let connection: OpaquePointer
    private let names: [String]?
    private var buffer: [UInt8] = []

    init(of connection: borrowing Connection, tables names: [String]?) {
        self.connection = connection.pointer
        self.names = names
    }

    func write(to answer: inout BackupAnswer) throws(BackupFault) {
        var dump = self
        try dump.writeAll(to: &answer)
    }

    private mutating func writeAll(to answer: inout BackupAnswer) throws(BackupFault) {
        // A value of the largest size is longer as SQL.
        _ = sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, 1_000_000_000)
        line("PRAGMA foreign_keys=OFF;")
        line("BEGIN TRANSACTION;")
        let tables = try self.tables
        let isNumbered = tables.contains(where: \.isNumbered)
        let hasVirtual = tables.contains(where: \.isVirtual)
        for table in tables where !table.isVirtual {
            switch table.name {
            // It stays when the last table that it is for goes, and nothing would make it anew.
            case "sqlite_sequence" where !isNumbered: continue
            case "sqlite_sequence": line("DELETE FROM \"sqlite_sequence\";")
            case "sqlite_stat1":
                // Behind virtual tables, which are rows of the schema, nothing is read before the end.
                if hasVirtual { try writeStatistics(to: &answer) }
                continue
            case let name where name.hasPrefix("sqlite_"): continue
            default: line("\(table.sql);")
            }
            try writeRows(of: table.name, to: &answer)
        }
        if hasVirtual { try writeVirtual(tables) }
        let others = try query(
            """
            SELECT name, sql FROM main.sqlite_schema WHERE type IN ('index', 'trigger', 'view')
            AND sql IS NOT NULL ORDER BY rowid
            """)
        try rows(of: others) { dump, row throws(BackupFault) in
            let sql = try Self.sql(of: row.text(at: 0) ?? "", row, at: 1)
            dump.line("\(sql);")
            try dump.flush(to: &answer, from: ResultWindow.partBytes)
        }
        if hasVirtual {
            line("PRAGMA writable_schema=OFF;")
        } else if tables.contains(where: { $0.name == "sqlite_stat1" }) {
            try writeStatistics(to: &answer)
        }
        line("COMMIT;")
        try flush(to: &answer, from: 1)
    }

    /// The schema is read again for each statement that writes statistics, and for each by which an object is made where there
    /// are some. So they come last, and in few statements.
    private mutating func writeStatistics(to answer: inout BackupAnswer) throws(BackupFault) {
        line("ANALYZE \"sqlite_master\";")
        try writeRows(of: "sqlite_stat1", bytesPerStatement: 64 << 10, to: &answer)
    }

    private mutating func writeVirtual(_ tables: [Table]) throws(BackupFault) {
        line("PRAGMA writable_schema=ON;")
        for table in tables where table.isVirtual {
            let name = table.name.quotedText
            line(
                "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)"
                    + "VALUES('table',\(name),\(name),0,\(table.sql.quotedText));")
        }
    }

    private var tables: [Table] {
        get throws(BackupFault) {
            let statement = try query(
                """
                SELECT name, sql, rootpage = 0 FROM main.sqlite_schema
                WHERE type = 'table' AND sql IS NOT NULL
                ORDER BY name IN ('sqlite_sequence', 'sqlite_stat1'), name
                """)
            var tables: [Table] = []
            var copy = self
            try copy.rows(of: statement) { _, row throws(BackupFault) in
                let name = row.text(at: 0) ?? ""
                guard names?.contains(where: { $0.utf8.elementsEqual(name.utf8) }) ?? true else {
                    return
                }
                let sql = try Self.sql(of: name, row, at: 1)
                tables.append(Table(name: name, sql: sql, isVirtual: row.integer(at: 2) != 0))
            }
            return tables
        }
    }

    /// What makes an object of the schema. Nothing is repaired in it: a column that is named otherwise
    /// would be taken for a text, and stand in place of each of its values.
    private static func sql(
        of name: String, _ row: borrowing PreparedStatement, at place: Int
    ) throws(BackupFault) -> String {
        guard let sql = row.validText(at: place) else {
            throw .sqlite("writing it as SQL", .schemaNotUTF8(name))
        }
        return sql
    }

    /// The columns that can be written: those that are computed are not.
    private func columns(of table: String) throws(BackupFault) -> (names: [String], areAll: Bool) {
        // The table of this name could be one that a client made.
        let statement = try query("PRAGMA main.table_xinfo(\(table.quotedName))")
        var names: [String] = []
        var areAll = true
        var copy = self
        try copy.rows(of: statement) { _, row in
            if row.integer(at: 6) == 0 {
                names.append(row.text(at: 1) ?? "")
            } else {
                areAll = false
            }
        }
        return (names, areAll)
    }

    /// - Parameter bytesPerStatement: a statement takes rows until it has so many of them; zero: one.
    private mutating func writeRows(
        of table: String, bytesPerStatement: Int = 0, to answer: inout BackupAnswer
    ) throws(BackupFault) {
        let (columns, areAll) = try columns(of: table)
        guard !columns.isEmpty else { return }
        var head = "INSERT INTO \(table.quotedName)"
        if !areAll { head += "(\(columns.map(\.quotedName).joined(separator: ",")))" }
        let start = Array("\(head) VALUES(".utf8)
        let values = columns.map { Self.literal($0.quotedName) }.joined(separator: ", ")
        let statement = try query("SELECT \(values) FROM main.\(table.quotedName)")
        // Of the rows in the statement that is open; nil: there is none.
        var bytes: Int?
        try rows(of: statement) { dump, row throws(BackupFault) in
            if let taken = bytes, taken < bytesPerStatement {
                dump.buffer += "),\n(".utf8
            } else {
                if bytes != nil { dump.line(");") }
                dump.buffer += start
                bytes = 0
            }
            for place in columns.indices {
                if place > 0 { dump.buffer.append(UInt8(ascii: ",")) }
                bytes = (bytes ?? 0) + row.byteCount(at: place, isText: true)
                dump.append(valueOf: row, at: place)
                try dump.flush(to: &answer, from: ResultWindow.partBytes)
            }
            try dump.flush(to: &answer, from: ResultWindow.partBytes)
        }
        if bytes != nil { line(");") }
    }

    /// As SQLite's quote(), but for what that loses: infinite numbers, and texts behind a NUL.
    private static func literal(_ column: String) -> String {
        """
        CASE typeof(\(column))
        WHEN 'real' THEN CASE \(column) WHEN 9e999 THEN '9.0e+999' WHEN -9e999 THEN '-9.0e+999'
        ELSE quote(\(column)) END
        WHEN 'text' THEN CASE instr(CAST(\(column) AS BLOB), x'00') WHEN 0 THEN quote(\(column))
        ELSE 'CAST(' || quote(CAST(\(column) AS BLOB)) || ' AS TEXT)' END
        ELSE quote(\(column)) END
        """
    }

    // MARK: Statements of our own

    private func query(_ sql: String) throws(BackupFault) -> PreparedStatement {
        var sql = sql
        let compiled = sql.withUTF8 {
            PreparedStatement.compile(
                UnsafeRawBufferPointer($0), on: connection, isPersistent: false)
        }
        guard let statement = compiled.statement else {
            throw .sqlite("reading the copy", lastError(compiled.code))
        }
        return PreparedStatement(owning: statement)
    }

    private func lastError(_ code: Int32) -> SQLiteError {
        SQLiteError(extendedCode: code, connection: connection)
    }

    private mutating func rows(
        of statement: borrowing PreparedStatement,
        _ body: (inout SQLDump, borrowing PreparedStatement) throws(BackupFault) -> Void
    ) throws(BackupFault) {
        while true {
            let hasRow: Bool
            do throws(SQLiteError) {
                hasRow = try statement.step()
            } catch {
                throw .sqlite("reading the copy", error)
            }
            guard hasRow else { return }
            try body(&self, statement)
        }
    }

    // MARK: Text

    private mutating func line(_ text: String) {
        buffer += text.utf8
        buffer.append(UInt8(ascii: "\n"))
    }

    /// A value as SQL. Texts of clients need not be UTF-8, but what is loaded must be: such a text goes
    /// by its bytes.
    private mutating func append(valueOf row: borrowing PreparedStatement, at place: Int) {
        row.withBytes(at: place, isText: true) { sql in
            let quote = UInt8(ascii: "'")
            guard sql.first == quote, String(validating: sql, as: UTF8.self) == nil else {
                buffer += sql
                return
            }
            buffer += "CAST(X'".utf8
            for byte in SQLTokenizer.undoubled(sql.dropFirst().dropLast(), quote) {
                buffer.append(Self.digits[Int(byte >> 4)])
                buffer.append(Self.digits[Int(byte & 15)])
            }
            buffer += "' AS TEXT)".utf8
        }
    }

    private static let digits = Array("0123456789ABCDEF".utf8)

    private mutating func flush(to answer: inout BackupAnswer, from size: Int) throws(BackupFault) {
        guard buffer.count >= size else { return }
        var rest = buffer[...]
        while rest.count >= size, !rest.isEmpty {
            let part = rest.prefix(ResultWindow.partBytes)
            try answer.add(Array(part))
            rest = rest[part.endIndex...]
        }
        buffer = Array(rest)
    }
}
