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
        for follower in cluster.nodes where follower.id != leader.id {
            try await eventually("the follower has run the statements") {
                let counted = try await variables(follower, "db")
                return counted["executions"].int == 4 && counted["execution_errors"].int == 1
                    ? true : nil
            }
        }
    }
}
