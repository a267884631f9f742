package import Raft
package import Wire

/// Names one transfer: another ID is another file and starts at its first byte.
package struct SnapshotID: Hashable, Sendable, CustomStringConvertible {
    /// The node whose database it is of.
    package var sender: NodeID
    /// Of the sender's database file.
    package var generation: UInt64
    /// The last entry that is applied in it.
    package var index: LogIndex

    package init(sender: NodeID, generation: UInt64, index: LogIndex) {
        self.sender = sender
        self.generation = generation
        self.index = index
    }

    package var description: String { "\(sender)/\(generation)/\(index)" }
}

/// What a sender says of a snapshot before it sends it.
///
///     cluster | sender | u64 generation | u64 index | snapshot mark | u64 byte count
///     | since 1.1: optional u64 term
package struct SnapshotOffer: Equatable, Sendable {
    /// Which the database belongs to.
    package var cluster: ClusterID
    /// Names it among others.
    package var id: SnapshotID
    /// Position and membership that hold in it.
    package var mark: SnapshotMark
    /// Size of the whole file.
    package var byteCount: UInt64
    /// In which the sender leads; nil from nodes that don't tell.
    package var term: Term?

    package init(
        cluster: ClusterID, id: SnapshotID, mark: SnapshotMark, byteCount: UInt64,
        term: Term? = nil
    ) {
        self.cluster = cluster
        self.id = id
        self.mark = mark
        self.byteCount = byteCount
        self.term = term
    }
}

/// The bytes of a snapshot while they are sent. Called on a thread that may block, one call at a
/// time, from the first byte to the last.
package protocol SnapshotReading: AnyObject, Sendable {
    /// Exactly `count` bytes, which lie within the offered byte count.
    func read(at offset: UInt64, count: Int) throws -> [UInt8]
}

extension SnapshotOffer {
    package func encode(into writer: inout ByteWriter) {
        cluster.encode(into: &writer)
        id.sender.encode(into: &writer)
        writer.write(id.generation)
        id.index.encode(into: &writer)
        mark.encode(into: &writer)
        writer.write(byteCount)
        writer.write(term) { $1.encode(into: &$0) }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        cluster = try ClusterID(from: &reader)
        id = SnapshotID(
            sender: try NodeID(from: &reader), generation: try reader.read(),
            index: try LogIndex(from: &reader))
        mark = try SnapshotMark(from: &reader)
        byteCount = try reader.read()
        term =
            reader.isAtEnd
            ? nil
            : try reader.readOptional { (r) throws(WireError) in try Term(from: &r) }
    }
}
