import Foundation
import JSON
import ServerTesting
import Testing

/// The mode that asks by multicast: a responder in a network namespace, where every node has an address.
extension DiscoveryMode {
    static let mdns = DiscoveryMode(
        name: "mdns", hindrance: { Namespace.isPossible ? nil : "network namespaces need root" }
    ) { nodes in
        let namespace = try Namespace(nodes: 2 * nodes, domain: "rqlite.test")
        let responder = try MDNSResponder(
            interface: namespace.device, prefix: namespace.prefix)
        let configuration: JSONValue = ["service": .string(responder.service), "window": "500ms"]
        @Sendable func surroundings(_ addresses: Range<Int>) throws -> Surroundings {
            try responder.announce(
                addresses.map {
                    .init(
                        "node \($0)", target: "host-\($0)", port: 4002,
                        addresses: [namespace.address($0)])
                })
            return Surroundings(
                places: addresses.map {
                    Place(host: namespace.address($0), httpPort: 4001, raftPort: 4002)
                },
                arguments: ["-disco-mode=mdns", "-disco-config", configuration.text()],
                prefix: namespace.prefix, keptAlive: [StrictResponder(responder), namespace])
        }
        var first = try surroundings(0..<nodes)
        first.move = { try surroundings(nodes..<2 * nodes) }
        return first
    }
}

extension DiscoveryMode {
    /// No responder but the nodes.
    static let mdnsOfNodes = DiscoveryMode(
        name: "mdns with nodes that announce themselves", hindrance: mdns.hindrance
    ) { nodes in
        let namespace = try Namespace(nodes: 2 * nodes, domain: "rqlite.test")
        let configuration: JSONValue = [
            "interface": .string(namespace.device), "window": "300ms", "announce": true,
        ]
        @Sendable func surroundings(_ addresses: Range<Int>) -> Surroundings {
            Surroundings(
                places: addresses.map {
                    Place(host: namespace.address($0), httpPort: 4001, raftPort: 4002)
                },
                arguments: ["-disco-mode=mdns", "-disco-config", configuration.text()],
                prefix: namespace.prefix, keptAlive: [namespace])
        }
        var first = surroundings(0..<nodes)
        first.move = { surroundings(nodes..<2 * nodes) }
        return first
    }
}

/// Fails the test that ends with it if the nodes asked for what they should not.
private final class StrictResponder: Sendable {
    private let responder: MDNSResponder

    init(_ responder: MDNSResponder) { self.responder = responder }

    deinit {
        for violation in responder.violations { Issue.record("\(violation)") }
    }
}
