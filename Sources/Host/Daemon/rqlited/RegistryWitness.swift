import Discovery
import NodeLogic
import Raft
import Registry
import Replica
import Telemetry
import Threads
import Time

/// Looks, while the node leads, whether another process sees what this node writes into its registry:
/// through a second instance of the plugin, in a process of its own. A registry that is kept in a
/// process's memory answers each node well, and gives as many clusters as there are nodes.
///
/// It looks soon after the node has begun to lead, and from time to time. Only what differs again and
/// again, while the record at hand stays as it is, is an alarm; what can't be read is no verdict.
final class RegistryWitness: Sendable {
    private enum Wake: Sendable {
        case read(Result<RegistryReading, PluginError>)
        case stop
    }

    private enum Verdict {
        case shared
        case differs(isAbsent: Bool)
        /// The node does not lead, the record changed meanwhile, or somebody can't be asked.
        case none
    }

    /// From leading to the first look, and between two that found nothing.
    private static let first = Duration.seconds(3)
    private static let interval = Duration.seconds(600)
    /// Between two looks when they differ, and how many must.
    private static let again = Duration.seconds(2)
    private static let needed = 4
    /// For a reading. By the node's own instance it stands in the line of the leader's looks at its entry,
    /// and has no longer there than what else does (decision 179).
    private static let patience = (own: Duration.seconds(1), other: Duration.seconds(5))

    private let instance: PluginInstance
    private let node: Node
    private let log: @Sendable (PluginLogLevel, String) -> Void
    private let comparisons: Counter
    private let wakes = Mailbox<Wake>()

    /// - Parameters:
    ///   - instance: through which the node uses its registry.
    ///   - log: takes what the second instance says.
    init(
        _ instance: PluginInstance, node: Node, metrics: MetricRegistry,
        log: @escaping @Sendable (PluginLogLevel, String) -> Void
    ) {
        self.instance = instance
        self.node = node
        self.log = log
        comparisons = metrics.counter("disco", "registry_comparisons")
    }

    func start() throws(ThreadShortage) {
        try NamedThread("disco-witness") { [self] in run() }.detach()
    }

    func stop() { wakes.post(.stop) }

    private func run() {
        var pause = Self.first
        var isAlarmed = false
        while rest(pause) {
            guard node.status.role == .leader else {
                pause = Self.first
                continue
            }
            guard let verdict = judge() else { return }
            switch verdict {
            case .none: pause = isAlarmed ? Self.interval / 10 : Self.interval
            case .shared:
                pause = Self.interval
                if isAlarmed { node.discoveryTrouble(.notShared, nil) }
                isAlarmed = false
            case .differs(let isAbsent):
                pause = Self.interval / 10
                isAlarmed = true
                node.discoveryTrouble(.notShared, text(isAbsent: isAbsent))
            }
        }
    }

    private func text(isAbsent: Bool) -> String {
        "the registry shows another process on this machine "
            + (isAbsent ? "no leader entry" : "another leader entry than this node reads")
            + ": plugin \(instance.path) keeps its records where other nodes can't see "
            + "them, or reads what is long out of date, so each node may found a cluster of its own; "
            + "look at the plugin and its configuration, and compare cluster_id in /status of all nodes"
    }

    /// False when it is to end.
    private func rest(_ pause: Duration) -> Bool {
        let end = MonotonicTime.now + pause
        while MonotonicTime.now < end {
            for wake in wakes.take(until: end) {
                if case .stop = wake { return false }
            }
        }
        return true
    }

    /// Nil when it is to end.
    private func judge() -> Verdict? {
        let (source, arguments) = instance.present
        guard let source else { return Verdict.none }
        let other = PluginInstance(
            source: source, arguments: arguments,
            environment: PluginEnvironment(log: log, wallTime: { "" }))
        defer { other.stop {} }
        for look in 1...Self.needed {
            guard let verdict = compare(with: other) else { return nil }
            guard case .differs = verdict, look < Self.needed else { return verdict }
            guard rest(Self.again) else { return nil }
        }
        return Verdict.none
    }

    /// Nil when it is to end.
    private func compare(with other: PluginInstance) -> Verdict? {
        guard node.status.role == .leader else { return Verdict.none }
        var readings: [RegistryReading] = []
        for place in [instance, other, instance] {
            let patience = place === instance ? Self.patience.own : Self.patience.other
            place.read(RecordName.leader, timeout: patience) { [wakes] in wakes.post(.read($0)) }
            guard let result = awaitReading() else { return nil }
            guard case .success(let reading) = result else { return Verdict.none }
            readings.append(reading)
        }
        comparisons.add()
        guard let own = readings[0].record, own.revision == readings[2].record?.revision else {
            return Verdict.none
        }
        guard let seen = readings[1].record else { return .differs(isAbsent: true) }
        return seen.revision == own.revision ? .shared : .differs(isAbsent: false)
    }

    private func awaitReading() -> Result<RegistryReading, PluginError>? {
        while true {
            // One at a time: the end may stand behind an answer, and stays there.
            for wake in wakes.take(atMost: 1) {
                switch wake {
                case .stop: return nil
                case .read(let result): return result
                }
            }
        }
    }
}
