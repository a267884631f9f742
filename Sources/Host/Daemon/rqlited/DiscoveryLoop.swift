import Discovery
import JSON
import NodeLogic
import Raft
import Replica
import Synchronization
import Telemetry
import Threads
import Time

/// Asks the discovery plugin for candidates: every second or so while the node looks for others, rarely
/// otherwise, and at once when it begins to look or the plugin says that something changed. What the
/// plugin does, or fails to do, never stops a node that has its cluster.
final class DiscoveryLoop: Sendable {
    private enum Wake: Sendable {
        case resolved(Result<Resolution, PluginError>)
        /// A wait of this number ended: the plugin's addresses may have changed, or it can't tell.
        case waited(Int, Result<WatchOutcome, PluginError>)
        case seek
        case stop
    }

    /// More than a resolver with slow servers and a list of search domains takes.
    private static let patience = Duration.seconds(15)
    /// An answer that takes longer is told of, and again after twice the time.
    private static let noticeable = Duration.seconds(2)
    private static let calmInterval = Duration.seconds(30)
    /// Between two answers, however often the plugin says that they changed.
    private static let shortestInterval = Duration.milliseconds(100)

    private let instance: PluginInstance
    private let node: Node
    private let union: CandidateUnion
    /// Of this resolver in the union.
    private let place: Int
    /// Named in what is said of problems; nil: there are no others.
    private let mode: String?
    private var label: String { mode.map { "discovery mode \($0)" } ?? "discovery" }
    private let logger: Logger
    private let counters: Counters
    private let wakes = Mailbox<Wake>()
    private let thread = Mutex<NamedThread?>(nil)

    /// The metrics of module `disco` in resolver modes.
    private struct Counters: Sendable {
        let resolutions: Counter
        let failures: Counter

        init(_ metrics: MetricRegistry) {
            resolutions = metrics.counter("disco", "resolver_resolutions")
            failures = metrics.counter("disco", "resolver_failures")
        }
    }

    /// - Parameter place: of this resolver in the union, and in `sources`.
    init(
        _ place: Int, of sources: DiscoverySources, into union: CandidateUnion, node: Node,
        metrics: MetricRegistry, logger: Logger
    ) {
        counters = Counters(metrics)
        let source = sources.parts[place]
        instance = source.instance
        self.place = place
        self.union = union
        mode = sources.parts.count == 1 ? nil : source.choice.mode.name
        self.node = node
        self.logger = logger
    }

    /// Asks now: the node looks for others. Any thread may call.
    func seek() { wakes.post(.seek) }

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
        var known: [DiscoveredAddress] = []
        var pause = Duration.zero
        var watch = ResolverWatch()
        while true {
            guard let (result, isSought) = resolve(after: pause, known, &watch) else { return }
            states.flush()
            switch result {
            case .success(let resolution):
                let addresses = resolution.addresses.map(\.hostAndPort)
                if Set(addresses) != Set(known.map(\.hostAndPort)) {
                    let text = addresses.joined(separator: " ")
                    logger.announce("resolved addresses: [\(text)]")
                }
                known = resolution.addresses
                watch.follow(resolution.token, instance) { [wakes] in
                    wakes.post(.waited($0, $1))
                }
                states.cleared("discovery finds nobody")
                union.report(place, known)
                pause = interval(timeToLive: resolution.timeToLive)
            case .failure(let error):
                counters.failures.add()
                states.troubled("discovery finds nobody", reason: reason(error))
                // What was known stays known: a resolver that is down must not unsay it.
                union.report(place, known, problem: "\(label): \(error)")
                pause = interval(timeToLive: nil)
            }
            if isSought { pause = Self.shortestInterval }
        }
    }

    /// What the log says; with several resolvers it names the mode.
    private func reason(_ error: PluginError) -> String {
        mode.map { "mode \($0): \(error)" } ?? "\(error)"
    }

    /// - Returns: nil when the loop shall end; `isSought`: that was asked for while the plugin was at it, perhaps by
    ///   what it was configured with before.
    private func resolve(
        after pause: Duration, _ known: [DiscoveredAddress], _ watch: inout ResolverWatch
    ) -> (result: Result<Resolution, PluginError>, isSought: Bool)? {
        let begin = MonotonicTime.now
        var deadline = begin + pause
        while MonotonicTime.now < deadline {
            guard let woken = wake(until: deadline) else { return nil }
            for wake in woken {
                switch wake {
                case .seek:
                    deadline = begin
                    watch.renewed()
                case .waited(let number, let result):
                    guard watch.ended(number, result) else { continue }
                    deadline = min(deadline, begin + Self.shortestInterval)
                case .resolved, .stop: break
                }
            }
        }
        counters.resolutions.add()
        instance.resolve(timeout: Self.patience) { [wakes] in wakes.post(.resolved($0)) }
        var told = Self.noticeable
        let start = MonotonicTime.now
        var isSought = false
        while true {
            guard let woken = wake(until: start + told) else { return nil }
            var answer: Result<Resolution, PluginError>?
            for wake in woken {
                switch wake {
                case .seek:
                    isSought = true
                    watch.renewed()
                case .stop: break
                // What is being resolved shows the change, or the next wait does at once.
                case .waited(let number, let result): _ = watch.ended(number, result)
                case .resolved(let result): answer = result
                }
            }
            if let answer { return (answer, isSought) }
            guard MonotonicTime.now >= start + told else { continue }
            let problem = "waiting for \(label), \(told.components.seconds) s"
            union.report(place, known, problem: problem, isAnswer: false)
            told = told * 2
        }
    }

    /// What woke the loop, all of it; nil when the end is among it, whatever else is.
    private func wake(until deadline: MonotonicTime) -> [Wake]? {
        let woken = wakes.take(until: deadline)
        let isOver = woken.contains { if case .stop = $0 { true } else { false } }
        return isOver ? nil : woken
    }

    private func interval(timeToLive: Duration?) -> Duration {
        let status = node.status
        guard status.leader != nil, !status.isSeeking else {
            return .milliseconds(Int64.random(in: 800...1_200))
        }
        return max(Self.calmInterval, timeToLive ?? .zero)
    }
}
