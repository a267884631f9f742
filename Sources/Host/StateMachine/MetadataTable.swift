internal import CSQLite
internal import Raft
internal import SQLite
internal import Wire

/// The table `sqlite_rqlite`, in which the database knows its own place in the log. Its name lies
/// in the name space that SQLite keeps for itself: clients can't drop or alter it, VACUUM and
/// integrity checks keep it.
///
/// It has one row, `id` 1:
///
///     format            1
///     cluster           16 bytes: cluster ID, NULL before there is one
///     foreign_keys      0 or 1
///     membership        encoded Membership
///     membership_index  integer
///     progress          88 bytes, overwritten in place by every transaction:
///
///       offset  size
///            0     8  applied index
///            8     8  term of that entry
///           16     8  clock of the last command, milliseconds since 1970
///           24     1  1: the next entry is partly applied, 0: all below is zero
///           25     1  foreign keys within that entry: 0 as set, 1 off, 2 on
///           26     6  zero
///           32     4  next statement of the command
///           36     4  byte offset in its SQL
///           40     4  positional parameters used of it
///           44     4  zero
///           48     8  steps used
///           56     8  last insert rowid
///           64     8  changes()
///           72     8  total_changes()
///           80     8  zero
///
/// Integers are little-endian. SQLite can't be asked for this with UPDATE, which would show in
/// changes() and total_changes() of the client's SQL.
enum MetadataTable {
    static let name = "sqlite_rqlite"
    static let format: Int64 = 1
    private static let progressSize = 88

    /// Writes this content, in place of what a foreign file may hold under the name.
    static func replace(on connection: borrowing Connection, with state: AppliedState)
        throws(SQLiteError)
    {
        switch found(on: connection) {
        case nil:
            try connection.executeInTransaction { (db) throws(SQLiteError) in
                try writeSettings(state, on: db)
                try writeProgress(state, on: db)
            }
        case .missing:
            try create(on: connection, state)
        case .unreadable:
            try purge(on: connection)
            try create(on: connection, state)
        }
    }

    private static func found(on connection: borrowing Connection) -> MetadataError? {
        do throws(MetadataError) {
            _ = try read(on: connection)
            return nil
        } catch {
            return error
        }
    }

    /// Makes the table. Only with a writable schema does SQLite take such a name.
    static func create(on connection: borrowing Connection, _ state: AppliedState)
        throws(SQLiteError)
    {
        try connection.configure(SQLITE_DBCONFIG_DEFENSIVE, false)
        try connection.execute("PRAGMA writable_schema=ON; BEGIN IMMEDIATE")
        try connection.execute(
            """
            CREATE TABLE \(name)(id INTEGER PRIMARY KEY, format INTEGER NOT NULL, cluster BLOB, \
            foreign_keys INTEGER NOT NULL, membership BLOB NOT NULL, \
            membership_index INTEGER NOT NULL, progress BLOB NOT NULL)
            """)
        let insert = try connection.prepare(
            "INSERT INTO \(name) VALUES(1, \(format), NULL, 0, x'', 0, ?)")
        try insert.bind(encodeProgress(state), at: 1)
        try insert.run()
        try writeSettings(state, on: connection)
        try connection.execute("COMMIT; PRAGMA writable_schema=OFF")
    }

    /// Removes a table of this name that is not ours. SQLite won't drop it, so its schema rows go,
    /// and VACUUM frees its pages.
    private static func purge(on connection: borrowing Connection) throws(SQLiteError) {
        try connection.configure(SQLITE_DBCONFIG_DEFENSIVE, false)
        try connection.execute(
            """
            PRAGMA writable_schema=ON;
            DELETE FROM sqlite_schema WHERE name = '\(name)' OR tbl_name = '\(name)';
            PRAGMA writable_schema=RESET;
            VACUUM
            """)
    }

    static func exists(on connection: borrowing Connection) throws(SQLiteError) -> Bool {
        try connection.integer("SELECT 1 FROM sqlite_schema WHERE name = '\(name)'") != nil
    }

    /// All of the row but `progress`.
    static func writeSettings(_ state: AppliedState, on connection: borrowing Connection)
        throws(SQLiteError)
    {
        let update = try connection.prepare(
            """
            UPDATE \(name) SET cluster = ?, foreign_keys = ?, membership = ?, \
            membership_index = ? WHERE id = 1
            """)
        if let cluster = state.cluster {
            var writer = ByteWriter()
            cluster.encode(into: &writer)
            try update.bind(writer.bytes, at: 1)
        }
        try update.bind(Int64(state.settings.foreignKeys ? 1 : 0), at: 2)
        var writer = ByteWriter()
        state.membership.encode(into: &writer)
        try update.bind(writer.bytes, at: 3)
        try update.bind(Int64(bitPattern: state.membershipIndex.rawValue), at: 4)
        try update.run()
    }

