import Foundation
import Testing

/// Scripts and rqlite's own tests read its `/status` and `/debug/vars`: whatever they look for is
/// there, at least as 0.
@Suite(.serialized) struct StatusKeyTests {
    /// Paths, with all names below each.
    private static let status: [(path: String, names: String)] = [
        ("", "build http node os runtime store cluster network mux extensions"),
        ("build", "version commit build_time compiler_toolchain compiler_command"),
        ("http", "bind_addr auth cluster queue tls"), ("http.cluster", "local_node_addr timeout"),
        ("http.queue._default", "max_size batch_size timeout sequence_number"),
        ("http.tls", "enabled"), ("node", "start_time current_time uptime"),
        ("os", "pid ppid page_size executable hostname"),
        (
            "runtime",
            "GOARCH GOOS GOMAXPROCS num_cpu num_goroutine version kubernetes_hint"
        ),
        (
            "store",
            """
            open ready node_id addr dir dir_size dir_size_friendly leader nodes fsm_index fsm_term \
            fsm_update_time db_applied_index strong_read_term leader_appended_at_time observer cdc \
            apply_timeout heartbeat_timeout election_timeout commit_timeout snapshot_threshold \
            snapshot_interval snapshot_cas reap_timeout reap_read_only_timeout no_freelist_sync \
            trailing_logs request_marshaler db_conf snapshot_store raft sqlite3
            """
        ),
        ("store.leader", "addr node_id"), ("store.observer", "observed dropped"),
        ("store.cdc", "enabled registered"), ("store.snapshot_cas", "owner"),
        (
            "store.request_marshaler",
            "compression_batch compression_size force_compression"
        ),
        ("store.db_conf", "fk_constraints"), ("store.snapshot_store", "dir dir_size snapshots"),
        (
            "store.raft",
            """
            state voter term commit_index applied_index last_log_index last_log_term \
            last_snapshot_index last_snapshot_term fsm_pending num_peers latest_configuration \
            latest_configuration_index last_contact protocol_version protocol_version_min \
            protocol_version_max snapshot_version_min snapshot_version_max log_size \
            log_size_friendly transport config bolt
            """
        ),
        (
            "store.raft.transport",
            "command_commit_index leader_commit_index compress_snap"
        ),
        (
            "store.raft.config",
            """
            LocalID HeartbeatTimeout ElectionTimeout LeaderLeaseTimeout CommitTimeout \
            SnapshotInterval SnapshotThreshold MaxAppendEntries ShutdownOnRemove LogLevel \
            NoSnapshotRestoreOnStart
            """
        ),
        (
            "store.raft.bolt",
            "FreePageN PendingPageN FreeAlloc FreelistInuse TxN OpenTxN TxStats"
        ),
        (
            "store.raft.bolt.TxStats",
            """
            PageCount PageAlloc CursorCount NodeCount NodeDeref Rebalance RebalanceTime Split Spill \
            SpillTime Write WriteTime
            """
        ),
        (
            "store.sqlite3",
            """
            version compile_options path size wal_size db_size db_size_friendly last_modified \
            rw_dsn ro_dsn extensions mem_stats conn_pool_stats pragmas transaction
            """
        ),
        (
            "store.sqlite3.mem_stats",
            """
            max_page_count page_count page_size hard_heap_limit soft_heap_limit cache_size \
            freelist_count
            """
        ),
        (
            "store.sqlite3.conn_pool_stats.rw",
            """
            max_open_connections open_connections in_use idle wait_count wait_duration \
            max_idle_closed max_idle_time_closed max_lifetime_closed
            """
        ),
        (
            "store.sqlite3.pragmas.ro",
            "synchronous journal_mode foreign_keys wal_autocheckpoint busy_timeout"
        ),
        ("store.sqlite3.transaction", "ro rw"), ("cluster", "addr api_addr https"),
        ("mux", "addr timeout tls handlers"), ("network", "interfaces"),
        ("network.interfaces.lo", "flags hardware_address addresses"),
        ("extensions", "dir names"),
    ]

