/// What makes forming a cluster harder than usual: names of several addresses, names of two families,
/// and registries in which others have left their records.
extension DiscoveryMode {
    /// One name, given as `-join`, has the addresses of all nodes.
    static let joinedByName = DiscoveryMode(
        name: "-join with a name", hindrance: DiscoveryMode.dns.hindrance
    ) { nodes in
        let namespace = try Namespace(nodes: nodes, domain: "rqlite.test")
        return surroundings(nodes, in: namespace, ["-join", "http://rqlite.test:4001"])
    }

    /// One name has the A and AAAA records of all nodes, which listen by IPv4.
    static let dualStack = DiscoveryMode(
        name: "dns with two families", hindrance: DiscoveryMode.dns.hindrance
    ) { nodes in
        let namespace = try Namespace(nodes: nodes, domain: "rqlite.test")
        try namespace.addVersion6(nodes: nodes)
        try namespace.serve(0..<nodes, isDual: true)
        return surroundings(
            nodes, in: namespace,
            ["-disco-mode=dns", #"-disco-config={"name":"rqlite.test"}"#])
    }

    /// The registry has records of nodes that waited for a cluster once and are gone, more than a node
    /// asks at a time, and some that nobody can read.
    static let dirtyDirectory = DiscoveryMode(
        name: "a dirty registry", hindrance: { nil }
    ) { nodes in
        let registry = try DirectoryRegistry()
        try registry.litter(300)
        return Surroundings(
            places: try Place.onLoopback(nodes), arguments: registry.arguments(),
            keptAlive: [registry])
    }

    private static func surroundings(
        _ nodes: Int, in namespace: Namespace, _ arguments: [String]
    ) -> Surroundings {
        Surroundings(
            places: (0..<nodes).map {
                Place(host: namespace.address($0), httpPort: 4001, raftPort: 4002)
            },
            arguments: arguments, prefix: namespace.prefix, keptAlive: [namespace])
    }
}

extension DirectoryRegistry {
    /// Records of so many voters without a cluster, which nobody keeps and at whose addresses nobody
    /// answers, before those of other nodes in the order of names; and one that can't be read.
    func litter(_ count: Int, expect: Int = 3) throws {
        for number in 1...count {
            let digits = String(number, radix: 16)
            let incarnation = String(repeating: "0", count: 32 - digits.count) + digits
            let id = "0-gone-\(number)"
            let record =
                #"{"id":"\#(id)","incarnation":"\#(incarnation)","#
                + #""addr":"127.9.\#(number / 200).\#(number % 200 + 1):4002","suffrage":"voter","expect":\#(expect)}"#
            _ = try write("nodes/\(id)", record, expected: nil)
        }
        _ = try write("nodes/0-unreadable", "{", expected: nil)
    }
}
