import StateMachine
import Telemetry
import Time

/// What the database's connections ran on this node, under rqlite's names for `/debug/vars`.
struct DatabaseCounters: Sendable {
    private let executions: Counter
    private let queries: Counter
    private let requests: Counter
    private let executeTransactions: Counter
    private let queryTransactions: Counter
    private let requestTransactions: Counter
    private let executionErrors: Counter
    private let queryErrors: Counter
    private let writesWithRows: Counter
    private let openingMilliseconds: Gauge

    init(_ metrics: MetricRegistry) {
        func counter(_ name: String) -> Counter { metrics.counter("db", name) }
        executions = counter("executions")
        queries = counter("queries")
        requests = counter("requests")
        executeTransactions = counter("execute_transactions")
        queryTransactions = counter("query_transactions")
        requestTransactions = counter("request_transactions")
        executionErrors = counter("execution_errors")
        queryErrors = counter("query_errors")
        writesWithRows = counter("executions_force_queries")
        openingMilliseconds = metrics.gauge("db", "open_duration_ms")
    }

    /// The file to which the log is applied was opened.
    func opened(in time: Duration) {
        openingMilliseconds.set(Int(clamping: time.millisecondsClamped))
    }

    /// On the thread of the connection.
    func add(_ counts: StatementCounts) {
        // Of each read and each batch: most of these are 0.
        func add(_ count: Int, to counter: Counter) { if count > 0 { counter.add(count) } }
        add(counts.executions.statements, to: executions)
        add(counts.queries.statements, to: queries)
        add(counts.requests.statements, to: requests)
        add(counts.executions.transactions, to: executeTransactions)
        add(counts.queries.transactions, to: queryTransactions)
        add(counts.requests.transactions, to: requestTransactions)
        add(counts.failedWrites, to: executionErrors)
        add(counts.failedReads, to: queryErrors)
        add(counts.writesWithRows, to: writesWithRows)
    }
}
