package import Wire

/// What a read saw of the cluster's history.
package struct ReadSight: Equatable, Sendable {
    /// It saw nothing behind this.
    package var mark: CommitMark
    /// It saw all through the mark's index: a read that finds the node at the same mark would see the
    /// same.
    package var isExact: Bool

    package init(_ mark: CommitMark, isExact: Bool) {
        self.mark = mark
        self.isExact = isExact
    }
}

/// Commit mark | bool is exact
extension ReadSight {
    package func encode(into writer: inout ByteWriter) {
        mark.encode(into: &writer)
        writer.write(isExact)
    }

    /// - Throws: `WireError` where bytes are missing.
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(try CommitMark(from: &reader), isExact: try reader.readBool())
    }
}
