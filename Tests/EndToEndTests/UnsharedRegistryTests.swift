import Testing

/// A registry that each node has for itself: all are ready, in clusters of one, and somebody must say so.
@Suite struct UnsharedRegistryTests {
    @Test func `A registry that shows other processes nothing raises an alarm, one that does none`()
        async throws
    {
        for isShared in [false, true] {
            let registry = try DirectoryRegistry(isShared: isShared)
            let cluster = try TestCluster(at: try DiscoveryMode.Place.onLoopback(1)) { _ in
                registry.arguments()
            }
            defer { cluster.stop() }
            try cluster.start()
            let node = cluster.nodes[0]
            try await node.waitUntilReady()
            if isShared {
                try await eventually("another process has looked", within: .seconds(60)) {
                    let metrics = try await node.client.get("/debug/vars").json()["disco"]
                    return metrics["registry_comparisons"].int ?? 0 > 0 ? true : nil
                }
                let disco = try await node.client.get("/status").json()["disco"]
                #expect(disco["alarms"].array?.isEmpty == true, "\(disco)")
            } else {
                // The status is told at the end of the turn that logs it.
                try await eventually("the alarm", within: .seconds(60)) {
                    let disco = try await node.client.get("/status").json()["disco"]
                    let alarms = disco["alarms"].array?.compactMap(\.string) ?? []
                    return alarms.contains { $0.contains("shows another process") } ? true : nil
                }
                #expect(node.log.contains("the registry shows another process"))
            }
            #expect(try await node.client.get("/readyz").status == 200)
        }
    }

    @Test func `Nodes that know each other, each with a registry of its own, raise an alarm`()
        async throws
    {
        // They meet without a registry, and are given one that is another for each.
        let three = try TestCluster.joined(3)
        defer { three.stop() }
        try three.start()
        try await three.waitForAgreement()
        three.stop()
        let registries = try (0..<3).map { _ in try DirectoryRegistry() }
        let cluster = three.with { registries[$0].arguments() }
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        for node in cluster.nodes where node.id != leader.id {
            try await eventually("node \(node.id) raises the alarm", within: .seconds(60)) {
                let status = try await node.client.get("/status").json()
                let alarms = status["disco"]["alarms"].array?.compactMap(\.string) ?? []
                return alarms.contains { $0.contains("don't use one registry") } ? true : nil
            }
            #expect(try await node.client.get("/readyz").status == 200)
        }
    }
}
