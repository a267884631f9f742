internal import CSQLite

/// A connection to a database file, closed when the value ends. It belongs to one thread at a time:
/// it is opened without SQLite's own mutex.
///
/// Live database files are opened through the VFS "rqlited" (see CSQLite.h). Nothing else may open
/// and close them: closing any descriptor of a file drops all of the process's POSIX locks on it.
package struct Connection: ~Copyable {
    /// What the connection may do.
    package enum Access: Sendable {
        case readOnly
        case readWrite
        /// Makes the file when there is none.
        case create
    }

    /// SQLite's handle, valid for as long as the value lives.
    package let pointer: OpaquePointer

    /// - Throws: `SQLiteError`, such as SQLITE_CANTOPEN.
    package init(path: String, access: Access) throws(SQLiteError) {
        let registered = csqlite_register_vfs()
        guard registered == SQLITE_OK else {
            throw SQLiteError(extendedCode: registered, connection: nil)
        }
        let mode =
            switch access {
            case .readOnly: SQLITE_OPEN_READONLY
            case .readWrite: SQLITE_OPEN_READWRITE
            case .create: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            }
        var opened: OpaquePointer?
        let rc = sqlite3_open_v2(
            path, &opened, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, CSQLITE_VFS_NAME)
        guard rc == SQLITE_OK, let opened else {
            let error = SQLiteError(extendedCode: rc, connection: opened)
            _ = sqlite3_close_v2(opened)
            throw error
        }
        pointer = opened
    }

    /// Statements still alive keep the handle open until the last of them ends.
    deinit {
        _ = sqlite3_close_v2(pointer)
    }

    /// Of the last call on this connection that failed.
    package var lastError: SQLiteError {
        SQLiteError(extendedCode: sqlite3_extended_errcode(pointer), connection: pointer)
    }

    /// Compiles the first statement of a text.
    package func prepare(_ sql: String, isPersistent: Bool = false) throws(SQLiteError)
        -> PreparedStatement
    {
        var sql = sql
        return try taking(
            sql.withUTF8 { utf8 in
                PreparedStatement.compile(
                    UnsafeRawBufferPointer(utf8), on: pointer, isPersistent: isPersistent)
            })
    }

    /// Compiles the first statement of a text that holds names which are no valid UTF-8, as those
    /// that clients must not be able to say.
    package func prepare(utf8 sql: [UInt8]) throws(SQLiteError) -> PreparedStatement {
        try taking(
            sql.withUnsafeBytes {
                PreparedStatement.compile($0, on: pointer, isPersistent: false)
            })
    }

    private func taking(_ result: PreparedStatement.Compilation) throws(SQLiteError)
        -> PreparedStatement
    {
        switch result.statement {
        case nil where result.code == SQLITE_OK:
            throw SQLiteError(extendedCode: SQLITE_ERROR, message: "no statement in the text")
        case nil: throw lastError
        case let compiled?: return PreparedStatement(owning: compiled)
        }
    }

    /// Runs all statements of a text of our own.
    package func execute(_ sql: String) throws(SQLiteError) {
        guard sqlite3_exec(pointer, sql, nil, nil, nil) == SQLITE_OK else { throw lastError }
    }

    /// The integer that a query of our own yields in its first row; nil when it has no row.
    package func integer(_ sql: String) throws(SQLiteError) -> Int64? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(at: 0) : nil
    }

    /// The text that a query of our own yields in its first row; nil when it has no row.
    /// - Throws: `SQLiteError` of compiling or running it.
    package func text(_ sql: String) throws(SQLiteError) -> String? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.text(at: 0) : nil
    }

    /// Switches an option of `sqlite3_db_config` that takes a Boolean.
    package func configure(_ option: Int32, _ isOn: Bool) throws(SQLiteError) {
        let rc = csqlite_db_config(pointer, option, isOn ? 1 : 0)
        guard rc == SQLITE_OK else { throw SQLiteError(extendedCode: rc, connection: pointer) }
    }

    /// No transaction is open.
    package var isAutocommit: Bool { sqlite3_get_autocommit(pointer) != 0 }
    /// Rows changed since the connection was opened, by triggers too.
    package var totalChanges: Int64 { sqlite3_total_changes64(pointer) }
    /// Rows that the last INSERT, UPDATE or DELETE changed, without triggers.
    package var changes: Int64 { sqlite3_changes64(pointer) }

    /// 0 before any.
    package var lastInsertRowid: Int64 { sqlite3_last_insert_rowid(pointer) }
    /// Takes the place of what SQLite remembered.
    package func setLastInsertRowid(_ rowid: Int64) {
        sqlite3_set_last_insert_rowid(pointer, rowid)
    }

    /// Foreign key violations that wait for COMMIT to be judged.
    package var hasDeferredViolations: Bool {
        var current: Int32 = 0
        var highest: Int32 = 0
        let rc = sqlite3_db_status(
            pointer, SQLITE_DBSTATUS_DEFERRED_FKS, &current, &highest, 0)
        return rc == SQLITE_OK && current != 0
    }
}

extension Connection {
    /// Runs `body` in a transaction of its own.
    package func executeInTransaction(
        _ body: (borrowing Connection) throws(SQLiteError) -> Void
    ) throws(SQLiteError) {
        try execute("BEGIN IMMEDIATE")
        do throws(SQLiteError) {
            try body(self)
            try execute("COMMIT")
        } catch {
            // Some failures have ended the transaction already.
            if !isAutocommit { try execute("ROLLBACK") }
            throw error
        }
    }
}
