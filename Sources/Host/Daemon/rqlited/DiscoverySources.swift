import Discovery
import Glibc
import JSON
import Settings
import Telemetry

/// What `-disco-mode` names: one plugin's mode, or several resolvers separated by commas, whose
/// addresses are put together. A registry stands alone: which cluster there is can't be two places'
/// to say.
struct DiscoverySources {
    /// At least one; all resolvers if there are several.
    let parts: [DiscoverySource]

    /// The only part, if it is a registry.
    var registry: DiscoverySource? { parts.first { $0.isRegistry } }

    /// - Parameter withheld: variables that hold secrets of the daemon.
    init(
        opening discovery: NodeSettings.Discovery, withheld: Set<String>, settings: NodeSettings,
        logger: Logger
    ) throws {
        let choices = try Self.choices(
            discovery, in: PluginCatalog(searching: discovery.pluginDirectories))
        let configs = try Self.configs(discovery.config, of: choices.map(\.mode.name))
        parts = try zip(choices, configs).map {
            try DiscoverySource(
                $0, config: $1, of: discovery, withheld: withheld, settings: settings,
                logger: logger)
        }
    }

    /// See `DiscoverySource`.
    func judge(beganInCluster: Bool, logger: Logger) throws {
        for part in parts { try part.judge(beganInCluster: beganInCluster, logger: logger) }
    }

    /// The plugins of all modes, in the order in which they are named.
    /// - Throws: `PluginCatalogError`, or `Daemon.StartFailure` if they can't be together.
    static func choices(
        _ discovery: NodeSettings.Discovery, in catalog: PluginCatalog
    ) throws -> [PluginChoice] {
        // A path may have a comma.
        guard access(discovery.mode, F_OK) != 0 else {
            return [try catalog.find(mode: discovery.mode)]
        }
        let choices = try discovery.modes.map { try catalog.find(mode: $0) }
        guard choices.count > 1 else { return choices }
        if let registry = choices.first(where: { $0.mode.role == .registry }) {
            throw Daemon.StartFailure(
                description: "-disco-mode \(discovery.mode): \(registry.mode.name) is a registry, "
                    + "which stands alone; several modes can be given only if all of them are "
                    + "resolvers, so name it alone or leave it out")
        }
        let names = choices.map(\.mode.name)
        for (place, name) in names.enumerated() where names[..<place].contains(name) {
            throw Daemon.StartFailure(
                description: "-disco-mode \(discovery.mode) names \(name) twice; once is enough, "
                    + "for a mode has one configuration")
        }
        return choices
    }

    /// The configuration of each mode: of a single one as it stands, of several the members of one
    /// JSON object that are called as they are.
    static func configs(_ config: DiscoveryConfig, of modes: [String]) throws -> [[UInt8]] {
        let bytes = try config.bytes()
        guard modes.count > 1, !bytes.isEmpty else { return modes.map { _ in bytes } }
        let example = modes.map { "\"\($0)\": {…}" }.joined(separator: ", ")
        func failure(_ cause: String) -> Daemon.StartFailure {
            Daemon.StartFailure(
                description: "-disco-config for several modes is a JSON object with a member for "
                    + "each that needs one, {\(example)}: \(cause)")
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw failure("\(error)")
        }
        guard let members = value.members else { throw failure("it is no object") }
        for (place, member) in members.enumerated() {
            guard modes.contains(member.name) else {
                throw failure("\"\(member.name)\" is none of the modes")
            }
            guard !members[..<place].contains(where: { $0.name == member.name }) else {
                throw failure("\"\(member.name)\" stands there twice")
            }
            guard member.value.members != nil else {
                throw failure("\"\(member.name)\" is no object")
            }
        }
        return modes.map { mode in
            members.first { $0.name == mode }.map { Array($0.value.text().utf8) } ?? []
        }
    }
}
