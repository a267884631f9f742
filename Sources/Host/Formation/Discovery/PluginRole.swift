import PluginABI

/// What a mode is for: known from the note, before any code of the plugin runs.
package enum PluginRole: UInt32, Sendable, CustomStringConvertible {
    /// Answers with addresses where nodes might be.
    case resolver = 1
    /// Keeps the cluster's records.
    case registry = 2

    package var description: String {
        switch self {
        case .resolver: "resolver"
        case .registry: "registry"
        }
    }
}

/// One word after `-disco-mode`.
package struct PluginMode: Equatable, Sendable {
    /// What `-disco-mode` names.
    package let name: String
    /// What it is.
    package let role: PluginRole

    /// `[a-z0-9-]{1,32}`
    static func isValid(name: String) -> Bool {
        (1...Int(RQD_MAX_MODE)).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}
