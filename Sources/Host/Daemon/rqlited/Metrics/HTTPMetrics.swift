import Telemetry

/// Of `/metrics`: what the HTTP API counts, out of the registry's names, which are rqlite's.
struct HTTPMetrics {
    /// Module `http`.
    var counted: [(name: String, value: Int64)]
    /// By the first digit of the status.
    var answers: [(name: String, value: Int64)]

    var families: [MetricFamily] {
        [
            MetricFamily(
                "rqlited_http_answers_total", .counter,
                "Answers by the first digit of their status",
                answers.map { .init($0.value, [("status", $0.name)]) }),
            MetricFamily(
                "rqlited_http_statements_total", .counter, "Statements received, by operation",
                samples(
                    [
                        ("execute_stmts_rx", "execute"), ("query_stmts_rx", "query"),
                        ("request_stmts_rx", "request"),
                    ], label: "operation")),
            MetricFamily(
                "rqlited_http_without_leader_total", .counter,
                "Requests that failed for want of a leader", samples([("leader_not_found", "")])),
            MetricFamily(
                "rqlited_http_over_share_total", .counter,
                "Requests refused with 429, for their client had its share and others were starved",
                samples([("over_share", "")])),
            MetricFamily(
                "rqlited_http_connections", .gauge, "Open connections of clients",
                samples([("connections", "")])),
            MetricFamily(
                "rqlited_http2_connections", .gauge,
                "Open connections of clients that speak HTTP/2",
                samples([("http2_connections", "")])),
            MetricFamily(
                "rqlited_http2_streams", .gauge, "Open streams of HTTP/2",
                samples([("http2_streams", "")])),
            MetricFamily(
                "rqlited_http2_resets_total", .counter, "Streams that their clients reset",
                samples([("http2_resets", "")])),
            MetricFamily(
                "rqlited_http2_refusals_total", .counter, "Streams beyond those that there may be",
                samples([("http2_refusals", "")])),
            MetricFamily(
                "rqlited_http2_faults_total", .counter,
                "Connections that ended because the client broke the rules of HTTP/2",
                samples([("http2_faults", "")])),
            MetricFamily(
                "rqlited_http_received_bytes_total", .counter, "Bytes from clients",
                samples([("received_bytes", "")])),
            MetricFamily(
                "rqlited_http_sent_bytes_total", .counter, "Bytes to clients",
                samples([("sent_bytes", "")])),
            MetricFamily(
                "rqlited_auth_checks_total", .counter,
                "Requests whose sender was looked up, by what came of it",
                samples([("auth_ok", "ok"), ("auth_fail", "refused")], label: "result")),
        ]
    }

    private func samples(
        _ names: [(counter: String, value: String)], label: String? = nil
    ) -> [MetricFamily.Sample] {
        names.compactMap { name, value in
            counted.first { $0.name == name }.map { found in
                .init(found.value, label.map { [($0, value)] } ?? [])
            }
        }
    }
}
