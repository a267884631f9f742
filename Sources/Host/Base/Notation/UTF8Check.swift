/// Tells UTF-8 from other bytes by table 3-7 of the Unicode standard: databases may hold anything
/// in their texts, and what goes out as JSON must be UTF-8. So must the texts that nodes send each other.
package enum UTF8Check {
    /// All of it is UTF-8.
    package static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset < bytes.count {
            offset = skipASCII(bytes, from: offset)
            if offset == bytes.count { return true }
            let length = characterLength(bytes, at: offset)
            if length == 0 { return false }
            offset += length
        }
        return true
    }

    /// Every byte that belongs to no character becomes U+FFFD.
    package static func repaired(_ bytes: UnsafeRawBufferPointer) -> String {
        var good: [UInt8] = []
        good.reserveCapacity(bytes.count)
        var offset = 0
        while offset < bytes.count {
            let length = characterLength(bytes, at: offset)
            if length == 0 {
                good.append(contentsOf: [0xEF, 0xBF, 0xBD])
                offset += 1
            } else {
                good.append(contentsOf: bytes[offset..<offset + length])
                offset += length
            }
        }
        return String(decoding: good, as: UTF8.self)
    }

    private static func skipASCII(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var offset = start
        while offset + 8 <= bytes.count,
            bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) & 0x8080_8080_8080_8080
                == 0
        {
            offset += 8
        }
        while offset < bytes.count, bytes[offset] < 0x80 { offset += 1 }
        return offset
    }

    /// The bytes of the character that begins at an offset; zero when none does.
    package static func characterLength(
        _ bytes: UnsafeRawBufferPointer, at offset: Int
    ) -> Int {
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch bytes[offset] {
        case ..<0x80: return 1
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xE1...0xEC, 0xEE, 0xEF: length = 3
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: length = 4
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return 0
        }
        guard offset + length <= bytes.count, second.contains(bytes[offset + 1]) else { return 0 }
        for index in 2..<max(length, 2) where bytes[offset + index] & 0xC0 != 0x80 { return 0 }
        return length
    }
}
