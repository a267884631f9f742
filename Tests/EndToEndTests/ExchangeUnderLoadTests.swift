import Foundation
import ServerTesting
import Testing

/// What proves who somebody is, exchanged on three nodes while clients write.
@Suite(.serialized) struct ExchangeUnderLoadTests {
    /// How nodes prove that they belong to the cluster, and how it is exchanged.
    struct Proof: Sendable {
        /// The flags, with the files that are exchanged.
        var arguments: [String]
        /// Those of one who has only what there was before.
        var stranger: [String]
        /// What is written where; all nodes have read it before the next step.
        var steps: [[(path: String, text: String)]]
    }

    private static func text(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8)
    }

    /// In one step, as a careful operator does.
    private static func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    private static func flags(
        _ pair: CertificateAuthority.Pair, _ authority: String
    ) -> [String] {
        [
            "-node-cert", pair.certificate, "-node-key", pair.key, "-node-ca-cert", authority,
            "-node-verify-client",
        ]
    }

    private static func certificates(
        _ old: CertificateAuthority, _ new: CertificateAuthority, in directory: TestDirectory
    ) throws -> Proof {
        let pair = CertificateAuthority.Pair(
            certificate: "\(directory.path)/node.pem", key: "\(directory.path)/node.key")
        let authority = "\(directory.path)/ca.pem"
        try write(text(old.server.certificate), to: pair.certificate)
        try write(text(old.server.key), to: pair.key)
        try write(text(old.certificate), to: authority)
        return Proof(
            arguments: flags(pair, authority), stranger: flags(old.server, old.certificate),
            steps: [
                [(authority, try text(old.certificate) + text(new.certificate))],
                [
                    (pair.key, try text(new.server.key)),
                    (pair.certificate, try text(new.server.certificate)),
                ],
                [(authority, try text(new.certificate))],
            ])
    }

    private static func secrets(in directory: TestDirectory) throws -> Proof {
        let binary = "\(Daemon.binaries)/rqlited"
        let (old, new) = (try run(binary, "secret"), try run(binary, "secret"))
        let (path, kept) = ("\(directory.path)/secret", "\(directory.path)/old-secret")
        try write(old, to: path)
        try write(old, to: kept)
        return Proof(
            arguments: ["-cluster-secret-file", path], stranger: ["-cluster-secret-file", kept],
            steps: [[(path, old + new)], [(path, new + old)], [(path, new)]])
    }

    /// Writes the files and waits until all nodes have taken them.
    private func exchange(
        _ files: [(path: String, text: String)], on nodes: [Daemon]
    ) async throws {
        func count(_ node: Daemon) -> Int {
            node.log.components(separatedBy: "read again what=").count
        }
        let before = nodes.map { count($0) }
        for file in files { try Self.write(file.text, to: file.path) }
        try await eventually("all nodes have read \(files.map(\.path))", within: .seconds(30)) {
            zip(nodes, before).allSatisfy { count($0) > $1 } ? true : nil
        }
    }

    private static func users(_ names: String...) -> String {
        let users = names.map { name in
            let permission = name == "root" ? "all" : "execute"
            return #"{"username":"\#(name)","password":"pw-\#(name)","perms":["\#(permission)"]}"#
        }
        let everybody = #"{"username":"*","perms":["ready","status","query"]}"#
        return "[\((users + [everybody]).joined(separator: ","))]"
    }

    /// Exchanges nodes' proofs and clients' credentials under load, restarts a node, and looks for
    /// what failed and who still gets in.
    private func exchangeAll(
        _ proof: Proof, in directory: TestDirectory,
        before meanwhile: (TestCluster, SteadyLoad) async throws -> Void = { _, _ in }
    ) async throws {
        let users = "\(directory.path)/users.json"
        try Self.write(Self.users("root", "old"), to: users)
        let cluster = try TestCluster.joined(
            3,
            arguments: proof.arguments + [
                "-auth", users, "-join-as", "root",
            ])
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement(within: .seconds(60))
        let old = leader.client.speaking(as: "old", "pw-old")
        let new = leader.client.speaking(as: "new", "pw-new")
        _ = try await old.execute([SteadyLoad.table])
        let load = SteadyLoad(cluster.nodes, rate: 100, as: old)
        try await load.answer(50)

        try await meanwhile(cluster, load)
        for step in proof.steps {
            try await exchange(step, on: cluster.nodes)
            try await load.answer(50)
        }
        try await exchange([(users, Self.users("root", "old", "new"))], on: cluster.nodes)
        load.speak(as: new)
        try await load.answer(100)
        try await exchange([(users, Self.users("root", "new"))], on: cluster.nodes)
        // Connections that were there go on; this node's are all made anew.
        #expect(try await cluster.nodes[1].terminate() == 0)
        try cluster.nodes[1].start()
        try await cluster.nodes[1].waitUntilReady(within: .seconds(60))
        try await load.answer(100)

        let report = try await load.stop()
        #expect(report.failures.isEmpty, "\(report.failures.prefix(5))\n\(cluster.logs)")
        let rows = try await leader.client.rows("SELECT count(*) FROM load", level: "strong")
        #expect(rows[0][0].int == report.latencies.count)
        for node in cluster.nodes {
            let body = Data(#"["CREATE TABLE never(x)"]"#.utf8)
            let answer = try await node.client.speaking(as: "old", "pw-old")
                .send("POST", "/db/execute", body: body)
            #expect(answer.status == 401)
        }
        try await refuses(proof.stranger, cluster, in: directory)
    }

    private func refuses(
        _ arguments: [String], _ cluster: TestCluster, in directory: TestDirectory
    ) async throws {
        func refusals() async throws -> Int {
            var count = 0
            for node in cluster.nodes {
                let status = try await node.client.get("/status").json()
                count += status["network"]["inbound"]["refused_tls"].int ?? 0
            }
            return count
        }
        let before = try await refusals()
        let stranger = try cluster.another("stranger", in: directory, arguments)
        defer { stranger.kill() }
        try stranger.start()
        try await eventually("who has only the old one is refused", within: .seconds(60)) {
            try await refusals() > before ? true : nil
        }
        let nodes = try await cluster.nodes[0].client.get("/nodes?nonvoters").json()
        #expect(nodes.members == ["1", "2", "3"])
    }

    @Test(.timeLimit(.minutes(15)))
    func
        `Certificates, authorities and credentials are exchanged under load, and no request fails`()
        async throws
    {
        let (old, new) = (try CertificateAuthority(), try CertificateAuthority())
        let directory = try TestDirectory()
        let proof = try Self.certificates(old, new, in: directory)
        let over = try new.pair("over", names: "IP:127.0.0.1", days: 0)
        let end = try run(
            "openssl", "x509", "-in", over.certificate, "-noout", "-enddate", "-dateopt",
            "iso_8601")
        let time = end.trimmingCharacters(in: .whitespacesAndNewlines)
            .replacingOccurrences(of: "notAfter=", with: "")
            .replacingOccurrences(of: " ", with: "T").dropLast()
        try await exchangeAll(proof, in: directory) { cluster, load in
            // One whose time is over is not taken, and named.
            let (key, certificate) = (proof.steps[1][0].path, proof.steps[1][1].path)
            try Self.write(Self.text(over.key), to: key)
            try Self.write(Self.text(over.certificate), to: certificate)
            try await eventually("all name it", within: .seconds(30)) {
                cluster.nodes.allSatisfy {
                    $0.log.contains("\(certificate): the certificate expired at \(time)")
                } ? true : nil
            }
            try await load.answer(50)
            try Self.write(Self.text(old.server.key), to: key)
            try await exchange(
                [(certificate, Self.text(old.server.certificate))], on: cluster.nodes)
        }
    }

    @Test(.timeLimit(.minutes(15)))
    func `A secret and credentials are exchanged under load, and no request fails`() async throws {
        let directory = try TestDirectory()
        try await exchangeAll(try Self.secrets(in: directory), in: directory)
    }
}
