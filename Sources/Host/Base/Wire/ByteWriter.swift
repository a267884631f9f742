/// Builds a byte string field by field. Integers are little-endian; texts, byte strings and lists
/// carry a 32-bit count before their content.
package struct ByteWriter: Sendable {
    /// What was written so far.
    package private(set) var bytes: [UInt8]

    /// - Parameter capacity: bytes for which room is made beforehand; more may be written.
    package init(reserving capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// Bytes written so far.
    package var count: Int { bytes.count }

    /// One byte.
    package mutating func write(_ value: UInt8) {
        bytes.append(value)
    }

    /// One byte, 1 or 0.
    package mutating func write(_ value: Bool) {
        bytes.append(value ? 1 : 0)
    }

    /// Little-endian, in as many bytes as the type has.
    package mutating func write<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// The number's 64 bits (IEEE 754), as an integer.
    package mutating func write(_ value: Double) {
        write(value.bitPattern)
    }

    /// A count of elements or bytes. What is written is bounded by the limits of its owner, far
    /// below 2^32.
    package mutating func writeCount(_ count: Int) {
        write(UInt32(count))
    }

    /// UTF-8 behind its count of bytes (u32).
    package mutating func write(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            writeCount(utf8.count)
            bytes.append(contentsOf: utf8)
        }
    }

    /// Bytes behind their count (u32).
    package mutating func write(_ content: [UInt8]) {
        writeCount(content.count)
        bytes.append(contentsOf: content)
    }

    /// Bytes as they are, without a count.
    package mutating func writeRaw(_ content: [UInt8]) {
        bytes.append(contentsOf: content)
    }

    /// Bytes of a part of an array as they are, without a count.
    package mutating func writeRaw(_ content: ArraySlice<UInt8>) {
        bytes.append(contentsOf: content)
    }

    /// So many bytes of value 0.
    package mutating func writeZeros(_ count: Int) {
        bytes.append(contentsOf: repeatElement(0, count: count))
    }

    /// Bytes of a C buffer with their count before them.
    package mutating func write(_ content: UnsafeRawBufferPointer) {
        writeCount(content.count)
        bytes.append(contentsOf: content)
    }

    /// The count of elements (u32), then each as `body` writes it.
    package mutating func write<Element>(
        _ list: [Element], _ element: (inout ByteWriter, Element) -> Void
    ) {
        writeCount(list.count)
        for item in list { element(&self, item) }
    }

    /// A byte that says whether it is there, then the value as `body` writes it.
    package mutating func write<Wrapped>(
        _ optional: Wrapped?, _ some: (inout ByteWriter, Wrapped) -> Void
    ) {
        write(optional != nil)
        if let value = optional { some(&self, value) }
    }

    /// Overwrites four bytes written earlier, for lengths and checksums known only at the end.
    package mutating func overwrite(_ value: UInt32, at offset: Int) {
        precondition(offset >= 0 && offset + 4 <= bytes.count, "\(offset) of \(bytes.count)")
        for shift in 0..<4 {
            bytes[offset + shift] = UInt8(truncatingIfNeeded: value >> (8 * shift))
        }
    }
}
