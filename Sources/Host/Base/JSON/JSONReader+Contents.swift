/// What the spans stand for.
extension JSONReader {
    /// The text of a string or name, escapes resolved.
    package func text(of span: JSONStringSpan) -> String {
        let raw = UnsafeRawBufferPointer(rebasing: bytes[span.range])
        guard span.hasEscapes else { return String(decoding: raw, as: UTF8.self) }
        // An escape is never shorter than what it stands for.
        return String(unsafeUninitializedCapacity: raw.count) { output in
            Self.resolve(raw, into: output)
        }
    }

    /// Whether a string or name is `ascii`; spares the hot path the making of a `String`.
    package func matches(_ span: JSONStringSpan, _ ascii: StaticString) -> Bool {
        if span.hasEscapes { return text(of: span) == ascii.description }
        guard span.range.count == ascii.utf8CodeUnitCount else { return false }
        for index in 0..<span.range.count
        where bytes[span.range.lowerBound + index] != ascii.utf8Start[index] {
            return false
        }
        return true
    }

    /// The number as it was written.
    package func text(of span: JSONNumberSpan) -> String {
        String(decoding: bytes[span.range], as: UTF8.self)
    }

    /// Exact, or nil when the number has a fraction or exponent or is too large.
    package func integer(of span: JSONNumberSpan) -> Int64? {
        guard span.isInteger else { return nil }
        var index = span.range.lowerBound
        let isNegative = bytes[index] == Byte.minus
        if isNegative { index += 1 }
        var value: Int64 = 0
        while index < span.range.upperBound {
            // Gathered as a negative number, whose range is larger by one.
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (next, underflow) = scaled.subtractingReportingOverflow(
                Int64(bytes[index] - Byte.zero))
            if overflow || underflow { return nil }
            value = next
            index += 1
        }
        if isNegative { return value }
        return value == .min ? nil : -value
    }

    /// The nearest double; nil when the number is beyond all of them.
    package func double(of span: JSONNumberSpan) -> Double? {
        guard let value = Double(text(of: span)), value.isFinite else { return nil }
        return value
    }

    private static func resolve(
        _ raw: UnsafeRawBufferPointer, into output: UnsafeMutableBufferPointer<UInt8>
    ) -> Int {
        var count = 0
        var index = 0
        func append(_ byte: UInt8) {
            output[count] = byte
            count += 1
        }
        while index < raw.count {
            guard raw[index] == Byte.backslash else {
                append(raw[index])
                index += 1
                continue
            }
            let kind = raw[index + 1]
            index += 2
            switch kind {
            case UInt8(ascii: "b"): append(0x08)
            case UInt8(ascii: "f"): append(0x0C)
            case UInt8(ascii: "n"): append(0x0A)
            case UInt8(ascii: "r"): append(0x0D)
            case UInt8(ascii: "t"): append(0x09)
            case UInt8(ascii: "u"):
                let (scalar, length) = scalar(in: raw, at: index)
                for unit in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { append(unit) }
                index += length
            default: append(kind)
            }
        }
        return count
    }

    /// The scalar of a `\u` escape, or of a pair of them, that begins at its digits.
    private static func scalar(
        in raw: UnsafeRawBufferPointer, at index: Int
    ) -> (scalar: Unicode.Scalar, length: Int) {
        let high = UInt32(hex(raw, at: index) ?? 0xFFFD)
        if let scalar = Unicode.Scalar(high) { return (scalar, 4) }
        let low = UInt32(hex(raw, at: index + 6) ?? 0xFFFD)
        let value = 0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)
        return (Unicode.Scalar(value) ?? "\u{FFFD}", 10)
    }
}
