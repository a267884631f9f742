import Foundation
import Testing

/// `-compress-snap-transport`: a node that joins late, or whose disk was lost, gets its snapshot packed.
@Suite(.serialized) struct PackedSnapshotTests {
    /// Logs that are compacted soon, so that nobody catches up by entries.
    private static let compacting = [
        "-raft-snap", "16", "-raft-snap-int", "10ms", "-raft-snap-wal-size", "65536",
    ]
    private static let flag = ["-compress-snap-transport"]
    private static let rows = 120

    /// What went between nodes, as the files have it, and on the wire.
    private struct Shipped {
        var file = 0
        var wire = 0

        /// - Parameter direction: `sent` or `received`, by this node since its start.
        init(_ node: Daemon, _ direction: String) async throws {
            let page = try await node.client.get("/metrics").text
            func value(_ name: String) throws -> Int {
                let start = "rqlited_files_shipped_\(name)_total{direction=\"\(direction)\"} "
                let line = try #require(page.split(separator: "\n").first { $0.hasPrefix(start) })
                return try #require(Int(line.dropFirst(start.count)))
            }
            file = try value("bytes")
            wire = try value("wire_bytes")
        }
    }

    /// The leader alone packs or does not: whoever receives takes both.
    private func cluster(isPacking: Bool) async throws -> (TestCluster, Daemon) {
        let cluster = try TestCluster.joined(
            1, arguments: Self.compacting + (isPacking ? Self.flag : []))
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        try await fill(leader)
        return (cluster, leader)
    }

    private func fill(_ leader: Daemon) async throws {
        _ = try await leader.client.execute(["CREATE TABLE t(v, pad)"])
        for value in 0..<Self.rows {
            // Text that packs well, and is another in each row.
            let pad = String(repeating: "row \(value) of many; ", count: 1500)
            _ = try await leader.client.execute([["INSERT INTO t VALUES(?, ?)", value, pad]])
        }
    }

    /// All of a database, as text.
    private func dump(_ node: Daemon) async throws -> String {
        try await node.client.get("/db/backup?fmt=sql&noleader").text
    }

    private func expectSame(_ node: Daemon, _ leader: Daemon) async throws {
        try await expectSame(rows: node, leader)
        #expect(node.log.contains("snapshot installed"), "\(node.log.suffix(2000))")
    }

    private func expectSame(rows node: Daemon, _ leader: Daemon) async throws {
        try await eventually("node \(node.id) has all rows", within: .seconds(40)) {
            let rows = try await node.client.rows("SELECT count(*) FROM t", level: "none")
            return rows[0][0].int == Self.rows ? true : nil
        }
        let (one, other) = (try await dump(node), try await dump(leader))
        #expect(one == other && one.contains("row \(Self.rows - 1) of many"))
    }

    @Test(.timeLimit(.minutes(5)), arguments: [true, false], [true, false])
    func `Who joins late gets the same database, packed where the sender packs`(
        senderPacks: Bool, receiverPacks: Bool
    ) async throws {
        let (cluster, leader) = try await cluster(isPacking: senderPacks)
        defer { cluster.stop() }
        let directory = try TestDirectory()
        let late = try cluster.another(
            "late", in: directory, Self.compacting + (receiverPacks ? Self.flag : []))
        defer { late.kill() }
        try late.start()
        try await late.waitUntilReady(within: .seconds(40))
        try await expectSame(late, leader)
        let counted = try await late.client.get("/debug/vars?key=store").json()["store"]
        #expect((counted["num_restores"].int ?? 0) > 0)
        #expect(counted["num_restores_failed"].int == 0)
        let sent = try await Shipped(leader, "sent")
        let received = try await Shipped(late, "received")
        #expect(sent.file >= Self.rows * 20_000, "\(sent)")
        #expect(received.file >= Self.rows * 20_000 && received.file <= sent.file, "\(received)")
        if senderPacks {
            #expect(sent.wire * 4 < sent.file, "\(sent)")
            #expect(received.wire * 4 < received.file, "\(received)")
        } else {
            #expect(sent.wire == sent.file && received.wire == received.file, "\(sent) \(received)")
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `A node whose disk was lost gets it packed, in a cluster of which some have the flag`()
        async throws
    {
        var cluster = try TestCluster.joined(3, arguments: Self.compacting)
        let arguments = cluster.nodes.map(\.arguments)
        cluster = cluster.with { arguments[$0] + ($0 < 2 ? Self.flag : []) }
        defer { cluster.stop() }
        try cluster.start()
        var leader = try await cluster.waitForAgreement()
        if leader.id == "3" {
            // One that has the flag is to lead.
            _ = try await leader.client.send("POST", "/leader", body: Data(#"{"id":"1"}"#.utf8))
            leader = try await eventually("node 1 leads") {
                let next = try await cluster.waitForAgreement()
                return next.id == "1" ? next : nil
            }
        }
        try await fill(leader)
        let lost = try #require(cluster.nodes.last { $0.id != leader.id })
        lost.kill()
        try FileManager.default.removeItem(atPath: lost.dataDirectory)
        try lost.start()
        try await lost.waitUntilReady(within: .seconds(40))
        try await expectSame(lost, leader)
        let received = try await Shipped(lost, "received")
        #expect(received.file >= Self.rows * 20_000, "\(received)")
        #expect(received.wire * 4 < received.file, "\(received)")
        for node in cluster.nodes { try await expectSame(rows: node, leader) }
    }
}
