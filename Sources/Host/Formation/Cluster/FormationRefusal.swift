package import Raft
package import Wire

/// Why two nodes can't form a cluster together: something an operator must put right.
///
///     u8 kind | content
///     kind 1  u32 expect there | u32 expect here | text ID | address of the node that differs
///     kind 2  text ID | address | address
///     kind 3  –
///     kind 4  cluster | cluster
///     kind 5  text ID | address
package enum FormationRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case expectDiffers(there: Int, here: Int, id: NodeID, address: PeerAddress)
    /// Two live nodes with one ID.
    case nodeIDTaken(NodeID, PeerAddress, PeerAddress)
    case tooManyLists
    /// A bootstrap other than the one this node has learnt: the agreement was broken from outside,
    /// by a list replaced wholesale or an address taken over.
    case otherBootstrap(ClusterID, known: ClusterID)
    /// A node was asked to promise something for a list without addresses that nobody dropped there.
    case notDropped(at: NodeID, PeerAddress)

    package var description: String {
        switch self {
        case .expectDiffers(let there, let here, let id, let address):
            "node \(id) at \(address) has -bootstrap-expect \(there), this node has \(here): "
                + "give all nodes the same value"
        case .nodeIDTaken(let id, let one, let other):
            "two nodes have the ID \(id), one at \(one) and one at \(other): "
                + "give each a -node-id of its own"
        case .tooManyLists:
            "promises were given for \(FormationLimits.recordedLists) different candidate lists "
                + "and none came to an end: keep the list stable until the cluster has formed"
        case .otherBootstrap(let cluster, let known):
            "cluster \(cluster) was formed beside cluster \(known), which this node knows: "
                + "remove the data of the one that is not wanted"
        case .notDropped(let id, let address):
            "node \(id) at \(address) was not told of all that was dropped here: drop it there, too"
        }
    }

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .expectDiffers(let there, let here, let id, let address):
            writer.write(UInt8(1))
            writer.write(UInt32(clamping: there))
            writer.write(UInt32(clamping: here))
            id.encode(into: &writer)
            address.encode(into: &writer)
        case .nodeIDTaken(let id, let one, let other):
            writer.write(UInt8(2))
            id.encode(into: &writer)
            one.encode(into: &writer)
            other.encode(into: &writer)
        case .tooManyLists: writer.write(UInt8(3))
        case .otherBootstrap(let cluster, let known):
            writer.write(UInt8(4))
            cluster.encode(into: &writer)
            known.encode(into: &writer)
        case .notDropped(let id, let address):
            writer.write(UInt8(5))
            id.encode(into: &writer)
            address.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let kind = try reader.readByte()
        switch kind {
        case 1:
            self = .expectDiffers(
                there: Int(try reader.read(UInt32.self)), here: Int(try reader.read(UInt32.self)),
                id: try NodeID(from: &reader), address: try PeerAddress(from: &reader))
        case 2:
            self = .nodeIDTaken(
                try NodeID(from: &reader), try PeerAddress(from: &reader),
                try PeerAddress(from: &reader))
        case 3: self = .tooManyLists
        case 4:
            self = .otherBootstrap(
                try ClusterID(from: &reader), known: try ClusterID(from: &reader))
        case 5:
            self = .notDropped(at: try NodeID(from: &reader), try PeerAddress(from: &reader))
        default: throw .invalid(field: "kind of refusal", value: UInt64(kind))
        }
    }
}
