import Foundation
import Testing

/// Nodes whose databases differ from the others', because bytes changed that nobody wrote.
@Suite(.serialized) struct DivergenceTests {
    private static let quick = [
        "-checksums-interval", "200ms", "-scrub-interval", "1s", "-raft-snap", "16",
        "-raft-snap-int", "10ms", "-raft-snap-wal-size", "4096",
    ]

    private func filled(_ arguments: [String] = []) async throws -> (TestCluster, Daemon) {
        let cluster = try TestCluster.joined(3, arguments: Self.quick + arguments)
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"])
        for first in stride(from: 0, to: 2_000, by: 100) {
            let rows = (first..<first + 100).map { "(\($0), 'value-\($0)-of-this-row')" }
            _ = try await leader.client.execute([
                "INSERT INTO t VALUES \(rows.joined(separator: ", "))"
            ])
        }
        return (cluster, leader)
    }

    /// Changes bytes of a row in the file of a node that runs.
    private func change(_ node: Daemon, _ text: String, to other: String) async throws {
        try await eventually("the row of node \(node.id) is in its file") { () -> Bool? in
            let path = try #require(try databases(of: node).last)
            let file = try #require(FileHandle(forUpdatingAtPath: path))
            defer { file.closeFile() }
            // Pages keep remains of rows that have moved to others: all of them are changed.
            let bytes = file.readDataToEndOfFile()
            var from = bytes.startIndex
            while let place = bytes.range(of: Data(text.utf8), in: from..<bytes.endIndex) {
                file.seek(toFileOffset: UInt64(place.lowerBound))
                file.write(Data(other.utf8))
                from = place.upperBound
            }
            guard from > bytes.startIndex else { return nil }
            return true
        }
    }

