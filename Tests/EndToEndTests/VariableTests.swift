import Testing

/// What `/debug/vars` counts under rqlite's names: where the thing exists here, as often as it happened.
@Suite(.serialized) struct VariableTests {
    private func variables(_ node: Daemon, _ module: String) async throws -> JSON {
        try await node.client.get("/debug/vars?key=\(module)").json()[module]
    }

    @Test func `Statements are counted on each node that runs them`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let before = try await variables(leader, "db")
        _ = try await leader.client.execute([
            "CREATE TABLE t(v UNIQUE)", "INSERT INTO t VALUES(1)", "INSERT INTO t VALUES(1)",
            "INSERT INTO t VALUES(2) RETURNING v",
        ])
        _ = try await leader.client.rows("SELECT v FROM t", level: "none")
        let after = try await variables(leader, "db")
        func more(_ name: String) -> Int { (after[name].int ?? 0) - (before[name].int ?? 0) }
        #expect(more("executions") == 4)
        #expect(more("execution_errors") == 1)
        #expect(more("executions_force_queries") == 1)
        #expect(more("queries") > 0)
        let (encoded, store) = (
            try await variables(leader, "proto"), try await variables(leader, "store")
        )
        let entries = try #require(encoded["num_requests"].int)
        #expect(entries > 0)
        #expect(encoded["num_uncompressed_requests"].int == entries)
        #expect((encoded["num_uncompressed_bytes"].int ?? 0) > entries)
        #expect(encoded["num_compressed_requests"].int == 0)
        #expect((store["num_uncompressed_commands"].int ?? 0) >= entries)
        for follower in cluster.nodes where follower.id != leader.id {
            try await eventually("the follower has run the statements") {
                let counted = try await variables(follower, "db")
                return counted["executions"].int == 4 && counted["execution_errors"].int == 1
                    ? true : nil
            }
        }
    }

    @Test func `A leader counts how often it asked whether it leads, and who fell silent`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        try await eventually("the read is counted") {
            _ = try await leader.client.rows("SELECT 1", level: "linearizable")
            let store = try await variables(leader, "store")
            return (store["num_verify_leader"].int ?? 0) > 0 ? true : nil
        }
        let before = try await variables(leader, "store")["failed_heartbeat_observed"].int ?? 0
        try #require(cluster.nodes.first { $0.id != leader.id }).kill()
        try await eventually("its silence is counted") {
            let store = try await variables(leader, "store")
            return store["failed_heartbeat_observed"].int ?? 0 > before ? true : nil
        }
    }

    @Test func `Connections of nodes are counted, and looks at rights where everybody has all`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement()
        for node in cluster.nodes {
            let mux = try await variables(node, "mux")
            #expect((mux["num_connections_handled"].int ?? 0) > 0)
            #expect(mux["num_tls_cert_fetched"].int == 0)
            #expect(mux["num_unregistered_handlers"].int == 0)
            let http = try await variables(node, "http")
            #expect((http["auth_ok"].int ?? 0) > 0)
            #expect(http["auth_fail"].int == 0)
            #expect(try await variables(node, "cluster")["num_conn_rejected"].int == 0)
        }
        let node = cluster.nodes[0]
        let before = try await variables(node, "cluster")["num_get_node_api_req_local"].int ?? 0
        #expect(try await node.client.get("/nodes").status == 200)
        try await eventually("it told who it is without the network") {
            let told = try await variables(node, "cluster")["num_get_node_api_req_local"].int ?? 0
            return told > before ? true : nil
        }
    }

    @Test func `Checkpoints are counted, also those that the size of SQLite's log brought about`()
        async throws
    {
        let cluster = try TestCluster.joined(1, arguments: ["-raft-snap-wal-size", "65536"])
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(v)"])
        try await eventually("a checkpoint comes by itself") {
            _ = try await node.client.execute(["INSERT INTO t VALUES(zeroblob(200000))"])
            let counted = try await variables(node, "store")["num_wal_snapshots"].int ?? 0
            return counted > 0 ? true : nil
        }
        _ = try await node.client.send("POST", "/snapshot")
        let (database, store) = (
            try await variables(node, "db"), try await variables(node, "store")
        )
        let made = try #require(store["num_snapshots"].int)
        #expect(made > 0)
        #expect(store["num_snapshots_incremental"].int == made)
        #expect(store["num_snapshots_failed"].int == 0)
        #expect(database["checkpoints"].int == made)
        #expect((database["checkpoint_total"].int ?? 0) >= made)
        #expect((database["checkpointed_moves"].int ?? 0) > 40)
        #expect((store["fsm_apply_duration_us"].int ?? 0) > 0)
        #expect(store["num_db_stats_errors"].int == 0)
    }
}
