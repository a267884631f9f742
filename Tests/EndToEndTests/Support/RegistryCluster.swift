import Foundation

/// Nodes that share a registry in a directory, under one key.
struct RegistryCluster {
    let registry: DirectoryRegistry
    let key: String
    let cluster: TestCluster

    var nodes: [Daemon] { cluster.nodes }

    /// - Parameters:
    ///   - ids: of the nodes; their data lie below `directory`.
    ///   - expect: `-bootstrap-expect`; nil: without.
    init(
        _ ids: ClosedRange<Int>, expect: Int? = nil, key: String = "rqlite",
        registry: DirectoryRegistry, in directory: TestDirectory, arguments: [String] = []
    ) throws {
        self.registry = registry
        self.key = key
        let places = try DiscoveryMode.Place.onLoopback(ids.count)
        let expectation = expect.map { ["-bootstrap-expect", "\($0)"] } ?? []
        let nodes = zip(ids, places).map { id, place in
            Daemon(
                id: "\(id)", host: place.host, httpPort: place.httpPort,
                raftPort: place.raftPort, directory: directory.path,
                arguments: registry.arguments(key: key) + expectation + arguments)
        }
        cluster = TestCluster(nodes, in: directory)
    }

    init(_ count: Int, expect: Int? = nil) throws {
        try self.init(
            1...count, expect: expect, registry: DirectoryRegistry(), in: TestDirectory())
    }

    /// The same nodes and data under another key.
    func moved(toKey key: String) -> [Daemon] {
        nodes.map { node in
            var arguments = node.arguments
            if let place = arguments.firstIndex(of: "-disco-key") { arguments[place + 1] = key }
            return Daemon(
                id: node.id, host: node.host, httpPort: node.httpPort, raftPort: node.raftPort,
                directory: URL(fileURLWithPath: node.dataDirectory).deletingLastPathComponent()
                    .path,
                arguments: arguments)
        }
    }

    func node(_ id: String) throws -> Daemon {
        guard let node = nodes.first(where: { $0.id == id }) else {
            throw NotInTime(what: "a node \(id)", limit: .zero, last: "\(nodes.map(\.id))")
        }
        return node
    }

    /// The node that stays at the step which the test asked for.
    func stopped(within limit: Duration = .seconds(20)) async throws -> Daemon {
        try node(
            try await eventually("a node comes to its step", within: limit) {
                self.registry.stopped
            })
    }

    /// Waits until all running nodes are voters of one and the same cluster. What they logged is
    /// in the error.
    /// - Returns: its leader.
    @discardableResult
    func waitForOneCluster(within limit: Duration = .seconds(30)) async throws -> Daemon {
        do {
            return try await oneCluster(within: limit)
        } catch let error as NotInTime {
            throw NotInTime(
                what: error.what, limit: error.limit, last: "\(error.last)\n\(cluster.logs)")
        }
    }

    private func oneCluster(within limit: Duration) async throws -> Daemon {
        let running = nodes.filter(\.isRunning)
        return try await eventually("all nodes are in one cluster", within: limit) {
            let leader = try await self.cluster.waitForAgreement(within: .zero)
            var clusters: Set<String> = []
            for node in running {
                let status = try await node.client.get("/status", timeout: .seconds(2)).json()
                clusters.insert(status["store"]["cluster_id"].string ?? "none")
            }
            guard clusters.count == 1 else {
                throw UnexpectedStatus(status: 0, text: "\(clusters)")
            }
            let members = try await leader.client.get("/nodes", timeout: .seconds(2)).json()
            let areVoters = running.allSatisfy { members[$0.id]["voter"].bool == true }
            return areVoters ? leader : nil
        }
    }

    /// Waits for the entry that the node writes once it leads: it then stays as it is.
    func entryOfLeader(_ leader: Daemon) async throws -> DirectoryRegistry.Record {
        try await eventually("the entry names node \(leader.id) as leader") {
            guard let record = self.registry.record("leader", key: self.key),
                try record.json["id"].string == leader.id, try record.json["term"].int ?? 0 > 0
            else { return nil }
            return record
        }
    }

    /// The writes of the leader's entry that took effect, or not, oldest first.
    var entryWrites: [DirectoryRegistry.Deed] {
        registry.journal.filter { $0.operation == "write" && $0.record == "\(key)/leader" }
    }
}