    private static let variables: [(module: String, names: String)] = [
        (
            "http",
            """
            ui executions queries requests execute_stmts_rx query_stmts_rx request_stmts_rx backups \
            loads boot user_snapshots user_reaps sql_analyze num_status num_readyz \
            leader_not_found auth_ok auth_fail tls_cert_fetched queued_executions \
            queued_executions_ok queued_executions_num_stmts_rx queued_executions_num_stmts_tx \
            queued_executions_failed queued_executions_no_leader queued_executions_not_leader \
            queued_executions_leadership_lost queued_executions_unknown_error \
            queued_executions_wait queued_executions_wait_timeout
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
        (
            "proto",
            """
            num_requests num_compressed_requests num_uncompressed_requests num_compressed_bytes \
            num_uncompressed_bytes num_precompressed_bytes num_compression_misses
            """
        ),
        ("sql.processor", "num_rewritten_stmts num_parser_panics"),
        (
            "store",
            """
            num_snapshots num_snapshots_failed num_snapshots_full num_snapshots_incremental \
            num_user_snapshots num_user_snapshots_failed num_wal_snapshots num_wal_snapshots_failed \
            snapshot_create_duration snapshot_sync_duration snapshot_persist_duration \
            snapshot_crc32_create_duration num_snapshot_persists num_snapshot_persists_failed \
            num_restores num_restores_failed num_restores_start num_restores_start_skipped \
            num_auto_restores num_auto_restores_skipped num_auto_restores_failed num_recoveries \
            num_boots num_loads num_backups num_auto_vacuums num_auto_vacuums_failed \
            auto_vacuum_duration num_auto_optimizes num_auto_optimizes_failed \
            auto_optimize_duration num_provider_checks num_provider_provides \
            num_provider_provides_fail num_compressed_commands num_uncompressed_commands num_joins \
            num_ignored_joins num_removed_before_joins num_db_stats_errors num_verify_leader \
            num_verify_leader_failed verify_leader_duration fsm_apply_duration_us \
            leader_changes_observed leader_changes_dropped failed_heartbeat_observed \
            nodes_reaped_ok nodes_reaped_failed
            """
        ),
        (
            "db",
            """
            executions queries requests execution_errors query_errors executions_force_queries \
            execute_transactions query_transactions request_transactions open_duration_ms \
            checkpoints checkpoint_errors checkpointed_moves checkpoint_duration_ms \
            checkpoint_total checkpoint_busy_errors checkpoint_partial checkpoint_wal_truncated \
            checkpoint_invariant_errors create_compacted_wal_duration_ms precompact_wal_size \
            compacted_wal_size backup_step_errors backup_step_dones backup_sleeps preupdates \
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
            reap_errors reap_snapshots reap_wals reap_plan_recovered read_timeout_total upgrade_ok \
            upgrade_fail
            """
        ),
        ("snapshot.plan", "checkpoint_duration_ms calc_crc32_duration_ms"),
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
        ("mux", "num_connections_handled num_unregistered_handlers num_tls_cert_fetched"),
        (
            "cdc.service",
            """
            num_events_tx_ok num_events_tx_failed retries dropped_failed_to_send num_bytes_tx \
            snapshot_sync batcher_writes batcher_events_write batcher_reads batcher_write_ignored \
            fifo_enqueue_ignored fifo_size hwm_ignored
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
    ]

    private static func missing(_ names: String, in document: Any?) -> [String] {
        let members = document as? [String: Any] ?? [:]
        return names.split(separator: " ").map { String($0) }.filter { members[$0] == nil }
    }

    @Test func `Every key that rqlite's documents have is there`() async throws {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        let client = cluster.nodes[0].client
        try await cluster.nodes[0].waitUntilReady()
        let status = try JSONSerialization.jsonObject(with: try await client.get("/status").body)
        for (path, names) in Self.status {
            var document: Any? = status
            for name in path.split(separator: ".") {
                document = (document as? [String: Any])?[String(name)]
            }
            #expect(Self.missing(names, in: document) == [], "/status \(path)")
        }
        let variables = try JSONSerialization.jsonObject(
            with: try await client.get("/debug/vars").body)
        #expect(Self.missing("cmdline memstats", in: variables) == [])
        for (module, names) in Self.variables {
            let document = (variables as? [String: Any])?[module]
            #expect(Self.missing(names, in: document) == [], "/debug/vars \(module)")
        }
    }

    @Test func `The time of the last copy and the origin of pages are there once there are any`()
        async throws
    {
        let cluster = try TestCluster.joined(2, arguments: ["-http-allow-origin", "*"])
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        func time(_ node: Daemon) async throws -> String? {
            try await node.client.get("/status").json()["last_backup_time"].string
        }
        #expect(try await time(follower) == nil)
        #expect(try await follower.client.get("/db/backup").status == 200)
        let told = try #require(try await time(follower))
        #expect(told.hasPrefix("20"))
        #expect(try await time(leader) == nil)
        let http = try await leader.client.get("/status").json()["http"]
        #expect(http["allow_origin"].string == "*")
    }

    @Test func `The status tells what flags decided, and where log and database stand`()
        async throws
    {
        let cluster = try TestCluster.joined(
            1,
            arguments: [
                "-compress-snap-transport", "-raft-log-level", "INFO", "-raft-commit-timeout",
                "20ms",
            ])
        defer { cluster.stop() }
        try cluster.start()
        let client = cluster.nodes[0].client
        try await cluster.nodes[0].waitUntilReady()
        _ = try await client.execute(["CREATE TABLE t(v)"])
        #expect(try await client.send("POST", "/snapshot").status == 200)
        let store = try await eventually("the portrait shows the snapshot") {
            let store = try await client.get("/status").json()["store"]
            return (store["raft"]["last_snapshot_term"].int ?? 0) > 0 ? store : nil
        }
        let raft = store["raft"]
        #expect(store["commit_timeout"].string == "20ms")
        #expect(raft["config"]["CommitTimeout"].int == 20_000_000)
        #expect(raft["config"]["LogLevel"].string == "INFO")
        #expect(raft["config"]["MaxAppendEntries"].int == 4096)
        #expect(raft["transport"]["compress_snap"].bool == true)
        #expect(raft["last_snapshot_term"].int == raft["term"].int)
        #expect(store["fsm_term"].int == raft["term"].int)
        for name in ["fsm_update_time", "leader_appended_at_time"] {
            #expect(store[name].string?.hasPrefix("20") == true, "\(name) \(store[name])")
        }
        let memory = store["sqlite3"]["mem_stats"]
        #expect(memory["cache_size"].int ?? 0 != 0)
        #expect((memory["max_page_count"].int ?? 0) >= (memory["page_count"].int ?? 0))
    }

    @Test func `What other nodes ask of a leader is counted under rqlite's names`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        _ = try await follower.client.execute(["CREATE TABLE t(v)"])
        _ = try await follower.client.execute(["SELECT 1"], endpoint: "request")
        #expect(try await follower.client.rows("SELECT v FROM t", level: "weak").isEmpty)
        _ = try await follower.client.get("/db/backup")
        let counted = try await leader.client.get("/debug/vars?key=cluster").json()["cluster"]
        for name in ["execute", "request", "query", "backup"] {
            #expect(counted["num_\(name)_req"].int == 1, "\(name)")
        }
        #expect(counted["num_load_req"].int == 0)
        let sent = try await follower.client.get("/debug/vars?key=proxy").json()["proxy"]
        for name in ["executions", "requests", "queries", "backups"] {
            #expect(sent["remote_\(name)"].int == 1, "\(name)")
        }
        #expect(sent["remote_executions_failed"].int == 0)
        let store = try await follower.client.get("/debug/vars?key=store").json()["store"]
        #expect((store["leader_changes_observed"].int ?? 0) > 0)
        var (hellos, notices) = (0, 0)
        for node in cluster.nodes {
            let asked = try await node.client.get("/debug/vars?key=cluster").json()["cluster"]
            hellos += asked["num_get_node_api_resp"].int ?? 0
            notices += asked["num_notify_req"].int ?? 0
        }
        #expect(hellos > 0)
        #expect(notices > 0)
    }

