import Discovery
import JSON
import NodeLogic
import Replica
import Telemetry
import Threads

/// What the daemon does with its discovery plugin: it asks a resolver for addresses, again and
/// again, and lets the node use a registry.
struct DiscoveryService {
    private enum Role {
        case resolver(DiscoveryLoop)
        case registry(PluginRegistry)
    }

    private let source: DiscoverySource
    private let node: Node
    private let role: Role
    private let teller: NodeTeller

    /// - Parameters:
    ///   - registry: nil if the mode is a resolver.
    ///   - addresses: as the node advertises them, the API's as a URL.
    init(
        _ source: DiscoverySource, registry: PluginRegistry?, node: Node,
        addresses: (raft: String, api: String), metrics: MetricRegistry, logger: Logger
    ) {
        self.source = source
        self.node = node
        teller = NodeTeller(
            source.instance, node: node, addresses: addresses, logger: logger)
        role =
            registry.map { .registry($0) }
            ?? .resolver(DiscoveryLoop(source, node: node, metrics: metrics, logger: logger))
    }

    func start() throws(ThreadShortage) {
        if case .resolver(let loop) = role { try loop.start() }
        try teller.start()
    }

    /// Lets the plugin say goodbye, and cancels what is under way in it, without waiting for that.
    func stop() {
        teller.stop()
        source.instance.stop {}
        if case .resolver(let loop) = role { loop.stop() }
    }

    /// `/status`, member `disco`.
    func status() -> JSONValue {
        let plugin = source.instance.status()
        guard case .registry = role else { return plugin }
        return RegistrySection(plugin: plugin, registry: node.status.registry).document()
    }

    /// To be called before metrics are read.
    func updateMetrics() {
        if case .registry(let registry) = role { registry.note(node.status.registry) }
    }
}
