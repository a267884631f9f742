/// Builds a byte string field by field. Integers are little-endian; texts, byte strings and lists
/// carry a 32-bit count before their content.
package struct ByteWriter: Sendable {
    package private(set) var bytes: [UInt8]

    package init(reserving capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    package var count: Int { bytes.count }

    package mutating func write(_ value: UInt8) {
        bytes.append(value)
    }

    package mutating func write(_ value: Bool) {
        bytes.append(value ? 1 : 0)
    }

    package mutating func write<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func write(_ value: Double) {
        write(value.bitPattern)
    }

    /// A count of elements or bytes. What is written is bounded by the limits of its owner, far
    /// below 2^32.
    package mutating func writeCount(_ count: Int) {
        write(UInt32(count))
    }

    package mutating func write(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            writeCount(utf8.count)
            bytes.append(contentsOf: utf8)
        }
    }

    package mutating func write(_ content: [UInt8]) {
        writeCount(content.count)
        bytes.append(contentsOf: content)
    }

    /// Bytes as they are, without a count.
    package mutating func writeRaw(_ content: some Sequence<UInt8>) {
        bytes.append(contentsOf: content)
    }

    /// Bytes of a C buffer with their count before them.
    package mutating func write(_ content: UnsafeRawBufferPointer) {
        writeCount(content.count)
        bytes.append(contentsOf: content)
    }

    package mutating func write<Element>(
        _ list: [Element], _ element: (inout ByteWriter, Element) -> Void
    ) {
        writeCount(list.count)
        for item in list { element(&self, item) }
    }

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
