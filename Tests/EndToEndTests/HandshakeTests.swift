import Foundation
import ServerTesting
import Testing

/// What the ports say to whom nobody knows: scans, nonsense, and handshakes that lead nowhere.
@Suite(.serialized) struct HandshakeTests {
    /// With forward secrecy and authenticated encryption.
    private static func isStrong(_ suite: String) -> Bool {
        suite.hasPrefix("TLS_")
            || suite.hasPrefix("ECDHE-") && (suite.contains("-GCM-") || suite.contains("CHACHA20"))
    }

    /// Prints what is spoken: each strong suite by itself, all others and old versions together.
    private static let scan = """
        place=$1 alpn=$2
        try() {
            openssl s_client -connect "$place" "$@" -alpn "$alpn" </dev/null 2>/dev/null |
                sed -n 's/^New, .*, Cipher is //p' | grep -v NONE || true
        }
        strong="ECDHE+AESGCM:ECDHE+CHACHA20"
        try -cipher ALL:@SECLEVEL=0 -min_protocol TLSv1 -max_protocol TLSv1.1 | sed 's/^/OLD /'
        try -tls1_2 -cipher "ALL:COMPLEMENTOFALL:!ECDHE+AESGCM:!ECDHE+CHACHA20:@SECLEVEL=0"
        for suite in $(openssl ciphers -tls1_2 -s "$strong" | tr : ' '); do
            try -tls1_2 -cipher "$suite"
        done
        for suite in $(openssl ciphers -tls1_3 -s | tr : ' '); do
            case $suite in TLS_*) try -tls1_3 -ciphersuites "$suite" ;; esac
        done
        """

    private static func arguments(_ authority: CertificateAuthority, clients: Bool = false)
        -> [String]
    {
        [
            "-http-cert", authority.server.certificate, "-http-key", authority.server.key,
            "-node-cert", authority.server.certificate, "-node-key", authority.server.key,
            "-node-ca-cert", authority.certificate,
        ] + (clients ? ["-node-verify-client"] : [])
    }

