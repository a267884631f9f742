import Foundation
import JSON
import PluginTesting
import Testing

/// The mode `consul-kv`, on the loopback interface, with the double of Consul behind: there is no
/// Consul where these tests run.
extension DiscoveryMode {
    static let consulKV = consul("consul-kv", []) { double, _ in
        ["address": .string(double.address)]
    }

    /// With TLS, a client's certificate, and a token that opens nothing but the cluster's keys.
    static let consulKVSecured = consul(
        "consul-kv with TLS and a token", ["--client-certificates"]
    ) { double, authority in
        let token = "0b5e7a1c-of-the-cluster"
        let rules: JSONValue = [
            "default_policy": "deny",
            "tokens": .object([
                .init(
                    token,
                    [
                        "accessor": "cluster",
                        "rules": [["key_prefix": "some/place/", "policy": "write"]],
                    ])
            ]),
        ]
        try double.control("acl", rules)
        try "\(token)\n".write(
            toFile: authority.path("token"), atomically: true, encoding: .utf8)
        return [
            "address": .string(double.secureAddress), "scheme": "https",
            "token_file": .string(authority.path("token")),
            "tls_config": [
                "ca_file": .string(authority.path("ca.pem")),
                "cert_file": .string(authority.path("client.pem")),
                "key_file": .string(authority.path("client-key.pem")),
            ],
        ]
    }

    /// - Parameter configure: returns the configuration of all nodes.
    private static func consul(
        _ name: String, _ options: [String],
        configure: @escaping @Sendable (ConsulDouble, TestAuthority) throws -> JSONValue
    ) -> DiscoveryMode {
        DiscoveryMode(name: name, hindrance: { nil }) { nodes in
            let authority = try TestAuthority()
            let double = try ConsulDouble(["--tls", authority.directory] + options)
            let configuration = try configure(double, authority)
            return Surroundings(
                places: try Place.onLoopback(nodes),
                arguments: [
                    "-disco-mode=consul-kv", "-disco-key=some/place",
                    "-disco-config", configuration.text(),
                ],
                keptAlive: [authority, StrictConsul(double)])
        }
    }
}

/// Fails the test that ends with it if the nodes asked for what Consul's pages don't offer.
private final class StrictConsul: Sendable {
    private let double: ConsulDouble

    init(_ double: ConsulDouble) { self.double = double }

    deinit {
        do {
            for violation in try double.violations() { Issue.record("\(violation)") }
        } catch {
            Issue.record(error)
        }
    }
}
