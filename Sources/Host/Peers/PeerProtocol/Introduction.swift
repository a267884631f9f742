package import Raft
package import Wire

/// How a node begins a connection, and answers who began one with it.
///
///     identity | since 1.1: optional cluster | optional advertised address
///     | optional wanted: node ID, optional incarnation
///
/// A node of version 1.0 tells its identity alone.
package struct Introduction: Equatable, Sendable {
    /// Whom a dialer wants to reach.
    package struct Wanted: Equatable, Sendable {
        package var id: NodeID
        /// Nil: any data directory of that ID.
        package var incarnation: Incarnation?

        package init(id: NodeID, incarnation: Incarnation? = nil) {
            self.id = id
            self.incarnation = incarnation
        }

        package func isMet(by identity: NodeIdentity) -> Bool {
            identity.id == id && (incarnation.map { $0 == identity.incarnation } ?? true)
        }
    }

    package var identity: NodeIdentity
    /// Nil while the node is in none, or doesn't tell.
    package var cluster: ClusterID?
    /// Under which others shall dial the node.
    package var address: PeerAddress?
    /// Nil: whoever answers.
    package var wanted: Wanted?

    package init(
        identity: NodeIdentity, cluster: ClusterID? = nil, address: PeerAddress? = nil,
        wanted: Wanted? = nil
    ) {
        self.identity = identity
        self.cluster = cluster
        self.address = address
        self.wanted = wanted
    }
}

extension Introduction {
    package func encode(into writer: inout ByteWriter) {
        identity.encode(into: &writer)
        writer.write(cluster) { $1.encode(into: &$0) }
        writer.write(address) { $1.encode(into: &$0) }
        writer.write(wanted) { writer, wanted in
            wanted.id.encode(into: &writer)
            writer.write(wanted.incarnation) { $1.encode(into: &$0) }
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        identity = try NodeIdentity(from: &reader)
        guard !reader.isAtEnd else { return }
        cluster = try reader.readOptional { (r) throws(WireError) in try ClusterID(from: &r) }
        address = try reader.readOptional { (r) throws(WireError) in try PeerAddress(from: &r) }
        wanted = try reader.readOptional { (r) throws(WireError) in
            Wanted(
                id: try NodeID(from: &r),
                incarnation: try r.readOptional { (r) throws(WireError) in
                    try Incarnation(from: &r)
                })
        }
    }
}
