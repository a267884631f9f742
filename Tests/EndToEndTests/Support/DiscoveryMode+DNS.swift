import Foundation

/// The modes that ask DNS: a dnsmasq in a network namespace, where every node has an address.
extension DiscoveryMode {
    static let dns = DiscoveryMode(name: "dns", hindrance: namespaceHindrance) { nodes in
        let namespace = try Namespace(nodes: 2 * nodes, domain: "rqlite.test", named: 0..<nodes)
        @Sendable func surroundings(_ addresses: Range<Int>) -> Surroundings {
            Surroundings(
                places: addresses.map {
                    Place(host: namespace.address($0), httpPort: 4001, raftPort: 4002)
                },
                arguments: ["-disco-mode=dns", #"-disco-config={"name":"rqlite.test"}"#],
                prefix: namespace.prefix, keptAlive: [namespace])
        }
        var first = surroundings(0..<nodes)
        first.move = {
            try namespace.serve(nodes..<2 * nodes)
            return surroundings(nodes..<2 * nodes)
        }
        return first
    }

    /// Every node has another port, which only the records tell.
    static let dnsSRV = DiscoveryMode(name: "dns-srv", hindrance: namespaceHindrance) { nodes in
        @Sendable func records(_ firstPort: Int) -> [String] {
            (1...nodes).map {
                "--srv-host=_rqlite-svc._tcp.rqlite.test,node-\($0).rqlite.test,\(firstPort + $0)"
            }
        }
        let namespace = try Namespace(
            nodes: 2 * nodes, domain: "rqlite.test", named: 0..<nodes, options: records(4100))
        @Sendable func surroundings(_ addresses: Range<Int>, _ firstPort: Int) -> Surroundings {
            Surroundings(
                places: addresses.enumerated().map { number, address in
                    Place(
                        host: namespace.address(address), httpPort: 4001,
                        raftPort: firstPort + 1 + number)
                },
                arguments: [
                    "-disco-mode=dns-srv",
                    #"-disco-config={"name":"rqlite.test","service":"rqlite-svc"}"#,
                ],
                prefix: namespace.prefix, keptAlive: [namespace])
        }
        var first = surroundings(0..<nodes, 4100)
        first.move = {
            try namespace.serve(nodes..<2 * nodes, options: records(4200))
            return surroundings(nodes..<2 * nodes, 4200)
        }
        return first
    }

    private static let namespaceHindrance: @Sendable () -> String? = {
        Namespace.isPossible ? nil : "network namespaces and dnsmasq need root"
    }
}
