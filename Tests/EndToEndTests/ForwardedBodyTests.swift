import Foundation
import Testing

/// Large requests that a follower sends on to the leader in parts, beside small ones.
@Suite(.serialized) struct ForwardedBodyTests {
    private static let size = 4 << 20

    /// Writes one large row through a node.
    /// - Returns: whether it was acknowledged.
    private func write(_ number: Int, through node: Daemon) async -> Bool {
        let value = String(repeating: "x", count: Self.size)
        let result = try? await node.client.execute(
            [["INSERT INTO b VALUES(?, ?)", number, value]], parameters: "?timeout=60s",
            timeout: .seconds(90))
        return result?["results"][0]["rows_affected"].int == 1
    }

    @Test func `Small writes go on beside large ones, and so does the cluster without its leader`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        _ = try await leader.client.execute([
            "CREATE TABLE b(n INTEGER PRIMARY KEY, x)", "CREATE TABLE w(a)",
        ])
        var acknowledged: Set<Int> = []
        await withTaskGroup(of: (Int, Bool).self) { group in
            for number in 0..<6 {
                group.addTask { (number, await write(number, through: follower)) }
            }
            var slowest = Duration.zero
            for _ in 0..<20 {
                let start = ContinuousClock.now
                let result = try? await follower.client.execute(["INSERT INTO w VALUES(1)"])
                #expect(result?["results"][0]["rows_affected"].int == 1)
                slowest = max(slowest, .now - start)
            }
            #expect(slowest < .seconds(20))
            for await (number, isWritten) in group where isWritten { acknowledged.insert(number) }
        }
        #expect(acknowledged == Set(0..<6))
        // Nobody waits for this one.
        try leave(follower)
        // Whatever is half on its way to the leader now is no loss: it goes to the next one.
        await withTaskGroup(of: (Int, Bool).self) { group in
            for number in 10..<16 {
                group.addTask { (number, await write(number, through: follower)) }
            }
            leader.kill()
            for await (number, isWritten) in group where isWritten { acknowledged.insert(number) }
        }
        #expect(await write(20, through: follower))
        acknowledged.insert(20)
        let rows = try await follower.client.rows(
            "SELECT n, length(x) FROM b", level: "linearizable")
        let found = Set(rows.compactMap { $0[0].int })
        #expect(acknowledged.isSubset(of: found), "\(acknowledged.subtracting(found)) are lost")
        #expect(rows.allSatisfy { $0[1].int == Self.size })
        let footprint = try Footprint(follower)
        #expect(footprint.residentMegabytes < 1000, "\(footprint)")
    }

    private func leave(_ node: Daemon) throws {
        let value = String(repeating: "y", count: Self.size)
        let body = "[[\"INSERT INTO b VALUES(99, ?)\", \"\(value)\"]]"
        let wire = try HTTPWire(host: node.host, port: node.httpPort, timeout: 60)
        try wire.sendRaw(
            "POST /db/execute HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                + body)
    }
}