    @Test func `A snapshot shortens the log of the node that is asked, once`() async throws {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        let client = cluster.nodes[0].client
        try await cluster.nodes[0].waitUntilReady()
        _ = try await client.execute(["CREATE TABLE t(v)"])
        for value in 0..<20 { _ = try await client.execute([["INSERT INTO t VALUES(?)", value]]) }
        let first = try await client.send("POST", "/snapshot?trailing_logs=3")
        #expect(first.status == 200)
        #expect(first.body.isEmpty)
        let index = try await client.get("/status").json()["store"]
        #expect(index["checkpointed_index"].int == index["db_applied_index"].int)
        let counted = try await client.get("/debug/vars?key=store").json()["store"]
        #expect((counted["num_snapshots"].int ?? 0) > 0)
        let second = try await client.send("POST", "/snapshot")
        #expect(second.status == 204)
        #expect(second.headers["Content-Length"] == nil)
        #expect(try await client.rows("SELECT count(*) FROM t", level: "strong")[0][0].int == 20)
        cluster.nodes[0].kill()
        try cluster.start()
        try await cluster.nodes[0].waitUntilReady()
        #expect(try await client.rows("SELECT count(*) FROM t", level: "strong")[0][0].int == 20)
        let reaped = try await client.send("POST", "/reap")
        #expect(reaped.text == "{\"snapshots_reaped\":0,\"wals_checkpointed\":0}\n")
        let licenses = try await client.get("/licenses").text
        #expect(licenses.hasPrefix("rqlited\n") && licenses.contains("MIT License"))
    }
}
