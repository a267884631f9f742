internal import CSQLite
internal import Glibc
internal import Raft
internal import SQLite
internal import Wire

/// The daemon's own table, in which the database knows its own place in the log.
///
/// No schema lists it, and no client can say its name (see CSQLite.h): its b-tree has the database's
/// second page as root. So whatever a client creates, drops or lists, it never meets this table. Only
/// VACUUM drops what isn't listed: the table is listed while that runs, and is the first one then, so
/// that it gets the second page again. Programs that know nothing of it report "page 2 is never used".
///
/// Its row `id` 1 follows. Row 0 and those before it are of writes that may be repeated
/// (Repeats/MetadataTable+Repeats.swift), those behind it of a load that is on its way
/// (MetadataTable+Parts.swift).
///
///     format            1
///     cluster           16 bytes: cluster ID, NULL before there is one
///     foreign_keys      0 or 1
///     membership        encoded Membership, then what else the log decided for all nodes
///     membership_index  integer
///     progress          112 bytes, overwritten in place by every transaction:
///
///       offset  size
///            0     8  applied index
///            8     8  term of that entry
///           16     8  clock of the last command, milliseconds since 1970
///           24     1  1: the next entry is partly applied, 0: all below is zero
///           25     1  foreign keys within that entry: 0 as set, 1 off, 2 on
///           26     1  flags within that entry, see RequestFlags
///           27     2  steps used beside those below, less than 10,000
///           29     3  zero
///           32     4  next statement of the command
///           36     4  byte offset in its SQL
///           40     4  positional parameters used of it
///           44     4  zero
///           48     8  steps used, in units of 10,000
///           56     8  last insert rowid
///           64     8  changes()
///           72     8  total_changes()
///           80     8  zero
///           88    16  trace of the rows written, see RowTrace
///          104     1  1: there is a trace
///          105     7  zero
///
/// Files from before there was a trace have 88 bytes, until they are opened for writing.
/// Integers are little-endian. SQLite can't be asked for this with UPDATE, which would show in
/// changes() and total_changes() of the client's SQL.
enum MetadataTable {
    /// How the names of all that is the daemon's in the database begin; SQLite keeps clients from
    /// making any that begin with `sqlite_`.
    static let namePrefix = "sqlite_rqlite"
    static let format: Int64 = 1
    private static let progressSize = 112
    private static let progressSizeBeforeTrace = 88

    /// A statement of our own, with the table's name in place of each `@`.
    static func prepare(_ sql: String, on connection: borrowing Connection)
        throws(SQLiteError) -> PreparedStatement
    {
        try reveal(on: connection)
        let name = csqlite_hidden_name(connection.pointer)
        let quote = UInt8(ascii: "\"")
        var bytes: [UInt8] = []
        for byte in sql.utf8 {
            if byte == UInt8(ascii: "@") {
                let nameBytes = UnsafeRawBufferPointer(start: name, count: name.map(strlen) ?? 0)
                bytes += [quote] + nameBytes + [quote]
            } else {
                bytes.append(byte)
            }
        }
        return try connection.prepare(utf8: bytes)
    }

    static func check(_ code: Int32, on connection: borrowing Connection)
        throws(SQLiteError)
    {
        guard code == SQLITE_OK else {
            throw SQLiteError(extendedCode: code, connection: connection.pointer)
        }
    }

    private static func reveal(on connection: borrowing Connection) throws(SQLiteError) {
        try check(csqlite_reveal(connection.pointer), on: connection)
    }

    /// Gives a loaded database the table, in place of whatever it holds under names of ours. All of
    /// the file is written anew, for the table must have the second page.
    static func replace(on connection: borrowing Connection, with state: AppliedState)
        throws(SQLiteError)
    {
        try write(
            schema: """
                DELETE FROM main.sqlite_schema WHERE lower(substr(name, 1, 13)) = '\(namePrefix)'
                OR lower(substr(tbl_name, 1, 13)) = '\(namePrefix)'
                """, on: connection)
        try connection.execute("PRAGMA writable_schema=RESET")
        try createListed(on: connection, state)
        try moveToSecondPage(on: connection)
        try writeSettings(state, on: connection)
    }

    /// Gives an empty database the table.
    static func create(on connection: borrowing Connection, _ state: AppliedState)
        throws(SQLiteError)
    {
        try connection.execute("PRAGMA auto_vacuum=NONE")
        try createListed(on: connection, state)
        try adopt(on: connection)
        try writeSettings(state, on: connection)
    }

