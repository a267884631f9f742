import Service
import Telemetry

/// The metrics of module `http`. A request is counted on arrival, before anything about it is
/// checked.
struct HTTPCounters: Sendable {
    let executions: Counter
    let queries: Counter
    let requests: Counter
    let executeStatements: Counter
    let queryStatements: Counter
    let requestStatements: Counter
    let analyses: Counter
    let backups: Counter
    let loads: Counter
    let boots: Counter
    let imports: Counter
    /// Of loads in parts that are under way here: how many parts they have, and how many are kept.
    let loadParts: Gauge
    let loadPartsKept: Gauge
    /// When a client last got a whole copy by way of this node, in seconds since 1970; 0: never.
    let lastBackup: Gauge
    let snapshots: Counter
    let reaps: Counter
    let consoleFiles: Counter
    let statusReads: Counter
    let readinessChecks: Counter
    let leaderNotFound: Counter
    /// Looks at a right that passed because everybody may do everything.
    let openChecks: Counter
    /// Requests that were refused because their client has its share.
    let overShare: Counter
    /// Of clients, open now.
    let connections: Gauge
    let http2: HTTP2Counters
    /// From clients and to them, heads and all, as they pass the sockets of all connections; where
    /// there is encryption, without what that adds.
    let receivedBytes: Counter
    let sentBytes: Counter
    let answers: AnswerCounters
    let times: RequestTimes
    private let forwards: ForwardCounters
    private let copies: CopyCounters

    init(_ metrics: MetricRegistry) {
        func counter(_ name: String) -> Counter { metrics.counter("http", name) }
        executions = counter("executions")
        queries = counter("queries")
        requests = counter("requests")
        executeStatements = counter("execute_stmts_rx")
        queryStatements = counter("query_stmts_rx")
        requestStatements = counter("request_stmts_rx")
        analyses = counter("sql_analyze")
        backups = counter("backups")
        loads = counter("loads")
        boots = counter("boot")
        imports = counter("imports")
        loadParts = metrics.gauge("http", "load_parts")
        loadPartsKept = metrics.gauge("http", "load_parts_kept")
        lastBackup = metrics.gauge("http", "last_backup_time")
        snapshots = counter("user_snapshots")
        reaps = counter("user_reaps")
        consoleFiles = counter("ui")
        statusReads = counter("num_status")
        readinessChecks = counter("num_readyz")
        leaderNotFound = counter("leader_not_found")
        openChecks = counter("open_checks")
        overShare = counter("over_share")
        connections = metrics.gauge("http", "connections")
        http2 = HTTP2Counters(metrics)
        receivedBytes = counter("received_bytes")
        sentBytes = counter("sent_bytes")
        answers = AnswerCounters(metrics)
        times = RequestTimes(metrics)
        forwards = ForwardCounters(metrics)
        copies = CopyCounters(metrics)
    }

    /// - Parameter reply: the last one to a request, or the first of an answer in parts.
    func count(_ reply: Reply, to operation: HTTPOperation) {
        forwards.count(reply, to: operation)
        copies.count(reply, to: operation)
    }
}

/// Of the connections that speak HTTP/2. One object for all: each connection keeps what it counts by.
final class HTTP2Counters: Sendable {
    /// Open ones, and their open streams.
    let sessions: Gauge
    let streams: Gauge
    /// Streams that their clients reset.
    let resets: Counter
    /// Streams that were too many, and were reset before anything of them was looked at.
    let refusals: Counter
    /// Connections that ended because the client broke the rules.
    let faults: Counter

    init(_ metrics: MetricRegistry) {
        sessions = metrics.gauge("http", "http2_connections")
        streams = metrics.gauge("http", "http2_streams")
        resets = metrics.counter("http", "http2_resets")
        refusals = metrics.counter("http", "http2_refusals")
        faults = metrics.counter("http", "http2_faults")
    }
}
