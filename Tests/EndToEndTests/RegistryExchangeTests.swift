import Foundation
import JSON
import ServerTesting
import Testing

/// Registries with authorities, certificates and credentials of their own, all of which are exchanged while
/// nodes run.
@Suite(.serialized) struct RegistryExchangeTests {
    private func cluster(_ mode: String, _ configuration: String, _ prefix: [String] = []) throws
        -> TestCluster
    {
        try TestCluster(at: DiscoveryMode.Place.onLoopback(3), prefix: prefix) { _ in
            ["-bootstrap-expect", "3", "-disco-mode=\(mode)", "-disco-config", configuration]
        }
    }

    /// Another leader writes its entry, for which it needs all that is new.
    private func expectEntry(
        of cluster: TestCluster, _ leader: Daemon, _ entry: @Sendable () throws -> String
    ) async throws -> Daemon {
        leader.kill()
        let next = try await cluster.waitForAgreement(within: .seconds(60))
        do {
            try await eventually("the entry names node \(next.id)", within: .seconds(60)) {
                try entry().contains("\"id\":\"\(next.id)\"") ? true : nil
            }
        } catch {
            Issue.record("\(error)\n\(cluster.logs)")
        }
        try leader.start()
        return try await cluster.waitForAgreement(within: .seconds(60))
    }

    @Test(.enabled(if: EtcdServer.hindrance == nil, "\(EtcdServer.hindrance ?? "")"))
    func `Authority, certificates and password of a real etcd are exchanged under running nodes`()
        async throws
    {
        let (authority, kept, new) = (
            try CertificateAuthority(), try CertificateAuthority(), try CertificateAuthority()
        )
        try kept.become(authority)
        var options = EtcdServer.Options()
        options.authority = authority
        let server = try EtcdServer(options)
        try server.enableAuthentication(password: "first")
        let directory = try TestDirectory()
        let file = "\(directory.path)/disco.json"
        func configure(_ password: String) throws {
            try """
            {"endpoints":["\(server.url)"],"username":"rqlite","password":"\(password)",\
            "tls":{"ca_file":"\(authority.certificate)",\
            "cert_file":"\(authority.client.certificate)","key_file":"\(authority.client.key)"}}
            """.write(toFile: file, atomically: true, encoding: .utf8)
        }
        try configure("first")
        let cluster = try cluster("etcd-kv", file)
        defer { cluster.stop() }
        try cluster.start()
        var leader = try await cluster.waitForAgreement(within: .seconds(60))
        let entry: @Sendable () throws -> String = {
            try server.control(
                ["get", "--print-value-only", "/rqlite/leader"], user: "root:first")
        }
        leader = try await expectEntry(of: cluster, leader, entry)

        server.stop()
        try authority.become(new)
        try server.start()
        leader = try await expectEntry(of: cluster, leader, entry)
        // What was good before is not any more.
        let old = try Program.run([
            "/bin/sh", "-c", "\"$@\" >/dev/null 2>&1 && echo taken || echo refused", "sh", "curl",
            "--max-time", "10", "--cacert", new.certificate, "--cert", kept.client.certificate,
            "--key", kept.client.key, "\(server.url)/health",
        ])
        #expect(old == "refused\n")

        try server.control(["user", "delete", "rqlite"], user: "root:first")
        try server.control(["user", "add", "rqlite:second"], user: "root:first")
        try server.control(["user", "grant-role", "rqlite", "disco"], user: "root:first")
        try configure("second")
        for node in cluster.nodes {
            let before = node.log.components(separatedBy: "read again").count
            node.signal(SIGHUP)
            try await eventually("node \(node.id) has read it", within: .seconds(30)) {
                node.log.components(separatedBy: "read again").count > before ? true : nil
            }
        }
        leader = try await expectEntry(of: cluster, leader, entry)
        for node in cluster.nodes {
            for word in ["first", "second"] { #expect(!node.log.contains("\"\(word)")) }
            #expect(!"\(try await node.client.get("/status").text)".contains("second"))
        }
    }

    @Test func `Authority, certificates and token of Consul are exchanged under running nodes`()
        async throws
    {
        let (authority, new) = (try CertificateAuthority(), try CertificateAuthority())
        let double = try ConsulDouble()
        let front = try TLSFront(
            authority.server, target: double.httpPort, clients: authority.certificate)
        let directory = try TestDirectory()
        let file = "\(directory.path)/token"
        func allow(_ token: String) throws {
            let rules: JSONValue = [
                "accessor": "cluster", "rules": [["key_prefix": "rqlite/", "policy": "write"]],
            ]
            try double.control(
                "acl", ["default_policy": "deny", "tokens": .object([.init(token, rules)])])
        }
        try allow("first-token")
        try "first-token".write(toFile: file, atomically: true, encoding: .utf8)
        let configuration: JSONValue = [
            "address": .string("127.0.0.1:\(front.port)"), "scheme": "https",
            "token_file": .string(file),
            "tls_config": [
                "ca_file": .string(authority.certificate),
                "cert_file": .string(authority.client.certificate),
                "key_file": .string(authority.client.key),
            ],
        ]
        let cluster = try cluster("consul-kv", configuration.text())
        defer { cluster.stop() }
        try cluster.start()
        var leader = try await cluster.waitForAgreement(within: .seconds(60))
        let entry: @Sendable () throws -> String = {
            try double.control("get", ["key": "rqlite/leader"]).text()
                .replacingOccurrences(of: "\\\"", with: "\"")
        }
        leader = try await expectEntry(of: cluster, leader, entry)
        try authority.become(new)
        // Connections that there are end, as at a restart of Consul.
        try double.control("down", true)
        try double.control("down", false)
        leader = try await expectEntry(of: cluster, leader, entry)
        try allow("second-token")
        try "second-token".write(toFile: file, atomically: true, encoding: .utf8)
        leader = try await expectEntry(of: cluster, leader, entry)
        #expect(try double.violations() == [])
        for node in cluster.nodes {
            #expect(!node.log.contains("-token"))
            #expect(!"\(try await node.client.get("/status").text)".contains("-token"))
        }
    }
}
