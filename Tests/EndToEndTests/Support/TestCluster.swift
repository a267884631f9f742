import Foundation

/// Several daemons meant to be one cluster.
struct TestCluster: Sendable {
    var nodes: [Daemon]
    private let directory: TestDirectory

    init(_ nodes: [Daemon], in directory: TestDirectory) {
        self.nodes = nodes
        self.directory = directory
    }

    /// A node at each place, with the IDs 1, 2, …
    /// - Parameter arguments: of the node at a position, which counts from 0.
    init(
        at places: [DiscoveryMode.Place], prefix: [String] = [], arguments: (Int) -> [String]
    ) throws {
        let directory = try TestDirectory()
        let nodes = places.enumerated().map { position, place in
            Daemon(
                id: "\(position + 1)", host: place.host, httpPort: place.httpPort,
                raftPort: place.raftPort, directory: directory.path,
                arguments: arguments(position), prefix: prefix)
        }
        self.init(nodes, in: directory)
    }

    /// `count` nodes on loopback that form by `-bootstrap-expect` and `-join`.
    /// - Parameter expect: the voters they wait for; nil: all.
    static func joined(
        _ count: Int, expect: Int? = nil, arguments: [String] = []
    ) throws -> TestCluster {
        let places = try DiscoveryMode.Place.onLoopback(count)
        let list = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        return try TestCluster(at: places) { _ in
            ["-bootstrap-expect", "\(expect ?? count)", "-join", list] + arguments
        }
    }

    /// One more node on loopback that joins these; not started, and no part of `nodes`.
    func another(
        _ id: String, in directory: TestDirectory, _ arguments: [String] = []
    ) throws -> Daemon {
        let ports = try freePorts(2)
        let list = nodes.map { "\($0.host):\($0.raftPort)" }.joined(separator: ",")
        return Daemon(
            id: id, httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-join", list] + arguments)
    }

    /// The same data at other places.
    /// - Parameters:
    ///   - arguments: what the nodes are told there; nil: the same as before.
    ///   - prefix: what comes before the program there; nil: the same as before.
    func moved(
        to places: [DiscoveryMode.Place], arguments: [String]? = nil, prefix: [String]? = nil
    ) -> TestCluster {
        let moved = zip(nodes, places).map { node, place in
            Daemon(
                id: node.id, host: place.host, httpPort: place.httpPort, raftPort: place.raftPort,
                directory: directory.path, arguments: arguments ?? node.arguments,
                prefix: prefix ?? node.prefix)
        }
        return TestCluster(moved, in: directory)
    }

    /// The same data at the same places, told something else.
    /// - Parameter arguments: of the node at a position, which counts from 0.
    func with(_ arguments: (Int) throws -> [String]) rethrows -> TestCluster {
        let nodes = try nodes.enumerated().map { position, node in
            Daemon(
                id: node.id, host: node.host, httpPort: node.httpPort, raftPort: node.raftPort,
                directory: directory.path, arguments: try arguments(position),
                prefix: node.prefix)
        }
        return TestCluster(nodes, in: directory)
    }

    func start() throws {
        for node in nodes { try node.start() }
    }

    func stop() {
        for node in nodes { node.kill() }
    }

    /// Waits until all running nodes name the same leader and are ready.
    @discardableResult
    func waitForAgreement(within limit: Duration = .seconds(20)) async throws -> Daemon {
        let running = nodes.filter(\.isRunning)
        return try await eventually("all nodes agree on a leader", within: limit) {
            var leaders: Set<String> = []
            for node in running {
                _ = try await node.isReady()
                let status = try await node.client.get("/status", timeout: .seconds(2)).json()
                guard let leader = status["store"]["leader"]["node_id"].string, !leader.isEmpty
                else { throw UnexpectedStatus(status: 0, text: "node \(node.id) knows no leader") }
                leaders.insert(leader)
            }
            guard leaders.count == 1 else { return nil }
            return running.first { leaders.contains($0.id) }
        }
    }

    /// All logs, for a failed test's message.
    var logs: String {
        nodes.map { "--- node \($0.id)\n\($0.log.suffix(4000))" }.joined(separator: "\n")
    }
}
