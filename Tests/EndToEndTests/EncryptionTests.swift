import Foundation
import ServerTesting
import Testing

/// HTTPS, and TLS between nodes, by certificates and by a secret.
@Suite(.serialized) struct EncryptionTests {
    /// What `curl` says: the status, or 0 where no connection came about.
    private func curl(_ url: String, _ words: [String] = []) -> Int {
        let all =
            ["curl", "-s", "-o", "/dev/null", "-m", "20", "-w", "%{http_code}"] + words + [url]
        // A failed handshake is a failed program; it has printed 000.
        let text = try? Program.run(["/bin/sh", "-c", "\"$@\" || true", "sh"] + all)
        return text.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) } ?? 0
    }

    private func single(
        in directory: TestDirectory, _ arguments: [String]
    ) throws -> Daemon {
        let ports = try freePorts(2)
        return Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: arguments)
    }

    private func copy(_ from: String, to: String) throws {
        // Put in its place in one step, as a careful operator does.
        let next = to + ".next"
        try Data(contentsOf: URL(filePath: from)).write(to: URL(filePath: next))
        guard rename(next, to) == 0 else { throw POSIXError(.EIO) }
    }

    @Test func `HTTPS alone is served, with sound protocols and suites`() async throws {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let node = try single(
            in: directory,
            ["-http-cert", authority.server.certificate, "-http-key", authority.server.key])
        defer { node.kill() }
        try node.start()
        let url = "https://127.0.0.1:\(node.httpPort)"
        let trust = ["--cacert", authority.certificate]
        try await eventually("the node is ready", within: .seconds(30)) {
            curl("\(url)/readyz", trust) == 200 ? true : nil
        }
        #expect(
            curl(
                "\(url)/db/execute",
                trust + [
                    "-d", #"["CREATE TABLE t(x)"]"#, "-H", "Content-Type: application/json",
                ]) == 200)
        // The other port speaks HTTP too, and encrypted as well.
        #expect(curl("https://127.0.0.1:\(node.raftPort)/readyz", trust) == 200)
        #expect(curl("\(url)/readyz") == 0, "of an unknown authority")
        #expect(curl("http://127.0.0.1:\(node.httpPort)/readyz") == 400)
        #expect(curl("\(url)/readyz", trust + ["--tls-max", "1.1"]) == 0)
        #expect(
            curl("\(url)/readyz", trust + ["--tls-max", "1.2", "--ciphers", "AES128-SHA"]) == 0)
        #expect(
            curl(
                "\(url)/readyz",
                trust + ["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"]) == 200)
        let nodes = try Program.run(
            ["curl", "-s", "-m", "20"] + trust + ["\(url)/nodes"])
        #expect(nodes.contains("\"api_addr\":\"\(url)\""), "\(nodes)")
        let counted = try Program.run(
            ["curl", "-s", "-m", "20"] + trust + ["\(url)/debug/vars?key=http"])
        #expect(counted.contains("\"tls_cert_fetched\": "), "\(counted)")
        #expect(!counted.contains("\"tls_cert_fetched\": 0,"), "\(counted)")
        let status = try Program.run(["curl", "-s", "-m", "20"] + trust + ["\(url)/status"])
        #expect(status.contains("\"days_left\":"))
        #expect(node.log.contains("available at \(url)"))
        #expect(node.log.contains("a certificate expires soon"))
    }

    @Test func `A certificate that is exchanged is shown from then on, without a restart`()
        async throws
    {
        let (first, second) = (try CertificateAuthority(), try CertificateAuthority())
        let directory = try TestDirectory()
        let (certificate, key) = ("\(directory.path)/a.pem", "\(directory.path)/a.key")
        try copy(first.server.certificate, to: certificate)
        try copy(first.server.key, to: key)
        let node = try single(in: directory, ["-http-cert", certificate, "-http-key", key])
        defer { node.kill() }
        try node.start()
        let url = "https://127.0.0.1:\(node.httpPort)/readyz"
        try await eventually("the node is ready", within: .seconds(30)) {
            curl(url, ["--cacert", first.certificate]) == 200 ? true : nil
        }
        // One without the other is not taken, and said.
        try copy(second.server.key, to: key)
        try await eventually("the log says so", within: .seconds(30)) {
            node.log.contains("can't be read again") ? true : nil
        }
        #expect(curl(url, ["--cacert", first.certificate]) == 200)
        try copy(second.server.certificate, to: certificate)
        try await eventually("the new one is shown", within: .seconds(30)) {
            curl(url, ["--cacert", second.certificate]) == 200 ? true : nil
        }
        #expect(curl(url, ["--cacert", first.certificate]) == 0)
    }

    @Test func `Clients without a certificate are refused where one is required`() async throws {
        let (authority, other) = (try CertificateAuthority(), try CertificateAuthority())
        let directory = try TestDirectory()
        let node = try single(
            in: directory,
            [
                "-http-cert", authority.server.certificate, "-http-key", authority.server.key,
                "-http-ca-cert", authority.certificate, "-http-verify-client",
            ])
        defer { node.kill() }
        try node.start()
        let url = "https://127.0.0.1:\(node.httpPort)/readyz"
        let trust = ["--cacert", authority.certificate]
        func shows(_ pair: CertificateAuthority.Pair) -> [String] {
            trust + ["--cert", pair.certificate, "--key", pair.key]
        }
        try await eventually("the node is ready", within: .seconds(30)) {
            curl(url, shows(authority.client)) == 200 ? true : nil
        }
        #expect(curl(url, trust) == 0)
        #expect(curl(url, shows(other.client)) == 0)
    }

    @Test func `Files that can't be used end the start, by name and date`() async throws {
        let authority = try CertificateAuthority()
        let old = try authority.pair("old", names: "IP:127.0.0.1", days: 0)
        let other = try authority.pair("other", names: "IP:127.0.0.1")
        let directory = try TestDirectory()
        for (arguments, words) in [
            (["-http-cert", old.certificate, "-http-key", old.key], [old.certificate, "expired"]),
            (["-node-cert", old.certificate, "-node-key", old.key], [old.certificate, "expired"]),
            (
                ["-http-cert", other.certificate, "-http-key", old.key],
                [other.certificate, "does not match"]
            ),
            (["-http-cert", other.certificate], ["either both -http-cert and -http-key"]),
            (["-node-key", other.key], ["either both -node-cert and -node-key"]),
            (["-http-verify-client"], ["-http-verify-client needs"]),
            (["-cluster-secret-file", "/nowhere"], ["/nowhere"]),
        ] {
            let node = try single(in: directory, arguments)
            try node.start()
            #expect(try await node.waitForExit() == 1)
            for word in words { #expect(node.log.contains(word), "\(arguments) \(node.log)") }
        }
    }

    // MARK: Between nodes

    private func cluster(
        _ arguments: [[String]], in directory: TestDirectory, expect: Bool = true
    ) throws -> TestCluster {
        let places = try DiscoveryMode.Place.onLoopback(arguments.count)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        return try TestCluster(at: places) { place in
            (expect ? ["-bootstrap-expect", "\(arguments.count)"] : []) + ["-join", list]
                + arguments[place]
        }
    }

    private func node(_ node: Daemon, with arguments: [String], in directory: TestDirectory)
        -> Daemon
    {
        Daemon(
            id: node.id, host: node.host, httpPort: node.httpPort, raftPort: node.raftPort,
            directory: (node.dataDirectory as NSString).deletingLastPathComponent,
            arguments: Array(node.arguments.prefix(4)) + arguments)
    }

    private func certificates(_ authority: CertificateAuthority) -> [String] {
        [
            "-node-cert", authority.server.certificate, "-node-key", authority.server.key,
            "-node-ca-cert", authority.certificate, "-node-verify-client",
        ]
    }

    /// Writes through every node and reads it everywhere.
    private func exercise(_ cluster: TestCluster, _ table: String) async throws {
        _ = try await cluster.waitForAgreement(within: .seconds(60))
        _ = try await cluster.nodes[0].client.execute(["CREATE TABLE \(table)(x)"])
        for node in cluster.nodes {
            _ = try await node.client.execute(["INSERT INTO \(table) VALUES('\(node.id)')"])
        }
        for node in cluster.nodes {
            let rows = try await node.client.rows(
                "SELECT count(*) FROM \(table)", level: "linearizable")
            #expect(rows[0][0].int == cluster.nodes.count)
        }
    }

    private func refusals(_ node: Daemon, _ name: String) async throws -> Int {
        try await node.client.get("/status").json()["network"]["inbound"][name].int ?? 0
    }

    @Test func `Nodes with certificates of one authority are a cluster, and others get nowhere`()
        async throws
    {
        let (authority, other) = (try CertificateAuthority(), try CertificateAuthority())
        let directory = try TestDirectory()
        let own = certificates(authority)
        let cluster = try cluster([own, own, own], in: directory)
        defer { cluster.stop() }
        try cluster.start()
        try await exercise(cluster, "t")
        let foreign = try cluster.another("foreign", in: directory, certificates(other))
        let plain = try cluster.another("plain", in: directory)
        defer {
            foreign.kill()
            plain.kill()
        }
        try foreign.start()
        try plain.start()
        try await eventually("both are refused", within: .seconds(60)) {
            var (secure, clear) = (0, 0)
            for node in cluster.nodes {
                secure += try await refusals(node, "refused_tls")
                clear += try await refusals(node, "refused_plain")
            }
            return secure > 0 && clear > 0 ? true : nil
        }
        let nodes = try await cluster.nodes[0].client.get("/nodes?nonvoters").json()
        #expect(nodes.members == ["1", "2", "3"])
        let mux = try await cluster.nodes[0].client.get("/status").json()["mux"]
        #expect(mux["tls"].string == "enabled")
        // A node that has lost the cluster's data comes back, encrypted, by a snapshot or by the log.
        try await cluster.nodes[2].terminate()
        try cluster.nodes[2].start()
        try await exercise(cluster, "u")
    }

    @Test func `A cluster is changed over to TLS without a stop, and then takes nothing else`()
        async throws
    {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        var cluster = try cluster([[], [], []], in: directory)
        defer { cluster.stop() }
        try cluster.start()
        try await exercise(cluster, "t0")
        for (step, arguments) in [
            certificates(authority) + ["-node-tls", "prefer"], certificates(authority),
        ].enumerated() {
            for place in cluster.nodes.indices {
                try await cluster.nodes[place].terminate()
                cluster.nodes[place] = node(
                    cluster.nodes[place], with: arguments, in: directory)
                try cluster.nodes[place].start()
                _ = try await cluster.waitForAgreement(within: .seconds(60))
            }
            try await exercise(cluster, "t\(step + 1)")
        }
        let plain = try cluster.another("plain", in: directory)
        defer { plain.kill() }
        try plain.start()
        try await eventually("one in the clear is refused", within: .seconds(60)) {
            var count = 0
            for node in cluster.nodes { count += try await refusals(node, "refused_plain") }
            return count > 0 ? true : nil
        }
    }

    @Test func `A secret makes a cluster, is exchanged while it runs, and lets nobody else in`()
        async throws
    {
        let directory = try TestDirectory()
        let binary = "\(Daemon.binaries)/rqlited"
        let (old, new) = (try run(binary, "secret"), try run(binary, "secret"))
        #expect(old != new)
        func file(_ name: String, _ text: String) throws -> String {
            let path = "\(directory.path)/\(name)"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            return path
        }
        let path = try file("secret", old)
        let arguments = ["-cluster-secret-file", path]
        let cluster = try cluster([arguments, arguments, arguments], in: directory)
        defer { cluster.stop() }
        try cluster.start()
        try await exercise(cluster, "t")
        for node in cluster.nodes {
            let mux = try await node.client.get("/debug/vars?key=mux").json()["mux"]
            #expect((mux["num_tls_cert_fetched"].int ?? 0) > 0)
            #expect(mux["num_tls_cert_fetched"].int == mux["num_connections_handled"].int)
        }
        // Accepted by all, then shown by all, then alone.
        for text in [old + new, new + old, new] {
            let count = cluster.nodes.map { $0.log.components(separatedBy: "read again").count }
            _ = try file("secret", text)
            try await eventually("all have read it", within: .seconds(30)) {
                zip(cluster.nodes, count).allSatisfy { node, before in
                    node.log.components(separatedBy: "read again").count > before
                } ? true : nil
            }
        }
        try await cluster.nodes[1].terminate()
        try cluster.nodes[1].start()
        try await exercise(cluster, "u")
        let stranger = try cluster.another(
            "stranger", in: directory, ["-cluster-secret-file", try file("other", old)])
        defer { stranger.kill() }
        try stranger.start()
        try await eventually("it is refused", within: .seconds(60)) {
            var count = 0
            for node in cluster.nodes { count += try await refusals(node, "refused_tls") }
            return count > 0 ? true : nil
        }
        // No other suite, and no certificate, with the nodes' protocol or without.
        let place = "127.0.0.1:\(cluster.nodes[0].raftPort)"
        for words in [
            ["-tls1_3"], ["-tls1_2"], ["-tls1_2", "-cipher", "PSK", "-psk", "00112233"],
            ["-tls1_2", "-cipher", "ECDHE-PSK-AES128-CBC-SHA", "-psk", "00112233"],
        ] {
            let output = try Program.run(
                ["/bin/sh", "-c", "\"$@\" </dev/null 2>&1 || true", "sh"] + [
                    "openssl", "s_client", "-connect", place, "-alpn", "rqlited-node",
                ] + words)
            #expect(output.contains("Cipher is (NONE)") || output.contains("error"), "\(output)")
        }
        for node in cluster.nodes {
            for secret in [old, new] {
                let digits = secret.split(separator: ".").last ?? ""
                #expect(!node.log.contains(digits.trimmingCharacters(in: .newlines)))
            }
        }
    }
}
