package import Raft
package import Wire

/// What the candidates agree on: the identity and the first members of the one cluster they found.
/// The first membership entry of the log is built from exactly these bytes.
///
///     cluster | u32 count | per member: text ID, incarnation, address
///
/// All members are voters; they stand sorted by ID, each ID once.
package struct BootstrapValue: Hashable, Sendable {
    /// Drawn at random by the node that proposed it.
    package let cluster: ClusterID
    /// Sorted by ID; at least one, all voters.
    package let members: [Member]

    /// - Parameter members: at least one, all voters, each ID once.
    package init(cluster: ClusterID, members: [Member]) {
        self.cluster = cluster
        self.members = members.sorted { $0.id < $1.id }
    }

    /// The first membership of the new cluster's log.
    package var membership: Membership { Membership(members) }

    /// Named with its ID and incarnation: a wiped disk under a member's ID is not that member.
    package func names(_ identity: NodeIdentity) -> Bool {
        members.contains { $0.id == identity.id && $0.incarnation == identity.incarnation }
    }

    var memberNames: String { members.map(\.id.rawValue).joined(separator: ", ") }
}

extension BootstrapValue {
    package func encode(into writer: inout ByteWriter) {
        cluster.encode(into: &writer)
        writer.write(members) { writer, member in
            member.id.encode(into: &writer)
            member.incarnation.encode(into: &writer)
            member.address.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let cluster = try ClusterID(from: &reader)
        let members = try reader.readList(
            elementSize: 24, limit: FormationLimits.addresses
        ) { (reader) throws(WireError) in
            Member(
                id: try NodeID(from: &reader), incarnation: try Incarnation(from: &reader),
                address: try PeerAddress(from: &reader), suffrage: .voter)
        }
        guard !members.isEmpty else { throw .invalid(field: "number of members", value: 0) }
        for (member, next) in zip(members, members.dropFirst()) where member.id >= next.id {
            throw .invalid(field: "order of members", value: UInt64(members.count))
        }
        self.init(cluster: cluster, members: members)
    }

    /// The table above, without a version: what holds it has one.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }

    /// Fails on what `init(from:)` refuses, and on bytes left over.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
        try reader.expectEnd()
    }
}
