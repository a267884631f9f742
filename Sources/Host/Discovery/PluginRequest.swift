/// One call of a plugin as a value, so that it could as well go to another process.
enum PluginRequest: Sendable {
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

    /// What the plugin may hand to the sink.
    var results: CallResults.Kinds {
        switch self {
        case .start, .erase: []
        case .resolve: [.addresses, .token]
        case .read: [.records, .token]
        case .write: [.records]
        case .list: [.records]
        case .wait: [.token]
        case .describe: [.text]
        }
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
        }
    }
}

/// Where requests are performed: an instance of a plugin in this process.
protocol PluginSession: Sendable {
    /// Blocks; on the plugin's thread only. Returns the status, everything else is in the context.
    func perform(_ request: PluginRequest, _ context: CallContext) -> Int32
    func destroy()
}
