package import Raft
package import Wire

/// The first bytes of each object of an archive: a *base*, which is a whole database, or a *piece*,
/// which is entries of the log that follow what came before. A gzip stream follows: of the base it is
/// the file of the database, with the daemon's own table in it; of a piece its entries, one behind the
/// other, as Raft encodes them.
///
///     offset  size
///          0     4  "RQLA"
///          4     1  format, 1
///          5     1  kind: 1 base, 2 piece
///          6     2  zero
///          8    16  cluster
///         24    64  SHA-256 of the object before this one, in hexadecimal digits; zeros of a base
///         88     8  term in which its leader made it; the upper half is the epoch
///         96     8  index of the first entry; of a base, of the last one that it holds
///        104    16  index and term of the last entry
///        120     8  clock of the log before the first entry, milliseconds since 1970
///        128     8  clock of the log behind the last entry
///
/// Integers are little-endian. An object's own hash stands in its name (`ArchiveNames.swift`).
package struct ArchiveHeader: Equatable, Sendable {
    /// What follows the header.
    package enum Kind: UInt8, Sendable {
        /// A whole database.
        case base = 1
        /// Entries of the log.
        case piece = 2
    }

    /// Of the header, in bytes.
    package static let size = 136
    private static let magic: [UInt8] = Array("RQLA".utf8)
    private static let format: UInt8 = 1

    /// What follows.
    package var kind: Kind
    /// Whose log it is.
    package var cluster: ClusterID
    /// 64 digits; of a base, zeros.
    package var predecessor: String
    /// In which its maker led.
    package var term: Term
    /// Of its entries; of a base, the last one that it holds.
    package var first: LogIndex
    /// Of its entries.
    package var last: LogPosition
    /// The clock of the log before its entries, milliseconds since 1970.
    package var firstTime: Int64
    /// The clock of the log behind its entries, milliseconds since 1970.
    package var lastTime: Int64

    /// What stands for the hash of nothing.
    package static let noPredecessor = String(repeating: "0", count: 64)

    /// - Parameter times: the clock of the log before and behind the entries.
    package init(
        kind: Kind, cluster: ClusterID, predecessor: String = ArchiveHeader.noPredecessor,
        term: Term, first: LogIndex, last: LogPosition, times: (first: Int64, last: Int64)
    ) {
        self.kind = kind
        self.cluster = cluster
        self.predecessor = predecessor
        self.term = term
        self.first = first
        self.last = last
        firstTime = times.first
        lastTime = times.last
    }

    /// `size` bytes, by the table above.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: Self.size)
        writer.writeRaw(Self.magic)
        writer.write(Self.format)
        writer.write(kind.rawValue)
        writer.writeZeros(2)
        cluster.encode(into: &writer)
        writer.writeRaw(Array(predecessor.utf8))
        term.encode(into: &writer)
        first.encode(into: &writer)
        last.encode(into: &writer)
        writer.write(firstTime)
        writer.write(lastTime)
        precondition(writer.count == Self.size, "\(writer.count)")
        return writer.bytes
    }

    /// - Throws: `WireError` for what is none, or of a newer format.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes)
        guard try reader.readRaw(4) == Self.magic else {
            throw .invalid(field: "the begin of the archive's object", value: 0)
        }
        let format = try reader.readByte()
        guard format == Self.format else {
            throw .unsupportedVersion(found: format, supported: Self.format)
        }
        let kind = try reader.readByte()
        guard let known = Kind(rawValue: kind) else {
            throw .invalid(field: "kind of the archive's object", value: UInt64(kind))
        }
        self.kind = known
        try reader.skip(2)
        cluster = try ClusterID(from: &reader)
        predecessor = String(decoding: try reader.readRaw(64), as: UTF8.self)
        term = try Term(from: &reader)
        first = try LogIndex(from: &reader)
        last = try LogPosition(from: &reader)
        firstTime = try reader.read()
        lastTime = try reader.read()
        try reader.expectEnd()
    }
}