    /// Position, clock and progress.
    static func writeProgress(_ state: AppliedState, on connection: borrowing Connection)
        throws(SQLiteError)
    {
        let bytes = encodeProgress(state)
        let rc = bytes.withUnsafeBytes {
            csqlite_overwrite_blob(
                connection.pointer, name, "progress", 1, $0.baseAddress, Int32($0.count))
        }
        guard rc == SQLITE_OK else {
            throw SQLiteError(extendedCode: rc, connection: connection.pointer)
        }
    }

    /// Nil when the table is missing or written by a newer program.
    static func read(on connection: borrowing Connection) throws(MetadataError) -> AppliedState {
        do throws(SQLiteError) {
            guard try exists(on: connection) else { throw SQLiteError.missingTable }
            let row = try connection.prepare(
                """
                SELECT format, cluster, foreign_keys, membership, membership_index, progress
                FROM \(name) WHERE id = 1
                """)
            guard try row.step() else { throw SQLiteError.missingTable }
            return try decode(row)
        } catch {
            throw error == .missingTable ? .missing : .unreadable(error)
        }
    }

    private static func decode(_ row: borrowing PreparedStatement) throws(SQLiteError)
        -> AppliedState
    {
        let found = row.integer(at: 0)
        guard found == format else {
            throw SQLiteError(
                extendedCode: SQLITE_SCHEMA,
                message: "\(name) has format \(found), this program reads \(format)")
        }
        do throws(WireError) {
            var state = AppliedState()
            if row.type(at: 1) != SQLITE_NULL {
                var reader = ByteReader(row.blob(at: 1))
                state.cluster = try ClusterID(from: &reader)
            }
            state.settings.foreignKeys = row.integer(at: 2) != 0
            var reader = ByteReader(row.blob(at: 3))
            state.membership = try Membership(from: &reader)
            state.membershipIndex = LogIndex(UInt64(bitPattern: row.integer(at: 4)))
            try decodeProgress(row.blob(at: 5), into: &state)
            return state
        } catch {
            throw SQLiteError(
                extendedCode: SQLITE_CORRUPT, message: "\(name) can't be read: \(error)")
        }
    }

    private static func encodeProgress(_ state: AppliedState) -> [UInt8] {
        var writer = ByteWriter(reserving: progressSize)
        state.position.encode(into: &writer)
        writer.write(state.lastMilliseconds)
        let progress = state.progress ?? EntryProgress()
        writer.write(state.progress != nil)
        writer.write(progress.foreignKeys.map { $0 ? UInt8(2) : 1 } ?? 0)
        writer.writeRaw([0, 0, 0, 0, 0, 0])
        writer.write(UInt32(progress.statement))
        writer.write(UInt32(progress.offset))
        writer.write(UInt32(progress.positionalUsed))
        writer.write(UInt32(0))
        writer.write(UInt64(progress.steps))
        writer.write(progress.lastInsertRowid)
        writer.write(progress.changes)
        writer.write(progress.totalChanges)
        writer.write(UInt64(0))
        precondition(writer.count == progressSize, "\(writer.count)")
        return writer.bytes
    }

    private static func decodeProgress(_ bytes: [UInt8], into state: inout AppliedState)
        throws(WireError)
    {
        var reader = ByteReader(bytes)
        state.position = try LogPosition(from: &reader)
        state.lastMilliseconds = try reader.read()
        let isPartial = try reader.readBool()
        let foreignKeys = try reader.readByte()
        try reader.skip(6)
        var progress = EntryProgress()
        progress.foreignKeys = foreignKeys == 0 ? nil : foreignKeys == 2
        progress.statement = Int(try reader.read(UInt32.self))
        progress.offset = Int(try reader.read(UInt32.self))
        progress.positionalUsed = Int(try reader.read(UInt32.self))
        try reader.skip(4)
        progress.steps = Int(truncatingIfNeeded: try reader.read(UInt64.self))
        progress.lastInsertRowid = try reader.read()
        progress.changes = try reader.read()
        progress.totalChanges = try reader.read()
        try reader.skip(8)
        try reader.expectEnd()
        state.progress = isPartial ? progress : nil
    }
}

/// Why a file's own position is not known.
enum MetadataError: Error, Equatable {
    case missing
    case unreadable(SQLiteError)
}

extension SQLiteError {
    fileprivate static let missingTable = SQLiteError(
        extendedCode: SQLITE_ERROR, message: "no such table: \(MetadataTable.name)")
}
