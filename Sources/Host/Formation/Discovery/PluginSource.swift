/// Where the instances of a mode are made.
package enum PluginSource: Sendable {
    /// In this process. When too many calls are lost in it, further instances are made in processes
    /// of their own, if `refuge` says how; else the mode is off.
    case loaded(Plugin, refuge: PluginProcess?)
    /// Each in a process of its own; the plugin's code never runs in this one.
    case isolated(PluginLocation, PluginProcess)

    /// File and mode, wherever the code runs.
    package var location: PluginLocation {
        switch self {
        case .loaded(let plugin, _): plugin.location
        case .isolated(let location, _): location
        }
    }

    /// What messages call the plugin. An isolated one's ID is its own claim, and not known at first.
    var label: String {
        switch self {
        case .loaded(let plugin, _): plugin.id
        case .isolated(let location, _): location.path
        }
    }

    /// In which further instances can be made outside this process; nil if no program for it is known.
    var process: PluginProcess? {
        switch self {
        case .loaded(_, let refuge): refuge
        case .isolated(_, let process): process
        }
    }

    /// Whether the plugin's code runs in a process of its own.
    package var isIsolated: Bool { if case .isolated = self { true } else { false } }

    /// Makes an instance. Blocks where the plugin runs in this process.
    func open(
        arguments: PluginArguments, name: String,
        log: @escaping @Sendable (PluginLogLevel, String) -> Void
    ) throws(PluginError) -> any PluginSession {
        switch self {
        case .loaded(let plugin, _):
            try InProcessSession(plugin: plugin, arguments: arguments, name: name, log: log)
        case .isolated(let location, let process):
            try IsolatedSession(
                location, in: process, arguments: arguments, name: name, log: log)
        }
    }
}
