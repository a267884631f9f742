import Scratch

internal import CSQLite
internal import SQLite
internal import Wire

/// SQLite by itself, outside of the daemon: what it answers is right.
///
/// It opens the file anew before each transaction, for so it plans by the file alone.
final class PlainSQLite {
    private let directory: TemporaryDirectory
    private let path: String
    private let foreignKeys: Bool
    private var connection: Connection

    init(foreignKeys: Bool) throws {
        self.foreignKeys = foreignKeys
        directory = try TemporaryDirectory("sqlcheck")
        path = "\(directory.path)/plain.sqlite"
        connection = try Self.open(path, foreignKeys: foreignKeys, access: .create)
    }

    private static func open(_ path: String, foreignKeys: Bool, access: Connection.Access) throws
        -> Connection
    {
        let connection = try Connection(path: path, access: access)
        try connection.execute(
            """
            PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA analysis_limit=1000;
            PRAGMA foreign_keys=\(foreignKeys ? "ON" : "OFF");
            """)
        _ = sqlite3_limit(connection.pointer, SQLITE_LIMIT_LENGTH, 256 << 20)
        return connection
    }

    /// What a request answers, in the daemon's form; nil for what only the daemon refuses.
    func answer(_ command: Command, at milliseconds: Int64) throws -> [StatementOutcome]? {
        csqlite_freeze_clock(milliseconds)
        defer { csqlite_release_clock() }
        var outcomes: [StatementOutcome] = []
        if command.transaction {
            try reopen()
            try connection.execute("BEGIN")
        }
        for statement in command.statements {
            let outcome = try run(statement, of: command)
            guard let outcome else { return nil }
            outcomes.append(outcome)
            guard case .failed = outcome, command.transaction else { continue }
            if !connection.isAutocommit { try connection.execute("ROLLBACK") }
            return outcomes
        }
        if command.transaction {
            do throws(SQLiteError) {
                try connection.execute("COMMIT")
            } catch {
                try connection.execute("ROLLBACK")
                return [.failed(error.message)]
            }
        }
        return outcomes
    }

    private func reopen() throws {
        connection = try Self.open(path, foreignKeys: foreignKeys, access: .readWrite)
    }

    /// The outcome of a text's last statement, or its first failure.
    private func run(_ text: Statement, of command: Command) throws -> StatementOutcome? {
        var outcome = StatementOutcome.empty
        var rest = Array(text.sql.utf8)[...]
        while true {
            if connection.isAutocommit { try reopen() }
            let compiled = rest.withUnsafeBytes {
                PreparedStatement.compile($0, on: connection.pointer, isPersistent: false)
            }
            guard compiled.code == SQLITE_OK else {
                outcome = .failed(connection.lastError.message)
                break
            }
            guard let pointer = compiled.statement else { break }
            rest = rest.dropFirst(compiled.consumed)
            let statement = PreparedStatement(owning: pointer)
            if command.kind == .query, !statement.isReadOnly {
                outcome = .failed("attempt to change database via query operation")
                break
            }
            for (index, value) in text.positional.enumerated() {
                try bind(value, at: index + 1, of: statement)
            }
            outcome = run(statement, givesRows: command.kind != .execute || !statement.isReadOnly)
            // What changes of the schema count are no rows of a client.
            if case .changed = outcome, Self.changesSchema(text.sql) { outcome = .empty }
            if case .failed = outcome { break }
        }
        // The daemon ends what a failed text leaves open.
        if !command.transaction, !connection.isAutocommit { try connection.execute("ROLLBACK") }
        return outcome
    }

    private static func changesSchema(_ sql: String) -> Bool {
        ["CREATE", "DROP", "ALTER", "REINDEX", "ANALYZE", "VACUUM", "PRAGMA"]
            .contains { sql.hasPrefix($0) }
    }

    private func bind(
        _ value: Value, at index: Int, of statement: borrowing PreparedStatement
    ) throws {
        switch value {
        case .null: try statement.bindNull(at: index)
        case .integer(let integer): try statement.bind(integer, at: index)
        case .real(let real): try statement.bind(real, at: index)
        case .text(let text): try statement.bind(text, at: index)
        case .blob(let bytes): try statement.bind(bytes, at: index)
        }
    }

    private func run(_ statement: borrowing PreparedStatement, givesRows: Bool)
        -> StatementOutcome
    {
        let before = connection.totalChanges
        var writer = ByteWriter()
        var rowCount = 0
        do throws(SQLiteError) {
            while try statement.step() {
                guard givesRows else { break }
                rowCount += 1
                for index in 0..<statement.columnCount { encode(statement, index, &writer) }
            }
        } catch {
            let message = connection.lastError.message
            statement.reset()
            return .failed(message)
        }
        let columnCount = statement.columnCount
        statement.reset()
        if givesRows, columnCount > 0 {
            return .rows(RowSet(columns: [], types: [], rowCount: rowCount, cells: writer.bytes))
        }
        // What modules keep until the end of a transaction and write then is no row of a client.
        guard connection.totalChanges != before, !statement.isReadOnly else { return .empty }
        return .changed(lastInsertID: 0, rowsAffected: connection.changes)
    }

    private func encode(
        _ statement: borrowing PreparedStatement, _ index: Int, _ writer: inout ByteWriter
    ) {
        switch statement.type(at: index) {
        case SQLITE_INTEGER: Value.integer(statement.integer(at: index)).encode(into: &writer)
        case SQLITE_FLOAT: Value.real(statement.real(at: index)).encode(into: &writer)
        case SQLITE_TEXT:
            writer.write(ValueTag.text.rawValue)
            writer.write(statement.withBytes(at: index, isText: true) { Array($0) })
        case SQLITE_BLOB: Value.blob(statement.blob(at: index)).encode(into: &writer)
        default: Value.null.encode(into: &writer)
        }
    }

    /// Every row, as `Dump` gives them of a replica.
    func rows() throws -> [DumpedTable] {
        try reopen()
        return try Dump.rows(of: path)
    }
}
