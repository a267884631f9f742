import Addresses
import HTTPAPI
import JSON
import NIOCore
import NIOPosix
import NodeLogic
import PeerProtocol
import Raft
import Replica
import Service
import Settings
import Telemetry
import Transport

/// The services of a running node and how they are wired. Starting is a sequence of steps, each of
/// which says what it could not do; stopping is the same in reverse.
struct Daemon {
    private let settings: NodeSettings
    private let logger: Logger
    /// Loops of clients' connections.
    private let group: MultiThreadedEventLoopGroup
    /// Loops of traffic between nodes alone: nothing that a client sends delays a heartbeat.
    private let peerGroup: MultiThreadedEventLoopGroup
    private let node: Node
    private let http: HTTPServer
    private let listeners: [Listener]
    private let discovery: DiscoveryService?
    private let access: AccessControl
    private let reloader: Reloader
    private let safekeeping: Safekeeping

    /// What could not be done, for the operator.
    struct StartFailure: Error, CustomStringConvertible {
        var description: String
    }

    static func start(_ settings: NodeSettings, logger: Logger) throws -> Daemon {
        // The plugin is judged before anything is touched.
        let sources = try settings.formation.discovery.map {
            try DiscoverySources(
                opening: $0, withheld: Safekeeping.secrets(settings), settings: settings,
                logger: logger.named("disco"))
        }
        let metrics = MetricRegistry()
        var safekeeping = try Safekeeping(settings, metrics: metrics, logger: logger)
        try checkPaths(settings)
        let descriptors = DescriptorLimit(
            raisingFor: settings.database.maxReadConnections, logger: logger)
        let access = try AccessControl(
            settings.access, metrics: metrics, logger: logger.named("auth"))
        let encryption = try Encryption(settings, logger: logger.named("tls"))
        // Nothing is written by a node that can't be reached.
        let ports = try reservePorts(settings)
        let loads = LoadDesk(directory: settings.dataDirectory)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: eventLoops)
        let peerGroup = MultiThreadedEventLoopGroup(numberOfThreads: eventLoops)
        let registry = sources?.registry.map { PluginRegistry($0.instance, metrics: metrics) }
        var machine = machineSettings(settings, hasRegistry: registry != nil)
        machine.maxConnections = descriptors.budget.connections
        machine.maxReaders = min(machine.maxReaders, descriptors.budget.readers)
        machine.spareReaders = descriptors.budget.spareReaders
        machine.peers = try PeersFile(in: settings.dataDirectory)?.recovery
        let node = try Node.start(
            machine, registry: registry, access: access.access(encryption.security),
            group: peerGroup, metrics: metrics, logger: logger.named("store")
        ) { try safekeeping.prepare() }
        remember(ports, settings, logger)
        encryption.warnOfIdentity(node.options.identity.id.rawValue, logger.named("tls"))
        try sources?.judge(beganInCluster: node.beganInCluster, logger: logger.named("disco"))
        let process = ProcessSections(descriptors: descriptors)
        let service = safekeeping.attach(node)
        let discovery = Self.discovery(
            sources, registry, node, settings, metrics, logger.named("disco"))
        let reloader = Self.reloader(access, encryption, discovery, node, logger)
        let status = StatusSections(
            node: node, settings: settings, process: process, discovery: discovery,
            access: access, encryption: encryption, reloader: reloader,
            queueNumber: metrics.gauge("queue", "sequence_number"),
            loadParts: Self.loadParts(metrics), sessions: Self.sessions(metrics),
            lastBackup: metrics.gauge("http", "last_backup_time"), safekeeping: safekeeping)
        let http = server(
            settings, status, metrics, service: service, door: access.door,
            limits: limits(descriptors), loads: loads, queue: queue(settings, node, on: group))
        let listeners = try openListeners(at: ports, node, group, http)
        node.join(settings.formation.join.map { PeerAddress($0.address.description) })
        try discovery?.start()
        try safekeeping.start()
        try reloader.start()
        return Daemon(
            settings: settings, logger: logger, group: group, peerGroup: peerGroup, node: node,
            http: http, listeners: listeners, discovery: discovery, access: access,
            reloader: reloader, safekeeping: safekeeping)
    }

    /// From here on who has waited at the ports is served.
    private static func openListeners(
        at ports: [ReservedPort], _ node: Node, _ group: MultiThreadedEventLoopGroup,
        _ http: HTTPServer
    ) throws -> [Listener] {
        let sides: [Listener.Side] = [.nodes, .clients]
        do {
            return try zip(ports, sides).map { port, side in
                try Listener.serve(
                    port, transport: node.transport, side: side, clients: group,
                    http: http.configure
                ).wait()
            }
        } catch {
            throw StartFailure(description: "failed to listen on \(error)")
        }
    }

    /// For when no name server answers.
    private static func remember(
        _ ports: [ReservedPort], _ settings: NodeSettings, _ logger: Logger
    ) {
        let names = KnownNames(in: settings.dataDirectory)
        var warned: Set<String> = []
        for line in ports.compactMap(\.resolved) {
            names.remember(line.host, line.addresses)
            guard line.leadsHereAlone, warned.insert(line.host).inserted else { continue }
            logger.warning(
                "other machines can't reach this node: the name it listens on leads to a loopback address here",
                [
                    "name": line.host, "address": line.addresses.joined(separator: " "),
                    "instead":
                        "an address, or no host with the name as -raft-adv-addr, -http-adv-addr",
                ])
        }
    }

    private static func reloader(
        _ access: AccessControl, _ encryption: Encryption, _ discovery: DiscoveryService?,
        _ node: Node, _ logger: Logger
    ) -> Reloader {
        let certificates = encryption.reloading(
            of: node.options.identity.id.rawValue, logger.named("tls"))
        return Reloader(
            access.reloading + certificates + (discovery?.reloading ?? []),
            daily: encryption.warnOfEnds, logger: logger.named("reload"))
    }

    private static func server(
        _ settings: NodeSettings, _ status: StatusSections, _ metrics: MetricRegistry,
        service: any NodeService, door: HTTPDoor, limits: HTTPLimits, loads: LoadDesk,
        queue: HTTPServer.Queue
    ) -> HTTPServer {
        let page = MetricsPage(status: status, metrics: metrics)
        return HTTPServer(
            HTTPServer.Identity(
                version: Build.version, advertisedAddress: settings.http.advertised.description,
                allowOrigin: settings.http.allowOrigin),
            service: service,
            documents: Documents(
                status: status.sections, variables: { status.variables(metrics) },
                metrics: { page.families() }),
            metrics: metrics, door: door, limits: limits, loads: loads.begin, queue: queue)
    }

    /// Clients are refused, and make room for each other, before descriptors are short.
    private static func limits(_ descriptors: DescriptorLimit) -> HTTPLimits {
        var transport = TransportLimits()
        transport.maxConnections = descriptors.budget.connections
        return HTTPLimits(clientConnections: transport.connectionsForClients)
    }

    /// Of loads that go through this node in parts.
    private static func loadParts(_ metrics: MetricRegistry) -> (all: Gauge, kept: Gauge) {
        (metrics.gauge("http", "load_parts"), metrics.gauge("http", "load_parts_kept"))
    }

    private static func sessions(_ metrics: MetricRegistry) -> (all: Gauge, streams: Gauge) {
        (metrics.gauge("http", "http2_connections"), metrics.gauge("http", "http2_streams"))
    }

    /// Nil without a discovery mode.
    private static func discovery(
        _ sources: DiscoverySources?, _ registry: PluginRegistry?, _ node: Node,
        _ settings: NodeSettings, _ metrics: MetricRegistry, _ logger: Logger
    ) -> DiscoveryService? {
        guard let sources, let chosen = settings.formation.discovery else { return nil }
        return DiscoveryService(
            sources, registry: registry, node: node, settings: chosen,
            addresses: (settings.raft.advertised.description, settings.apiURL), metrics: metrics,
            logger: logger)
    }

    private static func queue(
        _ settings: NodeSettings, _ node: Node, on group: MultiThreadedEventLoopGroup
    ) -> HTTPServer.Queue {
        HTTPServer.Queue(
            WriteQueueSettings(settings.queue), start: WallTime.now().nanosecondsSince1970,
            on: group.next(), hasLeader: { node.status.leader != nil })
    }

    static func hasFilesToReload(_ settings: NodeSettings) -> Bool {
        settings.access.file != nil || settings.https != nil || settings.nodeEncryption != nil
            || settings.formation.discovery != nil
    }

    /// Reads again what can change while the node runs.
    func reload() { reloader.reloadNow() }

    private static func reservePorts(_ settings: NodeSettings) throws -> [ReservedPort] {
        try [("raft", settings.raft.bind), ("http", settings.http.bind)].map { flag, address in
            do throws(TransportError) {
                if flag == "http", let socket = settings.http.socket {
                    return try ReservedPort(socket: socket.path, mode: socket.mode)
                }
                return try ReservedPort(
                    PeerAddress(address.description),
                    memory: KnownNames(in: settings.dataDirectory))
            } catch {
                throw StartFailure(
                    description: "failed to listen on \(error); choose another address with "
                        + "-\(flag)-addr, and with -\(flag)-adv-addr the one that others reach")
            }
        }
    }

    /// For clients, and as many for nodes. Two at most: the disk and SQLite have threads of their
    /// own, and more loops would only take the processors from them.
    private static var eventLoops: Int { max(1, min(2, System.coreCount)) }

    /// The lines that scripts wait for.
    func announce() {
        let url = settings.apiURL
        logger.announce("node HTTP API available at \(url)")
        logger.announce(
            node.beganInCluster || node.options.plan == .alone
                ? "try it: curl -G '\(url)/db/query' --data-urlencode 'q=SELECT 1'"
                : "what it waits for: curl '\(url)/readyz'")
    }

    func onFault(_ action: @escaping @Sendable (String) -> Void) {
        node.onFault(action)
    }

    /// Ends everything in an order in which nothing waits for what is gone already: leadership goes
    /// to another node first, and clients follow it there, before the node takes no more requests.
    /// - Returns: whether all was done that the operator asked for.
    func stop() -> Bool {
        node.leave()
        reloader.stop()
        safekeeping.stop()
        discovery?.stop()
        wait(for: http.drain(on: group.next()), "sending clients away")
        // Last, for a node that is no member can't send requests on.
        let hasLeft = leaveCluster()
        // Who comes now goes elsewhere at once. Who is here is told so, as long as the last checkpoint takes.
        for listener in listeners { wait(for: listener.close(), "closing \(listener.address)") }
        node.stop()
        // Whoever asks after that is refused as a stranger.
        access.stop()
        do {
            try group.syncShutdownGracefully()
            try peerGroup.syncShutdownGracefully()
        } catch {
            logger.warning("event loops did not end in order", ["cause": "\(error)"])
        }
        return hasLeft
    }

    /// What goes wrong here never keeps the node from stopping in order.
    private func leaveCluster() -> Bool {
        guard settings.raft.leavesOnShutdown else { return true }
        logger.announce("initiating removal of this node from cluster before shutdown")
        switch node.leaveCluster() {
        case .left:
            logger.announce("removed this node successfully from cluster before shutdown")
        case .lastVoter:
            logger.announce("this node is the cluster's last voter: it stays in it")
        case .failed(let cause):
            logger.announce("failed to remove this node from cluster before shutdown: \(cause)")
            return false
        }
        return true
    }

    private func wait(for future: EventLoopFuture<Void>, _ what: String) {
        do {
            try future.wait()
        } catch {
            logger.warning("not ended in order", ["what": what, "cause": "\(error)"])
        }
    }
}

extension WriteQueueSettings {
    init(_ settings: NodeSettings.Queue) {
        self.init()
        capacity = settings.capacity
        batchSize = settings.batchSize
        timeout = settings.timeout
        isTransaction = settings.isTransaction
    }
}

extension WallTime {
    /// 0 for times before.
    fileprivate var nanosecondsSince1970: UInt64 {
        guard seconds >= 0 else { return 0 }
        return UInt64(seconds) * 1_000_000_000 + UInt64(nanoseconds)
    }
}

extension LogLevel {
    /// Raft's own chatter has levels of rqlite's names; life-cycle messages are always shown.
    init?(_ level: NodeSettings.LogLevel) {
        switch level {
        case .off: return nil
        case .error: self = .info
        case .warning, .info: self = .info
        case .debug, .trace: self = .debug
        }
    }
}
