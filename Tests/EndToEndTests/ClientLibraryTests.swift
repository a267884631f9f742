import Foundation
import ServerTesting
import Testing

/// Nodes as the users of client libraries see them, which nobody here wrote.
@Suite(.serialized) struct ClientLibraryTests {
    private func single(_ arguments: [String] = []) throws -> TestCluster {
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: arguments)
        return TestCluster([node], in: directory)
    }

    @Test func `Programs that use pyrqlite or SQLAlchemy work`() async throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let python = tests.deletingLastPathComponent().appending(path: ".build/python/bin/python3")
        try #require(
            FileManager.default.isExecutableFile(atPath: python.path),
            "\(python.path) is missing: scripts/test makes it, with pyrqlite in it")
        let cluster = try single()
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        // Without files of bytecode among the sources.
        let script = tests.appending(path: "Drivers/drive_pyrqlite.py").path
        let output = try Program.run([
            python.path, "-B", script, "127.0.0.1", "\(node.httpPort)",
        ])
        #expect(output.contains("\nOK"), "\(output)")
    }

    /// Inputs of the tests in pyrqlite's repository.
    @Test(arguments: ["drive_pyrqlite.py", "drive_pyrqlite_types.py"])
    func `What pyrqlite's own tests do works at a leader and its followers`(
        script: String
    ) async throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let python = tests.deletingLastPathComponent().appending(path: ".build/python/bin/python3")
        try #require(FileManager.default.isExecutableFile(atPath: python.path))
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        // Each follower does the same; what the first script does at a leader is tried where a node is alone.
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        for node in script.contains("types") ? [leader, follower] : [follower] {
            let output = try Program.run([
                python.path, "-B", tests.appending(path: "Drivers/\(script)").path, "127.0.0.1",
                "\(node.httpPort)",
            ])
            #expect(output.contains("\nOK"), "\(output)")
        }
    }

    @Test
    func `SQLAlchemy's compliance suite passes, but for what SQLite or the driver does otherwise`()
        async throws
    {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let python = tests.deletingLastPathComponent().appending(path: ".build/python/bin/python3")
        try #require(FileManager.default.isExecutableFile(atPath: python.path))
        let cluster = try single()
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        let script = tests.appending(path: "Drivers/drive_sqlalchemy_suite.py").path
        let output = try Program.run([
            python.path, "-B", script, "127.0.0.1", "\(node.httpPort)",
        ])
        #expect(output.contains("\nOK"), "\(output)")
    }

    @Test func `Programs that use pyrqlite or SQLAlchemy work with a user and a password`()
        async throws
    {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let python = tests.deletingLastPathComponent().appending(path: ".build/python/bin/python3")
        try #require(FileManager.default.isExecutableFile(atPath: python.path))
        let directory = try TestDirectory()
        let file = "\(directory.path)/users.json"
        try #"[{"username": "bob", "password": "s3cr:t", "perms": ["execute", "query", "status"]}]"#
            .write(toFile: file, atomically: true, encoding: .utf8)
        let cluster = try single(["-auth", file, "-auth-open", "ready"])
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        let script = tests.appending(path: "Drivers/drive_pyrqlite.py").path
        let output = try Program.run([
            python.path, "-B", script, "127.0.0.1", "\(node.httpPort)", "bob", "s3cr:t",
        ])
        #expect(output.contains("\nOK"), "\(output)")
    }

    private func python() throws -> (program: String, drivers: String) {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let python = tests.deletingLastPathComponent().appending(path: ".build/python/bin/python3")
        try #require(FileManager.default.isExecutableFile(atPath: python.path))
        return (python.path, tests.appending(path: "Drivers").path)
    }

    private static let users =
        #"[{"username": "bob", "password": "s3cr:t", "perms": ["execute", "query", "status"]}]"#

    @Test func `Programs that use pyrqlite or SQLAlchemy work over HTTPS with a private authority`()
        async throws
    {
        let (python, drivers) = try python()
        let (authority, other) = (try CertificateAuthority(), try CertificateAuthority())
        let directory = try TestDirectory()
        let file = "\(directory.path)/users.json"
        try Self.users.write(toFile: file, atomically: true, encoding: .utf8)
        let cluster = try single([
            "-auth", file, "-http-cert", authority.server.certificate, "-http-key",
            authority.server.key,
        ])
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await eventually("it listens", within: .seconds(30)) {
            node.log.contains("available at https://") ? true : nil
        }
        func drive(_ authority: CertificateAuthority) throws -> String {
            try Program.run([
                "/bin/sh", "-c", "\"$@\" || true", "sh", python, "-B",
                "\(drivers)/drive_pyrqlite.py", "127.0.0.1", "\(node.httpPort)", "bob", "s3cr:t",
                authority.certificate,
            ])
        }
        let output = try drive(authority)
        #expect(output.contains("\nOK"), "\(output)")
        let refused = try drive(other)
        #expect(refused.contains("certificate verify failed"), "\(refused)")
    }

    @Test(arguments: [false, true])
    func `Programs that use rqdb work, with a user and a password too`(hasUsers: Bool)
        async throws
    {
        let (python, drivers) = try python()
        let directory = try TestDirectory()
        let (file, netrc) = ("\(directory.path)/users.json", "\(directory.path)/netrc")
        try Self.users.write(toFile: file, atomically: true, encoding: .utf8)
        try "machine 127.0.0.1 login bob password s3cr:t\n"
            .write(toFile: netrc, atomically: true, encoding: .utf8)
        try run("chmod", "600", netrc)
        let cluster = try single(hasUsers ? ["-auth", file, "-auth-open", "ready"] : [])
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        let output = try Program.run(
            ["env", hasUsers ? "NETRC=\(netrc)" : "NOTHING=0", python, "-B"] + [
                "\(drivers)/drive_rqdb.py", "127.0.0.1", "\(node.httpPort)",
            ])
        #expect(output.contains("\nOK"), "\(output)")
    }

    @Test func `Programs that use tangled-pyrqlite, aiorqlite or pydal-rqlite work at a follower`()
        async throws
    {
        let (python, drivers) = try python()
        let cluster = try TestCluster.joined(3, arguments: ["-fk"])
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let node = try #require(cluster.nodes.first { $0.id != leader.id })
        let output = try Program.run([
            python, "-B", "\(drivers)/drive_other_clients.py", "127.0.0.1", "\(node.httpPort)",
        ])
        #expect(output.contains("\nOK"), "\(output)")
    }

    /// The clause of the issue tracker that began it: each of these ended every node for good.
    @Test func `No name that a client takes ends a node or keeps it from starting`() async throws {
        let cluster = try single(["-fk"])
        defer { cluster.stop() }
        let node = cluster.nodes[0]
        try cluster.start()
        try await node.waitUntilReady()
        for requests in [
            ["CREATE TABLE pragma_table_list(x)", "ANALYZE"],
            [
                "PRAGMA foreign_keys=ON", "CREATE TABLE c(x REFERENCES sqlite_rqlite(format))",
                "ANALYZE",
            ],
            ["CREATE TABLE g(a, b AS (sqlite_version()))"],
            ["CREATE TABLE u(a CHECK(unhex(a) IS NOT NULL), b AS (octet_length(a)))"],
            ["INSERT INTO u(a) VALUES('00ff')"],
        ] { _ = try await node.client.execute(requests) }
        node.kill()
        try cluster.start()
        try await node.waitUntilReady()
        #expect(try await node.client.rows("SELECT b FROM u", level: "strong")[0][0].int == 4)
        let names = try await node.client.rows("SELECT name FROM main.sqlite_schema ORDER BY 1")
        #expect(names.map { $0[0].string } == ["pragma_table_list", "sqlite_stat1", "u"])
    }

    @Test
    func `A setting sent alone is an error, so that nothing is deleted that was meant to stay`()
        async throws
    {
        let cluster = try single(["-fk"])
        defer { cluster.stop() }
        let node = cluster.nodes[0]
        try cluster.start()
        try await node.waitUntilReady()
        let alone = try await node.client.execute(["PRAGMA foreign_keys=OFF"])
        #expect(alone["results"][0]["error"].string?.contains("ends with its request") == true)
        for level in ["none", "weak", "linearizable", "strong"] {
            #expect(try await node.client.rows("PRAGMA foreign_keys", level: level)[0][0].int == 1)
            #expect(
                try await node.client.rows("PRAGMA journal_mode", level: level)[0][0].string
                    == "wal")
        }
    }
}
