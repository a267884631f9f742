import Wire

/// A value of a row set; texts and blobs are spans of its bytes.
enum Cell {
    case null
    case integer(Int64)
    case real(Double)
    /// Not promised to be UTF-8.
    case text(UnsafeRawBufferPointer)
    case blob(UnsafeRawBufferPointer)
}

/// Reads the encoded cells of a `RowSet` (format: `ValueTag`) in place. Rows may come from another
/// node, so every length is checked. Must not outlive the bytes.
struct CellReader {
    private let bytes: UnsafeRawBufferPointer
    /// Where the next cell begins.
    private(set) var offset: Int

    init(_ bytes: UnsafeRawBufferPointer, from offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    mutating func next() throws(WireError) -> Cell {
        let tag = try take(1)[0]
        switch ValueTag(rawValue: tag) {
        case .null: return .null
        case .integer: return .integer(Int64(littleEndian: load(try take(8))))
        case .real:
            return .real(Double(bitPattern: UInt64(littleEndian: load(try take(8)))))
        case .text: return .text(try takeCounted())
        case .blob: return .blob(try takeCounted())
        case nil: throw .invalid(field: "value tag", value: UInt64(tag))
        }
    }

    private mutating func takeCounted() throws(WireError) -> UnsafeRawBufferPointer {
        try take(Int(UInt32(littleEndian: load(try take(4)))))
    }

    private mutating func take(_ count: Int) throws(WireError) -> UnsafeRawBufferPointer {
        let remaining = bytes.count - offset
        guard count <= remaining else {
            throw .truncated(needed: count, remaining: remaining)
        }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    private func load<T: FixedWidthInteger>(_ span: UnsafeRawBufferPointer) -> T {
        span.loadUnaligned(as: T.self)
    }
}
