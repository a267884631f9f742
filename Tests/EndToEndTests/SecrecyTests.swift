import Foundation
import ServerTesting
import Testing

/// What is secret stands nowhere but where the operator put it.
@Suite(.serialized) struct SecrecyTests {
    private static let passwords = [
        "pw-of-root-8d1f", "pw-of-joiner-77aa", "guessed-5e5e", "registry-pass-31c0",
        "inline-pass-9b9b", "url-pass-4c4c",
    ]

    /// The lines of PEM between its marks.
    private func secretLines(_ path: String) throws -> [String] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            .filter { !$0.hasPrefix("-----") && $0.count > 16 }.map(String.init)
    }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        try run("chmod", "600", path)
    }

    private struct Secrets {
        var words: [String]

        func expectNone(in text: String, _ place: String) {
            for word in words where text.contains(word) {
                Issue.record("\(place) shows \(word)")
            }
        }
    }

    @Test func `No secret stands in logs, answers, metrics, errors or the list of processes`()
        async throws
    {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let binary = "\(Daemon.binaries)/rqlited"
        let (users, secret, disco) = (
            "\(directory.path)/users.json", "\(directory.path)/secret", "\(directory.path)/disco"
        )
        let token = try run("/bin/sh", "-c", "\(binary) auth token ci 2>/dev/null")
            .split(separator: "\n").map(String.init)
        let hash = try run("/bin/sh", "-c", "echo hashed | \(binary) auth hash 2>/dev/null")
            .trimmingCharacters(in: .newlines)
        try write(
            #"""
            [{"username":"root","password":"pw-of-root-8d1f","perms":["all"]},
             {"username":"joiner","password":"pw-of-joiner-77aa","perms":["join"]},
             {"username":"hashed","hash":"\#(hash)","perms":["query"]},\#(token[1])]
            """#, to: users)
        let clusterSecret = try run(binary, "secret")
        try write(clusterSecret, to: secret)
        let double = try ConsulDouble()
        func configure(_ more: String) throws {
            try write(#"{"address":"\#(double.address)",\#(more)}"#, to: disco)
        }
        try configure(#""token":"registry-pass-31c0""#)
        let digits = clusterSecret.split(separator: ".").last.map {
            $0.trimmingCharacters(in: .newlines)
        }
        let secrets = Secrets(
            words: Self.passwords + [token[0], hash, try #require(digits)]
                + (try secretLines(authority.server.key)))
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: [
                "-auth", users, "-join-as", "joiner", "-http-cert", authority.server.certificate,
                "-http-key", authority.server.key, "-cluster-secret-file", secret,
                "-disco-mode=consul-kv", "-disco-config", disco, "-bootstrap-expect", "1",
            ])
        defer { node.kill() }
        try node.start()
        let url = "https://127.0.0.1:\(node.httpPort)"
        func curl(_ path: String, _ words: [String]) throws -> String {
            try Program.run(
                ["curl", "-s", "-i", "-m", "20", "--cacert", authority.certificate] + words
                    + ["\(url)\(path)"])
        }
        let root = ["-u", "root:pw-of-root-8d1f"]
        let isReady = try await eventually("it is ready, or has ended", within: .seconds(60)) {
            guard node.isRunning else { return false }
            return try curl("/readyz", root).contains(" 200") ? true : nil
        }
        try #require(isReady, "\(node.log)")
        try askEverything(secrets, token: token[0], root: root, curl)
        // Files that can't be used are named, and not repeated.
        try write("[{\"username\":\"x\",\"password\":\"guessed-5e5e\",\"perms\":5}]", to: users)
        try write("name.guessed-5e5e\n", to: secret)
        try configure(#""token":"guessed-5e5e","nonsense":1"#)
        node.signal(SIGHUP)
        try await eventually("all three are named", within: .seconds(30)) {
            node.log.components(separatedBy: "can't be read again").count > 3 ? true : nil
        }
        secrets.expectNone(in: node.log, "the log")
        for path in ["cmdline", "comm"] {
            secrets.expectNone(
                in: try String(contentsOfFile: "/proc/\(node.pid ?? 0)/\(path)", encoding: .utf8),
                path)
        }
    }

    /// Of refusals, and of all that can be read.
    private func askEverything(
        _ secrets: Secrets, token: String, root: [String],
        _ curl: (_ path: String, _ words: [String]) throws -> String
    ) throws {
        for words in [
            ["-u", "root:guessed-5e5e"], ["-u", "guessed-5e5e:x"], ["-u", "hashed:guessed-5e5e"],
            ["-H", "Authorization: Bearer ci.guessed-5e5e"],
            ["-H", "Authorization: Bearer \(token)x"], ["-H", "Authorization: guessed-5e5e"],
        ] { secrets.expectNone(in: try curl("/status", words), "a refusal of \(words[1])") }
        for path in [
            "/status", "/status?pretty", "/debug/vars", "/metrics", "/nodes?ver=2", "/readyz",
            "/licenses", "/db/query?q=SELECT%20*%20FROM%20sqlite_schema", "/nowhere",
            "/leader", "/disco", "/debug/pprof/cmdline",
        ] {
            secrets.expectNone(in: try curl(path, root), path)
        }
    }

    @Test func `The verbs about discovery show nothing secret`() throws {
        let secrets = Secrets(words: Self.passwords)
        let binary = "\(Daemon.binaries)/rqlited"
        for verb in ["show", "resolve", "list"] {
            let output = try Program.run([
                "/bin/sh", "-c", "\"$@\" 2>&1 || true", "sh", binary, "disco", verb,
                "-disco-mode=etcd-kv", "-disco-config",
                #"{"endpoints":["127.0.0.1:1"],"username":"u","password":"inline-pass-9b9b"}"#,
            ])
            secrets.expectNone(in: output, "disco \(verb)")
        }
    }

    /// Whoever writes them where they don't belong finds them in the list of processes, and nowhere else.
    @Test func `What is given in flags is repeated by no log and no error`() async throws {
        let secrets = Secrets(words: Self.passwords)
        for arguments in [
            ["-disco-mode=etcd-kv", "-disco-config", #"{"password":"inline-pass-9b9b"}"#],
            ["-disco-mode=etcd-kv", "-disco-config", #"{"password":"inline-pass-9b9b""#],
            ["-disco-mode=etcd-kv", "-disco-config", #"{"inline-pass-9b9b":1}"#],
            ["-join", "http://bob:url-pass-4c4c@127.0.0.1:x"],
            ["-join", "https://bob:url-pass-4c4c@127.0.0.1:1"],
        ] {
            // Each has a log of its own.
            let directory = try TestDirectory()
            let ports = try freePorts(2)
            let node = Daemon(
                id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
                arguments: arguments)
            defer { node.kill() }
            try node.start()
            try await eventually("it has ended, or says that it waits", within: .seconds(30)) {
                !node.isRunning || node.log.contains("available at") ? true : nil
            }
            // Names of members are what the operator must see to put them right.
            if !arguments.joined().contains("9b9b\":1") {
                secrets.expectNone(in: node.log, "\(arguments)")
            }
        }
    }

    @Test func `Files that others can read are named at the start`() async throws {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let binary = "\(Daemon.binaries)/rqlited"
        let files = ["users.json", "secret", "key.pem"].map { "\(directory.path)/\($0)" }
        try write("[]", to: files[0])
        try write(try run(binary, "secret"), to: files[1])
        try write(
            try String(contentsOfFile: authority.server.key, encoding: .utf8), to: files[2])
        for mode in ["600", "640", "644"] {
            for file in files { try run("chmod", mode, file) }
            let ports = try freePorts(2)
            let node = Daemon(
                id: mode, httpPort: ports[0], raftPort: ports[1], directory: directory.path,
                arguments: [
                    "-auth", files[0], "-cluster-secret-file", files[1], "-http-cert",
                    authority.server.certificate, "-http-key", files[2],
                ])
            defer { node.kill() }
            try node.start()
            try await eventually("it listens", within: .seconds(30)) {
                node.log.contains("available at") ? true : nil
            }
            let said = node.log.components(separatedBy: "chmod o-r").count - 1
            #expect(said == (mode == "644" ? 3 : 0), "\(mode): \(node.log)")
        }
    }

    @Test func `What the node writes is hidden from other users of the machine`() async throws {
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        _ = try await node.client.get("/db/backup")
        let open = try run("find", node.dataDirectory, "-perm", "/o=rwx", "-not", "-type", "l")
        #expect(open == "", "others may use \(open)")
    }

    /// As in a container whose root is read-only: only the data directory and TMPDIR can be written.
    @Test(.enabled(if: Namespace.isPossible))
    func `A node writes nothing outside its data directory and TMPDIR`() async throws {
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let confine = """
            mount --bind "$0" "$0"; mount -o remount,ro,bind /
            if touch /etc/written 2>/dev/null; then exit 9; fi
            exec "$@"
            """
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            prefix: [
                "env", "TMPDIR=\(directory.path)", "unshare", "-m", "sh", "-ec", confine,
                directory.path,
            ])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        let backup = try await node.client.get("/db/backup")
        #expect(backup.status == 200)
        #expect(
            try await node.client.send(
                "POST", "/db/load", body: backup.body, contentType: "application/octet-stream"
            ).status == 200)
        #expect(try await node.client.rows("SELECT v FROM t", level: "strong").count == 1)
        #expect(try await node.terminate() == 0)
    }
}
