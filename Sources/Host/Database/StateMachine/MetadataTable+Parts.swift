internal import CSQLite
internal import SQLite
internal import Wire

/// The parts of a load that is on its way, in rows of the daemon's own table: so they are durable
/// with the log position, go to others with a snapshot, and are gone with the database that they
/// replace.
///
///     id                part number + 2
///     format            1
///     cluster           16 bytes: ID of the load
///     foreign_keys      0
///     membership        the part
///     membership_index  the log's clock when it came, milliseconds since 1970
///     progress          8 bytes: size of the whole file
extension MetadataTable {
    private static let firstPart: Int64 = 2

    /// In the transaction that is open.
    static func keep(_ part: LoadPart, at milliseconds: Int64, on connection: borrowing Connection)
        throws(SQLiteError)
    {
        let insert = try prepare(
            "INSERT INTO main.@ VALUES(?, 1, ?, 0, ?, ?, ?)", on: connection)
        try insert.bind(firstPart + Int64(part.number), at: 1)
        var id = ByteWriter()
        part.id.encode(into: &id)
        try insert.bind(id.bytes, at: 2)
        try insert.bind(part.bytes, at: 3)
        try insert.bind(milliseconds, at: 4)
        var size = ByteWriter()
        size.write(part.byteCount)
        try insert.bind(size.bytes, at: 5)
        try insert.run()
    }

    /// Nothing is kept of any load.
    static func dropParts(on connection: borrowing Connection) throws(SQLiteError) {
        try prepare("DELETE FROM main.@ WHERE id >= \(firstPart)", on: connection).run()
    }

    /// A part that is kept.
    static func part(_ number: UInt32, on connection: borrowing Connection) throws(SQLiteError)
        -> [UInt8]?
    {
        let row = try prepare("SELECT membership FROM main.@ WHERE id = ?", on: connection)
        try row.bind(firstPart + Int64(number), at: 1)
        return try row.step() ? row.blob(at: 0) : nil
    }

    /// The load of which parts are kept.
    static func openLoad(on connection: borrowing Connection) throws(SQLiteError) -> OpenLoad? {
        let row = try prepare(
            """
            SELECT id, cluster, membership_index, progress FROM main.@
            WHERE id >= \(firstPart) ORDER BY id DESC LIMIT 1
            """, on: connection)
        guard try row.step() else { return nil }
        do throws(WireError) {
            var id = ByteReader(row.blob(at: 1))
            var size = ByteReader(row.blob(at: 3))
            return OpenLoad(
                id: try LoadID(from: &id),
                parts: UInt32(clamping: row.integer(at: 0) - firstPart + 1),
                byteCount: try size.read(), milliseconds: row.integer(at: 2))
        } catch {
            throw SQLiteError(
                extendedCode: SQLITE_CORRUPT, message: "the parts of a load can't be read: \(error)"
            )
        }
    }
}
