/// A database file as a log entry carries it. Who makes one has checked the file, and brought it
/// into a form that every node takes over as it is.
///
///     u64 bytes of the file, with bit 63 where it is for an empty database alone
///     counted bytes: the file as one gzip stream (RFC 1952)
package struct DatabaseImage: Equatable, Sendable {
    /// Bytes of the file.
    package var byteCount: Int
    /// The file as one gzip stream.
    package var packed: [UInt8]
    /// It is not loaded where the database holds any table, index, view or trigger: what a restore brings
    /// never takes the place of what clients wrote.
    package var needsEmpty = false

    /// What the entry's error says where it was not loaded for that reason.
    package static let notEmpty = "the database is not empty: nothing was restored into it"

    private static let needsEmptyBit: UInt64 = 1 << 63

    /// Bytes that a file may have. A gzip stream of an entry's size can stand for a thousand times
    /// as much.
    package static let mostBytes = 1 << 30

    package init(byteCount: Int, packed: [UInt8]) {
        self.byteCount = byteCount
        self.packed = packed
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt64(clamping: byteCount) | (needsEmpty ? Self.needsEmptyBit : 0))
        writer.write(packed)
    }

    /// - Throws: `WireError` for bytes that are missing, and for a file that is too large.
    package init(from reader: inout ByteReader) throws(WireError) {
        let word = try reader.read(UInt64.self)
        let count = word & ~Self.needsEmptyBit
        needsEmpty = word != count
        guard count <= UInt64(Self.mostBytes) else {
            throw .invalid(field: "bytes of a database file", value: count)
        }
        byteCount = Int(count)
        packed = try reader.readBytes()
    }
}

/// What a client wants to load, once it was looked at.
package enum LoadContent: Equatable, Sendable {
    /// SQL to be run.
    /// - isTransaction: as one transaction, for it holds none of its own.
    case sql(String, isTransaction: Bool)
    /// A database that is to take the place of the one that is there.
    case image(DatabaseImage)
    /// The same, where it is too large for one entry.
    case parcel(LoadParcel)
    /// It is larger than what may be loaded so; in bytes.
    case tooLarge(String)
    /// Another load is being looked at: nothing was done.
    case busy
    /// It can't be loaded; why, in words for the client.
    case unfit(String)
    /// This node has not what it takes to look at it, for now: nothing was done. Why, in words for the client.
    case unable(String)
}
