internal import Notation

/// The grammar of single tokens. Each scan begins at `offset` and leaves it behind the token.
extension JSONReader {
    enum Byte {
        static let quote = UInt8(ascii: "\"")
        static let backslash = UInt8(ascii: "\\")
        static let comma = UInt8(ascii: ",")
        static let colon = UInt8(ascii: ":")
        static let minus = UInt8(ascii: "-")
        static let plus = UInt8(ascii: "+")
        static let point = UInt8(ascii: ".")
        static let zero = UInt8(ascii: "0")
        static let nine = UInt8(ascii: "9")
        static let beginArray = UInt8(ascii: "[")
        static let endArray = UInt8(ascii: "]")
        static let beginObject = UInt8(ascii: "{")
        static let endObject = UInt8(ascii: "}")
    }

    @inline(__always) func peek() -> UInt8? { offset < bytes.count ? bytes[offset] : nil }

    func fault(_ reason: JSONError.Reason) -> JSONError {
        JSONError(offset: offset, reason: reason)
    }

    /// The error for anything but `expected` at the offset.
    func missing(_ expected: String) -> JSONError {
        guard let byte = peek() else { return fault(.unexpectedEnd(expected: expected)) }
        return fault(.unexpected(byte: byte, expected: expected))
    }

    @inline(__always) mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }

    mutating func scanWord(_ word: StaticString) throws(JSONError) {
        for index in 0..<word.utf8CodeUnitCount {
            guard peek() == word.utf8Start[index] else { throw missing("'\(word)'") }
            offset += 1
        }
    }

    mutating func scanNumber() throws(JSONError) -> JSONNumberSpan {
        let start = offset
        var isInteger = true
        if peek() == Byte.minus { offset += 1 }
        if peek() == Byte.zero { offset += 1 } else { try scanDigits() }
        if peek() == Byte.point {
            isInteger = false
            offset += 1
            try scanDigits()
        }
        if let byte = peek(), byte | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            offset += 1
            if let sign = peek(), sign == Byte.plus || sign == Byte.minus { offset += 1 }
            try scanDigits()
        }
        // "01" and "1x" would otherwise be told as a missing comma.
        if let byte = peek(), (Byte.zero...Byte.nine).contains(byte) { throw fault(.invalidNumber) }
        return JSONNumberSpan(range: start..<offset, isInteger: isInteger)
    }

    private mutating func scanDigits() throws(JSONError) {
        let start = offset
        while let byte = peek(), (Byte.zero...Byte.nine).contains(byte) { offset += 1 }
        if offset == start { throw fault(.invalidNumber) }
    }

    /// Begins at the opening quote.
    mutating func scanString() throws(JSONError) -> JSONStringSpan {
        offset += 1
        let start = offset
        var hasEscapes = false
        while true {
            skipPlain()
            guard let byte = peek() else { throw fault(.unexpectedEnd(expected: "'\"'")) }
            switch byte {
            case Byte.quote:
                let span = JSONStringSpan(range: start..<offset, hasEscapes: hasEscapes)
                offset += 1
                return span
            case Byte.backslash:
                hasEscapes = true
                try scanEscape()
            case ..<0x20: throw fault(.controlCharacter(byte))
            case ..<0x80: offset += 1
            default: try scanMultibyte()
            }
        }
    }

    /// Passes over ASCII that needs no look, eight bytes at a time.
    @inline(__always) private mutating func skipPlain() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while offset + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let quotes = word ^ (ones &* UInt64(Byte.quote))
            let backslashes = word ^ (ones &* UInt64(Byte.backslash))
            // A byte's high bit is set where it is zero after the xor, or below 0x20, or not ASCII;
            // false alarms cost a look, never an error.
            let special =
                ((quotes &- ones) | (backslashes &- ones) | (word &- (ones &* 0x20)) | word) & highs
            if special != 0 {
                offset += special.littleEndian.trailingZeroBitCount / 8
                return
            }
            offset += 8
        }
    }

    private mutating func scanEscape() throws(JSONError) {
        let start = offset
        offset += 1
        guard let kind = peek() else { throw fault(.unexpectedEnd(expected: "an escape")) }
        offset += 1
        switch kind {
        case UInt8(ascii: "u"):
            let unit = try scanHex(escape: start)
            guard unit & 0xF800 == 0xD800 else { return }
            let unpaired = JSONError(offset: start, reason: .unpairedSurrogate)
            guard unit < 0xDC00, peek() == Byte.backslash, offset + 1 < bytes.count,
                bytes[offset + 1] == UInt8(ascii: "u")
            else { throw unpaired }
            offset += 2
            guard try scanHex(escape: offset - 2) & 0xFC00 == 0xDC00 else { throw unpaired }
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return
        default: throw JSONError(offset: start, reason: .invalidEscape)
        }
    }

    private mutating func scanHex(escape: Int) throws(JSONError) -> UInt16 {
        guard offset + 4 <= bytes.count, let unit = Self.hex(bytes, at: offset) else {
            throw JSONError(offset: escape, reason: .invalidEscape)
        }
        offset += 4
        return unit
    }

    /// Four hexadecimal digits.
    static func hex(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt16? {
        var unit: UInt16 = 0
        for byte in bytes[offset..<(offset + 4)] {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    /// One character outside ASCII.
    private mutating func scanMultibyte() throws(JSONError) {
        let length = UTF8Check.characterLength(bytes, at: offset)
        guard length > 0 else { throw fault(.invalidUTF8) }
        offset += length
    }
}