    private static func createListed(on connection: borrowing Connection, _ state: AppliedState)
        throws(SQLiteError)
    {
        try connection.executeInTransaction { (db) throws(SQLiteError) in
            try check(csqlite_create_hidden(db.pointer), on: db)
            let insert = try db.prepare(
                "INSERT INTO main.\(listedName) VALUES(1, \(format), NULL, 0, x'', 0, ?)")
            try insert.bind(encodeProgress(state), at: 1)
            try insert.run()
            try makeRoomForAnswers(on: db)
        }
    }

    /// Makes a table that is listed the hidden one: a VACUUM that was cut short left it so, or an
    /// earlier version of this program. Once when a file is opened, before anybody else opens it.
    static func adopt(on connection: borrowing Connection) throws(SQLiteError) {
        let root = try connection.integer(
            "SELECT rootpage FROM main.sqlite_schema WHERE name = '\(listedName)'")
        switch root {
        case nil: return
        case Int64(CSQLITE_HIDDEN_ROOT): try unlist(on: connection)
        default: try moveToSecondPage(on: connection)
        }
    }

    /// Makes room in a file from before there was a trace, or were answers. Once when a file is opened
    /// for writing, after `adopt`.
    static func widen(on connection: borrowing Connection) throws(SQLiteError) {
        try makeRoomForAnswers(on: connection)
        var bytes: [UInt8] = []
        do {
            let row = try prepare("SELECT progress FROM main.@ WHERE id = 1", on: connection)
            guard try row.step() else { return }
            bytes = row.blob(at: 0)
        }
        guard bytes.count == progressSizeBeforeTrace else { return }
        bytes += [UInt8](repeating: 0, count: progressSize - progressSizeBeforeTrace)
        let update = try prepare("UPDATE main.@ SET progress = ? WHERE id = 1", on: connection)
        try update.bind(bytes, at: 1)
        try update.run()
    }

    /// In the schema, while the table is made and while VACUUM runs.
    private static let listedName = namePrefix

    private static func moveToSecondPage(on connection: borrowing Connection)
        throws(SQLiteError)
    {
        try check(csqlite_list_first(connection.pointer), on: connection)
        // Pages that wander would take the root along.
        try connection.execute("PRAGMA auto_vacuum=NONE; VACUUM")
        try unlist(on: connection)
    }

    private static func unlist(on connection: borrowing Connection) throws(SQLiteError) {
        try check(csqlite_unlist_hidden(connection.pointer), on: connection)
    }

    private static func write(schema sql: String, on connection: borrowing Connection)
        throws(SQLiteError)
    {
        try check(csqlite_write_schema(connection.pointer, sql), on: connection)
    }

    /// Runs VACUUM, which needs the table in the schema. Readers can see it there meanwhile.
    static func whileListed<Result>(
        on connection: borrowing Connection,
        _ vacuum: () throws(ApplyFault) -> Result
    ) throws(ApplyFault) -> Result {
        do throws(SQLiteError) {
            try check(csqlite_list_hidden(connection.pointer), on: connection)
        } catch {
            throw .storage("preparing VACUUM", error)
        }
        let outcome: Swift.Result<Result, ApplyFault>
        do throws(ApplyFault) {
            outcome = .success(try vacuum())
        } catch {
            outcome = .failure(error)
        }
        do throws(SQLiteError) {
            try check(csqlite_unlist_hidden(connection.pointer), on: connection)
        } catch {
            // What went wrong first says more. The next VACUUM or start takes the row away.
            if case .success = outcome { throw .storage("ending VACUUM", error) }
        }
        return try outcome.get()
    }

