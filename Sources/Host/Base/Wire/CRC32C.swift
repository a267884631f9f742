/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), eight bytes a step.
package struct CRC32C: Sendable {
    private var state: UInt32 = 0xFFFF_FFFF

    package init() {}

    /// Of the bytes; more may follow by `update`.
    package init(_ bytes: some Sequence<UInt8>) {
        update(bytes)
    }

    /// The checksum of all bytes so far.
    package var value: UInt32 { ~state }

    /// Adds bytes behind those before.
    package mutating func update(_ bytes: some Sequence<UInt8>) {
        let contiguous: Void? = bytes.withContiguousStorageIfAvailable {
            update(UnsafeRawBufferPointer($0))
        }
        if contiguous == nil { Array(bytes).withUnsafeBytes { update($0) } }
    }

    /// Adds bytes behind those before; they are only read during the call.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var crc = state
        var offset = 0
        Self.tables.withUnsafeBufferPointer { t in
            while offset + 8 <= bytes.count {
                let word = UInt64(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                let low = UInt32(truncatingIfNeeded: word) ^ crc
                let high = UInt32(truncatingIfNeeded: word >> 32)
                crc = t[7 << 8 | Int(low & 0xFF)] ^ t[6 << 8 | Int(low >> 8 & 0xFF)]
                crc ^= t[5 << 8 | Int(low >> 16 & 0xFF)] ^ t[4 << 8 | Int(low >> 24)]
                crc ^= t[3 << 8 | Int(high & 0xFF)] ^ t[2 << 8 | Int(high >> 8 & 0xFF)]
                crc ^= t[1 << 8 | Int(high >> 16 & 0xFF)] ^ t[Int(high >> 24)]
                offset += 8
            }
            while offset < bytes.count {
                crc = t[Int((crc ^ UInt32(bytes[offset])) & 0xFF)] ^ (crc >> 8)
                offset += 1
            }
        }
        state = crc
    }

    /// Eight tables of 256 values, one after the other: table k advances a byte by k more bytes.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
            tables[byte] = crc
        }
        for byte in 0..<256 {
            for k in 1..<8 {
                let previous = tables[(k - 1) << 8 | byte]
                tables[k << 8 | byte] = tables[Int(previous & 0xFF)] ^ previous >> 8
            }
        }
        return tables
    }()
}
