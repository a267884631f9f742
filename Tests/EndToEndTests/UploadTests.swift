import Foundation
import Testing

/// Files to load that come slowly, and in which something happens meanwhile.
@Suite(.serialized) struct UploadTests {
    private static let size = 200 << 20

    /// A database of which a MiB is in each row, sent as slowly as a test says.
    private final class Upload {
        private let file: FileHandle
        private let wire: HTTPWire
        private var left: Int

        init(_ path: String, to node: Daemon) throws {
            file = try #require(FileHandle(forReadingAtPath: path))
            left = Int(try file.seekToEnd())
            try file.seek(toOffset: 0)
            wire = try HTTPWire(host: node.host, port: node.httpPort, timeout: 120)
            try wire.sendRaw(
                "POST /db/load HTTP/1.1\r\nHost: x\r\nContent-Length: \(left)\r\n\r\n")
        }

        deinit { try? file.close() }

        /// All but so many bytes.
        /// - Parameter time: how long it takes.
        func send(leaving rest: Int, over time: Duration = .zero) async throws {
            let parts = max(1, (left - rest) >> 20)
            let start = ContinuousClock.now
            var part = 0
            while left > rest {
                let bytes = try #require(try file.read(upToCount: min(left - rest, 1 << 20)))
                try wire.sendRaw(bytes)
                left -= bytes.count
                part += 1
                let due = start + time * part / parts
                try await eventually("the time has come", within: .seconds(60)) {
                    ContinuousClock.now >= due ? true : nil
                }
            }
        }

        func answer() throws -> HTTPAnswer { try wire.receiveAnswer() }
    }

    private let directory: TestDirectory
    private var path: String { directory.path + "/file" }

    init() throws {
        directory = try TestDirectory()
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/sqlite3")
        process.arguments = [
            directory.path + "/file",
            SteadyLoad.table + "; CREATE TABLE t(a INTEGER PRIMARY KEY, b); "
                + "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                + "LIMIT \(Self.size >> 20)) INSERT INTO t SELECT i, zeroblob(1 << 20) FROM n",
        ]
        try process.run()
        process.waitUntilExit()
    }

    /// What is kept of bodies.
    private func kept(by node: Daemon) throws -> [String] {
        let folder = node.dataDirectory + "/tmp"
        guard FileManager.default.fileExists(atPath: folder) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: folder)
            .filter { $0.contains("loading") }
    }

    private func start() async throws -> (TestCluster, leader: Daemon, follower: Daemon) {
        let cluster = try TestCluster.joined(3)
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute([
            SteadyLoad.table, "CREATE TABLE old(a)", "INSERT INTO old VALUES(1)",
        ])
        return (cluster, leader, try #require(cluster.nodes.first { $0 !== leader }))
    }

    private func expectLoaded(_ nodes: [Daemon]) async throws {
        for node in nodes {
            try await eventually("node \(node.id) has what was loaded", within: .seconds(60)) {
                let rows = try? await node.client.rows(
                    "SELECT count(*), sum(length(b)) FROM t", level: "none")
                return rows?[0][1].int == Self.size ? true : nil
            }
        }
    }

    @Test(.timeLimit(.minutes(15)))
    func `A large file that comes slowly takes little memory, and nobody waits for it`()
        async throws
    {
        let (cluster, _, follower) = try await start()
        defer { cluster.stop() }
        let before = try Footprint(follower).residentMegabytes
        let upload = try Upload(path, to: follower)
        let watch = NodeWatch(follower)
        let writes = SteadyLoad([follower], rate: 50, workers: 4)
        try await upload.send(leaving: 1, over: .seconds(10))
        let readiness = try await watch.stop()
        let written = try await writes.stop()
        let after = try Footprint(follower).residentMegabytes
        print(
            "upload: \(before) MiB before, \(after) behind it; /readyz at p99 "
                + "\(readiness.percentile(0.99)), writes \(written.percentile(0.99))")
        #expect(after < before + 64, "from \(before) to \(after) MiB")
        #expect(try kept(by: follower).count == 1)
        #expect(readiness.failures == [])
        #expect(written.failures == [])
        #expect(readiness.latencies.count > 100)
        #expect(written.latencies.count > 100)
        #expect(readiness.percentile(0.99) < stretched(.seconds(5)))
        #expect(written.percentile(0.99) < stretched(.seconds(5)))
        try await upload.send(leaving: 0)
        let answer = try upload.answer()
        #expect(answer.status == 200, "\(answer.text.prefix(300))")
        try await expectLoaded(cluster.nodes)
        #expect(try kept(by: follower).isEmpty)
    }

    @Test(.timeLimit(.minutes(15)))
    func `A client or a node that goes in the middle leaves the old database and no file`()
        async throws
    {
        let (cluster, leader, follower) = try await start()
        defer { cluster.stop() }
        for node in [follower, leader] {
            var upload: Upload? = try Upload(path, to: node)
            try await upload?.send(leaving: Self.size / 2)
            try await eventually("its bytes are kept") {
                try self.kept(by: node).count == 1 ? true : nil
            }
            upload = nil
            try await eventually("nothing is kept any more") {
                try self.kept(by: node).isEmpty ? true : nil
            }
        }
        let upload = try Upload(path, to: follower)
        try await upload.send(leaving: Self.size / 2)
        follower.kill()
        #expect(throws: HTTPWire.Failure.self) { try upload.answer() }
        try follower.start()
        _ = try await cluster.waitForAgreement()
        #expect(try kept(by: follower).isEmpty)
        #expect(try await follower.client.rows("SELECT a FROM old")[0][0].int == 1)
        let whole = try Upload(path, to: follower)
        try await whole.send(leaving: 0)
        #expect(try whole.answer().status == 200)
        try await expectLoaded(cluster.nodes)
    }

    @Test(.timeLimit(.minutes(15)))
    func `A leader that is killed while a file comes through another node is not missed`()
        async throws
    {
        let (cluster, leader, follower) = try await start()
        defer { cluster.stop() }
        let upload = try Upload(path, to: follower)
        try await upload.send(leaving: Self.size / 2)
        leader.kill()
        try await upload.send(leaving: 0)
        let answer = try upload.answer()
        #expect(answer.status == 200, "\(answer.text.prefix(300))")
        try await expectLoaded(cluster.nodes.filter { $0 !== leader })
        try leader.start()
        try await expectLoaded([leader])
    }
}
