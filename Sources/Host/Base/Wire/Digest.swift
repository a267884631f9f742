/// 128 bits that stand for a sequence of words and values: equal for equal sequences, and different,
/// but for a chance of 2^-64 or so, for others. It tells damage and deviation, not forgery.
package struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// The two lanes.
    package var low: UInt64
    package var high: UInt64

    package init(low: UInt64 = 0, high: UInt64 = 0) {
        self.low = low
        self.high = high
    }

    /// 32 hexadecimal digits, for people.
    package var description: String { Self.digits(high) + Self.digits(low) }

    private static func digits(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension Digest {
    /// 16 bytes, the low lane first.
    package func encode(into writer: inout ByteWriter) {
        writer.write(low)
        writer.write(high)
    }

    /// - Throws: `WireError` where bytes are missing.
    package init(from reader: inout ByteReader) throws(WireError) {
        low = try reader.read()
        high = try reader.read()
    }
}
