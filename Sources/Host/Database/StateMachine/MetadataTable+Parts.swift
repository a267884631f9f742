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
///     progress          8 bytes: size of the whole file; u32 CRC-32C of all the row says
///
/// The end of a load is judged by what the parts hold, on every node alike: one whose disk has
/// changed a part would judge otherwise, and go on with another database than the rest. So such a
/// part is damage of the database. Rows of earlier programs have no checksum, and are taken as they are.
extension MetadataTable {
    private static let firstPart: Int64 = 2
    /// Of `progress`, where it has a checksum.
    private static let progressSize = 12

    /// What a row says.
    private struct PartRow {
        var number: Int64
        var id: [UInt8]
        var bytes: [UInt8]
        var milliseconds: Int64
        var byteCount: UInt64

        /// CRC-32C of the number, the other numbers and the ID in this order, and of the part.
        var checksum: UInt32 {
            var writer = ByteWriter()
            writer.write(number)
            writer.write(milliseconds)
            writer.write(byteCount)
            writer.writeRaw(id)
            var checksum = CRC32C(writer.bytes)
            checksum.update(bytes)
            return checksum.value
        }
    }

    /// In the transaction that is open.
    static func keep(_ part: LoadPart, at milliseconds: Int64, on connection: borrowing Connection)
        throws(SQLiteError)
    {
        var id = ByteWriter()
        part.id.encode(into: &id)
        let row = PartRow(
            number: Int64(part.number), id: id.bytes, bytes: part.bytes,
            milliseconds: milliseconds, byteCount: part.byteCount)
        var progress = ByteWriter()
        progress.write(row.byteCount)
        progress.write(row.checksum)
        let insert = try prepare(
            "INSERT INTO main.@ VALUES(?, 1, ?, 0, ?, ?, ?)", on: connection)
        try insert.bind(firstPart + row.number, at: 1)
        try insert.bind(row.id, at: 2)
        try insert.bind(row.bytes, at: 3)
        try insert.bind(row.milliseconds, at: 4)
        try insert.bind(progress.bytes, at: 5)
        try insert.run()
    }

    /// Nothing is kept of any load.
    static func dropParts(on connection: borrowing Connection) throws(SQLiteError) {
        try prepare("DELETE FROM main.@ WHERE id >= \(firstPart)", on: connection).run()
    }

    /// A part that is kept; nil: there is none of that number.
    /// - Throws: also `SQLITE_CORRUPT`, if it is not what was kept.
    static func part(_ number: UInt32, on connection: borrowing Connection) throws(SQLiteError)
        -> [UInt8]?
    {
        try partRow("id = \(firstPart + Int64(number))", on: connection)?.bytes
    }

    private static func partRow(
        _ condition: String, on connection: borrowing Connection
    ) throws(SQLiteError) -> PartRow? {
        let row = try prepare(
            """
            SELECT id, cluster, membership, membership_index, progress FROM main.@
            WHERE \(condition)
            """, on: connection)
        guard try row.step() else { return nil }
        let number = row.integer(at: 0) - firstPart
        let progress = row.blob(at: 4)
        var reader = ByteReader(progress)
        let isWhole: Bool
        var part = PartRow(
            number: number, id: row.blob(at: 1), bytes: row.blob(at: 2),
            milliseconds: row.integer(at: 3), byteCount: 0)
        do throws(WireError) {
            part.byteCount = try reader.read()
            let checksum: UInt32? = progress.count < progressSize ? nil : try reader.read()
            isWhole = checksum.map { $0 == part.checksum } ?? true
        } catch {
            isWhole = false
        }
        // The log's clock is compared with it.
        guard isWhole, part.milliseconds >= 0 else {
            throw SQLiteError(
                extendedCode: SQLITE_CORRUPT,
                message: "part \(number) of a load in the daemon's own table is damaged")
        }
        return part
    }

    /// The load of which parts are kept.
    /// - Throws: also `SQLITE_CORRUPT`, if its last part is not what was kept.
    static func openLoad(on connection: borrowing Connection) throws(SQLiteError) -> OpenLoad? {
        let last = try partRow(
            "id >= \(firstPart) ORDER BY id DESC LIMIT 1", on: connection)
        guard let last else { return nil }
        do throws(WireError) {
            var id = ByteReader(last.id)
            return OpenLoad(
                id: try LoadID(from: &id), parts: UInt32(clamping: last.number + 1),
                byteCount: last.byteCount, milliseconds: last.milliseconds)
        } catch {
            throw SQLiteError(
                extendedCode: SQLITE_CORRUPT, message: "the parts of a load can't be read: \(error)"
            )
        }
    }
}
