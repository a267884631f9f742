internal import Notation
package import Raft

/// The names of records below the cluster's key: `leader`, and `nodes/<node ID>` for each node.
package enum RecordName {
    /// The name of the leader's entry.
    package static let leader = "leader"
    /// Before the percent-encoded node ID.
    package static let nodes = "nodes/"

    /// Every byte of the ID but letters, digits, `-`, `.`, `_` and `~` is percent-encoded (RFC 3986,
    /// section 2.3), and `.` too where the ID consists of nothing else: no registry may take the
    /// name for a path. Nil if the name is longer than a registry must take.
    package static func node(_ id: NodeID) -> String? {
        let isDots = id.rawValue.utf8.allSatisfy { $0 == UInt8(ascii: ".") }
        let text = id.rawValue
        let name = nodes + (isDots ? PercentEncoding.encodeAll(text) : PercentEncoding.encode(text))
        return name.utf8.count <= RegistryLimits.name && !id.rawValue.isEmpty ? name : nil
    }
}
