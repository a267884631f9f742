/// A place in the log at which all nodes take their checksums, so that they can be compared
/// (docs/decisions/0081-checksums-through-the-log.md).
package struct ChecksumMarker: Equatable, Sendable {
    /// What becomes of the trace of written rows after this place.
    package enum Tracing: UInt8, Sendable {
        /// It goes on as it is: a node that has none still has none.
        case goOn = 0
        /// It begins anew, on every node.
        case restart = 1
        /// There is none from here on.
        case stop = 2
    }

    /// What becomes of the trace.
    package var tracing: Tracing
    /// From where on a piece of the content is read and hashed; nil: none is.
    package var piece: ScrubCursor?

    package init(tracing: Tracing = .goOn, piece: ScrubCursor? = nil) {
        self.tracing = tracing
        self.piece = piece
    }
}

/// A place in the content of the database, as the state machine wrote it: opaque elsewhere.
package struct ScrubCursor: Equatable, Sendable {
    /// The table's name; empty: the schema, with which a pass begins.
    package var table: [UInt8]
    /// Rows of the table that lie before.
    package var passed: UInt64
    /// The key of the last of them; empty where the number alone says the place.
    package var key: [UInt8]

    package init(table: [UInt8], passed: UInt64, key: [UInt8]) {
        self.table = table
        self.passed = passed
        self.key = key
    }

    /// Where a pass begins.
    package static let start = ScrubCursor(table: [], passed: 0, key: [])
    /// Longer keys are left out of a cursor.
    package static let longestKey = 4096
}

extension ChecksumMarker {
    /// `u8 tracing | optional piece`
    package func encode(into writer: inout ByteWriter) {
        writer.write(tracing.rawValue)
        writer.write(piece) { $1.encode(into: &$0) }
    }

    /// - Throws: `WireError` for what no leader writes.
    package init(from reader: inout ByteReader) throws(WireError) {
        let raw = try reader.readByte()
        guard let tracing = Tracing(rawValue: raw) else {
            throw .invalid(field: "tracing", value: UInt64(raw))
        }
        self.tracing = tracing
        piece = try reader.readOptional { (r) throws(WireError) in try ScrubCursor(from: &r) }
    }
}

extension ScrubCursor {
    /// `bytes table | u64 passed | bytes key`
    package func encode(into writer: inout ByteWriter) {
        writer.write(table)
        writer.write(passed)
        writer.write(key)
    }

    /// - Throws: `WireError` where bytes are missing.
    package init(from reader: inout ByteReader) throws(WireError) {
        table = try reader.readBytes()
        passed = try reader.read()
        key = try reader.readBytes()
    }
}
