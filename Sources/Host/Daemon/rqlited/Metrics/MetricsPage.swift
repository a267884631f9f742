import HTTPAPI
import NodeLogic
import Raft
import Replica
import Settings
import StateMachine
import Telemetry
import Transport

/// `/metrics`: the families of docs/metrics.md, in its order. Each is there from the start, and has
/// samples as soon as there is something to measure. Everything is read at one moment, as far as it is
/// counted by one thread.
struct MetricsPage: Sendable {
    let status: StatusSections
    let metrics: MetricRegistry

    func families() -> [MetricFamily] {
        status.discovery?.updateMetrics()
        let node = status.node
        let now = node.status
        return own(now) + ConsensusMetrics(status: now, options: node.options).families
            + timings() + database(node.databaseStatistics) + requests(now)
            + PeerMetrics(statistics: node.transport.statistics).families + discovery()
            + backups() + archive()
            + ProcessMetrics(process: status.process).families
    }

    // MARK: The node

    private func own(_ now: NodeStatus) -> [MetricFamily] {
        let alarms = status.troubles.map { trouble in
            MetricFamily.Sample(1, [("alarm", trouble.what), ("about", trouble.subject)])
        }
        let ends = status.encryption.firstEnd.map { end in
            MetricFamily.Sample(.duration(.seconds(end.seconds)))
        }
        return [
            MetricFamily(
                "rqlited_build_info", .gauge, "What was built, always 1",
                [.init(1, [("version", Build.version), ("commit", Build.commit)])]),
            MetricFamily(
                "rqlited_node_ready", .gauge, "1 if the node may serve what its role allows",
                [.init(now.isReady ? 1 : 0)]),
            MetricFamily(
                "rqlited_node_disk_full", .gauge, "1 while log or database lacks room",
                [.init(now.isDiskFull ? 1 : 0)]),
            MetricFamily(
                "rqlited_node_apply_halted", .gauge,
                "1 while the node applies nothing more until an operator decides",
                [.init(now.halt == nil ? 0 : 1)]),
            MetricFamily(
                "rqlited_node_quarantined", .gauge,
                "1 while the node's database is not to be trusted",
                [.init(now.quarantine == nil ? 0 : 1)]),
            MetricFamily(
                "rqlited_alarm", .gauge, "1 for each thing that is wrong now, as /status names it",
                alarms),
            MetricFamily(
                "rqlited_tls_certificate_end_seconds", .gauge,
                "When the first of the node's certificates ends, in seconds since 1970",
                ends.map { [$0] } ?? []),
        ]
    }

    // MARK: Log and database

    private func timings() -> [MetricFamily] {
        let histograms = metrics.histograms(of: NodeTimings.module)
        let counted = metrics.values(of: NodeTimings.module)
        func histogram(_ name: String) -> [MetricFamily.Sample] {
            histograms.filter { $0.name == name }
                .map { .init(.distribution($0.histogram.distribution())) }
        }
        func count(_ name: String) -> [MetricFamily.Sample] {
            counted.filter { $0.name == name }.map { .init($0.value) }
        }
        return [
            MetricFamily(
                "rqlited_raft_leader_changes_total", .counter,
                "Leaders that the node learned of, the first included", count("leader_changes")),
            MetricFamily(
                "rqlited_raft_commit_seconds", .histogram,
                "From handing entries to the log until they were known to be committed",
                histogram("commit")),
            MetricFamily(
                "rqlited_log_append_seconds", .histogram,
                "Writing a batch to the log, without its sync", histogram("append")),
            MetricFamily(
                "rqlited_log_sync_seconds", .histogram, "One fdatasync of the log",
                histogram("sync")),
            MetricFamily(
                "rqlited_db_apply_seconds", .histogram,
                "Applying a batch of entries, its COMMIT included", histogram("apply")),
            MetricFamily(
                "rqlited_db_applied_entries_total", .counter,
                "Log entries applied to the database", count("applied_entries")),
            MetricFamily(
                "rqlited_db_checkpoint_seconds", .histogram,
                "A checkpoint of the database, its syncs included", histogram("checkpoint")),
        ]
    }

    private func database(_ statistics: DatabaseStatistics?) -> [MetricFamily] {
        func sample(_ value: (DatabaseStatistics) -> Int64) -> [MetricFamily.Sample] {
            statistics.map { [.init(value($0))] } ?? []
        }
        return [
            MetricFamily(
                "rqlited_db_size_bytes", .gauge, "The database file, as of the last checkpoint",
                sample(\.byteCount)),
            MetricFamily(
                "rqlited_db_wal_bytes", .gauge, "SQLite's log, as of the last checkpoint",
                sample(\.walByteCount)),
            MetricFamily(
                "rqlited_db_free_bytes", .gauge,
                "Pages of the database file without content, as of the last checkpoint",
                sample { $0.freePageCount * $0.pageSize }),
        ]
    }

    // MARK: Requests

    private func requests(_ now: NodeStatus) -> [MetricFamily] {
        let readers = status.node.readers
        let http = metrics.values(of: "http")
        let queued = metrics.values(of: "queue").first { $0.name == "waiting" }
        return times()
            + HTTPMetrics(counted: http, answers: metrics.values(of: AnswerCounters.module))
            .families + [
                MetricFamily(
                    "rqlited_requests_waiting", .gauge,
                    "Requests by what they wait for",
                    [
                        .init(now.openProposals, [("for", "commit")]),
                        .init(now.parkedRequests, [("for", "leader or database")]),
                        .init(readers.waiting, [("for", "reader")]),
                        .init(readers.resting, [("for", "turn at reading")]),
                        .init(now.pendingMembershipChanges, [("for", "membership change")]),
                        .init(queued?.value ?? 0, [("for", "write queue")]),
                    ]),
                MetricFamily(
                    "rqlited_readers", .gauge, "Threads that serve reads, by what they do",
                    [
                        .init(readers.busy, [("state", "busy")]),
                        .init(max(0, readers.threads - readers.busy), [("state", "idle")]),
                    ]),
                MetricFamily(
                    "rqlited_reads_given_up_total", .counter,
                    "Reads that were ended because nobody waited for them or the node needed it",
                    [.init(readers.givenUp)]),
                MetricFamily(
                    "rqlited_streams_stalled", .gauge,
                    "Answers in parts whose clients take nothing at present",
                    [.init(status.node.stalledStreams)]),
            ]
    }

