/// The bounds of what a node keeps in a registry and believes of it.
package enum RegistryLimits {
    /// Bytes of a record's value, as the plugin interface has it.
    package static let value = 8 << 10
    /// Bytes of a record's name, as the plugin interface has it.
    package static let name = 300
    /// Bytes of a revision, as the plugin interface has it.
    package static let revision = 64
    /// Records of nodes that are looked at; further ones are left out. Where there are more, the
    /// leader's entry and the founders that it names are still known, and the leader erases what says
    /// nothing (`StaleRecords`), so that the others come into view.
    package static let records = 4_096
    /// Bytes of an address in a record.
    static let address = 300
    /// Bytes of an API URL in a record.
    static let url = 1_024
    /// Bytes of a node's ID.
    static let nodeID = 255
    /// JSON in a record nests no deeper.
    static let depth = 8
}
