/// One flag of `rqlited`: a row of `Flag.all`, the single place that knows its name, type, default,
/// subject, help text, and whether what it asks for exists.
struct Flag: Sendable {
    enum Kind: Sendable, Equatable {
        case string
        case boolean
        case integer
        case unsigned
        case duration

        /// The word that stands behind the flag's name in the help.
        var word: String {
            switch self {
            case .string: " string"
            case .boolean: ""
            case .integer: " int"
            case .unsigned: " uint"
            case .duration: " duration"
            }
        }
    }

    enum Availability: Sendable, Equatable {
        case available
        /// What it asks for does not exist: giving it is refused.
        case later
        /// As `later`, but the value that asks for nothing (empty, `false`, `0s`) is accepted,
        /// for that is what the daemon does.
        case laterUnlessOff
    }

    /// The headings of `-help`, in its order.
    enum Subject: String, Sendable, CaseIterable {
        case node = "Node and addresses"
        case cluster = "Forming and joining a cluster"
        case raft = "Raft"
        case storage = "Database, log and checkpoints"
        case tls = "TLS"
        case queue = "Queued writes"
        case outward = "Backups, events and metrics"
        case profiling = "Profiling"
        case verbs = "Of rqlited disco alone"
    }

    let name: String
    let kind: Kind
    /// As Go prints it; read by the same parser as what the operator types.
    let defaultText: String
    let help: String
    let subject: Subject
    let availability: Availability

    /// All values there are, if they can be listed.
    var choices: [String] {
        switch name {
        case "disco-isolation": NodeSettings.Isolation.allCases.map(\.rawValue)
        case "node-tls": NodeSettings.NodeEncryption.Demand.allCases.map(\.rawValue)
        case "raft-log-level": NodeSettings.LogLevel.allCases.map(\.rawValue)
        default: []
        }
    }
}
