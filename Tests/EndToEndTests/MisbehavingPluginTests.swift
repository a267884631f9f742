import Foundation
import Testing

/// Whatever a plugin does, a node that has its cluster comes up, serves writes, tells, and stops.
@Suite(.serialized) struct MisbehavingPluginTests {
    struct Case: Sendable, CustomStringConvertible {
        var mode: String
        var function: String
        var how: String
        var isolation: String
        /// What `/status` says, or the log; nil where nothing is to be said before the end.
        var sign: String?

        var description: String { "\(mode)-\(function)-\(how)-\(isolation)" }
    }

    static let cases: [Case] = {
        var cases: [Case] = []
        let functions = [
            ("own-host", ["create", "resolve", "describe", "destroy"]),
            ("directory", ["read", "write", "wait"]),
        ]
        for (mode, names) in functions {
            for function in names {
                let isEnd = function == "destroy"
                for isolation in ["none", "process"] {
                    cases.append(
                        Case(
                            mode: mode, function: function, how: "hang", isolation: isolation,
                            sign: isEnd ? nil : "did not come back from \(function)"))
                    let complaint =
                        function == "create" ? "made no instance" : "broke its contract"
                    if !isEnd, function != "describe" {
                        cases.append(
                            Case(
                                mode: mode, function: function, how: "garbage",
                                isolation: isolation, sign: complaint))
                    }
                }
                // In the node's own process a crash is the node's.
                cases.append(
                    Case(
                        mode: mode, function: function, how: "crash", isolation: "process",
                        sign: isEnd ? nil : "was ended by SIGSEGV"))
            }
        }
        return cases
    }()

    /// All at once: each mostly waits for a deadline.
    @Test func `A node of a cluster lives with every kind of bad plugin`() async throws {
        let plugin = try MisbehavingPlugin()
        let directory = try TestDirectory()
        let ports = try freePorts(2 * Self.cases.count)
        await withTaskGroup(of: Void.self) { group in
            for (number, one) in Self.cases.enumerated() {
                group.addTask {
                    do {
                        let node = Daemon(
                            id: "\(one)", httpPort: ports[2 * number],
                            raftPort: ports[2 * number + 1], directory: directory.path,
                            arguments: try plugin.arguments(
                                mode: one.mode, name: "\(one)", isolation: one.isolation)
                                + ["-bootstrap-expect", "1"])
                        defer { node.kill() }
                        try await Self.live(node, with: one, plugin)
                    } catch {
                        Issue.record("\(one): \(error)")
                    }
                }
            }
        }
    }

    /// The leader's plugin is called every second, the others' now and then.
    @Test(arguments: [
        ("read hang", "none"), ("read hang", "process"), ("write garbage", "none"),
        ("read crash", "process"),
    ])
    func `A cluster of three loses no write while its plugins misbehave`(
        what: String, isolation: String
    ) async throws {
        let plugin = try MisbehavingPlugin()
        let arguments = try plugin.arguments(
            mode: "directory", name: "shared", isolation: isolation)
        let cluster = try TestCluster(at: DiscoveryMode.Place.onLoopback(3)) { _ in
            arguments + ["-bootstrap-expect", "3"]
        }
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute([SteadyLoad.table])
        let load = SteadyLoad(cluster.nodes, rate: 200)
        try await load.answer(200)
        try plugin.misbehave("shared", what)
        try await load.answer(600)
        // Leadership moves although nobody can tell the registry.
        let moved = try await leader.client.send("POST", "/leader?wait")
        #expect(moved.status == 200, "\(moved.text)")
        try await load.answer(200)
        let report = try await load.stop()
        #expect(report.failures.isEmpty, "\(report.failures.prefix(3))\n\(cluster.logs)")
        for node in cluster.nodes {
            let start = ContinuousClock.now
            #expect(try await node.terminate() == 0, "\(node.log.suffix(2000))")
            #expect(
                ContinuousClock.now - start < stretched(.seconds(2)), "\(node.log.suffix(2000))")
        }
    }

    private static func live(
        _ node: Daemon, with one: Case, _ plugin: MisbehavingPlugin
    ) async throws {
        try node.start()
        try await node.waitUntilReady(within: .seconds(60))
        _ = try await node.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(1)"])
        #expect(try await node.terminate() == 0, "\(one)\n\(node.log)")

        try plugin.misbehave("\(one)", "\(one.function) \(one.how)")
        try node.start()
        try await node.waitUntilReady(within: .seconds(60))
        _ = try await node.client.execute(["INSERT INTO t VALUES(2)"])
        if let sign = one.sign {
            try await eventually("\(one) is told: \(sign)", within: .seconds(40)) {
                let disco = try await node.client.get("/status").json()["disco"]
                let told = disco["last_error"].string ?? ""
                guard told.contains(sign) || node.log.contains(sign) else {
                    throw UnexpectedStatus(status: 200, text: "\(disco)\n\(node.log)")
                }
                return true
            }
        }
        _ = try await node.client.execute(["INSERT INTO t VALUES(3)"])
        let rows = try await node.client.rows("SELECT sum(v) FROM t", level: "linearizable")
        #expect(rows[0][0].int == 6, "\(one)")
        let start = ContinuousClock.now
        #expect(try await node.terminate() == 0, "\(one)\n\(node.log.suffix(2000))")
        let elapsed = ContinuousClock.now - start
        #expect(
            elapsed < stretched(.seconds(2)), "\(one) took \(elapsed)\n\(node.log.suffix(2000))")
    }
}
