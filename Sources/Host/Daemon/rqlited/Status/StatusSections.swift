import Addresses
import Glibc
import HTTPAPI
import JSON
import NodeLogic
import Raft
import Replica
import Settings
import StateMachine
import Telemetry
import Transport

/// Puts together what the parts of the daemon tell about themselves.
struct StatusSections: Sendable {
    let node: Node
    let settings: NodeSettings
    let process: ProcessSections
    let discovery: DiscoveryService?
    let access: AccessControl
    let encryption: Encryption
    let reloader: Reloader
    /// Of the last queued write that is done.
    let queueNumber: Gauge
    /// Of loads in parts under way here: all parts, and those that are kept.
    let loadParts: (all: Gauge, kept: Gauge)
    /// Of clients that speak HTTP/2.
    let sessions: (all: Gauge, streams: Gauge)
    /// When a client last got a whole copy by way of this node, in seconds since 1970; 0: never.
    let lastBackup: Gauge
    let safekeeping: Safekeeping

    var sections: [Documents.Section] {
        let node = self.node
        let usage = DiskUsage(of: node.options.dataDirectory)
        let store = StoreSection(
            node: node, settings: settings, usage: usage, troubles: { self.troubles }
        ) { changed in
            node.databaseStatistics.map { Self.database($0, lastModified: changed) } ?? .null
        }
        let process = self.process
        var all: [Documents.Section] = [
            .init("build") { process.build() },
            .init("cluster") { cluster() },
            .init("extensions") { extensions() },
            .init("http") { http() },
            .init("last_backup_time") { lastBackupTime },
            .init("mux") { mux() },
            .init("network") { network() },
            .init("node") { process.node() },
            .init("os") { process.os() },
            .init("runtime") { process.runtime() },
            .init("store") {
                .object((store.document().members ?? []) + (safekeeping.upkeep?.status() ?? []))
            },
        ]
        if let backup = safekeeping.backup {
            all.append(.init("auto_backups") { backup.status() })
        }
        if let archive = safekeeping.archive {
            all.append(.init("archive") { archive.status() })
        }
        if let discovery { all.append(.init("disco") { discovery.status() }) }
        return all
    }

    /// What is wrong now, with the node and with files that are read while it runs.
    var troubles: [StateLog.Trouble] { node.troubles + reloader.troubles }

    /// `/debug/vars`.
    func variables(_ metrics: MetricRegistry) -> [JSONValue.Member] {
        discovery?.updateMetrics()
        let dropped = node.droppedMessages.map {
            JSONValue.Member($0.reason.rawValue, .integer($0.count))
        }
        let readers = node.readers
        let words = CommandWords.shown(CommandLine.arguments).map { JSONValue.string($0) }
        return AbsentMetrics.completing(
            NodeCounts.adding(to: metrics.snapshot(), of: node) + [
                .init("cmdline", .array(words)), .init("memstats", .object([])),
                .init("raft.dropped_messages", .object(dropped)),
                .init(
                    "readers",
                    .object([
                        .init("busy", .integer(readers.busy)),
                        .init("given_up", .integer(readers.givenUp)),
                        .init("resting", .integer(readers.resting)),
                        .init("stalled", .integer(node.stalledStreams)),
                        .init("threads", .integer(readers.threads)),
                        .init("waiting", .integer(readers.waiting)),
                    ])),
                .init(
                    "tls",
                    .object([
                        .init(
                            "days_left",
                            encryption.leastDaysLeft.map { .integer($0) } ?? .null)
                    ])),
            ])
    }

    /// Nil before the first copy.
    private var lastBackupTime: JSONValue? {
        let seconds = lastBackup.current
        return seconds > 0 ? .string(WallTime(seconds: seconds).rfc3339) : nil
    }

