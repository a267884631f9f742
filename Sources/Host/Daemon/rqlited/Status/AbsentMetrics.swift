import JSON
import Replica

/// What rqlite counts in `/debug/vars` and what is not counted here, or does not exist: scripts read
/// the names, and find 0.
enum AbsentMetrics {
    /// By module, each list separated by blanks.
    private static let names: [(module: String, list: String)] = [
        (
            "cluster",
            """
            num_get_node_api_req num_get_node_api_resp num_get_node_api_req_local num_execute_req \
            num_query_req num_request_req num_backup_req num_load_req num_remove_node_req \
            num_notify_req num_join_req num_join_requests num_stepdown_req num_broadcast_hwm_req \
            num_hwm_update_dropped num_conn_rejected num_client_retries \
            num_get_node_api_req_retries num_client_execute_retries num_client_query_retries \
            num_client_request_retries num_client_load_retries num_client_read_timeouts \
            num_client_write_timeouts num_client_force_new_conn
            """
        ),
        (
            "db",
            """
            executions queries requests execution_errors query_errors executions_force_queries \
            execute_transactions query_transactions request_transactions open_duration_ms \
            checkpoints checkpoint_errors checkpointed_moves checkpoint_duration_ms \
            checkpoint_total checkpoint_busy_errors checkpoint_partial checkpoint_wal_truncated \
            checkpoint_invariant_errors backup_step_errors backup_step_dones backup_sleeps \
            create_compacted_wal_duration_ms precompact_wal_size compacted_wal_size preupdates \
            preupdates_errors preupdates_callback_errors update_hooks update_hooks_errors \
            update_hooks_callback_errors commit_hooks dropped_cdc_events
            """
        ),
        (
            "db.wal",
            """
            compact_scan_duration_ms compact_write_duration_ms compact_frames_input \
            compact_frames_output compact_scan_errors compact_frames_ratio
            """
        ),
        (
            "snapshot",
            """
            persist_size persist_duration_ms sink_full_total sink_incremental_total sink_errors \
            sink_full_crc32_duration_ms auto_reap_duration_ms reap_execute_duration_ms reap_total \
            reap_errors reap_snapshots reap_wals reap_plan_recovered read_timeout_total \
            upgrade_ok upgrade_fail
            """
        ),
        ("snapshot.plan", "checkpoint_duration_ms calc_crc32_duration_ms"),
        (
            "cdc.service",
            """
            num_events_tx_ok num_events_tx_failed retries dropped_failed_to_send num_bytes_tx \
            snapshot_sync batcher_writes batcher_events_write batcher_reads \
            batcher_write_ignored fifo_enqueue_ignored fifo_size hwm_ignored
            """
        ),
        (
            "uploader",
            """
            num_uploads_ok num_uploads_fail num_uploads_skipped num_uploads_skipped_id \
            num_sum_get_fail total_upload_bytes last_upload_bytes
            """
        ),
        ("downloader", "num_downloads_ok num_downloads_fail download_bytes"),
        (
            "http",
            """
            auth_ok auth_fail tls_cert_fetched queued_executions queued_executions_ok \
            queued_executions_num_stmts_rx queued_executions_num_stmts_tx \
            queued_executions_failed queued_executions_no_leader queued_executions_not_leader \
            queued_executions_leadership_lost queued_executions_unknown_error \
            queued_executions_wait queued_executions_wait_timeout
            """
        ),
        ("mux", "num_connections_handled num_unregistered_handlers num_tls_cert_fetched"),
        (
            "proto",
            """
            num_requests num_compressed_requests num_uncompressed_requests num_compressed_bytes \
            num_uncompressed_bytes num_precompressed_bytes num_compression_misses
            """
        ),
        (
            "proxy",
            """
            remote_executions remote_queries remote_requests remote_backups remote_loads \
            remote_remove_node remote_stepdowns remote_executions_failed remote_queries_failed \
            remote_requests_failed
            """
        ),
        ("queue", "objects_rx objects_tx num_timeout num_flush"),
        ("sql.processor", "num_rewritten_stmts num_parser_panics"),
        (
            "store",
            """
            num_snapshots num_snapshots_failed num_snapshots_full num_snapshots_incremental \
            num_user_snapshots num_user_snapshots_failed num_wal_snapshots \
            num_wal_snapshots_failed num_restores num_restores_failed num_restores_start \
            num_restores_start_skipped num_auto_restores num_auto_restores_skipped \
            num_auto_restores_failed num_recoveries num_boots num_loads num_backups \
            num_auto_vacuums num_auto_vacuums_failed num_auto_optimizes \
            num_auto_optimizes_failed num_provider_checks num_provider_provides \
            num_provider_provides_fail num_compressed_commands num_uncompressed_commands \
            num_joins num_ignored_joins num_removed_before_joins num_db_stats_errors \
            num_verify_leader num_verify_leader_failed leader_changes_observed \
            leader_changes_dropped failed_heartbeat_observed nodes_reaped_ok nodes_reaped_failed \
            snapshot_create_duration snapshot_sync_duration snapshot_persist_duration \
            snapshot_crc32_create_duration num_snapshot_persists num_snapshot_persists_failed \
            auto_vacuum_duration auto_optimize_duration verify_leader_duration \
            fsm_apply_duration_us
            """
        ),
    ]

    /// The modules with what they lack. What is counted stays as it is.
    static func completing(_ modules: [JSONValue.Member]) -> [JSONValue.Member] {
        var modules = modules
        for (module, list) in names {
            let place = modules.firstIndex { $0.name == module } ?? modules.endIndex
            if place == modules.endIndex { modules.append(.init(module, .object([]))) }
            var members = modules[place].value.members ?? []
            for name in list.split(separator: " ")
            where !members.contains(where: { $0.name == name }) {
                members.append(.init(String(name), value(of: String(name), among: modules)))
            }
            modules[place].value = .object(members.sorted { $0.name < $1.name })
        }
        return modules.sorted { $0.name < $1.name }
    }

    private static func value(of name: String, among modules: [JSONValue.Member]) -> JSONValue {
        func counted(_ name: String, in module: String) -> JSONValue {
            modules.first { $0.name == module }?.value[name] ?? 0
        }
        switch name {
        case "leader_changes_observed": return counted("leader_changes", in: NodeTimings.module)
        // A name by which scripts look for it, too.
        case "num_join_requests": return counted("num_join_req", in: "cluster")
        // Without `-auth` there is nobody who judges, and counts.
        case "auth_ok": return counted("open_checks", in: "http")
        default: return 0
        }
    }
}
