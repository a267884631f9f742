import Testing

/// One way for nodes to find each other, as the tests that run over all of them see it. A new one is
/// an extension with its `static let`, and a line in `all`.
struct DiscoveryMode: Sendable, CustomTestStringConvertible {
    /// Where the nodes of one test run, and what tells them of each other.
    struct Surroundings: Sendable {
        /// One for each node that the test may start.
        var places: [Place]
        /// The same for all nodes: mode, configuration, search path.
        var arguments: [String]
        /// What comes before the program, the same for all nodes.
        var prefix: [String] = []
        /// Servers and directories: they end with the test.
        var keptAlive: [any Sendable] = []
        /// Makes other places for the same nodes, on other addresses, and tells what the nodes ask of
        /// them. Nil where the nodes tell it themselves.
        var move: (@Sendable () async throws -> Surroundings)?
    }

    struct Place: Sendable {
        var host: String
        var httpPort: Int
        var raftPort: Int
    }

    let name: String
    /// What it lacks on this machine; nil when it can be tested.
    let hindrance: @Sendable () -> String?
    /// Starts what the nodes need; returns when they can be started.
    let prepare: @Sendable (_ nodes: Int) async throws -> Surroundings

    var testDescription: String { name }

    static let all: [DiscoveryMode] = [
        .dns, .dnsSRV, .http, .kubernetes, .nomad, .mdns, .mdnsOfNodes, .consulKV, .consulKVSecured,
        .etcd,
        .securedEtcd,
        .file,
        .exec, .env,
        .directory,
    ]
}

extension DiscoveryMode.Place {
    /// Ports of the loopback interface that are free now.
    static func onLoopback(_ count: Int) throws -> [DiscoveryMode.Place] {
        let ports = try freePorts(2 * count)
        return (0..<count).map {
            .init(host: "127.0.0.1", httpPort: ports[2 * $0], raftPort: ports[2 * $0 + 1])
        }
    }

    /// The same, at an address for each: 127.0.0.2, 127.0.0.3, …
    static func onOwnLoopbackAddresses(_ count: Int) throws -> [DiscoveryMode.Place] {
        try (0..<count).map { number in
            let host = "127.0.0.\(number + 2)"
            let ports = try freePorts(2, host: host)
            return .init(host: host, httpPort: ports[0], raftPort: ports[1])
        }
    }
}
