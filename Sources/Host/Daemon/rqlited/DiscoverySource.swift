import Addresses
import Discovery
import Glibc
import Raft
import Registry
import Replica
import Settings
import Synchronization
import Telemetry
import Threads

/// A plugin that `-disco-mode` names, found, checked and loaded. What is wrong with the mode or the
/// plugin's file shows here, before the node touches anything, and ends the start.
///
/// What the plugin itself refuses ends the start of a node that has nothing yet. A node of a cluster
/// starts all the same, for it needs no discovery to be a member: a secret that was changed, or a
/// plugin that became stricter, must not keep a cluster from coming back after a power failure. It
/// says so in its log and in `/status`, and asks the plugin again.
struct DiscoverySource {
    let choice: PluginChoice
    let instance: PluginInstance
    /// Where the plugin runs when it runs outside the daemon, now or later.
    let process: PluginProcess
    /// Why the plugin made no instance; nil if it did.
    private let failure: PluginError?

    var isRegistry: Bool { choice.mode.role == .registry }

    /// - Parameters:
    ///   - config: for this plugin, of `-disco-config`.
    ///   - withheld: variables that hold secrets of the daemon.
    init(
        _ choice: PluginChoice, config: [UInt8], of discovery: NodeSettings.Discovery,
        withheld: Set<String>, settings: NodeSettings, logger: Logger
    ) throws {
        self.choice = choice
        let role: DiscoveryRole = choice.mode.role == .resolver ? .resolver : .registry
        if let problem = settings.problem(withDiscoveryRole: role) {
            throw Daemon.StartFailure(description: problem)
        }
        if role == .registry, !Self.isUsed(settings.dataDirectory),
            let flaw = Self.flawInRecord(of: settings)
        {
            throw Daemon.StartFailure(
                description: "nobody can read what this node would write into a registry: \(flaw): "
                    + "see -node-id, -raft-adv-addr and -http-adv-addr")
        }
        for path in choice.shadowed {
            logger.info("plugin is shadowed", ["path": path, "by": choice.file.path])
        }
        let place = PluginPlace(choice, discovery, withheld: withheld)
        process = place.process
        var arguments = PluginArguments(
            key: discovery.key, config: config,
            nodeID: settings.identity.explicit
                ?? StoredNodeID.read(from: settings.dataDirectory)?.rawValue
                ?? settings.identity.fallback,
            raft: (settings.raft.advertised.description, settings.raft.advertised.port),
            apiURL: settings.apiURL)
        arguments.hostVersion = Build.version
        instance = PluginInstance(
            source: try place.source(), arguments: arguments,
            environment: PluginEnvironment(
                log: { level, text in logger.take(level, text) },
                wallTime: { WallTime.now().rfc3339 }))
        failure = Self.start(instance)
        if let failure, failure.retry == .never, !Self.isUsed(settings.dataDirectory) {
            throw Self.fatal(choice.mode.name, failure)
        }
        logger.announce("discovery mode: \(choice.mode.name)")
        if isRegistry { Self.warnOfLoopback(settings, logger) }
        if failure == nil {
            logger.info(
                "plugin loaded",
                ["plugin.id": instance.identity?.id ?? "unknown", "path": choice.file.path])
        }
    }

    /// To be called when the node has read its disk: a failure that only a node of a cluster may
    /// live with ends the start of any other.
    func judge(beganInCluster: Bool, logger: Logger) throws {
        guard let failure else { return }
        guard beganInCluster || failure.retry != .never else {
            throw Self.fatal(choice.mode.name, failure)
        }
        logger.error(
            "discovery does not work; the node starts without it",
            ["plugin.mode": choice.mode.name, "cause": failure.message])
    }

    private static func fatal(_ mode: String, _ error: PluginError) -> Daemon.StartFailure {
        Daemon.StartFailure(description: "clustering failure: discovery mode \(mode): \(error)")
    }

    /// Whether a node was here before; what it left is looked at later.
    private static func isUsed(_ dataDirectory: String) -> Bool {
        access(dataDirectory + "/log", F_OK) == 0
    }

    /// A node that has nothing yet would wait for what it wrote itself. A member is one without a record.
    private static func flawInRecord(of settings: NodeSettings) -> RecordError? {
        let id = NodeID(settings.identity.explicit ?? settings.identity.fallback)
        return NodeRecord(
            identity: NodeIdentity(id: id, incarnation: Incarnation(RandomID(high: 0, low: 0))),
            cluster: nil, address: PeerAddress(settings.raft.advertised.description),
            apiURL: settings.apiURL, suffrage: settings.raft.isVoter ? .voter : .nonvoter, expect: 0
        ).flaw
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

    /// Makes the plugin's instance, so that a wrong configuration shows now. That takes no IO but
    /// reading files, so what takes longer is asked again later.
    private static func start(_ instance: PluginInstance) -> PluginError? {
        let answer = Mailbox<Result<Void, PluginError>>()
        instance.start(timeout: .seconds(2)) { answer.post($0) }
        if case .failure(let error)? = answer.take(atMost: 1).first { return error }
        return nil
    }
}

extension PluginCatalog {
    /// The directories of the flag first, then those of environment, package and system.
    init(searching flag: [String]) {
        self.init(
            directories: Self.standardDirectories(
                flag: flag,
                environment: getenv("RQLITE_DISCO_PLUGIN_PATH").map { String(cString: $0) },
                executable: Self.executable))
    }
}

extension PluginCatalog {
    /// The path of this program's file.
    static var executable: String {
        ProcessSections.executablePath ?? CommandLine.arguments[0]
    }
}

extension Logger {
    /// A line of a plugin.
    func take(_ level: PluginLogLevel, _ text: String) {
        switch level {
        case .error: error("plugin", ["message": text])
        case .warning: warning("plugin", ["message": text])
        case .info: info("plugin", ["message": text])
        default: debug("plugin", ["message": text])
        }
    }
}
