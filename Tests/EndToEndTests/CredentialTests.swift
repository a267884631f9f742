import Foundation
import ServerTesting
import Testing

/// `-auth`, as operators and clients see it, on one node and between nodes.
@Suite(.serialized) struct CredentialTests {
    private func write(_ text: String, to file: String) throws {
        try text.write(toFile: file, atomically: true, encoding: .utf8)
    }

    private static func user(_ name: String, _ permissions: String...) -> String {
        let words = permissions.map { "\"\($0)\"" }.joined(separator: ",")
        return #"{"username":"\#(name)","password":"pw-\#(name)","perms":[\#(words)]}"#
    }

    /// Nodes with a file each.
    private func cluster(
        _ files: [String?], in directory: TestDirectory, _ arguments: [String] = []
    ) throws -> TestCluster {
        let places = try DiscoveryMode.Place.onLoopback(files.count)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        for (place, text) in files.enumerated() {
            if let text { try write(text, to: "\(directory.path)/users-\(place).json") }
        }
        return try TestCluster(at: places) { place in
            let auth =
                files[place] == nil
                ? [] : ["-auth", "\(directory.path)/users-\(place).json", "-auth-open", "ready"]
            return ["-bootstrap-expect", "\(files.count)", "-join", list] + auth + arguments
        }
    }

    /// Who leads, asked as somebody who may.
    private func leader(_ cluster: TestCluster) async throws -> Daemon {
        try await eventually("a leader", within: .seconds(60)) {
            var names: Set<String> = []
            for node in cluster.nodes {
                guard
                    try await node.client.get("/readyz", timeout: .seconds(2)).status == 200
                else { return nil }
                let status = try await node.client.speaking(as: "root", "pw-root")
                    .get("/status", timeout: .seconds(2)).json()
                guard let name = status["store"]["leader"]["node_id"].string, !name.isEmpty else {
                    return nil
                }
                names.insert(name)
            }
            guard names.count == 1 else { return nil }
            return cluster.nodes.first { names.contains($0.id) }
        }
    }

