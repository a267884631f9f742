import Service
import Telemetry

/// What is counted of queued writes, under rqlite's names.
struct WriteQueueCounters: Sendable {
    let requests: Counter
    let waits: Counter
    let waitTimeouts: Counter
    private let statementsReceived: Counter
    private let statementsSent: Counter
    private let batches: Counter
    private let failures: Counter
    private let withoutLeader: Counter
    private let byFollowers: Counter
    private let leadershipLost: Counter
    private let otherFailures: Counter
    private let objectsReceived: Counter
    private let objectsSent: Counter
    private let byTimer: Counter
    private let completed: Gauge
    /// Writes that wait for their batch, or for a place.
    let waiting: Gauge

    init(_ metrics: MetricRegistry) {
        func http(_ name: String) -> Counter { metrics.counter("http", "queued_executions\(name)") }
        requests = http("")
        waits = http("_wait")
        waitTimeouts = http("_wait_timeout")
        statementsReceived = http("_num_stmts_rx")
        statementsSent = http("_num_stmts_tx")
        batches = http("_ok")
        failures = http("_failed")
        withoutLeader = http("_no_leader")
        byFollowers = http("_not_leader")
        leadershipLost = http("_leadership_lost")
        otherFailures = http("_unknown_error")
        objectsReceived = metrics.counter("queue", "objects_rx")
        objectsSent = metrics.counter("queue", "objects_tx")
        byTimer = metrics.counter("queue", "num_timeout")
        completed = metrics.gauge("queue", "sequence_number")
        waiting = metrics.gauge("queue", "waiting")
    }

    /// An attempt failed.
    func count(_ error: ServiceError) {
        failures.add()
        switch error {
        case .noLeader: withoutLeader.add()
        case .notLeader: byFollowers.add()
        case .leadershipLost: leadershipLost.add()
        default: otherFailures.add()
        }
    }

    func show(
        _ counts: WriteQueueMachine.Counts, since before: WriteQueueMachine.Counts,
        completed sequence: UInt64
    ) {
        guard counts != before else { return }
        let received = counts.statementsIn - before.statementsIn
        let sent = counts.statementsOut - before.statementsOut
        statementsReceived.add(received)
        objectsReceived.add(received)
        statementsSent.add(sent)
        objectsSent.add(sent)
        batches.add(counts.batches - before.batches)
        byTimer.add(counts.byTimer - before.byTimer)
        completed.set(Int(clamping: sequence))
    }
}
