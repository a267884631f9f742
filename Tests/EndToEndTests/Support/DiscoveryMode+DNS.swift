import Foundation

/// The modes that ask DNS: a dnsmasq in a network namespace, where every node has an address.
extension DiscoveryMode {
    static let dns = DiscoveryMode(name: "dns", hindrance: namespaceHindrance) { nodes in
        let namespace = try Namespace(nodes: nodes, domain: "rqlite.test")
        return Surroundings(
            places: (0..<nodes).map {
                Place(host: namespace.address($0), httpPort: 4001, raftPort: 4002)
            },
            arguments: ["-disco-mode=dns", #"-disco-config={"name":"rqlite.test"}"#],
            prefix: namespace.prefix, keptAlive: [namespace])
    }

    /// Every node has another port, which only the records tell.
    static let dnsSRV = DiscoveryMode(name: "dns-srv", hindrance: namespaceHindrance) { nodes in
        let records = (1...nodes).map {
            "--srv-host=_rqlite-svc._tcp.rqlite.test,node-\($0).rqlite.test,\(4100 + $0)"
        }
        let namespace = try Namespace(nodes: nodes, domain: "rqlite.test", options: records)
        return Surroundings(
            places: (0..<nodes).map {
                Place(host: namespace.address($0), httpPort: 4001, raftPort: 4101 + $0)
            },
            arguments: [
                "-disco-mode=dns-srv",
                #"-disco-config={"name":"rqlite.test","service":"rqlite-svc"}"#,
            ],
            prefix: namespace.prefix, keptAlive: [namespace])
    }

    private static let namespaceHindrance: @Sendable () -> String? = {
        Namespace.isPossible ? nil : "network namespaces and dnsmasq need root"
    }
}
