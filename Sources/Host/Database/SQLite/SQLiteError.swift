internal import CSQLite

/// A failure that SQLite reported: its codes and its message.
package struct SQLiteError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The primary result code, such as `SQLITE_CONSTRAINT`.
    package var code: Int32
    /// The extended result code, such as `SQLITE_CONSTRAINT_UNIQUE`.
    package var extendedCode: Int32
    /// SQLite's text, unchanged where it is not very long: clients match on it.
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
            message: text.map { Self.shortened(String(cString: $0), to: Self.longestMessage) }
                ?? "SQLite error \(extendedCode)")
    }

    /// Bytes of a message that are kept: SQLite repeats in it what it was given, which may be as long as
    /// any value.
    private static let longestMessage = 60 * 1024

    /// A text of no more than so many bytes as it is; of any other the beginning, and how long it is.
    package static func shortened(_ text: String, to byteCount: Int) -> String {
        let bytes = text.utf8
        guard bytes.count > byteCount else { return text }
        let beginning = String(decoding: bytes.prefix(byteCount), as: UTF8.self)
        return "\(beginning)… (\(bytes.count) bytes)"
    }

    package var description: String { "\(message) (SQLite code \(extendedCode))" }
}