    private func single(
        _ arguments: [String], in directory: TestDirectory
    ) async throws -> Daemon {
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: arguments)
        try node.start()
        try await eventually("it listens", within: .seconds(30)) {
            node.log.contains("available at https://") ? true : nil
        }
        return node
    }

    @Test(.timeLimit(.minutes(10)))
    func `No weak version and no weak suite is spoken, on either port, to clients or nodes`()
        async throws
    {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let node = try await single(Self.arguments(authority), in: directory)
        defer { node.kill() }
        for (port, protocolName) in [
            (node.httpPort, "http/1.1"), (node.raftPort, "http/1.1"),
            (node.raftPort, "rqlited-node"), (node.httpPort, "rqlited-node"),
        ] {
            let output = try Program.run(
                ["/bin/bash", "-c", Self.scan, "scan", "127.0.0.1:\(port)", protocolName])
            let suites = output.split(separator: "\n").map(String.init)
            #expect(suites.allSatisfy { Self.isStrong($0) }, "\(suites)")
            // What is offered is found: the scan sees.
            #expect(suites.contains("TLS_AES_128_GCM_SHA256"), "\(suites)")
            #expect(suites.contains("ECDHE-ECDSA-AES128-GCM-SHA256"), "\(suites)")
        }
    }

    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: "/usr/bin/sslscan"),
            "there is no sslscan"))
    func `sslscan finds nothing to complain of`() async throws {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let node = try await single(Self.arguments(authority), in: directory)
        defer { node.kill() }
        for port in [node.httpPort, node.raftPort] {
            let output = try Program.run(["sslscan", "--no-colour", "127.0.0.1:\(port)"])
            for version in ["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"] {
                #expect(output.contains(regex(version, "disabled")), "\(output)")
            }
            for version in ["TLSv1.2", "TLSv1.3"] {
                #expect(output.contains(regex(version, "enabled")), "\(output)")
            }
            #expect(!output.contains("Compression enabled"), "\(output)")
            #expect(
                !output.contains("vulnerable to heartbleed\n") || output.contains("not vulnerable"))
            #expect(
                output.contains("Session renegotiation not supported")
                    || output.contains("Secure session renegotiation supported"), "\(output)")
            let suites = output.split(separator: "\n").filter {
                $0.hasPrefix("Accepted") || $0.hasPrefix("Preferred")
            }.compactMap { line in
                line.split(whereSeparator: \.isWhitespace).dropFirst(4).first.map(String.init)
            }
            #expect(suites.count >= 4, "\(output)")
            #expect(suites.allSatisfy { Self.isStrong($0) }, "\(suites)")
        }
    }

    private func regex(_ version: String, _ state: String) -> Regex<Substring> {
        // swift-format-ignore: constant and valid
        (try? Regex("\(version.replacingOccurrences(of: ".", with: "\\."))\\s+\(state)"))
            ?? /no such line/
    }

    // MARK: Nonsense

    /// Seconds of processor time that the process has used.
    private func processorTime(_ node: Daemon) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(node.pid ?? 0)/stat", encoding: .utf8)
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        let ticks = [11, 12].compactMap { fields.indices.contains($0) ? Double(fields[$0]) : nil }
        try #require(ticks.count == 2)
        return ticks.reduce(0, +) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private func memory(_ node: Daemon) throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(node.pid ?? 0)/status", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        return try #require(
            line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) })
    }

    private func term(_ node: Daemon) async throws -> Int? {
        try await node.client.get("/status").json()["store"]["raft"]["term"].int
    }

    enum Proof: String, CaseIterable { case secret, certificates }

    @Test(.timeLimit(.minutes(10)), arguments: Proof.allCases)
    func `Nonsense from who proves nothing costs little, changes nothing, and floods no log`(
        proof: Proof
    ) async throws {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        var arguments = Array(Self.arguments(authority, clients: true).dropFirst(4))
        if proof == .secret {
            let path = "\(directory.path)/secret"
            try run("\(Daemon.binaries)/rqlited", "secret")
                .write(toFile: path, atomically: true, encoding: .utf8)
            arguments = ["-cluster-secret-file", path]
        }
        let cluster = try TestCluster.joined(3, arguments: arguments)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement(within: .seconds(60))
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        let target = try #require(cluster.nodes.first { $0.id != leader.id })
        let driver = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Drivers/fuzz_handshake.py").path
        func flood(_ seed: Int, _ count: Int) throws {
            for port in [target.raftPort, target.httpPort] {
                let said = try Program.run([
                    "python3", "-B", driver, "127.0.0.1", "\(port)", "\(seed)", "\(count)",
                ])
                #expect(said.contains("said \(count)"))
            }
        }
        // What libraries allocate once, they have then.
        try flood(1, 80)
        let (memory, lines) = (try memory(target), target.log.split(separator: "\n").count)
        let (time, start) = (try processorTime(target), ContinuousClock.now)
        let before = try await term(leader)
        let count = 400
        try flood(2, count)
        let used = try processorTime(target) - time
        let passed = (ContinuousClock.now - start) / .seconds(1)
        // A handshake is two or three milliseconds, in a debug build.
        #expect(used < 0.03 * Double(2 * count) + 0.5 * passed, "\(used) s in \(passed) s")
        #expect(try self.memory(target) - memory < 48 << 10, "KiB more")
        let more = target.log.split(separator: "\n").count - lines
        // Twenty refusals in ten seconds, and what else there is to say.
        #expect(Double(more) < 2 * passed + 60, "\(more) lines in \(passed) s")
        #expect(try await term(leader) == before)
        for node in cluster.nodes {
            let members = try await node.client.get("/nodes?nonvoters").json()
            #expect(members.members == ["1", "2", "3"])
            #expect(try await node.client.rows("SELECT v FROM t", level: "linearizable").count == 1)
            let inbound = try await node.client.get("/status").json()["network"]["inbound"]
            #expect(inbound["received_messages"].int ?? 0 > 0)
        }
        _ = try await target.client.execute(["INSERT INTO t VALUES(2)"])
        #expect(target.isRunning)
    }

    @Test func `Half handshakes that are held keep no node out`() async throws {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let cluster = try TestCluster.joined(
            3, arguments: Array(Self.arguments(authority, clients: true).dropFirst(4)))
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement(within: .seconds(60))
        let late = try cluster.another(
            "late", in: directory, Array(Self.arguments(authority, clients: true).dropFirst(4)))
        defer { late.kill() }
        let holder = try ChildProcess(
            [
                "python3", "-c",
                """
                import socket, sys
                held = []
                hello = bytes([22, 3, 1, 2, 0]) + b"\\x0crqlited-node".ljust(512, b"x")
                while True:
                    try:
                        for port in sys.argv[1:]:
                            held.append(socket.create_connection(("127.0.0.1", int(port)), timeout=1))
                            held[-1].sendall(hello[:300] if len(held) % 2 else hello)
                    except OSError:
                        pass
                    if len(held) > 1500: held.pop(0).close()
                """,
            ] + cluster.nodes.map { "\($0.raftPort)" })
        defer {
            holder.kill()
            holder.waitForEnd()
        }
        try await eventually("strangers are turned away", within: .seconds(60)) {
            let inbound = try await leader.client.get("/status").json()["network"]["inbound"]
            return inbound["refused_tls"].int ?? 0 > 50
                || inbound["refused_over_limit"].int ?? 0 > 50
                ? true : nil
        }
        try late.start()
        try await late.waitUntilReady(within: .seconds(60))
        _ = try await late.client.execute(["CREATE TABLE t(v)"])
    }
}
