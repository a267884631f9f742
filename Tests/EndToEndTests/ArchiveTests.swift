import Foundation
import JSON
import ServerTesting
import Testing

/// `log_interval` of `-auto-backup`, and the verb `restore`: against moto's S3, which verifies every
/// signature, a strict double of Google's storage, and a directory.
@Suite(.serialized) struct ArchiveTests {
    private let directory: TestDirectory

    init() throws { directory = try TestDirectory() }

    /// What was read when an entry of the log was the last one.
    private struct Seen {
        var index: Int
        var sum: String
    }

    private func configuration(
        _ type: String, _ sub: [JSONValue.Member], _ more: [JSONValue.Member] = []
    ) -> JSONValue {
        StorageConfiguration.of(
            type, sub, [.init("interval", "1h"), .init("log_interval", "200ms")] + more)
    }

    private func s3(_ server: StorageDouble) -> [JSONValue.Member] {
        [
            .init("endpoint", .string(server.url)), .init("region", "us-east-1"),
            .init("access_key_id", server.announced["id"] ?? .null),
            .init("secret_access_key", server.announced["secret"] ?? .null),
            .init("force_path_style", true), .init("bucket", server.announced["bucket"] ?? .null),
            .init("path", "some dir/copy+1.gz"),
        ]
    }

    private func execute(_ statements: String, on node: Daemon) async throws -> Int {
        let answer = try await node.client.send(
            "POST", "/db/execute?timeout=30s", body: Data(statements.utf8))
        #expect(answer.status == 200 && !answer.text.contains("error"), "\(answer.text)")
        let token = try #require(answer.headers["x-rqlited-commit"])
        return try #require(token.split(separator: "-").last.flatMap { Int($0) })
    }

    private static let question =
        "SELECT count(*) || '/' || coalesce(sum(length(a)), 0) || '/' "
        + "|| coalesce(group_concat(a), '') FROM t"

    private func look(_ node: Daemon) async throws -> String {
        let answer = try await node.client.send(
            "POST", "/db/query?level=linearizable", body: Data("[\"\(Self.question)\"]".utf8))
        return try answer.json()["results"][0]["values"][0][0].string ?? answer.text
    }

    private func note(_ statements: String, on node: Daemon) async throws -> Seen {
        let index = try await execute(statements, on: node)
        return Seen(index: index, sum: try await look(node))
    }

    private func waitForArchive(_ node: Daemon, of index: Int) async throws {
        try await eventually("the archive has entry \(index)", within: .seconds(60)) {
            let status = try await node.client.get("/status?key=archive").json()
            return status["last_index"].int ?? 0 >= index ? true : nil
        }
    }

    private func restore(_ arguments: String...) throws -> String {
        try run(["\(Daemon.binaries)/rqlited", "restore"] + arguments)
    }

    private func refusal(_ arguments: String...) -> String {
        do {
            return "restored: " + (try run(["\(Daemon.binaries)/rqlited", "restore"] + arguments))
        } catch {
            return "\(error)"
        }
    }

    private func check(_ file: String, _ seen: Seen) throws {
        let found = try Program.run([
            "sqlite3", file, "PRAGMA integrity_check; \(Self.question)",
        ])
        #expect(found == "ok\n\(seen.sum)\n", "at \(seen.index)")
    }

