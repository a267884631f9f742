import Wire

/// The frame of a batch. All integers are little-endian.
///
///     offset size
///        0     4  magic
///        4     4  length of the batch with this header; a multiple of 8
///        8     4  where this header stands in its file
///       12     4  how much of the file was durable before this batch was written
///       16     4  checksum of the previous batch, or of the segment header before the first
///       20     4  CRC-32C of the salt and all after this header
///       24     4  CRC-32C of the salt and bytes 0..<24: the checksum of the batch
///       28     …  records, zeros, and one byte 0xFF at the end
///
/// A batch that was not synced may have lost any of its sectors, so intact batches behind a bad
/// one are no proof that the bad one had ever been durable; the durable size in a later header is.
/// The checksum of the previous batch ties each to what was written before it, its own offset and
/// the salt keep bytes that a client put into an entry from being taken for a header. The last
/// byte is never zero, so a batch of which only the beginning was written shows as such.
struct BatchHeader: Equatable {
    var length: Int
    var offset: Int
    var durableSize: Int
    var previousChecksum: UInt32
    var contentChecksum: UInt32
    var checksum: UInt32

    static let size = 28
    static let alignment = 8
    static let magic: UInt32 = 0x7442_4C57
    static let lastByte: UInt8 = 0xFF

    var end: Int { offset + length }

    /// The header that stands at `position` of `bytes`, which is `offset` of the file; nil when
    /// none does, or not one of this place.
    init?(at position: Int, of bytes: [UInt8], offset: Int, salt: UInt64) {
        guard position + Self.size <= bytes.count else { return nil }
        func field(_ number: Int) -> UInt32 {
            bytes.withUnsafeBytes {
                UInt32(
                    littleEndian: $0.loadUnaligned(
                        fromByteOffset: position + 4 * number, as: UInt32.self))
            }
        }
        guard field(0) == Self.magic, Int(field(2)) == offset else { return nil }
        length = Int(field(1))
        self.offset = offset
        durableSize = Int(field(3))
        previousChecksum = field(4)
        contentChecksum = field(5)
        checksum = field(6)
        guard checksum == Self.checksum(of: bytes[position..<position + 24], salt: salt),
            length > Self.size, length % Self.alignment == 0
        else { return nil }
    }

    static func checksum(of bytes: ArraySlice<UInt8>, salt: UInt64) -> UInt32 {
        var crc = CRC32C()
        withUnsafeBytes(of: salt.littleEndian) { crc.update($0) }
        crc.update(bytes)
        return crc.value
    }
}
