/// The decision that an entry of the log is not applied, or not beyond a place in it: it ended the
/// process of every node that tried. It is an entry of the log itself, a later one, so that every
/// node follows it (docs/decisions/0052-an-entry-can-be-skipped.md).
package struct EntrySkip: Equatable, Sendable {
    /// The entry.
    package var index: UInt64
    /// CRC-32C of its payload: an entry of another history under this index is not meant.
    package var hash: UInt32
    /// From where on it is left out. What stands before is applied: nodes may have committed it.
    package var place: StatementPlace

    package init(index: UInt64, hash: UInt32, place: StatementPlace = .start) {
        self.index = index
        self.hash = hash
        self.place = place
    }
}

/// A statement of a request: the number of its text, and where in that text it begins, in bytes.
package struct StatementPlace: Equatable, Comparable, Sendable {
    package var text: Int
    package var offset: Int

    package init(text: Int, offset: Int) {
        self.text = text
        self.offset = offset
    }

    package static let start = StatementPlace(text: 0, offset: 0)

    package static func < (a: StatementPlace, b: StatementPlace) -> Bool {
        (a.text, a.offset) < (b.text, b.offset)
    }
}

extension EntrySkip {
    package func encode(into writer: inout ByteWriter) {
        writer.write(index)
        writer.write(hash)
        writer.write(UInt32(place.text))
        writer.write(UInt32(place.offset))
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        index = try reader.read()
        hash = try reader.read()
        let text = Int(try reader.read(UInt32.self))
        place = StatementPlace(text: text, offset: Int(try reader.read(UInt32.self)))
    }
}
