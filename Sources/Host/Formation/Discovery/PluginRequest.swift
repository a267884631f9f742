import PluginABI

/// One call of a plugin as a value, so that it could as well go to another process.
enum PluginRequest: Equatable, Sendable {
    /// Only makes the instance, if there is none.
    case start
    case resolve
    case read(name: String)
    /// An empty `expected` stands for "there is no record".
    case write(name: String, expected: [UInt8], value: [UInt8])
    case erase(name: String, expected: [UInt8])
    case list(prefix: String)
    case wait(name: String, token: [UInt8])
    case describe
    /// `changed`: the flags that differ from what the plugin was told last.
    case update(PluginNode, changed: PluginNode.Flags)

    /// What the plugin may hand to the sink.
    var results: CallResults.Kinds {
        switch self {
        case .start, .erase, .update: []
        case .resolve: [.addresses, .token]
        case .read: [.records, .token]
        case .write: [.records]
        case .list: [.records, .pages]
        case .wait: [.token]
        case .describe: [.text]
        }
    }

    /// The last call before `destroy`.
    var isGoodbye: Bool {
        if case .update(let node, _) = self { node.flags.contains(.leaving) } else { false }
    }

    /// What is larger than a plugin must expect; nil if nothing is.
    var excess: String? {
        let (name, revision, value): (String, [UInt8], [UInt8]) =
            switch self {
            case .start, .resolve, .describe, .update: ("", [], [])
            case .read(let name), .list(let name): (name, [], [])
            case .write(let name, let expected, let value): (name, expected, value)
            case .erase(let name, let expected): (name, expected, [])
            case .wait(let name, let token): (name, token, [])
            }
        if name.utf8.count > Int(RQD_MAX_NAME) {
            return "the record's name has over \(RQD_MAX_NAME) bytes: \(name)"
        }
        if value.count > Int(RQD_MAX_VALUE) {
            return "the record \(name) would have over \(RQD_MAX_VALUE) bytes"
        }
        return revision.count > Int(RQD_MAX_REVISION)
            ? "the revision or token of \(name) has over \(RQD_MAX_REVISION) bytes" : nil
    }

    var name: String {
        switch self {
        case .start: "create"
        case .resolve: "resolve"
        case .read: "read"
        case .write: "write"
        case .erase: "erase"
        case .list: "list"
        case .wait: "wait"
        case .describe: "describe"
        case .update: "update"
        }
    }
}
