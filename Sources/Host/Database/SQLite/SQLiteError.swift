internal import CSQLite

/// A failure that SQLite reported: its codes and its message.
package struct SQLiteError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The primary result code, such as `SQLITE_CONSTRAINT`.
    package var code: Int32
    /// The extended result code, such as `SQLITE_CONSTRAINT_UNIQUE`.
    package var extendedCode: Int32
    /// SQLite's text, unchanged: clients match on it.
    package var message: String

    package init(extendedCode: Int32, message: String) {
        code = extendedCode & 0xFF
        self.extendedCode = extendedCode
        self.message = message
    }

    /// The last error of a connection, or the general text of the code where there is none.
    package init(extendedCode: Int32, connection: OpaquePointer?) {
        let text = connection.flatMap { sqlite3_errmsg($0) } ?? sqlite3_errstr(extendedCode)
        self.init(
            extendedCode: extendedCode,
            message: text.map { String(cString: $0) } ?? "SQLite error \(extendedCode)")
    }

    package var description: String { "\(message) (SQLite code \(extendedCode))" }
}
