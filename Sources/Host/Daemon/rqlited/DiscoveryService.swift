import Discovery
import JSON
import NodeLogic
import Replica
import Settings
import Telemetry
import Threads

/// What the daemon does with its discovery plugins: it asks resolvers for addresses, again and again,
/// or lets the node use a registry.
struct DiscoveryService {
    private enum Role {
        case resolvers([DiscoveryLoop])
        case registry(PluginRegistry)
    }

    private let sources: DiscoverySources
    private let node: Node
    private let role: Role
    private let tellers: [NodeTeller]
    private let reload: DiscoveryReload
    /// Nil if the modes are resolvers.
    private let witness: RegistryWitness?

    /// - Parameters:
    ///   - registry: nil if the modes are resolvers.
    ///   - addresses: as the node advertises them, the API's as a URL.
    init(
        _ sources: DiscoverySources, registry: PluginRegistry?, node: Node,
        settings: NodeSettings.Discovery, addresses: (raft: String, api: String),
        metrics: MetricRegistry, logger: Logger
    ) {
        self.sources = sources
        self.node = node
        let tellers = sources.parts.map {
            NodeTeller($0, node: node, addresses: addresses, logger: logger)
        }
        self.tellers = tellers
        witness = registry.map { _ in
            RegistryWitness(
                sources.parts[0].instance, node: node, metrics: metrics,
                log: { level, text in logger.take(level, text) })
        }
        let loops: [DiscoveryLoop]
        if let registry {
            loops = []
            role = .registry(registry)
        } else {
            let union = CandidateUnion(
                sources.parts.count, node: node, gauge: metrics.gauge("disco", "resolver_addresses")
            )
            loops = sources.parts.indices.map {
                DiscoveryLoop(
                    $0, of: sources, into: union, node: node, metrics: metrics, logger: logger)
            }
            role = .resolvers(loops)
        }
        reload = DiscoveryReload(sources, settings) { [loops] problem in
            node.discoveryTrouble(.notReloaded, problem)
            for loop in loops { loop.seek() }
            // Also where a later mode could not be read.
            for teller in tellers { teller.renewed() }
        }
    }

    /// What SIGHUP reads again.
    var reloading: [Reloader.Item] { [reload.item] }

    func start() throws(ThreadShortage) {
        if case .resolvers(let loops) = role {
            node.onSeeking { for loop in loops { loop.seek() } }
            for loop in loops { try loop.start() }
        }
        for teller in tellers { try teller.start() }
        try witness?.start()
    }

    /// Lets the plugins say goodbye, and cancels what is under way in them, without waiting for that.
    func stop() {
        witness?.stop()
        // Nobody looks for addresses any more: what ends meanwhile for that reason is no trouble of discovery.
        if case .resolvers(let loops) = role { for loop in loops { loop.stop() } }
        // All at once: what waits for one doesn't wait for the next.
        let goodbyes = tellers.map { $0.stop() }
        for waitForEnd in goodbyes { waitForEnd() }
        for part in sources.parts { part.instance.stop {} }
    }

    /// `/status`, member `disco`: of several resolvers a member for each, by its mode.
    func status() -> JSONValue {
        let plugins = sources.parts.map { ($0.choice.mode.name, $0.instance.status()) }
        guard plugins.count == 1 else {
            return .object(plugins.map { .init($0, $1) })
        }
        let plugin = plugins[0].1
        guard case .registry = role else { return plugin }
        return RegistrySection(plugin: plugin, registry: node.status.registry).document()
    }

    /// To be called before metrics are read.
    func updateMetrics() {
        if case .registry(let registry) = role { registry.note(node.status.registry) }
    }
}
