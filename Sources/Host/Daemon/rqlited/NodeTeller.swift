import Discovery
import NodeLogic
import Raft
import Replica
import Telemetry
import Threads
import Time

/// Tells the discovery plugin what the node is (`rqd.node/1`): once at the start, whenever it has
/// changed, and a last time when the node stops. For a plugin that does not want to know, as most
/// don't, it rests until another instance has taken the place of that one. What the plugin does with
/// it never holds the node up.
final class NodeTeller: Sendable {
    private enum Wake: Sendable {
        case told(Result<PluginInstance.Telling, PluginError>)
        case renewed
        case stop
    }

    /// Between two looks at the node: a service's entry need not be truer.
    private static let interval = Duration.milliseconds(250)
    /// Between two tries of what did not succeed.
    private static let retry = Duration.seconds(2)
    /// What a plugin gets for hearing of the node. A leader's look at its registry waits behind that, so
    /// it must be less than a claim stands after a failure (decision 179).
    private static let patience = (resolver: Duration.seconds(10), registry: Duration.seconds(1))
    /// What the header promises a plugin for its goodbye.
    private static let goodbye = Duration.seconds(2)

    private let instance: PluginInstance
    private let patience: Duration
    private let node: Node
    private let addresses: (raft: String, api: String)
    private let logger: Logger
    private let wakes = Mailbox<Wake>()

    /// - Parameter addresses: as the node advertises them, the API's as a URL.
    init(
        _ source: DiscoverySource, node: Node, addresses: (raft: String, api: String),
        logger: Logger
    ) {
        instance = source.instance
        patience = source.isRegistry ? Self.patience.registry : Self.patience.resolver
        self.node = node
        self.addresses = addresses
        self.logger = logger
    }

    func start() throws(ThreadShortage) {
        try NamedThread("disco-teller") { [self] in run() }.detach()
    }

    /// Another instance may have taken the place of the one at work, and want to know. Any thread may call.
    func renewed() { wakes.post(.renewed) }

    /// Ends the telling, and begins to say goodbye.
    /// - Returns: waits for that, but not for long.
    func stop() -> () -> Void {
        wakes.post(.stop)
        // Who can't have heard of the node needs no goodbye, and must not hear of it now: what waits in line would
        // begin while others say theirs.
        guard instance.mayHaveHeard else {
            instance.stop {}
            return {}
        }
        let answer = Mailbox<Void>()
        let end = MonotonicTime.now + Self.goodbye + .seconds(1)
        instance.tell(state(isLeaving: true), timeout: Self.goodbye) { [logger] result in
            if case .failure(let error) = result {
                logger.warning("the plugin did not say goodbye", ["cause": "\(error)"])
            }
            answer.post(())
        }
        return { _ = answer.take(until: end) }
    }

    private func run() {
        var last: PluginNode?
        let states = StateLog(logger)
        while true {
            let now = state(isLeaving: false)
            var pause = Self.interval
            if now != last || !instance.knows(now) {
                instance.tell(now, timeout: patience) { [wakes] in wakes.post(.told($0)) }
                guard let result = awaitAnswer() else { return }
                switch result {
                case .success(.unwanted):
                    states.cleared("the plugin can't be told of this node")
                    states.flush()
                    // One that took its place during the call is told at once.
                    guard instance.listens || awaitRenewal() else { return }
                    continue
                case .success(.told):
                    last = now
                    states.cleared("the plugin can't be told of this node")
                case .failure(let error):
                    states.troubled("the plugin can't be told of this node", reason: "\(error)")
                    pause = Self.retry
                }
                states.flush()
            }
            for wake in wakes.take(until: .now + pause) {
                if case .stop = wake { return }
            }
        }
    }

    /// Nil when the telling shall end.
    private func awaitAnswer() -> Result<PluginInstance.Telling, PluginError>? {
        while true {
            // One at a time: the end may stand behind an answer, and stays there.
            for wake in wakes.take(atMost: 1) {
                switch wake {
                case .stop: return nil
                case .told(let result): return result
                case .renewed: break
                }
            }
        }
    }

    /// False when the telling shall end.
    private func awaitRenewal() -> Bool {
        while true {
            for wake in wakes.take(atMost: 1) {
                switch wake {
                case .stop: return false
                case .renewed: return true
                case .told: break
                }
            }
        }
    }

    private func state(isLeaving: Bool) -> PluginNode {
        let status = node.status
        let id = node.options.identity.id
        var flags: PluginNode.Flags = []
        if status.cluster != nil { flags.insert(.joined) }
        if status.membership.isVoter(id) { flags.insert(.voter) }
        if isLeaving {
            flags.insert(.leaving)
        } else {
            if status.role == .leader { flags.insert(.leads) }
            if status.isReady { flags.insert(.ready) }
        }
        let health =
            isLeaving ? "it stops" : status.isReady ? "" : "it waits for \(status.waitingFor)"
        return PluginNode(
            flags: flags, nodeID: "\(id)", raftAddress: addresses.raft, apiURL: addresses.api,
            health: health)
    }
}
