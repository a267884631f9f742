internal import Notation

/// Why bytes could not be read as what they should be. It never carries the bytes themselves.
package enum WireError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The input ended in the middle of a field.
    case truncated(needed: Int, remaining: Int)
    /// A count is larger than the rest of the input or a stated limit allows.
    case tooLong(count: Int, limit: Int)
    /// A field holds a value that its type does not have.
    case invalid(field: String, value: UInt64)
    /// A text is not UTF-8.
    case notUTF8
    /// The data were written in a newer format.
    case unsupportedVersion(found: UInt8, supported: UInt8)
    /// Bytes are left where none belong.
    case trailingBytes(Int)

    package var description: String {
        switch self {
        case .truncated(let needed, let remaining):
            "input ends too early: \(needed) bytes needed, \(remaining) left"
        case .tooLong(let count, let limit): "count \(count) is over the limit of \(limit)"
        case .invalid(let field, let value): "\(field) has the unknown value \(value)"
        case .notUTF8: "a text is not UTF-8"
        case .unsupportedVersion(let found, let supported):
            "format version \(found) is newer than \(supported), the newest this program reads"
        case .trailingBytes(let count): "\(count) unexpected bytes after the end"
        }
    }
}

/// Reads fields that `ByteWriter` wrote. Every length is checked against what is left before
/// anything is allocated.
package struct ByteReader: Sendable {
    private let bytes: [UInt8]
    private let end: Int
    /// Of the next byte to be read, from the beginning of the array, in bytes.
    package private(set) var offset: Int

    /// Reads all of the bytes.
    package init(_ bytes: [UInt8]) {
        self.init(bytes, in: 0..<bytes.count)
    }

    /// Reads a part of the bytes. `range` lies within them.
    package init(_ bytes: [UInt8], in range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "\(range)")
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
    }

    /// Bytes that are left.
    package var remaining: Int { end - offset }
    /// Nothing is left.
    package var isAtEnd: Bool { offset == end }

    private mutating func advance(_ count: Int) throws(WireError) -> Int {
        guard count <= remaining else {
            throw .truncated(needed: count, remaining: remaining)
        }
        let start = offset
        offset += count
        return start
    }

    /// - Throws: `WireError.truncated` if nothing is left.
    package mutating func readByte() throws(WireError) -> UInt8 {
        bytes[try advance(1)]
    }

    /// One byte, 0 or 1.
    /// - Throws: `WireError` if nothing is left, or for any other byte.
    package mutating func readBool() throws(WireError) -> Bool {
        let byte = try readByte()
        guard byte <= 1 else { throw .invalid(field: "Boolean", value: UInt64(byte)) }
        return byte == 1
    }

    /// An integer, little-endian.
    /// - Throws: `WireError.truncated` if too few bytes are left.
    package mutating func read<T: FixedWidthInteger>(_: T.Type = T.self) throws(WireError) -> T {
        let start = try advance(MemoryLayout<T>.size)
        return bytes.withUnsafeBytes {
            T(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: T.self))
        }
    }

    /// A number as its 64 bits (IEEE 754), so that every value and NaN stays what it is.
    /// - Throws: `WireError.truncated` if too few bytes are left.
    package mutating func readDouble() throws(WireError) -> Double {
        Double(bitPattern: try read())
    }

    /// A count of elements that each take at least `elementSize` bytes of the rest.
    /// - Parameter limit: of elements, whatever the rest allows.
    package mutating func readCount(
        elementSize: Int = 1, limit: Int = .max
    ) throws(WireError) -> Int {
        let count = Int(try read(UInt32.self))
        let most = min(limit, remaining / max(1, elementSize))
        guard count <= most else { throw .tooLong(count: count, limit: most) }
        return count
    }

    /// - Parameter limit: in bytes.
    package mutating func readText(limit: Int = .max) throws(WireError) -> String {
        let count = try readCount(limit: limit)
        let start = try advance(count)
        guard let text = Self.text(of: bytes, in: start..<start + count) else { throw .notUTF8 }
        return text
    }

    /// Nil for what is not UTF-8. What `String` has for that finds out its types at each call, which
    /// costs more than the text.
    private static func text(of bytes: [UInt8], in range: Range<Int>) -> String? {
        bytes.withUnsafeBytes { bytes in
            let part = UnsafeRawBufferPointer(rebasing: bytes[range])
            guard UTF8Check.isValid(part) else { return nil }
            return String(decoding: part, as: UTF8.self)
        }
    }

    /// Bytes behind their count (u32). Nothing is allocated for a count that can't be.
    /// - Throws: `WireError.truncated` if fewer are left.
    package mutating func readBytes() throws(WireError) -> [UInt8] {
        let count = try readCount()
        return try readRaw(count)
    }

    /// As many bytes as are asked for.
    /// - Throws: `WireError.truncated` if fewer are left.
    package mutating func readRaw(_ count: Int) throws(WireError) -> [UInt8] {
        let start = try advance(count)
        return Array(bytes[start..<start + count])
    }

    /// Passes over bytes.
    /// - Throws: `WireError.truncated` if fewer are left.
    package mutating func skip(_ count: Int) throws(WireError) {
        _ = try advance(count)
    }

    /// Elements after their count. The count alone claims no memory to speak of: it is not believed
    /// before the elements are there.
    /// - Parameters:
    ///   - elementSize: bytes that each takes at least.
    ///   - limit: of elements; more are refused as `tooLong` before any is read.
    package mutating func readList<Element>(
        elementSize: Int = 1, limit: Int = .max,
        _ element: (inout ByteReader) throws(WireError) -> Element
    ) throws(WireError) -> [Element] {
        let count = try readCount(elementSize: elementSize, limit: limit)
        var list: [Element] = []
        list.reserveCapacity(min(count, 4096))
        for _ in 0..<count { list.append(try element(&self)) }
        return list
    }

    /// What stands behind a byte that says whether it is there.
    /// - Throws: `WireError` of that byte, or of what `read` throws.
    package mutating func readOptional<Wrapped>(
        _ some: (inout ByteReader) throws(WireError) -> Wrapped
    ) throws(WireError) -> Wrapped? {
        try readBool() ? try some(&self) : nil
    }

    /// Ends a document: nothing may follow.
    package func expectEnd() throws(WireError) {
        guard isAtEnd else { throw .trailingBytes(remaining) }
    }
}