    private func times() -> [MetricFamily] {
        let samples = metrics.histograms(of: RequestTimes.module)
            .map { ($0.name, $0.histogram.distribution()) }
            .filter { $0.1.count > 0 }
            .map { name, distribution in
                let words = name.split(separator: "/", maxSplits: 1).map { String($0) }
                let level = words.count > 1 ? [(name: "level", value: words[1])] : []
                return MetricFamily.Sample(
                    .distribution(distribution), [("operation", words[0])] + level)
            }
        return [
            MetricFamily(
                "rqlited_http_request_seconds", .histogram,
                "From a request's head until the answer, or the first part of it, was there",
                samples)
        ]
    }

    // MARK: Backups

    private func backups() -> [MetricFamily] {
        let counted =
            status.safekeeping.backup == nil ? [] : metrics.values(of: BackupService.module)
        func samples(_ names: [(of: String, label: String?)]) -> [MetricFamily.Sample] {
            names.compactMap { name in
                counted.first { $0.name == name.of }
                    .map { .init($0.value, name.label.map { [("result", $0)] } ?? []) }
            }
        }
        return [
            MetricFamily(
                "rqlited_backup_uploads_total", .counter,
                "Turns of -auto-backup on this node as leader, by what came of them",
                samples([
                    ("num_uploads_ok", "stored"), ("num_uploads_fail", "failed"),
                    ("num_uploads_skipped", "skipped"), ("num_uploads_skipped_id", "unchanged"),
                ])),
            MetricFamily(
                "rqlited_backup_uploaded_bytes_total", .counter,
                "Bytes of copies that -auto-backup stored", samples([("total_upload_bytes", nil)])),
            MetricFamily(
                "rqlited_backup_last_upload_seconds", .gauge,
                "When -auto-backup stored a copy from this node last, in seconds since 1970; 0: never",
                samples([("last_upload_time", nil)])),
            MetricFamily(
                "rqlited_backup_busy_seconds", .gauge,
                "For how long -auto-backup has been at one copy, base or piece; 0: it rests", busy),
        ]
    }

    private var busy: [MetricFamily.Sample] {
        let (copies, log) = (status.safekeeping.backup, status.safekeeping.archive)
        let workers = [
            ("copy", copies?.worker), ("base", log?.base.worker), ("piece", log?.worker),
        ]
        return workers.compactMap { name, worker in
            worker.map { .init(.duration($0.busyTime), [("of", name)]) }
        }
    }

    private func archive() -> [MetricFamily] {
        let counted =
            status.safekeeping.archive == nil ? [] : metrics.values(of: ArchiveService.module)
        func samples(_ names: [(of: String, label: String?)]) -> [MetricFamily.Sample] {
            names.compactMap { name in
                counted.first { $0.name == name.of }
                    .map { .init($0.value, name.label.map { [("kind", $0)] } ?? []) }
            }
        }
        return [
            MetricFamily(
                "rqlited_archive_objects_total", .counter,
                "What this node as leader put into the archive, by kind",
                samples([("num_bases", "base"), ("num_pieces", "piece")])),
            MetricFamily(
                "rqlited_archive_failures_total", .counter,
                "Failed tries of this node as leader to archive something, by kind",
                samples([("num_failed_bases", "base"), ("num_failed", "piece")])),
            MetricFamily(
                "rqlited_archive_uploaded_bytes_total", .counter,
                "Bytes that this node put into the archive", samples([("upload_bytes", nil)])),
            MetricFamily(
                "rqlited_archive_last_index", .gauge,
                "The last entry of the log that this node as leader put into the archive",
                samples([("last_index", nil)])),
            MetricFamily(
                "rqlited_archive_last_upload_seconds", .gauge,
                "When this node last put something into the archive, in seconds since 1970; 0: never",
                samples([("last_upload_time", nil)])),
        ]
    }

    // MARK: Discovery

    private func discovery() -> [MetricFamily] {
        var samples: [String: [MetricFamily.Sample]] = [:]
        for (name, value) in metrics.values(of: "disco") {
            for kind in ["resolver", "registry"] where name.hasPrefix(kind + "_") {
                let event = String(name.dropFirst(kind.utf8.count + 1))
                let group = Self.gauges.contains(event) ? event : "calls"
                samples[group, default: []].append(
                    .init(value, [("of", kind)] + (group == "calls" ? [("event", event)] : [])))
            }
        }
        return [
            MetricFamily(
                "rqlited_discovery_events_total", .counter,
                "Calls of discovery plugins, and of these the conflicts and failures",
                samples["calls"] ?? []),
            MetricFamily(
                "rqlited_discovery_addresses", .gauge, "Addresses that discovery found last",
                samples["addresses"] ?? []),
            MetricFamily(
                "rqlited_discovery_alarms", .gauge, "What is wrong with the registry",
                samples["alarms"] ?? []),
        ]
    }

    private static let gauges = ["addresses", "alarms"]
}
