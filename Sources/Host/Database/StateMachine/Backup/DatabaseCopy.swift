internal import CSQLite
internal import Glibc
internal import SQLite
internal import Wire

/// A copy of the database in a file of its own, without what is the daemon's in it. Belongs to one
/// thread; the file goes with the object, and with the next start if the process ends first.
final class DatabaseCopy {
    private let connection: Connection
    /// Where the file is; its last six characters are by chance.
    let path: String
    private let watchdog: Watchdog

    /// Pages that are copied before it is asked whether the copy is still wanted.
    private static let pagesPerStep: Int32 = 256

    /// What the copy leaves free of the disk, on which log and database are, too, in bytes.
    var spareBytes: UInt64 = 64 << 20

    init(in directory: String, _ watchdog: Watchdog) throws(SQLiteError) {
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
            throw SQLiteError(extendedCode: SQLITE_CANTOPEN, message: "can't make \(directory)")
        }
        guard let path = DatabaseDirectory.makeTemporaryFile("backup", in: directory) else {
            throw SQLiteError(
                extendedCode: SQLITE_CANTOPEN,
                message: "can't make a file in \(directory): \(String(cString: strerror(errno)))")
        }
        self.path = path
        self.watchdog = watchdog
        connection = try Self.connect(path)
        watchdog.install(on: connection)
    }

    private static func connect(_ path: String) throws(SQLiteError) -> Connection {
        do throws(SQLiteError) {
            let connection = try SessionSetup.connect(
                path, access: .readWrite, functions: FunctionContext(chance: .engine))
            try connection.execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF")
            return connection
        } catch {
            unlink(path)
            throw error
        }
    }

    deinit {
        for suffix in ["", "-wal", "-journal"] { unlink(path + suffix) }
    }

    /// Copies all pages as the source's open transaction sees them.
    /// - Parameter isWanted: asked between the steps.
    /// - Throws: `SQLiteError`, also before the disk is full.
    func fill(from source: borrowing Connection, while isWanted: () -> Bool) throws(SQLiteError) {
        let pageSize = UInt64(clamping: try source.integer("PRAGMA main.page_size") ?? 4096)
        guard let copying = sqlite3_backup_init(connection.pointer, "main", source.pointer, "main")
        else { throw connection.lastError }
        var code = SQLITE_OK
        var hasRoom = true
        while code == SQLITE_OK, hasRoom, isWanted() {
            code = sqlite3_backup_step(copying, Self.pagesPerStep)
            hasRoom = self.hasRoom(for: UInt64(sqlite3_backup_remaining(copying)) * pageSize)
        }
        let end = sqlite3_backup_finish(copying)
        guard hasRoom || code != SQLITE_OK else { throw noRoom }
        guard code != SQLITE_OK else { throw .unwantedCopy }
        guard end == SQLITE_OK else {
            throw SQLiteError(extendedCode: end, connection: connection.pointer)
        }
    }

    private func hasRoom(for bytes: UInt64) -> Bool {
        DiskRoom.bytes(at: path).map { $0 >= bytes + spareBytes } ?? true
    }

    /// The file has a name by chance: with it in the text each try would have a cause of its own.
    private var noRoom: SQLiteError {
        SQLiteError(
            extendedCode: SQLITE_FULL,
            message:
                "the disk of \(DatabaseDirectory(beside: path).path) has no room for a copy of the "
                + "database: free some")
    }

    /// Hands the copy on in the form that is asked for.
    /// - Parameter kept: takes a file that has a tag, for clients that come back for the rest of it.
    func send(_ request: BackupRequest, _ answer: inout BackupAnswer, keepingIn kept: KeptCopies)
        throws(BackupFault)
    {
        do throws(SQLiteError) {
            // The pages say that there is a write-ahead log.
            guard try connection.text("PRAGMA journal_mode=DELETE") == "delete" else {
                throw SQLiteError(
                    extendedCode: SQLITE_ERROR, message: "the copy can't leave WAL mode")
            }
            if request.isForArchive {
                try check(csqlite_reveal(connection.pointer))
            } else if request.form != .sql {
                try removeOwnTable()
            }
            if request.isForArchive || request.isChecked { try checkPages(&answer) }
            if request.vacuum { try vacuum(&answer) }
        } catch {
            throw .sqlite("preparing the copy", error)
        }
        if request.form == .sql {
            try SQLDump(of: connection, tables: request.tables).write(to: &answer)
        } else {
            let file = try CopyFile(path, asWAL: request.form == .binary && !request.vacuum)
            let tag = request.hasTag ? answer.tag : nil
            if let tag { kept.begin(file, as: tag, showing: answer.logIndex) }
            defer { if let tag { kept.end(tag) } }
            try file.send(0..<file.length, &answer)
        }
    }

    /// Pages are copied as they lie there. With one that is damaged no restore takes the copy, nor what was archived
    /// behind it.
    private func checkPages(_ answer: inout BackupAnswer) throws(SQLiteError) {
        // It says nothing until it is done, which may take minutes.
        guard answer.begin() else { throw .unwantedCopy }
        guard
            let damage = try DatabaseDirectory.damage(of: connection, by: "main.quick_check").text
        else { return }
        throw SQLiteError(
            extendedCode: SQLITE_CORRUPT, message: "the database is damaged: \(damage)")
    }

    /// It makes another copy, which may have as many pages.
    private func vacuum(_ answer: inout BackupAnswer) throws(SQLiteError) {
        let pages = UInt64(clamping: try connection.integer("PRAGMA main.page_count") ?? 0)
        let pageSize = UInt64(clamping: try connection.integer("PRAGMA main.page_size") ?? 4096)
        guard hasRoom(for: pages * pageSize) else { throw noRoom }
        try SessionSetup.leaveJournal(of: connection)
        // It says nothing until it is done, which may be in an hour.
        guard answer.begin() else { throw .unwantedCopy }
        try connection.execute("VACUUM")
    }

    /// A database whose second page is free, as after any DROP TABLE, and empty.
    private func removeOwnTable() throws(SQLiteError) {
        // VACUUM was under way when the snapshot was taken.
        try check(csqlite_unlist_hidden(connection.pointer))
        var name = "rqlited own table"
        while try connection.integer(
            "SELECT 1 FROM main.sqlite_schema WHERE name = \(name.quotedText)") != nil
        {
            name += "_"
        }
        try check(
            csqlite_write_schema(
                connection.pointer,
                """
                INSERT INTO main.sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES('table', \
                \(name.quotedText), \(name.quotedText), \(CSQLITE_HIDDEN_ROOT), \
                'CREATE TABLE \(name.quotedName)(id INTEGER PRIMARY KEY, progress)')
                """))
        try connection.execute(
            """
            PRAGMA writable_schema=RESET; PRAGMA secure_delete=ON; \
            DROP TABLE main.\(name.quotedName)
            """)
    }

    private func check(_ code: Int32) throws(SQLiteError) {
        guard code == SQLITE_OK else { throw connection.lastError }
    }
}

extension SQLiteError {
    static let unwantedCopy = SQLiteError(
        extendedCode: SQLITE_INTERRUPT, message: "nobody waits for the copy any more")
}
