import Foundation
import JSON
import ServerTesting
import Testing

/// `-auto-backup` and `-auto-restore` against moto's S3, which verifies every signature, against a strict
/// double of Google's storage, and against directories.
@Suite(.serialized) struct SafekeepingTests {
    private let directory: TestDirectory

    init() throws { directory = try TestDirectory() }

    private static let often = [JSONValue.Member("interval", "300ms")]

    private func s3(_ server: StorageDouble, path: String = "some dir/copy+1.gz") -> [JSONValue
        .Member]
    {
        [
            .init("endpoint", .string(server.url)), .init("region", "us-east-1"),
            .init("access_key_id", server.announced["id"] ?? .null),
            .init("secret_access_key", "$RQD_TEST_SECRET"), .init("force_path_style", true),
            .init("bucket", server.announced["bucket"] ?? .null), .init("path", .string(path)),
        ]
    }

    private func environment(_ server: StorageDouble) -> [String] {
        ["env", "RQD_TEST_SECRET=\(server.announced["secret"]?.string ?? "")"]
    }

    private func gcs(_ server: StorageDouble) throws -> [JSONValue.Member] {
        let key = try directory.write("key.json", server.announced["key"] ?? .null)
        return [
            .init("endpoint", .string(server.url)), .init("project_id", "p"),
            .init("bucket", "backups"), .init("name", "dir/copy"),
            .init("credentials_path", .string(key)),
        ]
    }

    private func node(
        _ id: String, _ arguments: [String], prefix: [String] = []
    ) throws -> Daemon {
        let ports = try freePorts(2)
        return Daemon(
            id: id, httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: arguments, prefix: prefix)
    }

    private func execute(_ statements: String, on node: Daemon) async throws {
        let answer = try await node.client.send(
            "POST", "/db/execute?timeout=30s", body: Data(statements.utf8))
        #expect(answer.status == 200 && !answer.text.contains("error"), "\(answer.text)")
    }

    private func rows(_ node: Daemon) async throws -> Int? {
        let answer = try await node.client.get(
            "/db/query?level=none&q=SELECT%20count(*)%20FROM%20t")
        return try answer.json()["results"][0]["values"][0][0].int
    }

    private func count(_ name: String, of node: Daemon, in module: String = "uploader") async throws
        -> Int
    {
        try await node.client.get("/debug/vars?key=\(module)").json()[module][name].int
            ?? -1
    }

    private static let table = #"["CREATE TABLE t(a)","INSERT INTO t VALUES(1),(2),(3)"]"#

    // MARK: Start

    @Test(arguments: [SIGTERM, SIGINT])
    func `A start that waits for its download ends when it is asked to`(signal: Int32) async throws
    {
        let copy = "\(directory.path)/copy"
        try run("sqlite3", copy, "CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)")
        // Where nobody listens, which may pass by itself.
        let port = try freePorts(1)[0]
        let place: [JSONValue.Member] = [
            .init("endpoint", .string("http://127.0.0.1:\(port)")),
            .init("region", "us-east-1"), .init("access_key_id", "id"),
            .init("secret_access_key", "secret"), .init("force_path_style", true),
            .init("bucket", "b"), .init("path", "copy"),
        ]
        let timeout = [JSONValue.Member("timeout", "1h")]
        let file = try directory.write(
            "restore.json", StorageConfiguration.of("s3", place, timeout))
        let node = try node("1", ["-auto-restore", file])
        try node.start()
        try await eventually("it is at it") { node.log.contains("restoring from") ? true : nil }
        node.signal(signal)
        #expect(try await node.waitForExit() == 0)
        #expect(node.log.contains("before the start was over"), "\(node.log)")

        // The next start begins it anew.
        let local = [
            JSONValue.Member("dir", .string(directory.path)), .init("name", "copy"),
        ]
        _ = try directory.write("restore.json", StorageConfiguration.of("file", local))
        try node.start()
        try await node.waitUntilReady()
        try await eventually("the rows are there") { try await rows(node) == 2 ? true : nil }
        try await node.terminate()
    }

    // MARK: S3

