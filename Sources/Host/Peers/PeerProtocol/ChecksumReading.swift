package import Raft
package import Wire

/// What a node found at a marker for checksums. Nodes with the same content find the same.
package struct ChecksumReading: Equatable, Sendable {
    /// What became of the piece that the marker names.
    package enum Piece: Equatable, Sendable {
        /// The marker names none, or this node could not read it.
        case none
        case read(Digest)
        /// The node's own SQLite says that the database is damaged.
        case damaged
    }

    /// The marker's place in the log.
    package var index: LogIndex
    /// Of all rows written before it; nil: the node has none.
    package var trace: Digest?
    /// Of the content.
    package var piece: Piece

    package init(index: LogIndex, trace: Digest?, piece: Piece) {
        self.index = index
        self.trace = trace
        self.piece = piece
    }

    /// How many a node remembers, and tells at most.
    package static let kept = 32
}

extension ChecksumReading {
    /// `u64 index | optional trace | u8 piece: 0 none, 1 read, 2 damaged | digest if read`
    package func encode(into writer: inout ByteWriter) {
        index.encode(into: &writer)
        writer.write(trace) { $1.encode(into: &$0) }
        switch piece {
        case .none: writer.write(UInt8(0))
        case .read(let digest):
            writer.write(UInt8(1))
            digest.encode(into: &writer)
        case .damaged: writer.write(UInt8(2))
        }
    }

    /// - Throws: `WireError` for what no node says.
    package init(from reader: inout ByteReader) throws(WireError) {
        index = try LogIndex(from: &reader)
        trace = try reader.readOptional { (r) throws(WireError) in try Digest(from: &r) }
        let kind = try reader.readByte()
        switch kind {
        case 0: piece = .none
        case 1: piece = .read(try Digest(from: &reader))
        case 2: piece = .damaged
        default: throw .invalid(field: "piece of a scrub", value: UInt64(kind))
        }
    }
}