    private func databases(of node: Daemon) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: node.dataDirectory)
            .filter { $0.hasSuffix(".sqlite") && !$0.hasPrefix("incoming") }.sorted()
            .map { node.dataDirectory + "/" + $0 }
    }

    private func quarantine(of node: Daemon) async throws -> String? {
        try await node.client.get("/status").json()["store"]["quarantine"].string
    }

    @Test(arguments: ["the header", "the daemon's table", "all of it"])
    func `A node whose database can't be opened at a start is seeded by the others`(what: String)
        async throws
    {
        let (cluster, leader) = try await filled()
        defer { cluster.stop() }
        let victim = try #require(cluster.nodes.first { $0.id != leader.id })
        #expect(try await victim.terminate() == 0)
        let path = try #require(try databases(of: victim).last)
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        switch what {
        case "the header": file.write(Data(repeating: 0x5A, count: 100))
        case "the daemon's table":
            file.seek(toFileOffset: 4096)
            file.write(Data(repeating: 0x5A, count: 4096))
            // It may hold the page, too.
            try Data().write(to: URL(fileURLWithPath: path + "-wal"))
        default: file.truncateFile(atOffset: 0)
        }
        file.closeFile()
        try victim.start()
        try await victim.waitUntilReady(within: .seconds(60))
        #expect(victim.log.contains("the database is damaged"), "\(victim.log.suffix(2000))")
        #expect(victim.log.contains("this node's database was replaced"))
        try await eventually("the node has all rows") {
            let rows = try await victim.client.rows("SELECT count(*) FROM t", level: "none")
            return rows[0][0].int == 2_000 ? true : nil
        }
        // What was damaged is kept for whoever wants to look at it.
        let names = try FileManager.default.contentsOfDirectory(atPath: victim.dataDirectory)
        #expect(names.contains { $0.hasPrefix("damaged-") }, "\(names)")
        _ = try await victim.client.execute(["INSERT INTO t VALUES(9999, 'after')"])
        #expect(try await victim.terminate() == 0)
        try victim.start()
        try await victim.waitUntilReady(within: .seconds(60))
        #expect(try await victim.client.rows("SELECT count(*) FROM t")[0][0].int == 2_001)
    }

    @Test func `A bit that flips in a page of a running node is found, and the node quarantined`()
        async throws
    {
        let (cluster, leader) = try await filled(["-reseed=false"])
        defer { cluster.stop() }
        let victim = try #require(cluster.nodes.first { $0.id != leader.id })
        let other = try #require(
            cluster.nodes.first { $0.id != leader.id && $0.id != victim.id })
        // 'v' and 'w' differ in one bit.
        try await change(victim, "value-1234-of", to: "walue-1234-of")
        try await eventually("the node is quarantined", within: .seconds(60)) {
            try await quarantine(of: victim)
        }
        let ready = try await victim.client.get("/readyz")
        #expect(ready.status == 503)
        #expect(ready.text.contains("majority"), "\(ready.text)")
        let read = try? await victim.client.rows("SELECT v FROM t", level: "none")
        #expect(read == nil)
        #expect(victim.log.contains("not to be trusted"))
        // The others go on.
        #expect(try await leader.client.get("/readyz").status == 200)
        #expect(try await other.client.get("/readyz").status == 200)
        let written = try await other.client.execute(["INSERT INTO t VALUES(5000, 'more')"])
        #expect(written["results"][0]["rows_affected"].int == 1)

        // A restart changes nothing about it.
        victim.kill()
        try victim.start()
        try await eventually("the node is in quarantine after its restart") {
            try await quarantine(of: victim)
        }
        try await eventually("it follows the leader") { () -> Bool? in
            let status = try await victim.client.get("/status").json()
            return status["store"]["leader"]["node_id"].string == leader.id ? true : nil
        }
        #expect(try await victim.client.get("/readyz").status == 503)

        let answer = try await victim.client.send("POST", "/cluster/reseed")
        #expect(answer.status == 200, "\(answer.text)")
        try await victim.waitUntilReady(within: .seconds(60))
        let rows = try await victim.client.rows(
            "SELECT v FROM t WHERE id = 1234", level: "none")
        #expect(rows[0][0].string == "value-1234-of-this-row")
        try await eventually("it holds what was written meanwhile") {
            try await victim.client.rows("SELECT v FROM t WHERE id = 5000", level: "none").first
        }
        #expect(try await quarantine(of: victim) == nil)
        victim.kill()
        try victim.start()
        try await victim.waitUntilReady(within: .seconds(60))
    }

    @Test func `A row that was changed behind the daemon's back is replaced by itself`()
        async throws
    {
        let (cluster, leader) = try await filled()
        defer { cluster.stop() }
        let victim = try #require(cluster.nodes.first { $0.id != leader.id })
        try await change(victim, "value-777-of-this-row", to: "a row of another tale")
        try await eventually("the node was seeded again", within: .seconds(60)) {
            victim.log.contains("it can be trusted") ? true : nil
        }
        try await victim.waitUntilReady(within: .seconds(60))
        let rows = try await victim.client.rows("SELECT v FROM t WHERE id = 777", level: "none")
        #expect(rows[0][0].string == "value-777-of-this-row")
        #expect(try await quarantine(of: victim) == nil)
    }

    @Test func `A leader whose content is the odd one hands over, and is seeded by its successor`()
        async throws
    {
        let (cluster, leader) = try await filled()
        defer { cluster.stop() }
        try await change(leader, "value-42-of-this-row", to: "value-43-of-this-row")
        try await eventually("the leader was seeded", within: .seconds(60)) {
            leader.log.contains("it can be trusted") ? true : nil
        }
        try await leader.waitUntilReady(within: .seconds(60))
        let rows = try await leader.client.rows("SELECT v FROM t WHERE id = 42", level: "none")
        #expect(rows[0][0].string == "value-42-of-this-row")
        let next = try await cluster.waitForAgreement()
        #expect(next.id != leader.id)
        let written = try await leader.client.execute(["INSERT INTO t VALUES(6000, 'more')"])
        #expect(written["results"][0]["rows_affected"].int == 1)
    }

    @Test func `A page that SQLite can't read while it applies ends no process`() async throws {
        let (cluster, leader) = try await filled(["-scrub-interval", "0"])
        defer { cluster.stop() }
        let victim = try #require(cluster.nodes.first { $0.id != leader.id })
        // A restart forgets what is in memory.
        _ = try await victim.terminate()
        let path = try #require(try databases(of: victim).last)
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        let bytes = file.readDataToEndOfFile()
        // What says which kind of page it is, wherever the row was.
        var from = bytes.startIndex
        while let place = bytes.range(of: Data("value-900-of".utf8), in: from..<bytes.endIndex) {
            file.seek(toFileOffset: UInt64(place.lowerBound / 4096 * 4096))
            file.write(Data([0x77]))
            from = place.upperBound
        }
        file.closeFile()
        try victim.start()
        try await victim.waitUntilReady(within: .seconds(60))
        _ = try await leader.client.execute(["UPDATE t SET v = 'new' WHERE id = 900"])
        try await eventually("the node was seeded again", within: .seconds(60)) {
            victim.log.contains("it can be trusted") ? true : nil
        }
        try await victim.waitUntilReady(within: .seconds(60))
        let rows = try await victim.client.rows("SELECT v FROM t WHERE id = 900", level: "none")
        #expect(rows[0][0].string == "new")
        #expect(victim.isRunning)
    }
}