    @Test
    func
        `The leader uploads to S3 what changed, nothing else, and a fresh cluster is restored from it`()
        async throws
    {
        let server = try StorageDouble(.s3)
        let backup = try directory.write(
            "backup.json", StorageConfiguration.of("s3", s3(server), Self.often))
        let one = try node("1", ["-auto-backup", backup], prefix: environment(server))
        try one.start()
        try await one.waitUntilReady()
        // An empty database takes no backup's place.
        try await eventually("it has looked") {
            try await count("num_uploads_skipped", of: one) > 1 ? true : nil
        }
        #expect(try server.objects().isEmpty)
        try await execute(Self.table, on: one)
        let first = try await eventually("a copy is there") { try server.objects().first }
        #expect(first.key == "some dir/copy+1.gz")
        let uploads = try await eventually("it is counted") {
            let number = try await count("num_uploads_ok", of: one)
            return number > 0 ? number : nil
        }
        let copies = try await count("num_provider_provides", of: one, in: "store")
        #expect(copies >= uploads)
        #expect(try await count("num_provider_checks", of: one, in: "store") >= copies)
        #expect(try await count("num_provider_provides_fail", of: one, in: "store") == 0)
        // Nothing changes: many intervals, and a restart, after which the log has moved.
        let skipped = try await count("num_uploads_skipped", of: one)
        try await eventually("intervals pass") {
            try await count("num_uploads_skipped", of: one) > skipped + 3 ? true : nil
        }
        #expect(try await count("num_uploads_ok", of: one) == uploads)
        try await one.terminate()
        try one.start()
        try await one.waitUntilReady()
        try await eventually("it has compared the content") {
            try await count("num_uploads_skipped_id", of: one) > 0 ? true : nil
        }
        #expect(try await count("num_uploads_ok", of: one) == 0)
        try await execute(#"["INSERT INTO t VALUES(4)"]"#, on: one)
        try await eventually("the change is there") {
            try server.objects().first?.metadata != first.metadata ? true : nil
        }
        // The storage has it before the node has heard so.
        let status = try await eventually("the node tells what it uploaded") {
            let status = try await one.client.get("/status?key=auto_backups").json()
            return status["last_index"].string.flatMap { Int($0) } ?? 0 > 0 ? status : nil
        }
        #expect(status["upload_interval"].string == "300ms")
        #expect(status["upload_destination"].string?.hasSuffix("some dir/copy+1.gz") == true)
        let secret = server.announced["secret"]?.string ?? "none"
        #expect(!one.log.contains(secret) && !status.description.contains(secret))
        try await one.terminate()

        let restore = try directory.write("restore.json", StorageConfiguration.of("s3", s3(server)))
        let places = try DiscoveryMode.Place.onLoopback(3)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        let cluster = try TestCluster(at: places, prefix: environment(server)) { _ in
            ["-bootstrap-expect", "3", "-join", list, "-auto-restore", restore]
        }
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement(within: .seconds(60))
        for node in cluster.nodes {
            try await eventually("node \(node.id) has the rows") {
                try await rows(node) == 4 ? true : nil
            }
        }
        var restored = 0
        var skippedRestores = 0
        for node in cluster.nodes {
            try await eventually("node \(node.id) has done with it") {
                let done = try await count("num_auto_restores", of: node, in: "store")
                let skipped = try await count("num_auto_restores_skipped", of: node, in: "store")
                return done + skipped == 1 ? true : nil
            }
            restored += try await count("num_auto_restores", of: node, in: "store")
            skippedRestores += try await count("num_auto_restores_skipped", of: node, in: "store")
        }
        #expect(restored == 1 && skippedRestores == 2, "\(cluster.logs)")
        // A second start finds data.
        try await execute(#"["INSERT INTO t VALUES(5)"]"#, on: cluster.nodes[0])
        try await cluster.nodes[0].terminate()
        try cluster.nodes[0].start()
        try await cluster.waitForAgreement(within: .seconds(60))
        #expect(cluster.nodes[0].log.contains("data already exists"))
        try await eventually("all rows") { try await rows(cluster.nodes[0]) == 5 ? true : nil }
    }

    @Test func `Uploading moves with leadership, and only a change is uploaded then`() async throws
    {
        let server = try StorageDouble(.s3)
        let backup = try directory.write(
            "backup.json", StorageConfiguration.of("s3", s3(server), Self.often))
        let places = try DiscoveryMode.Place.onLoopback(3)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        let cluster = try TestCluster(at: places, prefix: environment(server)) { _ in
            ["-bootstrap-expect", "3", "-join", list, "-auto-backup", backup]
        }
        defer { cluster.stop() }
        try cluster.start()
        let old = try await cluster.waitForAgreement(within: .seconds(60))
        try await execute(Self.table, on: old)
        let first = try await eventually("a copy is there") { try server.objects().first }
        for node in cluster.nodes where node.id != old.id {
            #expect(try await count("num_uploads_ok", of: node) == 0)
        }
        try await eventually("it is known to be there") {
            try await count("num_uploads_ok", of: old) > 0 ? true : nil
        }
        try await old.terminate()
        let new = try await cluster.waitForAgreement(within: .seconds(60))
        try await eventually("the new leader has looked") {
            let skipped = try await count("num_uploads_skipped", of: new)
            let equal = try await count("num_uploads_skipped_id", of: new)
            return skipped + equal > 0 ? true : nil
        }
        #expect(try await count("num_uploads_ok", of: new) == 0, "nothing had changed")
        try await execute(#"["INSERT INTO t VALUES(4)"]"#, on: new)
        try await eventually("the new leader's copy is there") {
            try server.objects().first?.metadata != first.metadata ? true : nil
        }
    }

    @Test func `A secret that S3 does not know fails by name, again and again, and shows nowhere`()
        async throws
    {
        let server = try StorageDouble(.s3)
        let backup = try directory.write(
            "backup.json", StorageConfiguration.of("s3", s3(server), Self.often))
        let one = try node(
            "1", ["-auto-backup", backup], prefix: ["env", "RQD_TEST_SECRET=wrong-hush"])
        try one.start()
        try await one.waitUntilReady()
        try await execute(Self.table, on: one)
        try await eventually("it has failed twice") {
            try await count("num_uploads_fail", of: one) > 1 ? true : nil
        }
        let status = try await one.client.get("/status?key=auto_backups").json()
        #expect(status["last_error"].string?.contains("SignatureDoesNotMatch") == true, "\(status)")
        #expect(!one.log.contains("hush") && !status.description.contains("hush"))
        #expect(
            one.log.split(separator: "\n").filter { $0.contains("failed to back up") }.count == 1)
        #expect(try await rows(one) == 3)
    }

    // MARK: Google

    @Test func `Google's storage takes copies, whatever fails meanwhile, and gives them back`()
        async throws
    {
        let server = try StorageDouble(.gcs)
        let backup = try directory.write(
            "backup.json", StorageConfiguration.of("gcs", try gcs(server), Self.often))
        let one = try node("1", ["-auto-backup", backup])
        try one.start()
        try await one.waitUntilReady()
        try server.control([.init("fail", 503), .init("times", 3)])
        try await execute(Self.table, on: one)
        let first = try await eventually("a copy is there", within: .seconds(30)) {
            try server.objects().first
        }
        #expect(first.key == "dir/copy")
        #expect(first.metadata["rqlite-auto-backup-id"]?.string.flatMap { Int($0) } ?? 0 > 0)
        // Tokens that are worth nothing any more are replaced.
        try server.control([.init("revoke", .null)])
        try await execute(#"["INSERT INTO t VALUES(4)"]"#, on: one)
        try await eventually("the change is there", within: .seconds(30)) {
            try server.objects().first?.metadata != first.metadata ? true : nil
        }
        #expect(try server.control([.init("tokens", .null)])["given"] == 2)
        try await one.terminate()
        try server.control([.init("fail", 503)])
        let restore = try directory.write(
            "restore.json", StorageConfiguration.of("gcs", try gcs(server)))
        let two = try node("2", ["-auto-restore", restore])
        try two.start()
        try await two.waitUntilReady(within: .seconds(40))
        #expect(try await rows(two) == 4)
        #expect(try server.control([.init("violations", .null)]) == .array([]))
    }

    // MARK: Directories, and refusals

    @Test
    func `A directory gets whole files alone, with times in their names where that is asked for`()
        async throws
    {
        let folder = "\(directory.path)/copies"
        let sub = [JSONValue.Member("dir", .string(folder)), .init("name", "db.sqlite")]
        let backup = try directory.write(
            "backup.json",
            StorageConfiguration.of(
                "file", sub,
                Self.often + [
                    .init("timestamp", true), .init("no_compress", true), .init("vacuum", true),
                ]))
        let one = try node("1", ["-auto-backup", backup])
        try one.start()
        try await one.waitUntilReady()
        try await execute(Self.table, on: one)
        let name = try await eventually("a file is there") {
            try FileManager.default.contentsOfDirectory(atPath: folder)
                .first { $0.hasSuffix("_db.sqlite") }
        }
        let check = try Program.run([
            "sqlite3", "\(folder)/\(name)", "PRAGMA integrity_check; SELECT count(*) FROM t",
        ])
        #expect(check == "ok\n3\n")
        try await one.terminate()
        let restore = try directory.write(
            "restore.json",
            StorageConfiguration.of(
                "file", [.init("dir", .string(folder)), .init("name", .string(name))]))
        let two = try node("2", ["-auto-restore", restore])
        try two.start()
        try await two.waitUntilReady()
        #expect(try await rows(two) == 3)
    }

    @Test func `An older copy that comes late gives way to the newest again`() async throws {
        let folder = "\(directory.path)/copies"
        let sub = [JSONValue.Member("dir", .string(folder)), .init("name", "db.sqlite")]
        let backup = try directory.write(
            "backup.json",
            StorageConfiguration.of("file", sub, Self.often + [.init("no_compress", true)]))
        let one = try node("1", ["-auto-backup", backup])
        try one.start()
        try await one.waitUntilReady()
        try await execute(Self.table, on: one)
        let uploads = try await eventually("a copy is there") {
            let number = try await count("num_uploads_ok", of: one)
            return number > 0 ? number : nil
        }
        let files = ["db.sqlite", "METADATA.json"].map { URL(filePath: "\(folder)/\($0)") }
        let older = try files.map { try Data(contentsOf: $0) }
        try await execute(#"["INSERT INTO t VALUES(4)"]"#, on: one)
        try await eventually("the change is there") {
            try await count("num_uploads_ok", of: one) > uploads ? true : nil
        }
        // As a node that led before does, which was held up in the middle of it.
        for (file, content) in zip(files, older) { try content.write(to: file) }
        try await eventually("the newest copy is there again") {
            try Program.run(["sqlite3", files[0].path, "SELECT count(*) FROM t"]) == "4\n"
                ? true : nil
        }
        // As a lifecycle rule does, or who moves copies away.
        try FileManager.default.removeItem(at: files[0])
        try await eventually("it is put there again, though nobody writes") {
            FileManager.default.fileExists(atPath: files[0].path) ? true : nil
        }
    }

    @Test func `What can't be restored ends the start, or is gone without where that is said`()
        async throws
    {
        let folder = "\(directory.path)/copies"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data("no database".utf8).write(to: URL(filePath: "\(folder)/text"))
        for (file, word) in [("text", "no SQLite database"), ("none", "No such file")] {
            let sub = [JSONValue.Member("dir", .string(folder)), .init("name", .string(file))]
            let strict = try directory.write("strict.json", StorageConfiguration.of("file", sub))
            let one = try node("strict-\(file)", ["-auto-restore", strict])
            try one.start()
            #expect(try await one.waitForExit() == 1)
            #expect(one.log.contains("failed to download auto-restore file"), "\(one.log)")
            #expect(one.log.contains(word), "\(one.log)")
            // The next start is a first start again.
            try one.start()
            #expect(try await one.waitForExit() == 1)
            let mild = try directory.write(
                "mild.json",
                StorageConfiguration.of("file", sub, [.init("continue_on_failure", true)]))
            let two = try node("mild-\(file)", ["-auto-restore", mild])
            try two.start()
            try await two.waitUntilReady()
            #expect(try await count("num_auto_restores_failed", of: two, in: "store") == 1)
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func `A copy too large for one entry of the log is restored by three nodes, once`() async throws
    {
        let folder = "\(directory.path)/copies"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Program.run([
            "sqlite3", "\(folder)/db",
            "CREATE TABLE t(a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<70) "
                + "INSERT INTO t SELECT randomblob(1048576) FROM n; CREATE INDEX i ON t(length(a))",
        ])
        let sub = [JSONValue.Member("dir", .string(folder)), .init("name", "db")]
        let restore = try directory.write(
            "restore.json", StorageConfiguration.of("file", sub, [.init("timeout", "5m")]))
        let places = try DiscoveryMode.Place.onLoopback(3)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        let cluster = try TestCluster(at: places) { _ in
            ["-bootstrap-expect", "3", "-join", list, "-auto-restore", restore]
        }
        defer { cluster.stop() }
        try cluster.start()
        for node in cluster.nodes {
            try await eventually("node \(node.id) has the rows", within: .seconds(240)) {
                try await rows(node) == 70 ? true : nil
            }
        }
        let leader = try await cluster.waitForAgreement(within: .seconds(60))
        let sum = try Program.run([
            "sqlite3", "\(folder)/db", "SELECT hex(substr(max(a),1,40)) FROM t",
        ])
        let answer = try await leader.client.get(
            "/db/query?q=SELECT%20hex(substr(max(a),1,40))%20FROM%20t")
        #expect(
            try answer.json()["results"][0]["values"][0][0].string
                == sum.trimmingCharacters(in: .newlines))
        var restored = 0
        for node in cluster.nodes {
            try await eventually("node \(node.id) takes writes", within: .seconds(60)) {
                try await node.isReady() ? true : nil
            }
            restored += try await count("num_auto_restores", of: node, in: "store")
        }
        #expect(restored == 1, "\(cluster.logs)")
        try await execute(#"["INSERT INTO t VALUES(1)"]"#, on: leader)
    }

    @Test func `A configuration that is wrong is refused by name, before anything is touched`()
        async throws
    {
        let wrong = StorageConfiguration.of(
            "file", [.init("dir", "/tmp"), .init("name", "x"), .init("nmae", "y")], Self.often)
        for flag in ["-auto-backup", "-auto-restore"] {
            let one = try node("refused\(flag)", [flag, try directory.write("wrong.json", wrong)])
            try one.start()
            #expect(try await one.waitForExit() == 1)
            #expect(one.log.contains("\(flag) ") && one.log.contains("sub.nmae"), "\(one.log)")
            #expect(!FileManager.default.fileExists(atPath: one.dataDirectory))
        }
    }

    @Test func `A restore that was cut off before it was applied is made good by the next start`()
        async throws
    {
        let folder = "\(directory.path)/copies"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Program.run([
            "sqlite3", "\(folder)/db", "CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)",
        ])
        let sub = [JSONValue.Member("dir", .string(folder)), .init("name", "db")]
        let restore = try directory.write("restore.json", StorageConfiguration.of("file", sub))
        // It waits for a cluster that does not form.
        let others = try freePorts(2)
        let ports = try freePorts(2)
        let list = "127.0.0.1:\(ports[1]),127.0.0.1:\(others[1])"
        let waiting = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-bootstrap-expect", "2", "-join", list, "-auto-restore", restore])
        try waiting.start()
        try await eventually("it has the file") {
            FileManager.default.fileExists(atPath: "\(waiting.dataDirectory)/auto-restore")
                && waiting.log.contains("node HTTP API") ? true : nil
        }
        waiting.kill()
        // The source is gone: what was downloaded counts.
        try FileManager.default.removeItem(atPath: "\(folder)/db")
        let other = Daemon(
            id: "2", httpPort: others[0], raftPort: others[1], directory: directory.path,
            arguments: ["-bootstrap-expect", "2", "-join", list])
        try waiting.start()
        try other.start()
        let cluster = TestCluster([waiting, other], in: directory)
        defer { cluster.stop() }
        try await eventually("the cluster is there", within: .seconds(60)) {
            try await other.isReady()
        }
        // Whoever leads: the node with the file brings it when it does.
        let leads = try await eventually("a leader is known") {
            try await other.client.get("/status").json()["store"]["leader"]["node_id"].string
        }
        if leads == "2" {
            try await eventually("leadership moves") {
                try await other.client.send("POST", "/leader?wait=true").status == 200 ? true : nil
            }
        }
        for node in cluster.nodes {
            try await eventually("node \(node.id) has the rows", within: .seconds(60)) {
                try await rows(node) == 2 ? true : nil
            }
        }
        #expect(!FileManager.default.fileExists(atPath: "\(waiting.dataDirectory)/auto-restore"))
    }
}