    @Test func `A right at the follower is none at the leader`() async throws {
        let root = Self.user("root", "all")
        let full = "[\(root),\(Self.user("eve", "execute", "query"))]"
        let less = "[\(root),\(Self.user("eve", "query"))]"
        let directory = try TestDirectory()
        let cluster = try cluster([full, full, full], in: directory, ["-join-as", "root"])
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await leader(cluster)
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        let eve = follower.client.speaking(as: "eve", "pw-eve")
        let write = Data(#"["CREATE TABLE IF NOT EXISTS t(x)"]"#.utf8)
        #expect(try await eve.send("POST", "/db/execute", body: write).status == 200)
        let place = try #require(cluster.nodes.firstIndex { $0.id == leader.id })
        try self.write(less, to: "\(directory.path)/users-\(place).json")
        // On change, without a signal.
        let answer = try await eventually("the leader reads its file", within: .seconds(30)) {
            let answer = try await eve.send("POST", "/db/execute", body: write)
            return answer.status == 200 ? nil : answer
        }
        #expect(answer.status == 401)
        #expect(answer.text == "remote Execute not authorized\n")
        #expect(try await eve.get("/db/query?level=strong&q=SELECT%201").status == 200)
        // By a signal, and back.
        try self.write(full, to: "\(directory.path)/users-\(place).json")
        leader.signal(SIGHUP)
        try await eventually("the right is back", within: .seconds(30)) {
            try await eve.send("POST", "/db/execute", body: write).status == 200 ? true : nil
        }
        // What can't be used changes nothing.
        try self.write("[{", to: "\(directory.path)/users-\(place).json")
        try await eventually("the log says so", within: .seconds(30)) {
            leader.log.contains("can't be read again") ? true : nil
        }
        #expect(try await eve.send("POST", "/db/execute", body: write).status == 200)
        for node in cluster.nodes { #expect(!node.log.contains("pw-eve")) }
    }

    @Test func `A node joins as a user who may, and not as one who may not`() async throws {
        let directory = try TestDirectory()
        let file = "\(directory.path)/users.json"
        let users = [
            Self.user("root", "all"), Self.user("voter", "join"),
            Self.user("replica", "join-read-only"), Self.user("nobody", "query"),
        ]
        try write("[\(users.joined(separator: ","))]", to: file)
        let ports = try freePorts(2)
        let first = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-auth", file, "-auth-open", "ready"])
        let cluster = TestCluster([first], in: directory)
        try first.start()
        try await first.waitUntilReady()
        var joiners: [Daemon] = []
        defer { for node in joiners + [first] { node.kill() } }
        for (id, user, isReplica, mayJoin) in [
            ("2", "nobody", false, false), ("3", "replica", false, false),
            ("4", "voter", true, false), ("5", "replica", true, true), ("6", "voter", false, true),
        ] {
            let node = try cluster.another(
                id, in: directory,
                ["-auth", file, "-auth-open", "ready", "-join-as", user, "-join-interval", "200ms"]
                    + (isReplica ? ["-raft-non-voter"] : []))
            joiners.append(node)
            try node.start()
            if mayJoin {
                try await node.waitUntilReady()
            } else {
                try await eventually("node \(id) is refused", within: .seconds(30)) {
                    node.log.contains("unauthorized") ? true : nil
                }
            }
        }
        let nodes = try await first.client.speaking(as: "root", "pw-root")
            .get("/nodes?nonvoters").json()
        #expect(nodes.members == ["1", "5", "6"])
    }

    @Test func `A file that can't be used ends the start, in words`() async throws {
        let directory = try TestDirectory()
        for (text, words) in [("[", "users.json"), ("", "empty"), ("[{}]", "entry 1")] {
            let file = "\(directory.path)/users.json"
            try write(text, to: file)
            let ports = try freePorts(2)
            let node = Daemon(
                id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
                arguments: ["-auth", file])
            try node.start()
            #expect(try await node.waitForExit() == 1)
            #expect(node.log.contains("failed to get credential store"))
            #expect(node.log.contains(words), "\(node.log)")
        }
    }

    @Test
    func `A file that can't be used leaves all rights as they were, until one that can is there`()
        async throws
    {
        let directory = try TestDirectory()
        let file = "\(directory.path)/users.json"
        let (bob, eve) = (Self.user("bob", "all"), Self.user("eve", "all"))
        try write("[\(bob)]", to: file)
        let node = try Daemon.guarded(by: file, in: directory)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        func status(_ user: String) async throws -> Int {
            try await node.client.speaking(as: user, "pw-\(user)").get("/status").status
        }
        // What stands before the mistake counts no more than what stands behind it.
        let spoilt: [String?] = [
            "[", "", "{}", "[\(eve),{}]",
            #"[\#(eve),{"username":"x","hash":"$1$weak","perms":[]}]"#,
            nil,
        ]
        for text in spoilt {
            let before = node.log.components(separatedBy: "can't be read again").count
            if let text {
                try write(text, to: file)
            } else {
                try FileManager.default.removeItem(atPath: file)
            }
            try await eventually("the log names it", within: .seconds(30)) {
                node.log.components(separatedBy: "can't be read again").count > before ? true : nil
            }
            #expect(try await status("bob") == 200, "\(text ?? "no file")")
            #expect(try await status("eve") == 401, "\(text ?? "no file")")
        }
        try write("[\(eve)]", to: file)
        try await eventually("the other user counts", within: .seconds(30)) {
            try await status("eve") == 200 ? true : nil
        }
        #expect(try await status("bob") == 401)
    }

    @Test func `A change that could not be read for a passing cause is read when it has passed`()
        async throws
    {
        let directory = try TestDirectory()
        let file = "\(directory.path)/users.json"
        try write("[\(Self.user("bob", "all"))]", to: file)
        let node = try Daemon.guarded(by: file, in: directory)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        let pid = try #require(node.pid)
        // It may open nothing more.
        try run("prlimit", "--pid", "\(pid)", "--nofile=8:")
        try write("[\(Self.user("eve", "all"))]", to: file)
        try await eventually("the log says so", within: .seconds(30)) {
            node.log.contains("too many open files") ? true : nil
        }
        try run("prlimit", "--pid", "\(pid)", "--nofile=1024:")
        try await eventually("the other user counts", within: .seconds(30)) {
            try await node.client.speaking(as: "eve", "pw-eve").get("/status").status == 200
                ? true : nil
        }
        #expect(
            try await node.client.speaking(as: "bob", "pw-bob").get("/status").status == 401)
        // Said once, however often it was tried.
        #expect(node.log.components(separatedBy: "can't be read again").count == 2, "\(node.log)")
    }

    /// The node waits for its key, which comes through a pipe, when its credentials are read already.
    @Test func `What changes while a node starts counts once it has started`() async throws {
        let directory = try TestDirectory()
        let authority = try CertificateAuthority()
        let (file, key) = ("\(directory.path)/users.json", "\(directory.path)/key.pem")
        try write("[\(Self.user("eve", "query"))]", to: file)
        try #require(mkfifo(key, 0o600) == 0)
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: [
                "-auth", file, "-auth-open", "ready", "-node-cert", authority.server.certificate,
                "-node-key", key,
            ])
        defer { node.kill() }
        try node.start()
        try await eventually("it has read the credentials", within: .seconds(30)) {
            node.log.contains("can read the credentials") ? true : nil
        }
        try write("[\(Self.user("eve", "query", "status"))]", to: file)
        // Both ends are held open, so that nobody meets an end of the pipe.
        let pipe = open(key, O_RDWR | O_CLOEXEC)
        let text = Array(try Data(contentsOf: URL(filePath: authority.server.key)))
        try #require(Glibc.write(pipe, text, text.count) == text.count)
        try await node.waitUntilReady()
        try FileManager.default.removeItem(atPath: key)
        try FileManager.default.copyItem(atPath: authority.server.key, toPath: key)
        close(pipe)
        try await eventually("the new right is there", within: .seconds(30)) {
            try await node.client.speaking(as: "eve", "pw-eve").get("/status").status == 200
                ? true : nil
        }
    }

