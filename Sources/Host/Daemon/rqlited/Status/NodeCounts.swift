import JSON
import NodeLogic
import Replica
import Telemetry
import Time
import Transport

/// What the node's machine and its transport count by themselves, under rqlite's names for `/debug/vars`.
enum NodeCounts {
    /// Beside what the registry of metrics has of the same modules.
    static func adding(to modules: [JSONValue.Member], of node: Node) -> [JSONValue.Member] {
        var modules = modules
        for (name, members) in counted(node.status) + counted(node.transport.statistics.inbound) {
            if let place = modules.firstIndex(where: { $0.name == name }) {
                modules[place].value = .object((modules[place].value.members ?? []) + members)
            } else {
                modules.append(.init(name, .object(members)))
            }
        }
        return modules
    }

    private static func counted(
        _ status: NodeStatus
    ) -> [(module: String, members: [JSONValue.Member])] {
        let (joins, reads) = (status.joins, status.confirmedReads)
        return [
            (
                "cluster",
                [.init("num_get_node_api_req_local", .integer(status.ownDescriptions))]
            ),
            (
                "store",
                [
                    .init("failed_heartbeat_observed", .integer(status.silences)),
                    .init("nodes_reaped_failed", .integer(status.reapings.failed)),
                    .init("nodes_reaped_ok", .integer(status.reapings.succeeded)),
                    .init("num_ignored_joins", .integer(joins.ignored)),
                    .init("num_joins", .integer(joins.added)),
                    .init("num_removed_before_joins", .integer(joins.replaced)),
                    .init("num_verify_leader", .integer(reads.asked)),
                    .init("num_verify_leader_failed", .integer(reads.failed)),
                    .init("verify_leader_duration", .integer(reads.lastTime.millisecondsClamped)),
                ]
            ),
        ]
    }

    private static func counted(
        _ inbound: TransportStatistics.Inbound
    ) -> [(module: String, members: [JSONValue.Member])] {
        [
            ("cluster", [.init("num_conn_rejected", .integer(inbound.refusedOverLimit))]),
            ("http", [.init("tls_cert_fetched", .integer(inbound.httpHandshakes))]),
            (
                "mux",
                [
                    .init("num_connections_handled", .integer(inbound.nodeConnections)),
                    .init("num_tls_cert_fetched", .integer(inbound.nodeHandshakes)),
                    .init("num_unregistered_handlers", .integer(inbound.refusedUnknown)),
                ]
            ),
        ]
    }
}
