import Foundation
import ServerTesting
import Testing

/// What certificates say of who shows them: which node, and which Common Name.
@Suite(.serialized) struct NodeIdentityTests {
    private func arguments(
        _ pair: CertificateAuthority.Pair, _ authority: CertificateAuthority, _ more: String...
    ) -> [String] {
        [
            "-node-cert", pair.certificate, "-node-key", pair.key, "-node-ca-cert",
            authority.certificate, "-node-verify-client",
        ] + more
    }

    private func refused(_ nodes: [Daemon], _ name: String) async throws -> Int {
        var count = 0
        for node in nodes where node.isRunning {
            let status = try await node.client.get("/status", timeout: .seconds(5)).json()
            count += status["network"]["inbound"][name].int ?? 0
        }
        return count
    }

    /// The same as `/metrics` has it.
    private func measured(_ nodes: [Daemon]) async throws -> Int {
        let sample =
            #"rqlited_peers_refused_connections_total{reason="another node's certificate"} "#
        var count = 0
        for node in nodes where node.isRunning {
            let page = try await node.client.get("/metrics").text
            let line = try #require(page.split(separator: "\n").first { $0.hasPrefix(sample) })
            count += Int(line.dropFirst(sample.count)) ?? 0
        }
        return count
    }

    /// Waits until a node says this of one that it dials.
    private func dialled(_ nodes: [Daemon], find text: String) async throws {
        try await eventually("a node that dials it says so", within: .seconds(60)) {
            for node in nodes where node.isRunning {
                let status = try await node.client.get("/status", timeout: .seconds(5)).json()
                if "\(status["network"]["peers"])".contains(text) { return true }
            }
            return nil
        }
    }

    private func members(_ node: Daemon) async throws -> [String]? {
        try await node.client.get("/nodes?nonvoters").json().members
    }

    @Test func `A certificate that comes later and is another node's is named, as at the start`()
        async throws
    {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let good = try authority.pair("good", names: "IP:127.0.0.1,URI:rqlited:node:1")
        let other = try authority.pair("other", names: "IP:127.0.0.9,URI:rqlited:node:2")
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: arguments(good, authority))
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        let words = [
            "the certificate is not for this node",
            "other nodes dial an address that the certificate is not for",
        ]
        for text in words { #expect(!node.log.contains(text)) }
        for (from, to) in [(other.key, good.key), (other.certificate, good.certificate)] {
            try Data(contentsOf: URL(filePath: from)).write(to: URL(filePath: to), options: .atomic)
        }
        for text in words {
            try await eventually("the log says so: \(text)", within: .seconds(30)) {
                node.log.contains(text) ? true : nil
            }
        }
    }

    @Test
    func `A node whose certificate names another is refused, by whom it dials and who dials it`()
        async throws
    {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let places = try DiscoveryMode.Place.onLoopback(3)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        func pair(_ file: String, _ node: String?) throws -> CertificateAuthority.Pair {
            let uri: String = node.map { ",URI:rqlited:node:\($0)" } ?? ""
            return try authority.pair(file, names: "IP:127.0.0.1\(uri)")
        }
        let pairs = try (1...3).map { try pair("node-\($0)", "\($0)") }
        let cluster = try TestCluster(at: places) { place in
            ["-bootstrap-expect", "3", "-join", list]
                + arguments(pairs[place], authority, "-node-verify-id")
        }
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement(within: .seconds(60))
        _ = try await cluster.nodes[0].client.execute(["CREATE TABLE t(x)"])
        let mux = try await cluster.nodes[0].client.get("/status").json()["mux"]
        #expect(mux["identity"].string?.contains("each proves which node it is") == true)
        #expect(mux["certificates"][0]["nodes"][0].string == "1")
        #expect(try await measured(cluster.nodes) == 0)

        // Of the right authority, for the right address, and another node's, or nobody's.
        for (id, file, node) in [("4", "thief", "3"), ("5", "shared", nil as String?)] {
            let before = try await refused(cluster.nodes, "refused_identity")
            let stranger = try cluster.another(
                id, in: directory, arguments(try pair(file, node), authority))
            defer { stranger.kill() }
            try stranger.start()
            try await eventually("it is refused", within: .seconds(60)) {
                try await refused(cluster.nodes, "refused_identity") > before ? true : nil
            }
            #expect(stranger.log.contains("the certificate is not for this node") == (node != nil))
        }
        #expect(try await members(cluster.nodes[0]) == ["1", "2", "3"])
        #expect(try await measured(cluster.nodes) >= 2)

        // Nor does it take the place of a member that is down, at the member's own address.
        let third = cluster.nodes[2]
        try await third.terminate()
        let before = try await refused(cluster.nodes, "refused_identity")
        let usurper = Daemon(
            id: "3", host: third.host, httpPort: third.httpPort, raftPort: third.raftPort,
            directory: directory.path,
            arguments: ["-join", String(list[..<(list.lastIndex(of: ",") ?? list.endIndex)])]
                + arguments(try pair("usurper", "6"), authority))
        defer { usurper.kill() }
        try usurper.start()
        try await eventually("it is refused", within: .seconds(60)) {
            try await refused(cluster.nodes, "refused_identity") > before ? true : nil
        }
        // The leader dials it, finds who it is, and tells it nothing.
        try await dialled(cluster.nodes, find: "its certificate is for node")
        usurper.kill()

        // The member comes back, with a certificate made anew.
        let renewed = try pair("renewed", "3")
        for (from, to) in [
            (renewed.certificate, pairs[2].certificate), (renewed.key, pairs[2].key),
        ] {
            try Data(contentsOf: URL(filePath: from)).write(to: URL(filePath: to))
        }
        try third.start()
        try await cluster.waitForAgreement(within: .seconds(60))
        _ = try await third.client.execute(["INSERT INTO t VALUES(1)"])
    }

