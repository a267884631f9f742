import JSON
import NodeLogic
import ObjectStorage
import Raft
import Replica
import Service
import Settings
import Synchronization
import Telemetry
import Threads
import Time
import Wire

/// `-auto-vacuum-int` and `-auto-optimize-int`: while this node leads, proposes what is due, on a thread
/// of its own. `UpkeepSchedule` says when; every node carries it out at the same place of the log.
final class UpkeepService: Sendable {
    private struct Counters: Sendable {
        let succeeded: Counter
        let failed: Counter
        /// Of the last one, in milliseconds.
        let duration: Gauge

        init(_ metrics: MetricRegistry, _ task: UpkeepTask) {
            let name = "auto_\(task.name)"
            succeeded = metrics.counter("store", "num_\(name)s")
            failed = metrics.counter("store", "num_\(name)s_failed")
            duration = metrics.gauge("store", "\(name)_duration")
        }
    }

    private struct Shown {
        var errors: [UpkeepTask: String] = [:]
    }

    private let settings: NodeSettings.Upkeep
    private let node: Node
    private let vacuums: Counters
    private let optimizations: Counters
    private let logger: Logger
    /// Behind its stop what is in the log takes its course.
    let worker = ServiceThread()
    private let shown = Mutex(Shown())
    /// A restore is still to come, which wants a database without anything in it.
    private let isHeld: @Sendable () -> Bool

    /// Of a large database it takes minutes.
    private static let timeout = Duration.seconds(3600)
    private static let lookTimeout = Duration.seconds(10)
    private static let pause = Duration.seconds(1)

    init(
        _ settings: NodeSettings.Upkeep, node: Node, metrics: MetricRegistry, logger: Logger,
        isHeld: @escaping @Sendable () -> Bool
    ) {
        self.settings = settings
        self.node = node
        self.logger = logger
        self.isHeld = isHeld
        vacuums = Counters(metrics, .vacuum)
        optimizations = Counters(metrics, .optimize)
    }

    /// - Throws: `ThreadShortage`.
    func start() throws {
        try worker.start("upkeep") { self.run() }
    }

    /// Members of `/status` under `store`: rqlite's for VACUUM, and the like for the other.
    func status() -> [JSONValue.Member] {
        UpkeepTask.allCases.compactMap { task in
            settings[task].map { .init("auto_\(task.name)", status(of: task, every: $0)) }
        }
    }

    private func status(of task: UpkeepTask, every interval: Duration) -> JSONValue {
        let last = node.upkeep[task]
        let error = shown.withLock { $0.errors[task] }
        let step = interval.millisecondsClamped
        let next = last.map {
            WallTime(clampingMilliseconds: $0.addingReportingOverflow(step).partialValue)
        }
        var members: [JSONValue.Member] = [
            .init("last_error", error.map { .string($0) } ?? .null),
            .init("next_\(task.name)_after", .string((next ?? .never).rfc3339)),
        ]
        if let last {
            members.append(
                .init("last_\(task.name)", .string(WallTime(clampingMilliseconds: last).rfc3339)))
        }
        return .object(members)
    }

    // MARK: The thread

    private func run() {
        let enquiry = NodeEnquiry(node)
        var schedule = UpkeepSchedule(vacuum: settings.vacuum, optimize: settings.optimize)
        while !worker.isStopped {
            switch step(&schedule) {
            case .rest(let deadline): worker.rest(until: deadline)
            case .propose:
                // What a leader before left in the log may be just that: it is applied then.
                let isEmpty = enquiry.isEmpty(
                    at: .linearizable, timeout: Self.lookTimeout, while: { !worker.isStopped })
                guard let isEmpty else {
                    worker.rest(until: .now + Self.pause)
                    continue
                }
                guard case .propose(let task) = step(&schedule) else { continue }
                // ANALYZE makes its tables even where there is nothing to be analyzed.
                if task == .optimize && isEmpty || carryOut(task, enquiry) {
                    schedule.ended(task, at: .now)
                } else {
                    worker.rest(until: .now + Self.pause)
                }
            }
        }
    }

    private func step(_ schedule: inout UpkeepSchedule) -> UpkeepSchedule.Step {
        let status = node.status
        return schedule.step(
            at: .now, wall: WallTime.now().milliseconds,
            leads: status.role == .leader && status.isReady && !isHeld(), times: node.upkeep)
    }

    /// - Returns: false: this node leads no more, and nothing was done.
    private func carryOut(_ task: UpkeepTask, _ enquiry: NodeEnquiry) -> Bool {
        let counters = task == .vacuum ? vacuums : optimizations
        let begin = MonotonicTime.now
        let outcome = enquiry.ask(
            .command(task.command, ReadOptions(level: .weak)), timeout: Self.timeout,
            while: { !worker.isStopped })
        let elapsed = MonotonicTime.now - begin
        switch outcome {
        case .failed(.notLeader), .failed(.noLeader): return false
        default: break
        }
        guard !worker.isStopped else { return true }
        let failure = Self.failure(outcome)
        shown.withLock { $0.errors[task] = failure }
        counters.duration.set(Int(elapsed.millisecondsClamped))
        if let failure {
            counters.failed.add()
            logger.warning(
                "automatic upkeep of the database failed; it is tried again after its interval",
                ["task": task.name, "cause": failure])
        } else {
            counters.succeeded.add()
            logger.info(
                "automatic upkeep of the database done",
                ["task": task.name, "duration": elapsed.goText])
        }
        return true
    }

    private static func failure(_ outcome: Outcome?) -> String? {
        switch outcome {
        case .results(let result):
            if case .failed(let text)? = result.statements.first?.outcome { return text }
            return result.error
        case .failed(let error): return "\(error)"
        default: return "the node gave no answer in time; it may be done yet"
        }
    }
}

extension UpkeepTask {
    /// As rqlite's names have it.
    fileprivate var name: String {
        switch self {
        case .vacuum: "vacuum"
        case .optimize: "optimize"
        }
    }
}

extension NodeSettings.Upkeep {
    /// Nil: never.
    fileprivate subscript(task: UpkeepTask) -> Duration? {
        switch task {
        case .vacuum: vacuum
        case .optimize: optimize
        }
    }
}
