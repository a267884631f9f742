internal import CSQLite

/// A compiled statement, finalized when the value ends.
package struct PreparedStatement: ~Copyable {
    /// SQLite's handle, valid for as long as the value lives.
    package let pointer: OpaquePointer

    package init(owning pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit {
        _ = sqlite3_finalize(pointer)
    }

    /// What compiling the front of a text gave. No statement with the code OK means that there was
    /// nothing but blanks and comments.
    package struct Compilation {
        /// SQLite's result code.
        package var code: Int32
        /// Nil if the text holds none, or it can't be compiled.
        package var statement: OpaquePointer?
        /// Bytes that the statement took, up to where the next one begins.
        package var consumed: Int
    }

    /// Compiles the first statement of `sql`; the caller owns it.
    ///
    /// The byte behind the text must be a NUL, as it is behind the bytes of a Swift string in
    /// `withCString`: of a text without one SQLite first makes a copy, and to do so for each
    /// statement of a long text would take time that grows with the square of its length.
    package static func compile(
        terminated sql: UnsafeRawBufferPointer, on connection: OpaquePointer, isPersistent: Bool
    ) -> Compilation {
        let base = sql.baseAddress?.assumingMemoryBound(to: CChar.self)
        precondition(base?[sql.count] ?? 0 == 0, "no NUL behind \(sql.count) bytes of SQL")
        return compile(base, (sql.count, -1), connection, isPersistent)
    }

    /// Compiles the first statement of a short text: all of it is copied.
    package static func compile(
        _ sql: UnsafeRawBufferPointer, on connection: OpaquePointer, isPersistent: Bool
    ) -> Compilation {
        let base = sql.baseAddress?.assumingMemoryBound(to: CChar.self)
        return compile(base, (sql.count, Int32(clamping: sql.count)), connection, isPersistent)
    }

    private static func compile(
        _ sql: UnsafePointer<CChar>?, _ count: (bytes: Int, told: Int32),
        _ connection: OpaquePointer, _ isPersistent: Bool
    ) -> Compilation {
        guard let sql else { return Compilation(code: SQLITE_OK, statement: nil, consumed: 0) }
        var compiled: OpaquePointer?
        var tail: UnsafePointer<CChar>?
        let code = sqlite3_prepare_v3(
            connection, sql, count.told, isPersistent ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0,
            &compiled, &tail)
        return Compilation(
            code: code, statement: compiled, consumed: tail.map { $0 - sql } ?? count.bytes)
    }

    private var failure: SQLiteError {
        let connection = sqlite3_db_handle(pointer)
        return SQLiteError(
            extendedCode: sqlite3_extended_errcode(connection), connection: connection)
    }

    /// Whether a row is there to be read.
    package func step() throws(SQLiteError) -> Bool {
        switch sqlite3_step(pointer) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw failure
        }
    }

    /// Steps to the end, then makes the statement ready to run again.
    package func run() throws(SQLiteError) {
        defer { reset() }
        while try step() {}
    }

    /// The code only repeats the failure of the last step.
    package func reset() { _ = sqlite3_reset(pointer) }
    /// All parameters are NULL again.
    package func clearBindings() { _ = sqlite3_clear_bindings(pointer) }

    /// SQLite would compile it again when it runs: a setting or the schema in memory is another one.
    package var isExpired: Bool { csqlite_is_expired(pointer) != 0 }

    /// The largest index of a parameter.
    package var parameterCount: Int { Int(sqlite3_bind_parameter_count(pointer)) }

    /// With its prefix; nil for a plain `?` and for numbers skipped.
    package func parameterName(at index: Int) -> String? {
        sqlite3_bind_parameter_name(pointer, Int32(index)).map { String(cString: $0) }
    }

    /// Indexes count from 1.
    /// - Throws: `SQLiteError` for one that there is not.
    package func bindNull(at index: Int) throws(SQLiteError) {
        try check(sqlite3_bind_null(pointer, Int32(index)))
    }
    /// See `bindNull`.
    package func bind(_ value: Int64, at index: Int) throws(SQLiteError) {
        try check(sqlite3_bind_int64(pointer, Int32(index), value))
    }
    /// See `bindNull`.
    package func bind(_ value: Double, at index: Int) throws(SQLiteError) {
        try check(sqlite3_bind_double(pointer, Int32(index), value))
    }
    /// As UTF-8, copied. See `bindNull`.
    package func bind(_ value: String, at index: Int) throws(SQLiteError) {
        var value = value
        try check(
            value.withUTF8 { utf8 in
                utf8.withMemoryRebound(to: CChar.self) {
                    // A NULL pointer would bind NULL in place of the empty text.
                    guard let base = $0.baseAddress else {
                        return csqlite_bind_text(pointer, Int32(index), "", 0)
                    }
                    return csqlite_bind_text(pointer, Int32(index), base, UInt64($0.count))
                }
            })
    }
    /// Copied. See `bindNull`.
    package func bind(_ value: [UInt8], at index: Int) throws(SQLiteError) {
        try check(
            value.withUnsafeBytes {
                csqlite_bind_blob(pointer, Int32(index), $0.baseAddress, UInt64($0.count))
            })
    }

    /// As UTF-8 that is taken as it is, valid or not; copied. See `bindNull`.
    package func bind(text bytes: [UInt8], at index: Int) throws(SQLiteError) {
        try check(
            bytes.withUnsafeBytes {
                guard let base = $0.baseAddress else {
                    return csqlite_bind_text(pointer, Int32(index), "", 0)
                }
                return csqlite_bind_text(
                    pointer, Int32(index), base.assumingMemoryBound(to: CChar.self),
                    UInt64($0.count))
            })
    }

    private func check(_ code: Int32) throws(SQLiteError) {
        guard code == SQLITE_OK else { throw failure }
    }

    /// 0 for a statement that returns no rows.
    package var columnCount: Int { Int(sqlite3_column_count(pointer)) }

    /// Nothing but reading, by SQLite's judgement; EXPLAIN of anything only reads.
    package var isReadOnly: Bool {
        sqlite3_stmt_readonly(pointer) != 0 || isExplanation
    }

    /// EXPLAIN, or EXPLAIN QUERY PLAN: it tells about a statement and carries nothing out.
    package var isExplanation: Bool { sqlite3_stmt_isexplain(pointer) != 0 }

    /// Indexes count from 0.
    package func columnName(at index: Int) -> String {
        sqlite3_column_name(pointer, Int32(index)).map { String(cString: $0) } ?? ""
    }

    /// The real name of the table a column comes from; nil for expressions.
    package func columnTable(at index: Int) -> String? {
        sqlite3_column_table_name(pointer, Int32(index)).map { String(cString: $0) }
    }

    /// As in CREATE TABLE; nil for an expression.
    package func declaredType(at index: Int) -> String? {
        sqlite3_column_decltype(pointer, Int32(index)).map { String(cString: $0) }
    }

    /// Of the present row: SQLITE_INTEGER and its like.
    package func type(at index: Int) -> Int32 { sqlite3_column_type(pointer, Int32(index)) }
    /// Of the present row; other types are converted as SQLite does.
    package func integer(at index: Int) -> Int64 { sqlite3_column_int64(pointer, Int32(index)) }
    /// Of the present row; other types are converted as SQLite does.
    package func real(at index: Int) -> Double { sqlite3_column_double(pointer, Int32(index)) }
    /// Of the present row; nil for NULL.
    package func text(at index: Int) -> String? {
        sqlite3_column_text(pointer, Int32(index)).map { String(cString: $0) }
    }

    /// All bytes of a text of the present row, none for NULL; nil where they are no UTF-8: what `text`
    /// would replace then is another text.
    package func validText(at index: Int) -> String? {
        withBytes(at: index, isText: true) { String(validating: $0, as: UTF8.self) }
    }

    /// The bytes of a text or blob; they live until the next step. The pointer is asked for before
    /// the count, for asking may convert the value.
    package func withBytes<Result>(
        at index: Int, isText: Bool, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        let start =
            isText
            ? UnsafeRawPointer(sqlite3_column_text(pointer, Int32(index)))
            : sqlite3_column_blob(pointer, Int32(index))
        let count = Int(sqlite3_column_bytes(pointer, Int32(index)))
        return body(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count))
    }

    /// The size of a text, in UTF-8, or of a blob, of the present row, in bytes.
    package func byteCount(at index: Int, isText: Bool) -> Int {
        withBytes(at: index, isText: isText) { $0.count }
    }

    /// Of the present row, copied.
    package func blob(at index: Int) -> [UInt8] {
        withBytes(at: index, isText: false) { Array($0) }
    }

    /// About how many bytes SQLite keeps for it. Takes time that grows with its program.
    package var byteCount: Int {
        Int(UInt32(bitPattern: sqlite3_stmt_status(pointer, SQLITE_STMTSTATUS_MEMUSED, 0)))
    }

    /// Virtual machine steps that it took since the count was started anew, modulo 2^32.
    package var stepCount: Int {
        Int(UInt32(bitPattern: sqlite3_stmt_status(pointer, SQLITE_STMTSTATUS_VM_STEP, 0)))
    }

    /// Starts the count of virtual machine steps anew.
    package func resetStepCount() {
        _ = sqlite3_stmt_status(pointer, SQLITE_STMTSTATUS_VM_STEP, 1)
    }
}