    @Test func `Nodes of one Common Name are a cluster, and one of another stays outside`()
        async throws
    {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let name = "a cluster's peer"
        let pair = try authority.pair("peer", names: "DNS:peers.test", commonName: name)
        let own = arguments(
            pair, authority, "-node-verify-server-name", "peers.test",
            "-node-verify-common-name", name)
        let cluster = try TestCluster.joined(3, arguments: own)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement(within: .seconds(60))
        let other = try authority.pair("other", names: "DNS:peers.test", commonName: "\(name)s")
        let stranger = try cluster.another(
            "4", in: directory,
            arguments(other, authority, "-node-verify-server-name", "peers.test"))
        defer { stranger.kill() }
        try stranger.start()
        try await eventually("it is refused, in words", within: .seconds(60)) {
            try await refused(cluster.nodes, "refused_tls") > 0
                && cluster.nodes.contains {
                    $0.log.contains(
                        "client did not provide any valid certificate that matches CN")
                } ? true : nil
        }
        #expect(try await members(cluster.nodes[0]) == ["1", "2", "3"])
    }

    @Test func `Clients need the Common Name that is asked for`() async throws {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: [
                "-http-cert", authority.server.certificate, "-http-key", authority.server.key,
                "-http-ca-cert", authority.certificate, "-http-verify-client",
                "-http-verify-common-name", "app",
            ])
        defer { node.kill() }
        try node.start()
        func status(_ pair: CertificateAuthority.Pair, _ words: String...) throws -> String {
            try Program.run(
                [
                    "/bin/sh", "-c", "\"$@\" || true", "sh", "curl", "-s", "-o", "/dev/null", "-m",
                    "20", "-w", "%{http_code}", "--cacert", authority.certificate, "--cert",
                    pair.certificate, "--key", pair.key,
                ] + words + ["https://127.0.0.1:\(node.httpPort)/readyz"])
        }
        let app = try authority.pair("app", names: "DNS:x")
        try await eventually("the node is ready", within: .seconds(30)) {
            try status(app) == "200" ? true : nil
        }
        let apps = try authority.pair("apps", names: "DNS:app,URI:app")
        for version in ["1.2", "1.3"] {
            #expect(try status(app, "--tls-max", version) == "200")
            #expect(try status(apps, "--tls-max", version) == "000")
            #expect(try status(authority.client, "--tls-max", version) == "000")
        }
        #expect(node.log.contains("matches CN"))
    }

    @Test func `A certificate that others will refuse is named at the start`() async throws {
        let authority = try CertificateAuthority()
        let pair = try authority.pair("a", names: "DNS:a.test,URI:rqlited:node:2")
        for (more, words) in [
            ([], ["an address that the certificate is not for", "a.test", "rqlited:node:1"]),
            (
                ["-node-verify-server-name", "b.test"],
                ["not for -node-verify-server-name", "b.test"]
            ),
            (["-node-verify-common-name", "b"], ["has not the Common Name", "common_name=a "]),
        ] {
            let directory = try TestDirectory()
            let ports = try freePorts(2)
            let node = Daemon(
                id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
                arguments: arguments(pair, authority) + more)
            defer { node.kill() }
            try node.start()
            try await node.waitUntilReady()
            for word in words { #expect(node.log.contains(word), "\(word) \(node.log)") }
        }
    }
}
