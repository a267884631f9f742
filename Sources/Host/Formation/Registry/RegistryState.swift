package import Cluster
package import Raft
package import Wire

/// What a node has claimed in a registry and not settled yet, and what it founded. Durable before
/// anything that follows from it is asked of the registry or started.
///
///     u8 version = 1
///     | optional claim      16 bytes nonce | bootstrap value
///     | optional founding   bootstrap value
///     | u32 CRC-32C of all before it
///
/// Bootstrap value: see `BootstrapValue`. It is the whole bootstrap, cluster ID and members, so a
/// claim that is durable needs nothing else on the disk to be started.
package struct RegistryState: Equatable, Sendable {
    /// An attempt to found a cluster. It is never changed, only dropped, and only after a look that
    /// shows that it came to nothing.
    package struct Claim: Equatable, Sendable {
        package let nonce: RandomID
        package let value: BootstrapValue

        package init(nonce: RandomID, value: BootstrapValue) {
            self.nonce = nonce
            self.value = value
        }
    }

    package internal(set) var claim: Claim?
    /// The bootstrap this node starts, or has started, its cluster with.
    package internal(set) var founding: BootstrapValue?

    /// The bootstrap that this node may have founded a cluster with, or has: until the node belongs
    /// to a cluster nothing but the registry tells whether others have started it.
    package var unsettled: BootstrapValue? { claim?.value ?? founding }

    package init() {}

    package init(claim: Claim?, founding: BootstrapValue? = nil) {
        self.claim = claim
        self.founding = founding
    }

    /// Drops for good what would make this node a founder of the cluster.
    package mutating func abandon(_ cluster: ClusterID) {
        if claim?.value.cluster == cluster { claim = nil }
        if founding?.cluster == cluster { founding = nil }
    }
}

extension RegistryState {
    static let version: UInt8 = 1

    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(claim) { writer, claim in
            claim.nonce.encode(into: &writer)
            claim.value.encode(into: &writer)
        }
        writer.write(founding) { $1.encode(into: &$0) }
        writer.write(CRC32C(writer.bytes).value)
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes)
        let version = try reader.readByte()
        guard version == Self.version else {
            throw .unsupportedVersion(found: version, supported: Self.version)
        }
        claim = try reader.readOptional { (r) throws(WireError) in
            Claim(nonce: try RandomID(from: &r), value: try BootstrapValue(from: &r))
        }
        founding = try reader.readOptional { (r) throws(WireError) in
            try BootstrapValue(from: &r)
        }
        let checksum = CRC32C(bytes[..<reader.offset]).value
        let stored = try reader.read(UInt32.self)
        guard stored == checksum else {
            throw .invalid(field: "checksum of the registry state", value: UInt64(stored))
        }
        try reader.expectEnd()
    }
}
