/// An address where a node might be, as a resolver found it.
package struct DiscoveredAddress: Equatable, Sendable {
    /// A name or an IP address, without brackets.
    package let host: String
    /// Never 0 once an instance delivers it: the node's own Raft port has taken its place.
    package internal(set) var port: UInt16
    /// The lower first, as in DNS SRV.
    package let priority: UInt32
    /// As in DNS SRV (RFC 2782).
    package let weight: UInt32
    /// Nil when the plugin does not know.
    package let timeToLive: Duration?
    /// Where it was found, for operators.
    package let source: String

    /// `host:port`, an IPv6 address in brackets.
    package var hostAndPort: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// The answer of a resolver.
package struct Resolution: Equatable, Sendable {
    /// In the plugin's order.
    package let addresses: [DiscoveredAddress]
    /// For `wait`; empty if the plugin gave none.
    package let token: [UInt8]

    /// How long the whole answer holds.
    package var timeToLive: Duration? { addresses.compactMap(\.timeToLive).min() }
}

/// A record of a registry.
package struct RegistryRecord: Equatable, Sendable {
    /// Below the cluster's key.
    package let name: String
    /// What the node wrote.
    package let value: [UInt8]
    /// The plugin's own bytes; they are only compared and given back.
    package let revision: [UInt8]
}

/// What stands under a name.
package struct RegistryReading: Equatable, Sendable {
    /// Nil when there is none.
    package let record: RegistryRecord?
    /// From where on `wait` waits for a change; empty if the plugin can't.
    package let token: [UInt8]
}

/// Of a write that was answered. Only `written` is certain: the others may be the answer to the
/// second of two tries of which the first succeeded, so the caller reads again.
package enum RegistryWriting: Equatable, Sendable {
    case written(revision: [UInt8])
    case conflict
    case absent
}

/// What came of an attempt to remove a record.
package enum RegistryErasure: Equatable, Sendable {
    case erased
    case conflict
    case absent
}

/// Why a wait for a change ended.
package enum WatchOutcome: Equatable, Sendable {
    /// The state may differ from the one of the token; the new token is empty if none was given.
    case changed(token: [UInt8])
    /// Nothing changed until the deadline.
    case unchanged
}