    /// All of the row but `progress`.
    static func writeSettings(_ state: AppliedState, on connection: borrowing Connection)
        throws(SQLiteError)
    {
        let update = try prepare(
            """
            UPDATE main.@ SET cluster = ?, foreign_keys = ?, membership = ?, \
            membership_index = ? WHERE id = 1
            """, on: connection)
        if let cluster = state.cluster {
            var writer = ByteWriter()
            cluster.encode(into: &writer)
            try update.bind(writer.bytes, at: 1)
        }
        try update.bind(Int64(state.settings.foreignKeys ? 1 : 0), at: 2)
        var writer = ByteWriter()
        state.membership.encode(into: &writer)
        state.encodeDecisions(into: &writer)
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
            csqlite_overwrite_progress(connection.pointer, 1, $0.baseAddress, Int32($0.count))
        }
        try check(rc, on: connection)
    }

    /// Of a database whose table is hidden; see `adopt`.
    static func read(on connection: borrowing Connection) throws(MetadataError) -> AppliedState {
        let decoded: Result<AppliedState, MetadataError>
        let load: OpenLoad?
        do throws(SQLiteError) {
            let second = Int64(CSQLITE_HIDDEN_ROOT)
            let isTaken = try connection.integer(
                "SELECT 1 FROM main.sqlite_schema WHERE rootpage = \(second)")
            guard isTaken == nil, try connection.integer("PRAGMA page_count") ?? 0 >= second
            else { throw SQLiteError.missingTable }
            let row = try prepare(
                """
                SELECT format, cluster, foreign_keys, membership, membership_index, progress
                FROM main.@ WHERE id = 1
                """, on: connection)
            guard try row.step() else { throw SQLiteError.missingTable }
            decoded = decode(row)
            // Of another version's rows nothing more is known.
            if case .success = decoded { load = try openLoad(on: connection) } else { load = nil }
        } catch {
            throw error == .missingTable ? .missing : .unreadable(error)
        }
        var state = try decoded.get()
        state.load = load
        return state
    }

    /// The cluster's setting as the snapshot of a reader's transaction has it.
    static func readForeignKeys(on connection: borrowing Connection) throws(SQLiteError) -> Bool {
        let row = try prepare("SELECT foreign_keys FROM main.@ WHERE id = 1", on: connection)
        return try row.step() && row.integer(at: 0) != 0
    }

    private static func decode(
        _ row: borrowing PreparedStatement
    ) -> Result<AppliedState, MetadataError> {
        let found = row.integer(at: 0)
        guard found == format else {
            return .failure(.otherFormat(found: found, supported: format))
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
            try state.decodeDecisions(from: &reader)
            state.membershipIndex = LogIndex(UInt64(bitPattern: row.integer(at: 4)))
            try decodeProgress(row.blob(at: 5), into: &state)
            return .success(state)
        } catch {
            if case .unsupportedVersion(let found, let supported) = error {
                return .failure(
                    .otherFormat(found: Int64(found), supported: Int64(supported)))
            }
            return .failure(
                .unreadable(
                    SQLiteError(
                        extendedCode: SQLITE_CORRUPT,
                        message: "the daemon's table can't be read: \(error)")))
        }
    }

    private static func encodeProgress(_ state: AppliedState) -> [UInt8] {
        var writer = ByteWriter(reserving: progressSize)
        state.position.encode(into: &writer)
        writer.write(state.lastMilliseconds)
        let progress = state.progress ?? EntryProgress()
        writer.write(state.progress != nil)
        writer.write(progress.foreignKeys.map { $0 ? UInt8(2) : 1 } ?? 0)
        writer.write(progress.flags.rawValue)
        writer.write(UInt16(clamping: progress.stepsBeside))
        writer.writeRaw([0, 0, 0])
        writer.write(UInt32(progress.statement))
        writer.write(UInt32(progress.offset))
        writer.write(UInt32(progress.positionalUsed))
        writer.write(UInt32(0))
        writer.write(UInt64(progress.steps))
        writer.write(progress.lastInsertRowid)
        writer.write(progress.changes)
        writer.write(progress.totalChanges)
        writer.write(UInt64(0))
        (state.trace ?? Digest()).encode(into: &writer)
        writer.write(state.trace != nil)
        writer.writeRaw([0, 0, 0, 0, 0, 0, 0])
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
        var progress = EntryProgress()
        progress.flags = RequestFlags(rawValue: try reader.readByte())
        progress.stepsBeside = Int(try reader.read(UInt16.self))
        try reader.skip(3)
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
        if reader.remaining > 0 {
            let trace = try Digest(from: &reader)
            state.trace = try reader.readBool() ? trace : nil
            try reader.skip(7)
        }
        try reader.expectEnd()
        state.progress = isPartial ? progress : nil
        // No checksum says that the disk has changed nothing, and what counts on from there would trap.
        guard state.lastMilliseconds >= 0, state.progress?.isPossible ?? true else {
            throw .invalid(
                field: "the log's clock or a count",
                value: UInt64(bitPattern: state.lastMilliseconds))
        }
    }
}

/// Why a file's own position is not known.
enum MetadataError: Error, Equatable {
    case missing
    case unreadable(SQLiteError)
    /// Another version of this program wrote the table: it is no damage, and is left as it is.
    case otherFormat(found: Int64, supported: Int64)
}

extension MetadataError {
    var cause: SQLiteError {
        switch self {
        case .missing:
            SQLiteError(
                extendedCode: SQLITE_CORRUPT, message: "the daemon's table is missing")
        case .unreadable(let error): error
        case .otherFormat(let found, let supported):
            SQLiteError(
                extendedCode: SQLITE_SCHEMA,
                message: "the daemon's table has format \(found), this program reads \(supported)")
        }
    }
}

extension SQLiteError {
    fileprivate static let missingTable = SQLiteError(
        extendedCode: SQLITE_ERROR, message: "the daemon's table is missing")
}
