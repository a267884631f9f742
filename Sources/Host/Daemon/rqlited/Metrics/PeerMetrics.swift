import Raft
import Telemetry
import Transport

/// Of `/metrics`: the connections between nodes.
struct PeerMetrics {
    var statistics: TransportStatistics

    var families: [MetricFamily] {
        let inbound = statistics.inbound
        return [
            MetricFamily(
                "rqlited_peer_connected", .gauge, "1 while messages to a node have a connection",
                peers { $0.state == .connected ? 1 : 0 }),
            MetricFamily(
                "rqlited_peer_connections_total", .counter, "Connections made to a node",
                peers { $0.connections }),
            MetricFamily(
                "rqlited_peer_sent_bytes_total", .counter, "Bytes of messages sent to a node",
                peers { $0.sentBytes }),
            MetricFamily(
                "rqlited_peer_sent_messages_total", .counter, "Messages sent to a node",
                peers { $0.sentMessages }),
            MetricFamily(
                "rqlited_peer_dropped_messages_total", .counter,
                "Messages given up because a node's queue was full or its connection broke",
                peers { $0.droppedMessages }),
            MetricFamily(
                "rqlited_peer_queued_bytes", .gauge, "Bytes of messages that wait for a node",
                peers { $0.queuedBytes }),
            MetricFamily(
                "rqlited_peers_received_bytes_total", .counter, "Bytes received from other nodes",
                [.init(inbound.receivedBytes)]),
            MetricFamily(
                "rqlited_files_shipped_bytes_total", .counter,
                "Bytes of snapshots and of what is loaded that went between nodes, in the files",
                [
                    .init(statistics.sentFiles.fileBytes, [("direction", "sent")]),
                    .init(statistics.receivedFiles.fileBytes, [("direction", "received")]),
                ]),
            MetricFamily(
                "rqlited_files_shipped_wire_bytes_total", .counter,
                "The same as they went, which is less with -compress-snap-transport",
                [
                    .init(statistics.sentFiles.wireBytes, [("direction", "sent")]),
                    .init(statistics.receivedFiles.wireBytes, [("direction", "received")]),
                ]),
            MetricFamily(
                "rqlited_peers_received_messages_total", .counter,
                "Messages of consensus received from other nodes",
                [.init(inbound.receivedMessages)]),
            MetricFamily(
                "rqlited_peers_refused_connections_total", .counter,
                "Connections between nodes that were refused or ended, by reason",
                [
                    .init(inbound.refusedTLS, [("reason", "encrypted")]),
                    .init(inbound.refusedPlain, [("reason", "not encrypted")]),
                    .init(inbound.refusedUnknown, [("reason", "unknown protocol")]),
                    .init(inbound.refusedOverLimit, [("reason", "too many")]),
                    .init(inbound.corrupted, [("reason", "damaged frame")]),
                    .init(inbound.misdirected, [("reason", "for another node")]),
                    .init(inbound.refusedIdentity, [("reason", "another node's certificate")]),
                ]),
        ]
    }

    private func peers<Number: BinaryInteger>(
        _ value: (TransportStatistics.Peer) -> Number
    ) -> [MetricFamily.Sample] {
        statistics.peers.map { .init(value($0), [("peer", $0.id.rawValue)]) }
    }
}