    @Test(.timeLimit(.minutes(10)))
    func
        `What was read at three indexes, before and after leaders were killed, is restored from S3`()
        async throws
    {
        let server = try StorageDouble(.s3)
        let backup = try directory.write("backup.json", configuration("s3", s3(server)))
        let places = try DiscoveryMode.Place.onLoopback(3)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        let cluster = try TestCluster(at: places) { _ in
            ["-bootstrap-expect", "3", "-join", list, "-auto-backup", backup]
        }
        defer { cluster.stop() }
        try cluster.start()
        let first = try await cluster.waitForAgreement(within: .seconds(60))
        let base = try await note(
            #"["CREATE TABLE t(a)","INSERT INTO t VALUES('one')"]"#, on: first)
        try await waitForArchive(first, of: base.index)
        let one = try await note(#"["INSERT INTO t VALUES(hex(randomblob(8)))"]"#, on: first)
        try await waitForArchive(first, of: one.index)
        let two = try await note(#"["INSERT INTO t VALUES(datetime('now'))"]"#, on: first)
        first.kill()
        let second = try await cluster.waitForAgreement(within: .seconds(60))
        let three = try await note(#"["UPDATE t SET a = a || random()"]"#, on: second)
        try await waitForArchive(second, of: three.index)
        try first.start()
        try await first.waitUntilReady(within: .seconds(60))
        second.kill()
        let third = try await cluster.waitForAgreement(within: .seconds(60))
        let four = try await note(#"["DELETE FROM t WHERE rowid = 1"]"#, on: third)
        try await waitForArchive(third, of: four.index)
        // One base was enough: each leader went on where the one before ended.
        let bases = try server.objects().filter { $0.key.hasSuffix("/base") }
        #expect(bases.count == 1, "\(cluster.logs)")
        for seen in [one, two, three, four] {
            let file = "\(directory.path)/at-\(seen.index)"
            _ = try restore("--from", backup, "--at", "\(seen.index)", "--to", file)
            try check(file, seen)
        }
        let text = try restore("--from", backup, "--rehearse", "--json")
        let report = try JSONValue(parsing: Array(text.utf8))
        #expect(report["index"]?.integer ?? 0 >= Int64(four.index), "\(text)")
        #expect(refusal("--from", backup, "--at", "999999", "--rehearse").contains("ends at index"))
        // What is restored founds another cluster, whose archive lies beside that of the old one.
        for node in cluster.nodes { node.kill() }
        let file = "\(directory.path)/at-\(three.index)"
        let sub = [
            JSONValue.Member("dir", .string(directory.path)),
            .init("name", .string("at-\(three.index)")),
        ]
        let source = try directory.write(
            "restore.json", .object([.init("type", "file"), .init("sub", .object(sub))]))
        let ports = try freePorts(2)
        let next = Daemon(
            id: "next", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-auto-restore", source, "-auto-backup", backup])
        defer { next.kill() }
        let before = try server.objects()
        try next.start()
        try await next.waitUntilReady(within: .seconds(60))
        #expect(try await look(next) == three.sum)
        let five = try await note(#"["INSERT INTO t VALUES('new')"]"#, on: next)
        try await waitForArchive(next, of: five.index)
        let after = try server.objects()
        #expect(before.allSatisfy { object in after.contains(object) })
        let choice = refusal("--from", backup, "--rehearse")
        #expect(choice.contains("several clusters"), "\(choice)")
        let clusters = Set(after.compactMap { $0.key.split(separator: "/").dropFirst(2).first })
        let old = try #require(
            before.lazy.compactMap { $0.key.split(separator: "/").dropFirst(2).first }.first)
        let new = try #require(clusters.first { $0 != old })
        let fresh = "\(directory.path)/of-new"
        _ = try restore(
            "--from", backup, "--cluster", String(new), "--at", "\(five.index)", "--to", fresh)
        try check(fresh, five)
        try check(file, three)
    }

    @Test(.timeLimit(.minutes(5)))
    func `A directory's archive goes on after restarts, and what is spoilt or missing is named`()
        async throws
    {
        let folder = "\(directory.path)/copies"
        let sub = [JSONValue.Member("dir", .string(folder)), .init("name", "db.sqlite")]
        let backup = try directory.write("backup.json", configuration("file", sub))
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-auto-backup", backup])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        var all: [Seen] = []
        all.append(try await note(#"["CREATE TABLE t(a)"]"#, on: node))
        // The base is there, so what comes now is behind it.
        try await waitForArchive(node, of: all[0].index)
        for value in 0..<6 {
            all.append(
                try await note("[\"INSERT INTO t VALUES(random() || '\(value)')\"]", on: node))
            try await waitForArchive(node, of: all[all.count - 1].index)
            if value == 2 {
                node.kill()
                try node.start()
                try await node.waitUntilReady()
            }
            if value == 4 {
                try await node.terminate()
                try node.start()
                try await node.waitUntilReady()
            }
        }
        try await node.terminate()
        let url = "file://\(folder)/db.sqlite"
        for seen in all.dropFirst() {
            let file = "\(directory.path)/at-\(seen.index)"
            _ = try restore("--from", url, "--at", "\(seen.index)", "--to=\(file)")
            try check(file, seen)
        }
        let there = refusal("--from", url, "--to", "\(directory.path)/at-\(all[1].index)")
        #expect(there.contains("is there already"), "\(there)")
        let root = "\(folder)/db.sqlite.archive"
        let objects = try FileManager.default.subpathsOfDirectory(atPath: root)
            .filter { $0.split(separator: "/").count == 3 }.sorted()
        #expect(objects.filter { $0.hasSuffix("/base") }.count == 1, "\(objects)")
        let pieces = objects.filter { !$0.hasSuffix("/base") }
        let victim = "\(root)/\(pieces[pieces.count / 2])"
        let whole = try Data(contentsOf: URL(filePath: victim))
        var spoilt = whole
        spoilt[whole.count / 2] ^= 1
        try spoilt.write(to: URL(filePath: victim))
        let name = try #require(victim.split(separator: "/").last)
        let said = refusal("--from", url, "--rehearse")
        #expect(said.contains(name) && said.contains("spoilt"), "\(said)")
        try FileManager.default.removeItem(atPath: victim)
        let missing = refusal("--from", url, "--rehearse")
        #expect(missing.contains("are missing"), "\(missing)")
        // A gap forces a whole database, behind which all goes on.
        try node.start()
        try await node.waitUntilReady()
        let last = try await note(#"["INSERT INTO t VALUES('behind')"]"#, on: node)
        try await waitForArchive(node, of: last.index)
        let file = "\(directory.path)/behind"
        _ = try restore("--from", url, "--at", "\(last.index)", "--to", file)
        try check(file, last)
    }

    @Test(.timeLimit(.minutes(5)))
    func `Each index can be restored, also between one whole database and the next`() async throws {
        let sub = [
            JSONValue.Member("dir", .string("\(directory.path)/copies")), .init("name", "db"),
        ]
        let backup = try directory.write(
            "backup.json", configuration("file", sub, [.init("log_full_interval", "1s")]))
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-auto-backup", backup])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        var all = [try await note(#"["CREATE TABLE t(a)"]"#, on: node)]
        try await waitForArchive(node, of: all[0].index)
        let root = "\(directory.path)/copies/db.archive"
        try await eventually("four bases are there", within: .seconds(60)) {
            all.append(
                try await note(
                    "[\"INSERT INTO t VALUES(random())\",\"DELETE FROM t WHERE rowid%7=3\"]",
                    on: node))
            let bases = try? FileManager.default.subpathsOfDirectory(atPath: root)
                .filter { $0.hasSuffix("/base") }
            return bases?.count ?? 0 >= 4 ? true : nil
        }
        let last = all[all.count - 1]
        try await waitForArchive(node, of: last.index)
        // Each twentieth, and some that follow each other.
        let chosen = all.indices.filter { $0 > 0 && ($0 % max(1, all.count / 20) == 0 || $0 < 5) }
        for place in chosen {
            let file = "\(directory.path)/at-\(all[place].index)"
            _ = try restore("--from", backup, "--at", "\(all[place].index)", "--to", file)
            try check(file, all[place])
        }
        for index in all[1].index...last.index {
            let said = refusal("--from", backup, "--at", "\(index)", "--rehearse")
            #expect(said.hasPrefix("restored: "), "\(said)")
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `What is more than a log keeps goes before its interval is over, and leaves no hole`()
        async throws
    {
        let sub = [
            JSONValue.Member("dir", .string("\(directory.path)/copies")), .init("name", "db"),
        ]
        let backup = try directory.write(
            "backup.json",
            StorageConfiguration.of(
                "file", sub, [.init("interval", "1h"), .init("log_interval", "1h")]))
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-auto-backup", backup, "-raft-snap=20", "-raft-snap-int=200ms"])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        try await waitForArchive(node, of: 1)
        _ = try await note(#"["CREATE TABLE t(a)"]"#, on: node)
        var all: [Seen] = []
        for value in 0..<120 {
            all.append(try await note("[\"INSERT INTO t VALUES(\(value))\"]", on: node))
        }
        // Fewer than half of what the log keeps may still wait.
        try await waitForArchive(node, of: all[100].index)
        let root = "\(directory.path)/copies/db.archive"
        let bases = try FileManager.default.subpathsOfDirectory(atPath: root)
            .filter { $0.hasSuffix("/base") }
        #expect(bases.count == 1, "\(bases)")
        for place in [5, 50, 100] {
            let file = "\(directory.path)/at-\(all[place].index)"
            _ = try restore("--from", backup, "--at", "\(all[place].index)", "--to", file)
            try check(file, all[place])
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `Pieces go on while a whole database is on its way`() async throws {
        let server = try StorageDouble(.s3)
        try server.spoil("base", ["pass", "wait"])
        let backup = try directory.write(
            "backup.json",
            configuration("s3", s3(server), [.init("log_full_interval", "1s")]))
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-auto-backup", backup])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        var all = [try await note(#"["CREATE TABLE t(a)"]"#, on: node)]
        try await eventually("another base is on its way", within: .seconds(60)) {
            try server.requests("base") >= 2 ? true : nil
        }
        for value in 0..<3 {
            all.append(try await note("[\"INSERT INTO t VALUES(\(value))\"]", on: node))
            try await waitForArchive(node, of: all[all.count - 1].index)
        }
        let bases = try server.objects().filter { $0.key.hasSuffix("/base") }
        #expect(bases.count == 1, "\(node.log.suffix(2_000))")
        try server.control([.init("release", .null)])
        try await eventually("it is there", within: .seconds(60)) {
            try server.objects().count { $0.key.hasSuffix("/base") } >= 2 ? true : nil
        }
        all.append(try await note(#"["INSERT INTO t VALUES('behind')"]"#, on: node))
        try await waitForArchive(node, of: all[all.count - 1].index)
        for seen in all.dropFirst() {
            let file = "\(directory.path)/at-\(seen.index)"
            _ = try restore("--from", backup, "--at", "\(seen.index)", "--to", file)
            try check(file, seen)
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `Google's storage takes an archive, and gives it back`() async throws {
        let server = try StorageDouble(.gcs)
        let key = try directory.write("key.json", server.announced["key"] ?? .null)
        let backup = try directory.write(
            "backup.json",
            configuration(
                "gcs",
                [
                    .init("endpoint", .string(server.url)), .init("bucket", "backups"),
                    .init("name", "dir/copy"), .init("credentials_path", .string(key)),
                ]))
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-auto-backup", backup])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        let base = try await note(#"["CREATE TABLE t(a)"]"#, on: node)
        try await waitForArchive(node, of: base.index)
        let one = try await note(#"["INSERT INTO t VALUES(1)"]"#, on: node)
        try await waitForArchive(node, of: one.index)
        let two = try await note(#"["INSERT INTO t VALUES(2)"]"#, on: node)
        try await waitForArchive(node, of: two.index)
        for seen in [one, two] {
            let file = "\(directory.path)/at-\(seen.index)"
            _ = try restore("--from", backup, "--at", "\(seen.index)", "--to", file)
            try check(file, seen)
        }
        #expect(try server.control([.init("violations", .null)]) == .array([]))
    }
}
