import Foundation
import Synchronization
import Testing

/// What heavy clients do to the others. Sizes and limits are those of a release build where
/// `RQLITED_BIN_DIR` names one; a debug build reads and writes JSON a hundred times slower.
@Suite(.serialized) struct EdgeLoadTests {
    private static let isRelease = ProcessInfo.processInfo.environment["RQLITED_BIN_DIR"] != nil
    private static let uploadBytes = (isRelease ? 200 : 4) << 20
    private static let resultRows = isRelease ? 500 : 8
    private static let loadTime = Duration.seconds(20)

    @Test(.timeLimit(.minutes(15)))
    func `Heavy clients keep neither the node from answering nor others from writing`() async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute([SteadyLoad.table])
        let before = try await Self.term(of: leader)

        let machine = MachineWatch()
        let heavy = Heavy(leader)
        heavy.upload(Self.uploadBytes, over: Self.loadTime)
        heavy.read(rows: Self.resultRows)
        heavy.query(for: Self.loadTime)
        // The same through another node: the leader makes it, the follower passes it on.
        let follower = try #require(cluster.nodes.first { $0 !== leader })
        let remote = Heavy(follower)
        remote.read(rows: Self.resultRows, level: "weak")
        let watch = NodeWatch(leader)
        let load = SteadyLoad([leader], rate: 50, workers: 4)
        try await eventually("the heavy clients are served", within: .seconds(120)) {
            heavy.isOver && remote.isOver ? true : nil
        }
        let readiness = try await watch.stop()
        let writes = try await load.stop()

        let delay = machine.stop()
        let ready = readiness.percentile(0.99) / .milliseconds(1)
        let written = writes.percentile(0.99) / .milliseconds(1)
        print(
            "edge load, ms at p99: /readyz \(ready) of \(readiness.latencies.count), writes "
                + "\(written) of \(writes.latencies.count); slowest \(writes.slowest); a thread "
                + "waited \(delay) for a processor at most")
        #expect(heavy.problems == [])
        #expect(remote.problems == [])
        #expect(writes.failures == [])
        #expect(readiness.latencies.count > 200)
        #expect(writes.latencies.count > 200)
        // 100 and 50 ms are what a quiet machine keeps; a starved one shares its processors with
        // three nodes and four heavy threads.
        let limit: Double = Self.isRelease && delay < .milliseconds(250) ? 1000 : 5000
        #expect(ready < limit)
        #expect(written < limit)
        // A leader that gets no processor for half its lease can't be expected to keep it.
        if delay < .milliseconds(250) {
            #expect(readiness.failures == [])
            #expect(try await Self.term(of: leader) == before, "the leader changed")
        }
    }

    @Test(.timeLimit(.minutes(15)))
    func `A read whose client has gone gives its processor back`() async throws {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        let node = try await cluster.waitForAgreement()
        do {
            let wire = try HTTPWire(host: node.host, port: node.httpPort, timeout: 30)
            let endless = Heavy.encoded(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) "
                    + "SELECT count(*) FROM n")
            try wire.sendRaw("GET /db/query?level=none&q=\(endless) HTTP/1.1\r\nHost: x\r\n\r\n")
            try await Self.eventuallyBusy(node, 1)
        }
        try await Self.eventuallyBusy(node, 0)
    }

    @Test(.timeLimit(.minutes(15)))
    func `A result larger than all buffers arrives whole, in chunks and in pieces`() async throws {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        let node = try await cluster.waitForAgreement()
        let sql =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 40) "
            + "SELECT i, hex(zeroblob(100000)) AS h FROM n"
        let answer = try await node.client.get(
            "/db/query?level=none&associative&q=\(Heavy.encoded(sql))", timeout: .seconds(60))
        #expect(answer.headers["transfer-encoding"] == "chunked")
        let rows = try #require(try answer.json()["results"][0]["rows"].array)
        #expect(rows.map { $0["i"].int } == (1...40).map { $0 })
        #expect(rows.allSatisfy { $0["h"].string?.utf8.count == 200_000 })
    }

    @Test(.timeLimit(.minutes(15)))
    func `A large result through a follower is the leader's, at every level`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let follower = try #require(cluster.nodes.first { $0 !== leader })
        let sql = Heavy.encoded(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 150000) "
                + "SELECT i, 'row ' || i AS t, NULL AS z, i * 0.5 AS r FROM n")
        let path = "/db/query?q=\(sql)&level="
        let expected = try await leader.client.get("\(path)none", timeout: .seconds(60))
        #expect(expected.text.hasPrefix(#"{"results":[{"columns":["i","t","z","r"]"#))
        for level in ["none", "weak", "linearizable", "strong"] {
            let answer = try await follower.client.get("\(path)\(level)", timeout: .seconds(60))
            // Not in the expectation: a failure would print it.
            let isSame = answer.text == expected.text
            #expect(isSame, "at level \(level)")
        }
    }

    @Test(.timeLimit(.minutes(15)))
    func `A client of a follower that hangs up gives the leader's reader back`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let follower = try #require(cluster.nodes.first { $0 !== leader })
        let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT "
        // One that makes rows without end, and one that makes none.
        for columns in ["i FROM n", "count(*) FROM n"] {
            do {
                let wire = try HTTPWire(host: follower.host, port: follower.httpPort, timeout: 30)
                try wire.sendRaw(
                    "GET /db/query?q=\(Heavy.encoded(rows + columns)) HTTP/1.1\r\nHost: x\r\n\r\n")
                try await Self.eventuallyBusy(leader, 1)
            }
            try await Self.eventuallyBusy(leader, 0)
        }
    }

    @Test(.timeLimit(.minutes(15)))
    func `Clients of a follower that take nothing keep nobody else waiting`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let follower = try #require(cluster.nodes.first { $0 !== leader })
        let sql = Heavy.encoded(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) "
                + "SELECT hex(zeroblob(50000)) FROM n")
        var stalled: [HTTPWire] = []
        for _ in 0..<64 {
            let wire = try HTTPWire(host: follower.host, port: follower.httpPort, timeout: 30)
            try wire.sendRaw("GET /db/query?q=\(sql) HTTP/1.1\r\nHost: x\r\n\r\n")
            stalled.append(wire)
        }
        try await eventually("all readers wait for their clients", within: .seconds(120)) {
            let metrics = try await leader.client.get("/debug/vars", timeout: .seconds(30)).json()
            return metrics["readers"]["stalled"].int == stalled.count ? true : nil
        }
        let wire = try HTTPWire(host: follower.host, port: follower.httpPort, timeout: 30)
        for path in ["/db/query?level=weak&q=SELECT+1", "/readyz"] {
            var latencies: [Duration] = []
            for _ in 0..<50 {
                let start = ContinuousClock.now
                let answer = try wire.get(path)
                latencies.append(ContinuousClock.now - start)
                #expect(answer.status == 200, "\(answer.text)")
            }
            latencies.sort()
            print("64 stalled streams: \(path) median \(latencies[25]), slowest \(latencies[49])")
            #expect(latencies[25] < stretched(.milliseconds(100)))
            #expect(latencies[49] < stretched(.seconds(1)))
        }
        withExtendedLifetime(stalled) {}
    }

    private static func eventuallyBusy(_ node: Daemon, _ count: Int) async throws {
        try await eventually("\(count) readers are busy", within: .seconds(30)) {
            let metrics = try await node.client.get("/debug/vars", timeout: .seconds(5)).json()
            return metrics["readers"]["busy"].int == count ? true : nil
        }
    }

    private static func term(of node: Daemon) async throws -> Int {
        let status = try await node.client.get("/status", timeout: .seconds(30)).json()
        return try #require(status["store"]["raft"]["term"].int, "\(status["store"]["raft"])")
    }
}

