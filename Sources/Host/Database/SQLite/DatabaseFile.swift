internal import CSQLite

/// The open files of a connection, reached through SQLite's own handles. A descriptor of our own
/// would drop the process's locks on the file when it is closed.
extension Connection {
    /// A file that SQLite has open for a connection.
    package enum File: Sendable {
        case main
        /// There is none before the first access to the database.
        case writeAheadLog
    }

    private func handle(_ file: File) -> UnsafeMutablePointer<sqlite3_file>? {
        switch file {
        case .main: csqlite_main_file(pointer)
        case .writeAheadLog: csqlite_wal_file(pointer)
        }
    }

    /// In bytes; zero when the file is not open.
    package func size(of file: File) throws(SQLiteError) -> Int64 {
        guard let handle = handle(file) else { return 0 }
        var size: Int64 = 0
        let rc = csqlite_file_size(handle, &size)
        guard rc == SQLITE_OK else { throw SQLiteError(extendedCode: rc, connection: nil) }
        return size
    }

    /// Returns once everything written to the file so far is on stable storage.
    package func sync(_ file: File) throws(SQLiteError) {
        guard let handle = handle(file) else { return }
        let rc = csqlite_file_sync(handle)
        guard rc == SQLITE_OK else { throw SQLiteError(extendedCode: rc, connection: nil) }
    }

    /// Exactly `count` bytes of the main file.
    package func read(offset: Int64, count: Int) throws(SQLiteError) -> [UInt8] {
        guard let handle = handle(.main) else {
            throw SQLiteError(extendedCode: SQLITE_MISUSE, message: "the database file is not open")
        }
        var rc = SQLITE_OK
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            rc = csqlite_file_read(handle, buffer.baseAddress, Int32(count), offset)
            initialized = rc == SQLITE_OK ? count : 0
        }
        guard rc == SQLITE_OK else { throw SQLiteError(extendedCode: rc, connection: nil) }
        return bytes
    }
}
