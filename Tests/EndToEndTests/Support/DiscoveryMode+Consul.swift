import Foundation
import JSON
import ServerTesting
import Testing

/// The mode `consul-kv`, on the loopback interface, with the double of Consul behind: there is no
/// Consul where these tests run.
extension DiscoveryMode {
    static let consulKV = DiscoveryMode(name: "consul-kv", hindrance: { nil }) { nodes in
        let double = try ConsulDouble()
        return Surroundings(
            places: try Place.onLoopback(nodes),
            arguments: arguments(["address": .string(double.address)]),
            keptAlive: [StrictConsul(double)])
    }

    /// With TLS, a client's certificate, and a token that opens nothing but the cluster's keys.
    static let consulKVSecured = DiscoveryMode(
        name: "consul-kv with TLS and a token", hindrance: { nil }
    ) { nodes in
        let authority = try CertificateAuthority()
        let double = try ConsulDouble(authority: authority, asksForCertificate: true)
        let token = "0b5e7a1c-of-the-cluster"
        let rules: JSONValue = [
            "accessor": "cluster", "rules": [["key_prefix": "some/place/", "policy": "write"]],
        ]
        try double.control(
            "acl", ["default_policy": "deny", "tokens": .object([.init(token, rules)])])
        let directory = try TestDirectory()
        let file = "\(directory.path)/token"
        try "\(token)\n".write(toFile: file, atomically: true, encoding: .utf8)
        let configuration: JSONValue = [
            "address": .string(double.secureAddress), "scheme": "https",
            "token_file": .string(file),
            "tls_config": [
                "ca_file": .string(authority.certificate),
                "cert_file": .string(authority.client.certificate),
                "key_file": .string(authority.client.key),
            ],
        ]
        return Surroundings(
            places: try Place.onLoopback(nodes), arguments: arguments(configuration),
            keptAlive: [authority, directory, StrictConsul(double)])
    }

    private static func arguments(_ configuration: JSONValue) -> [String] {
        [
            "-disco-mode=consul-kv", "-disco-key=some/place", "-disco-config",
            configuration.text(),
        ]
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