/// Clients that ask for much, each on a thread of its own.
private final class Heavy: Sendable {
    private let host: String
    private let port: Int
    private let running = Atomic(0)
    private let found = Mutex<[String]>([])

    init(_ node: Daemon) {
        host = node.host
        port = node.httpPort
    }

    var isOver: Bool { running.load(ordering: .sequentiallyConsistent) == 0 }
    var problems: [String] { found.withLock { $0 } }

    static func encoded(_ sql: String) -> String {
        sql.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    }

    /// Sends a body that turns out to be no JSON with its last byte.
    func upload(_ size: Int, over time: Duration) {
        start("upload") { wire in
            try wire.sendRaw(
                "POST /db/execute HTTP/1.1\r\nHost: x\r\nContent-Length: \(size)\r\n\r\n[\"SELECT '"
            )
            let parts = 100
            let part = String(repeating: "a", count: (size - 10) / parts)
            let begun = ContinuousClock.now
            var sent = 10
            for number in 1...parts {
                try wire.sendRaw(part)
                sent += part.utf8.count
                Self.pause(until: begun + time * number / parts)
            }
            try wire.sendRaw(String(repeating: "b", count: size - sent))
            let answer = try wire.receiveAnswer()
            return answer.status == 400 ? nil : "status \(answer.status): \(answer.text)"
        }
    }

    /// Reads rows of a megabyte, as fast as they come.
    func read(rows: Int, level: String = "none") {
        start("read") { wire in
            let sql =
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT \(rows)) "
                + "SELECT hex(zeroblob(500000)) FROM n"
            try wire.sendRaw(
                "GET /db/query?level=\(level)&q=\(Self.encoded(sql)) HTTP/1.1\r\nHost: x\r\n"
                    + "Connection: close\r\n\r\n")
            var received = 0
            while case let count = try wire.drop(atMost: 1 << 16), count > 0 { received += count }
            return received > rows * 1_000_000 ? nil : "only \(received) bytes"
        }
    }

    /// Keeps a reader busy for a time.
    func query(for time: Duration) {
        start("query") { wire in
            let sql =
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) "
                + "SELECT count(*) FROM n"
            let answer = try wire.get(
                "/db/query?level=none&db_timeout=\(time.components.seconds)s"
                    + "&q=\(Self.encoded(sql))")
            return answer.text.contains("query timeout") ? nil : answer.text
        }
    }

    /// - Parameter work: says what went wrong.
    private func start(_ name: String, _ work: @escaping @Sendable (HTTPWire) throws -> String?) {
        running.add(1, ordering: .sequentiallyConsistent)
        Thread.detachNewThread { [self] in
            do {
                let wire = try HTTPWire(host: host, port: port, timeout: 120)
                if let problem = try work(wire) {
                    found.withLock { $0.append("\(name): \(problem)") }
                }
            } catch {
                found.withLock { $0.append("\(name): \(error)") }
            }
            running.subtract(1, ordering: .sequentiallyConsistent)
        }
    }

    private static func pause(until due: ContinuousClock.Instant) {
        let left = due - ContinuousClock.now
        if left > .zero { _ = Pacer().wait(until: Date(timeIntervalSinceNow: left / .seconds(1))) }
    }
}