    @Test func `A key that came through a pipe is not looked for there again`() async throws {
        let directory = try TestDirectory()
        let authority = try CertificateAuthority()
        let (file, key) = ("\(directory.path)/users.json", "\(directory.path)/key.pem")
        func change(to name: String, on node: Daemon) async throws {
            try write("[\(Self.user(name, "all"))]", to: file)
            try await eventually("\(name) counts", within: .seconds(30)) {
                try await node.client.speaking(as: name, "pw-\(name)").get("/status").status == 200
                    ? true : nil
            }
        }
        try write("[\(Self.user("eve", "all"))]", to: file)
        try #require(mkfifo(key, 0o600) == 0)
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: [
                "-auth", file, "-auth-open", "ready", "-node-cert", authority.server.certificate,
                "-node-key", key,
            ])
        defer { node.kill() }
        try node.start()
        try await eventually("it has read the credentials", within: .seconds(30)) {
            node.log.contains("can read the credentials") ? true : nil
        }
        let pipe = open(key, O_RDWR | O_CLOEXEC)
        let text = Array(try Data(contentsOf: URL(filePath: authority.server.key)))
        try #require(Glibc.write(pipe, text, text.count) == text.count)
        try await node.waitUntilReady()
        // Files are looked at each second.
        for name in ["bob", "eve", "bob"] { try await change(to: name, on: node) }
        close(pipe)
        for name in ["eve", "bob"] { try await change(to: name, on: node) }
        #expect(!node.log.contains("can't be read again"), "\(node.log)")
    }

    @Test func `A file that can't be read again is an alarm until it can`() async throws {
        let directory = try TestDirectory()
        let file = "\(directory.path)/users.json"
        let bob = Self.user("bob", "all")
        try write("[\(bob)]", to: file)
        let node = try Daemon.guarded(by: file, in: directory)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        let client = node.client.speaking(as: "bob", "pw-bob")
        func alarms() async throws -> Int {
            try await client.get("/metrics").text.split(separator: "\n")
                .count { $0.hasPrefix("rqlited_alarm{") && $0.contains("can't be read again") }
        }
        #expect(try await alarms() == 0)
        try write("[\(bob)", to: file)
        try await eventually("it is an alarm", within: .seconds(30)) {
            try await alarms() == 1 ? true : nil
        }
        let status = try await client.get("/status").json()
        let troubles = status["store"]["troubles"].array ?? []
        let isNamed = troubles.contains { $0["about"].string == "-auth \(file)" }
        #expect(isNamed, "\(node.log)")
        try write("[\(bob)]", to: file)
        try await eventually("it is over", within: .seconds(30)) {
            try await alarms() == 0 ? true : nil
        }
    }

    /// A pipe into which nobody writes is a file server that hangs.
    @Test func `A certificate's key that hangs keeps no credentials from being read again`()
        async throws
    {
        let directory = try TestDirectory()
        let authority = try CertificateAuthority()
        let (file, key) = ("\(directory.path)/users.json", "\(directory.path)/key.pem")
        try write("[\(Self.user("bob", "all"))]", to: file)
        try FileManager.default.copyItem(atPath: authority.server.key, toPath: key)
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: [
                "-auth", file, "-auth-open", "ready", "-node-cert", authority.server.certificate,
                "-node-key", key,
            ])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        try #require(mkfifo("\(key).pipe", 0o600) == 0)
        try #require(rename("\(key).pipe", key) == 0)
        try await eventually("the log names what hangs", within: .seconds(60)) {
            node.log.contains("reading again does not come back") ? true : nil
        }
        try write("[\(Self.user("eve", "all"))]", to: file)
        try await eventually("the other user counts", within: .seconds(30)) {
            try await node.client.speaking(as: "eve", "pw-eve").get("/status").status == 200
                ? true : nil
        }
        let status = try await node.client.speaking(as: "eve", "pw-eve").get("/status").json()
        let troubles = status["store"]["troubles"].array ?? []
        let isNamed = troubles.contains { $0["about"].string?.contains(key) ?? false }
        #expect(isNamed, "\(node.log)")
        // Nor does it keep the node from stopping.
        #expect(try await node.terminate() == 0, "\(node.log.suffix(2_000))")
    }

    @Test func `Tokens and hashes that the program makes are accepted`() async throws {
        let directory = try TestDirectory()
        let binary = "\(Daemon.binaries)/rqlited"
        let token = try run("/bin/sh", "-c", "\(binary) auth token ci 2>/dev/null")
        let lines = token.split(separator: "\n").map(String.init)
        try #require(lines.count == 2)
        let hash = try run("/bin/sh", "-c", "echo correct horse | \(binary) auth hash 2>/dev/null")
            .trimmingCharacters(in: .newlines)
        let file = "\(directory.path)/users.json"
        try write(
            #"[\#(lines[1]),{"username":"eve","hash":"\#(hash)","perms":["query"]}]"#, to: file)
        #expect(try run(binary, "auth", "check", file).contains("users 1, tokens 1"))
        let node = try Daemon.guarded(by: file, in: directory)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        var bearer = node.client
        bearer.authorization = "Bearer \(lines[0])"
        let query = "/db/query?level=strong&q=SELECT%201"
        #expect(try await bearer.get(query).status == 200)
        #expect(try await bearer.get("/status").status == 401)
        bearer.authorization?.removeLast()
        #expect(try await bearer.get(query).status == 401)
        let eve = node.client.speaking(as: "eve", "correct horse")
        for _ in 0..<3 { #expect(try await eve.get(query).status == 200) }
        #expect(try await node.client.speaking(as: "eve", hash).get(query).status == 401)
    }
}