    private func http() -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("auth", access.isOn ? "enabled" : "disabled"),
            .init("bind_addr", .string(settings.http.listensAt)),
            .init(
                "cluster",
                .object([
                    .init("local_node_addr", .string(node.options.address.rawValue)),
                    .init("timeout", .string(settings.raft.connectTimeout.goText)),
                ])),
            .init(
                "http2",
                .object([
                    .init("connections", .integer(sessions.all.current)),
                    .init("streams", .integer(sessions.streams.current)),
                ])),
            .init(
                "load",
                .object([
                    .init("parts", .integer(loadParts.all.current)),
                    .init("parts_kept", .integer(loadParts.kept.current)),
                ])),
            .init(
                "queue",
                .object([
                    .init(
                        "_default",
                        .object([
                            .init("batch_size", .integer(settings.queue.batchSize)),
                            .init("max_size", .integer(settings.queue.capacity)),
                            .init("sequence_number", .integer(queueNumber.current)),
                            .init("timeout", .string(settings.queue.timeout.goText)),
                        ]))
                ])),
            .init("tls", encryption.clientStatus),
        ]
        if let origin = settings.http.allowOrigin {
            members.append(.init("allow_origin", .string(origin)))
        }
        return .object(members)
    }

    private func cluster() -> JSONValue {
        .object([
            .init("addr", .string(node.options.address.rawValue)),
            .init("api_addr", .string(settings.http.advertised.description)),
            .init("https", .string(settings.https == nil ? "false" : "true")),
        ])
    }

    private func mux() -> JSONValue {
        .object(
            [
                .init("addr", .string(settings.raft.advertised.description)),
                .init("handlers", ""),
                .init("timeout", .string(settings.raft.connectTimeout.goText)),
            ] + encryption.nodeStatus)
    }

    /// Connections to other nodes and what waits in them.
    private func network() -> JSONValue {
        let statistics = node.transport.statistics
        let inbound = statistics.inbound
        return .object([
            .init("interfaces", NetworkInterfaces.document()),
            .init(
                "inbound",
                .object([
                    .init("accept_failures", .integer(inbound.acceptFailures)),
                    .init("arriving_bytes", .integer(inbound.arrivingBytes)),
                    .init("corrupted", .integer(inbound.corrupted)),
                    .init("http_connections", .integer(inbound.httpConnections)),
                    .init("misdirected", .integer(inbound.misdirected)),
                    .init("peers", .integer(inbound.peers)),
                    .init("received_bytes", .integer(inbound.receivedBytes)),
                    .init("received_messages", .integer(inbound.receivedMessages)),
                    .init("refused_over_limit", .integer(inbound.refusedOverLimit)),
                    .init("refused_plain", .integer(inbound.refusedPlain)),
                    .init("refused_tls", .integer(inbound.refusedTLS)),
                    .init("refused_identity", .integer(inbound.refusedIdentity)),
                    .init("refused_unknown", .integer(inbound.refusedUnknown)),
                    .init("unidentified", .integer(inbound.unidentified)),
                    .init("untaken_bytes", .integer(inbound.untakenBytes)),
                ])),
            .init("peers", .array(statistics.peers.map(Self.peer))),
            .init(
                "pending_resolutions",
                .array(node.transport.pendingResolutions.map { .string("\($0)") })),
            .init("unroutable_messages", .integer(statistics.unroutableMessages)),
        ])
    }

    private static func peer(_ peer: TransportStatistics.Peer) -> JSONValue {
        .object([
            .init("addr", .string(peer.address.rawValue)),
            .init("connections", .integer(peer.connections)),
            .init("dropped_messages", .integer(peer.droppedMessages)),
            .init("id", .string(peer.id.rawValue)),
            .init("last_error", peer.lastError.map { .string("\($0)") } ?? .null),
            .init("queued_bytes", .integer(peer.queuedBytes)),
            .init("queued_messages", .integer(peer.queuedMessages)),
            .init("sent_bytes", .integer(peer.sentBytes)),
            .init("sent_messages", .integer(peer.sentMessages)),
            .init("state", .string(peer.state.rawValue)),
        ])
    }

    /// As all connections have them; see `SessionSetup`.
    private static func pragmas(_ statistics: DatabaseStatistics) -> JSONValue {
        .object([
            .init("busy_timeout", "0"), .init("foreign_keys", statistics.foreignKeys ? "1" : "0"),
            .init("journal_mode", "wal"), .init("synchronous", "1"),
            .init("wal_autocheckpoint", "0"),
        ])
    }

    private static var extensionNames: JSONValue {
        .array(SQLExtensions.current.files.map { .string($0.name) })
    }

    private func extensions() -> JSONValue {
        .object([
            .init("dir", .string("\(settings.dataDirectory)/extensions")),
            .init("names", Self.extensionNames),
        ])
    }

    private static func database(
        _ statistics: DatabaseStatistics, lastModified: WallTime
    ) -> JSONValue {
        .object([
            .init("compile_options", .array(statistics.compileOptions.map { .string($0) })),
            .init("db_size", .integer(statistics.pageSize * statistics.pageCount)),
            .init(
                "db_size_friendly",
                .string("\(ByteSize(bytes: statistics.pageSize * statistics.pageCount))")),
            .init("extensions", extensionNames), .init("conn_pool_stats", RqliteConstants.pools),
            .init("last_modified", .string(lastModified.rfc3339)),
            .init(
                "ro_dsn",
                .string("file:\(statistics.path)?_fk=\(statistics.foreignKeys)&mode=ro")),
            .init(
                "rw_dsn", .string("file:\(statistics.path)?_fk=\(statistics.foreignKeys)")),
            .init(
                "mem_stats",
                .object([
                    .init("cache_size", .integer(statistics.cacheSize)),
                    .init("max_page_count", .integer(statistics.maxPageCount)),
                    // Nobody sets one.
                    .init("hard_heap_limit", 0), .init("soft_heap_limit", 0),
                    .init("freelist_count", .integer(statistics.freePageCount)),
                    .init("page_count", .integer(statistics.pageCount)),
                    .init("page_size", .integer(statistics.pageSize)),
                ])),
            .init(
                "pragmas",
                .object([
                    .init("ro", pragmas(statistics)), .init("rw", pragmas(statistics)),
                ])),
            .init(
                "transaction", .object([.init("ro", .bool(false)), .init("rw", .bool(false))])),
            .init("path", .string(statistics.path)),
            .init("size", .integer(statistics.byteCount)),
            .init("source_id", .string(statistics.sqliteSourceID)),
            .init("version", .string(statistics.sqliteVersion)),
            .init("wal_size", .integer(statistics.walByteCount)),
        ])
    }
}
