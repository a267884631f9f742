import Discovery
import Glibc
import Raft
import Replica
import Settings
import Synchronization
import Telemetry

/// The plugin that `-disco-mode` names, found, checked and loaded. What is wrong with the mode, the
/// plugin or its configuration shows here, before the node touches anything.
struct DiscoverySource {
    let choice: PluginChoice
    let instance: PluginInstance

    var isRegistry: Bool { choice.mode.role == .registry }

    init(opening discovery: NodeSettings.Discovery, settings: NodeSettings, logger: Logger) throws {
        let catalog = PluginCatalog(
            directories: PluginCatalog.standardDirectories(
                flag: discovery.pluginDirectories,
                environment: getenv("RQLITE_DISCO_PLUGIN_PATH").map { String(cString: $0) },
                executable: ProcessSections.executablePath ?? CommandLine.arguments[0]))
        choice = try catalog.find(mode: discovery.mode)
        let role: DiscoveryRole = choice.mode.role == .resolver ? .resolver : .registry
        if let problem = settings.problem(withDiscoveryRole: role) {
            throw Daemon.StartFailure(description: problem)
        }
        for path in choice.shadowed {
            logger.info("plugin is shadowed", ["path": path, "by": choice.file.path])
        }
        let source = try Self.source(choice, discovery.isolation)
        let arguments = PluginArguments(
            key: discovery.key, config: try discovery.config.bytes(),
            nodeID: settings.identity.explicit ?? settings.identity.fallback,
            raft: (settings.raft.advertised.description, settings.raft.advertised.port),
            apiURL: "http://\(settings.http.advertised)")
        instance = PluginInstance(
            source: source, arguments: arguments,
            environment: PluginEnvironment(
                log: { level, text in Self.log(level, text, to: logger) },
                wallTime: { WallTime.now().rfc3339 }))
        try start(mode: discovery.mode)
        logger.announce("discovery mode: \(discovery.mode)")
        if isRegistry { Self.warnOfLoopback(settings, logger) }
        logger.info(
            "plugin loaded",
            ["plugin.id": instance.identity?.id ?? "unknown", "path": choice.file.path])
    }

    private static func source(
        _ choice: PluginChoice, _ isolation: NodeSettings.Isolation
    ) throws -> PluginSource {
        let process = PluginProcess(arguments: Invocation.pluginServerArguments)
        switch isolation {
        case .none: return .loaded(try Plugin(loading: choice), refuge: process)
        case .process: return .isolated(choice.location, process)
        }
    }

    /// What a registry tells other machines must lead here from there.
    private static func warnOfLoopback(_ settings: NodeSettings, _ logger: Logger) {
        for (what, address) in [
            ("-raft-adv-addr", settings.raft.advertised),
            ("-http-adv-addr", settings.http.advertised),
        ] where address.isLoopback {
            logger.warning(
                "nodes on other machines can't reach the address this one puts into the registry",
                ["address": "\(address)", "flag": what])
        }
    }

    /// Makes the plugin's instance, so that a wrong configuration shows now.
    private func start(mode: String) throws {
        let answer = Mailbox<Result<Void, PluginError>>()
        instance.start(timeout: .seconds(10)) { answer.post($0) }
        if case .failure(let error)? = answer.take(atMost: 1).first {
            throw Daemon.StartFailure(
                description: "clustering failure: discovery mode \(mode): \(error)")
        }
    }

    private static func log(_ level: PluginLogLevel, _ text: String, to logger: Logger) {
        switch level {
        case .error: logger.error("plugin", ["message": text])
        case .warning: logger.warning("plugin", ["message": text])
        case .info: logger.info("plugin", ["message": text])
        default: logger.debug("plugin", ["message": text])
        }
    }
}
