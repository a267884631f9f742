import Discovery
import JSON
import NodeLogic
import Raft
import Replica
import Synchronization
import Telemetry
import Threads
import Time

/// Asks the discovery plugin for candidates: every second or so while there is no leader, rarely
/// afterwards. What the plugin does, or fails to do, never stops a node that has its cluster.
final class DiscoveryLoop: Sendable {
    private enum Wake: Sendable {
        case resolved(Result<Resolution, PluginError>)
        case stop
    }

    private static let patience = Duration.seconds(5)
    private static let calmInterval = Duration.seconds(30)

    private let instance: PluginInstance
    private let node: Node
    private let logger: Logger
    private let wakes = Mailbox<Wake>()
    private let thread = Mutex<NamedThread?>(nil)

    init(_ source: DiscoverySource, node: Node, logger: Logger) {
        instance = source.instance
        self.node = node
        self.logger = logger
    }

    func start() throws(ThreadShortage) {
        let started = try NamedThread("disco-loop") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Ends the loop, whatever is under way in the plugin.
    func stop() {
        wakes.post(.stop)
        thread.withLock { $0 }?.join()
    }

    private func run() {
        let states = StateLog(logger)
        var known: [PeerAddress] = []
        var pause = Duration.zero
        while true {
            guard let result = resolve(after: pause) else { return }
            states.flush()
            switch result {
            case .success(let resolution):
                let addresses = resolution.addresses.map { PeerAddress($0.hostAndPort) }
                if Set(addresses) != Set(known) {
                    let text = addresses.map(\.rawValue).joined(separator: " ")
                    logger.announce("resolved addresses: [\(text)]")
                }
                known = addresses
                states.cleared("discovery finds nobody")
                node.candidates(Candidates(addresses))
                pause = interval(timeToLive: resolution.timeToLive)
            case .failure(let error):
                states.troubled("discovery finds nobody", reason: "\(error)")
                // What was known stays known: a resolver that is down must not unsay it.
                node.candidates(Candidates(known, problem: "\(error)"))
                pause = interval(timeToLive: nil)
            }
        }
    }

    /// Nil when the loop shall end.
    private func resolve(after pause: Duration) -> Result<Resolution, PluginError>? {
        let deadline = MonotonicTime.now + pause
        while MonotonicTime.now < deadline {
            for wake in wakes.take(until: deadline) {
                if case .stop = wake { return nil }
            }
        }
        instance.resolve(timeout: Self.patience) { [wakes] in wakes.post(.resolved($0)) }
        while true {
            for wake in wakes.take() {
                switch wake {
                case .stop: return nil
                case .resolved(let result): return result
                }
            }
        }
    }

    private func interval(timeToLive: Duration?) -> Duration {
        guard node.status.leader != nil else {
            return .milliseconds(Int64.random(in: 800...1_200))
        }
        return max(Self.calmInterval, timeToLive ?? .zero)
    }
}
