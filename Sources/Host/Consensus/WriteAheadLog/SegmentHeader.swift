import Raft
import Wire

/// The first bytes of a segment file. All integers are little-endian.
///
///     offset size
///        0     8  magic "rqldwal\0"
///        8     4  format version (2; segments of version 1 are read)
///       12     4  flags: 1 = nothing before this segment belongs to the log
///       16     8  number of the segment; names the file: log-<20 digits>.wal
///       24     8  salt, mixed into every checksum of the segment
///       32     8  size that was claimed for the file
///       40     8  where the previous segment ends
///       48     4  checksum of the previous segment's last batch
///       52     8  zero
///       60     4  CRC-32C of bytes 0..<60
///
/// Magic, version and checksum keep their places in every version. The head follows, a batch whose
/// one record is the whole state; then batches up to the end, then zeros.
///
/// The file is made under another name, synced, and renamed to its own: under that name header
/// and head are durable, and so is everything before the end that is stated for the previous
/// segment. What stands after that end is not part of the log: so is a torn tail cut, in one step.
struct SegmentHeader: Equatable {
    /// Of what follows: version 1 had no records 15 and 16, and its heads end before the state that
    /// the first of them sets. Only segments of the newest version are written.
    var version = formatVersion
    var number: UInt64
    var salt: UInt64
    /// Nothing before this segment belongs to the log: it is the first, or a snapshot replaced
    /// what was there.
    var startsAnew: Bool
    var capacity: Int
    var previousEnd: Int
    var previousChecksum: UInt32

    static let size = 64
    static let formatVersion: UInt32 = 2
    private static let magic: [UInt8] = Array("rqldwal\0".utf8)

    var encoded: [UInt8] {
        var writer = checkedFields
        writer.write(checksum)
        return writer.bytes
    }

    /// What the first batch names as the checksum before it.
    var checksum: UInt32 { CRC32C(checkedFields.bytes).value }

    private var checkedFields: ByteWriter {
        var writer = ByteWriter(reserving: Self.size)
        writer.writeRaw(Self.magic)
        writer.write(version)
        writer.write(UInt32(startsAnew ? 1 : 0))
        writer.write(number)
        writer.write(salt)
        writer.write(UInt64(capacity))
        writer.write(UInt64(previousEnd))
        writer.write(previousChecksum)
        writer.write(UInt64(0))
        return writer
    }

    static func fileName(_ number: UInt64) -> String {
        let digits = String(number)
        return "log-" + String(repeating: "0", count: 20 - digits.count) + digits + ".wal"
    }

    /// The number that a file name carries; nil for other files.
    static func number(ofFileNamed name: String) -> UInt64? {
        guard name.hasPrefix("log-"), name.hasSuffix(".wal"),
            let number = UInt64(name.dropFirst(4).dropLast(4)), fileName(number) == name
        else { return nil }
        return number
    }
}

extension SegmentHeader {
    private static func size(_ number: UInt64, of field: String) throws(WireError) -> Int {
        guard let size = Int(exactly: number) else { throw .invalid(field: field, value: number) }
        return size
    }

    /// - Parameter file: named in errors.
    init(decoding bytes: [UInt8], file: String) throws(LogError) {
        do throws(WireError) {
            var reader = ByteReader(bytes)
            guard try reader.readRaw(8) == Self.magic else {
                throw .invalid(field: "magic", value: 0)
            }
            version = try reader.read()
            startsAnew = try reader.read(UInt32.self) & 1 == 1
            number = try reader.read()
            salt = try reader.read()
            capacity = try Self.size(try reader.read(), of: "claimed size")
            previousEnd = try Self.size(try reader.read(), of: "end of the previous segment")
            previousChecksum = try reader.read()
            try reader.skip(8)
            let checksum = try reader.read(UInt32.self)
            guard checksum == CRC32C(bytes[0..<60]).value else {
                throw .invalid(field: "checksum", value: UInt64(checksum))
            }
        } catch {
            throw .corrupt(file: file, offset: 0, reason: "segment header: \(error)")
        }
        guard version <= Self.formatVersion else {
            throw .unsupportedVersion(file: file, found: version, supported: Self.formatVersion)
        }
    }
}
