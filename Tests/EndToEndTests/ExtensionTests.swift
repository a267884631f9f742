import Foundation
import JSON
import Testing

/// `-extensions-path` on real nodes.
@Suite(.serialized, .enabled(if: ExtensionFile.hindrance == nil))
struct ExtensionTests {
    private func errors(_ statements: [String], at node: Daemon) async throws -> [String] {
        let answer = try await node.client.execute(statements)
        return (answer["results"].array ?? []).map { $0["error"].string ?? "" }
    }

    private func value(_ sql: String, at node: Daemon, level: String = "none") async throws -> Int?
    {
        try await node.client.rows(sql, level: level)[0][0].int
    }

    /// Waits until each node's own rows are these.
    private func expect(
        _ sum: Int, of sql: String, at nodes: [Daemon]
    ) async throws {
        for node in nodes {
            try await eventually("node \(node.id) has the rows", within: .seconds(60)) {
                try await value(sql, at: node) == sum ? true : nil
            }
        }
    }

    @Test func `What an extension has is used where nodes agree on it, and in reads elsewhere`()
        async throws
    {
        let file = try ExtensionFile()
        let cluster = try TestCluster.joined(3, arguments: ["-extensions-path", file.path])
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })

        // Deterministic: everywhere.
        #expect(
            try await errors(
                [
                    "CREATE TABLE t(a, b AS (twice(a)) STORED, c DEFAULT (twice(5)), CHECK(twice(a) < 1000))",
                    "CREATE INDEX ta ON t(twice(a))", "CREATE INDEX tc ON t(c COLLATE backwards)",
                    "INSERT INTO t(a) VALUES(twice(3))", "INSERT INTO t(a) VALUES(600)",
                    "INSERT INTO t(a, c) SELECT 1, 'x' WHERE 'abc' REGEXP 'b'",
                    "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET c = twice(c); END",
                ], at: follower)
                == ["", "", "", "", "CHECK constraint failed: twice(a) < 1000", "", ""])
        try await expect(14, of: "SELECT sum(b) FROM t", at: cluster.nodes)

        // What doesn't say that it is: in reads that go round the log.
        for level in ["none", "weak", "linearizable"] {
            #expect(
                try await value("SELECT moody() IS NOT NULL", at: follower, level: level) == 1)
        }
        #expect(try await value("SELECT sum(n) FROM digits", at: follower) == 3)
        let refused =
            "moody() is not supported in a write, nor at level strong: its extension doesn't say that it is "
            + "deterministic"
        #expect(
            try await errors(
                [
                    "INSERT INTO t(a) VALUES(moody())", "INSERT INTO t(a) SELECT \"MOODY\"()",
                    "UPDATE t SET a = a WHERE moody() > 0", "CREATE TABLE u(a DEFAULT (moody()))",
                    "CREATE VIEW v AS SELECT moody() AS m",
                    "CREATE TABLE u AS SELECT moody()",
                    "CREATE TRIGGER h AFTER INSERT ON t BEGIN UPDATE t SET a = moody(); END",
                ], at: follower) == Array(repeating: refused, count: 7))
        #expect(
            try await errors(
                [
                    "INSERT INTO t(a) SELECT n FROM digits",
                    "CREATE VIRTUAL TABLE w USING digits",
                    "SELECT load_extension('\(file.path)')",
                ], at: follower)
                == ["no such table: digits", "no such module: digits", "not authorized"])
        // In place of the daemon's own functions nothing comes.
        #expect(
            try await errors(["INSERT INTO t(a) VALUES(random() % 7 <> 42)"], at: leader) == [""])
        #expect(try await value("SELECT glob('a*', 'abc')", at: leader) == 1)

        let status = try await follower.client.get("/status?key=extensions").json()
        #expect(status["names"][0].string == "sums.so")
        let store = try await follower.client.get("/status").json()["store"]
        #expect(store["sqlite3"]["extensions"][0].string == "sums.so")
        #expect(follower.log.contains("loaded extensions: sums.so"))
    }

    @Test func `Snapshots, restarts, copies and loads find the functions that a schema uses`()
        async throws
    {
        let file = try ExtensionFile()
        let arguments = ["-extensions-path", file.folder, "-raft-snap", "20"]
        var cluster = try TestCluster.joined(3, arguments: arguments)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute([
            "CREATE TABLE t(a CHECK(twice(a) < 100000), b AS (twice(a)))",
            "CREATE INDEX tb ON t(twice(a) COLLATE backwards)",
        ])
        for number in 1...200 {
            _ = try await leader.client.execute(["INSERT INTO t(a) VALUES(\(number))"])
        }
        let directory = try TestDirectory()
        let late = try cluster.another("4", in: directory, arguments)
        cluster.nodes.append(late)
        try late.start()
        try await late.waitUntilReady(within: .seconds(60))
        try await expect(40_200, of: "SELECT sum(b) FROM t", at: cluster.nodes)

        for node in cluster.nodes {
            #expect(try await node.terminate() == 0)
            try node.start()
            try await node.waitUntilReady(within: .seconds(60))
        }
        let now = try await cluster.waitForAgreement(within: .seconds(60))
        _ = try await now.client.execute(["INSERT INTO t(a) VALUES(400)"])
        try await expect(41_000, of: "SELECT sum(b) FROM t", at: cluster.nodes)

        for form in ["", "?vacuum", "?fmt=delete", "?fmt=sql"] {
            let copy = try await now.client.get("/db/backup\(form)")
            #expect(copy.status == 200)
            if form == "?fmt=sql" { _ = try await now.client.execute(["DROP TABLE t"]) }
            let load = try await now.client.send("POST", "/db/load", body: copy.body)
            #expect(load.status == 200 && !load.text.contains("error"), "\(form): \(load.text)")
            try await expect(41_000, of: "SELECT sum(b) FROM t", at: cluster.nodes)
        }
        #expect(
            try await now.client.rows("PRAGMA integrity_check")[0][0].string == "ok")
    }

    @Test func `A copy with an index over an extension's function is restored at a first start`()
        async throws
    {
        let file = try ExtensionFile()
        let cluster = try TestCluster.joined(1, arguments: ["-extensions-path", file.path])
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        #expect(
            try await errors(
                [
                    "CREATE TABLE t(a)", "CREATE INDEX i ON t(twice(a))",
                    "INSERT INTO t VALUES(1), (20)",
                ], at: node) == ["", "", ""])
        let copy = try await node.client.get("/db/backup")
        #expect(try await node.terminate() == 0)

        let directory = try TestDirectory()
        try copy.body.write(to: URL(filePath: "\(directory.path)/copy"))
        let restore = try directory.write(
            "restore.json",
            StorageConfiguration.of(
                "file", [.init("dir", .string(directory.path)), .init("name", "copy")]))
        let other = try TestCluster.joined(
            1, arguments: ["-extensions-path", file.path, "-auto-restore", restore])
        defer { other.stop() }
        try other.start()
        let restored = other.nodes[0]
        try await restored.waitUntilReady()
        #expect(
            try await value("SELECT a FROM t INDEXED BY i WHERE twice(a) = 40", at: restored) == 20)

        // Another process at its directory takes nothing away.
        let pending = restored.dataDirectory + "/auto-restore"
        try Data("kept".utf8).write(to: URL(filePath: pending))
        let ports = try freePorts(2)
        let intruder = Daemon(
            id: restored.id, httpPort: ports[0], raftPort: ports[1],
            directory: URL(filePath: restored.dataDirectory).deletingLastPathComponent().path,
            arguments: ["-extensions-path", file.path, "-auto-restore", restore])
        try intruder.start()
        #expect(try await intruder.waitForExit() == 1)
        #expect(FileManager.default.contents(atPath: pending) == Data("kept".utf8))
    }

    @Test func `Who has other extensions can't join, and a member that has them raises an alarm`()
        async throws
    {
        let file = try ExtensionFile()
        let other = try ExtensionFile(answer: 3)
        let cluster = try TestCluster.joined(1, arguments: ["-extensions-path", file.path])
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        let directory = try TestDirectory()
        for (id, arguments) in [("2", []), ("3", ["-extensions-path", other.path])] {
            let joiner = try cluster.another(
                id, in: directory, ["-join-interval", "1s", "-join-attempts", "2"] + arguments)
            try joiner.start()
            #expect(try await joiner.waitForExit(within: .seconds(60)) != 0)
            #expect(joiner.log.contains("node \(id) has other SQLite extensions than the cluster"))
            #expect(joiner.log.contains("Give it the same files by -extensions-path"))
            #expect(joiner.log.contains("here sums.so:"))
        }
        let same = try cluster.another("4", in: directory, ["-extensions-path", file.folder])
        defer { same.kill() }
        try same.start()
        try await same.waitUntilReady()
        #expect(try await same.terminate() == 0)

        let changed = Daemon(
            id: "4", httpPort: same.httpPort, raftPort: same.raftPort, directory: directory.path,
            arguments: ["-extensions-path", other.path])
        defer { changed.kill() }
        try changed.start()
        try await changed.waitUntilReady(within: .seconds(60))
        try await eventually("the alarm is there", within: .seconds(60)) {
            let text = try await node.client.get("/status").text
            return text.contains("SQLite extensions there: sums.so:") ? true : nil
        }
    }

    @Test func `What a schema calls since before its extension came is refused when it is used`()
        async throws
    {
        let file = try ExtensionFile()
        let bare = try TestCluster.joined(1)
        try bare.start()
        try await bare.nodes[0].waitUntilReady()
        #expect(
            try await errors(
                [
                    "CREATE TABLE t(a, b DEFAULT (moody()))",
                    "CREATE VIEW v AS SELECT moody() AS m",
                    "CREATE TABLE u(a)",
                    "CREATE TRIGGER g AFTER INSERT ON u BEGIN INSERT INTO t VALUES(new.a, moody()); END",
                ], at: bare.nodes[0]) == ["", "", "", ""])
        #expect(try await bare.nodes[0].terminate() == 0)
        let cluster = bare.with { _ in ["-extensions-path", file.path] }
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        for sql in [
            "INSERT INTO t(a) VALUES(1)", "INSERT INTO t SELECT 1, m FROM v",
            "INSERT INTO u VALUES(1)",
        ] {
            let error = try await errors([sql], at: node)[0]
            #expect(error.hasPrefix("moody() is not supported in a write"), "\(sql): \(error)")
        }
        #expect(try await value("SELECT m IS NOT NULL FROM v", at: node) == 1)
        #expect(try await value("SELECT count(*) FROM t", at: node) == 0)
    }

    @Test func `Nodes with other extensions found no cluster together`() async throws {
        let file = try ExtensionFile()
        let cluster = try TestCluster.joined(2)
        let joined = cluster.nodes.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        let both = cluster.with { position in
            ["-bootstrap-expect", "2", "-join", joined, "-bootstrap-expect-timeout", "8s"]
                + (position == 0 ? ["-extensions-path", file.path] : [])
        }
        defer { both.stop() }
        try both.start()
        for node in both.nodes {
            #expect(try await node.waitForExit(within: .seconds(60)) != 0)
            #expect(node.log.contains("it has other SQLite extensions"), "\(node.log)")
        }
    }

    @Test func `Archives and several paths are taken together, in the order of their names`()
        async throws
    {
        let first = try ExtensionFile("b.so")
        let second = try ExtensionFile("a.so", answer: 7)
        let directory = try TestDirectory()
        let tar = "\(directory.path)/all.tar.gz"
        try run("tar", "-C", first.folder, "-czf", tar, "./b.so")
        let zip = "\(directory.path)/all.zip"
        try run(
            "python3", "-c",
            "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED).write("
                + "sys.argv[2], '../../deep/a.so')", zip, second.path)
        let cluster = try TestCluster.joined(1, arguments: ["-extensions-path", "\(tar),\(zip)"])
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        #expect(node.log.contains("loaded extensions: a.so, b.so"))
        // The later one counts.
        #expect(try await value("SELECT twice(1)", at: node) == 2)
        #expect(try await node.terminate() == 0)
        // Gone with the flag.
        let without = cluster.with { _ in [] }
        try without.start()
        defer { without.stop() }
        try await without.nodes[0].waitUntilReady()
        #expect(
            try await without.nodes[0].client.get("/status?key=extensions").json()["names"].array?
                .isEmpty == true)
    }

    @Test func `What can't be loaded ends the start, and is named`() async throws {
        let directory = try TestDirectory()
        let text = "\(directory.path)/notes.txt"
        try Data("no shared object".utf8).write(to: URL(fileURLWithPath: text))
        for (path, words) in [
            (
                "\(directory.path)/nowhere",
                "extension path does not exist: \(directory.path)/nowhere"
            ),
            (text, "notes.txt: file too short"),
            ("\(text),\(text)", "two SQLite extensions are called"),
            ("\(text),", "extension path does not exist"),
        ] {
            let cluster = try TestCluster.joined(1, arguments: ["-extensions-path", path])
            try cluster.start()
            defer { cluster.stop() }
            #expect(try await cluster.nodes[0].waitForExit(within: .seconds(30)) == 1)
            #expect(cluster.nodes[0].log.contains(words), "\(cluster.logs)")
        }
    }
}
