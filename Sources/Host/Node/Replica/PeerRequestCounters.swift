import PeerProtocol
import Service
import Telemetry
import Wire

/// What other nodes asked of this one, granted or not, under rqlite's names for `/debug/vars`.
struct PeerRequestCounters: Sendable {
    private let executions: Counter
    private let queries: Counter
    private let requests: Counter
    private let backups: Counter
    private let loads: Counter
    private let removals: Counter
    private let transfers: Counter
    private let joins: Counter
    private let notices: Counter
    private let hellos: Counter
    private let greetings: Counter

    init(_ metrics: MetricRegistry) {
        func counter(_ name: String) -> Counter { metrics.counter("cluster", "num_\(name)") }
        executions = counter("execute_req")
        queries = counter("query_req")
        requests = counter("request_req")
        backups = counter("backup_req")
        loads = counter("load_req")
        removals = counter("remove_node_req")
        transfers = counter("stepdown_req")
        joins = counter("join_req")
        notices = counter("notify_req")
        hellos = counter("get_node_api_req")
        greetings = counter("get_node_api_resp")
    }

    /// A client's request came by way of another node. On any event loop.
    func forwarded(_ operation: ClientRequest.Operation) {
        switch operation {
        case .command(let command, _):
            switch command.kind {
            case .execute: executions.add()
            case .query: queries.add()
            case .request: requests.add()
            }
        case .backup: backups.add()
        case .load, .loadDump, .loadEnd: loads.add()
        case .remove: removals.add()
        case .transferLeadership: transfers.add()
        default: break
        }
    }

    /// Another node asks something itself. On any event loop.
    func asked(_ request: PeerRequest) {
        switch request {
        case .hello: hellos.add()
        case .join: joins.add()
        case .formation: notices.add()
        case .checksums, .seed, .disowned: break
        }
    }

    /// Another node was told who this one is.
    func greeted() { greetings.add() }
}
