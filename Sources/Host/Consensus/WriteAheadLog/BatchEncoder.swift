import Wire

/// A batch as it is written: filled with records, then sealed for its place in a segment.
struct BatchEncoder {
    private var writer: ByteWriter

    init(reserving capacity: Int = 256) {
        writer = ByteWriter(reserving: BatchHeader.size + capacity + BatchHeader.alignment)
        writer.writeZeros(BatchHeader.size)
    }

    mutating func add(_ record: LogRecord) {
        record.encode(into: &writer)
    }

    /// The length the batch will have.
    var sealedCount: Int {
        let unit = BatchHeader.alignment
        return (writer.count + 1 + unit - 1) / unit * unit
    }

    /// Completes the batch for its place.
    /// - Returns: its bytes and its checksum.
    consuming func sealed(
        at offset: Int, durableSize: Int, previousChecksum: UInt32, salt: UInt64
    ) -> (bytes: [UInt8], checksum: UInt32) {
        let length = sealedCount
        writer.writeZeros(length - writer.count - 1)
        writer.write(BatchHeader.lastByte)
        let content = BatchHeader.checksum(of: writer.bytes[BatchHeader.size...], salt: salt)
        writer.overwrite(BatchHeader.magic, at: 0)
        writer.overwrite(UInt32(length), at: 4)
        writer.overwrite(UInt32(offset), at: 8)
        writer.overwrite(UInt32(durableSize), at: 12)
        writer.overwrite(previousChecksum, at: 16)
        writer.overwrite(content, at: 20)
        let checksum = BatchHeader.checksum(of: writer.bytes[0..<24], salt: salt)
        writer.overwrite(checksum, at: 24)
        return (writer.bytes, checksum)
    }
}
