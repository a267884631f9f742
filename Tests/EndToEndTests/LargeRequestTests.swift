import Foundation
import Testing

/// Requests and results that are large in one way or another: they take what they must, and end in
/// an answer.
@Suite(.serialized) struct LargeRequestTests {
    private static let insert = "INSERT INTO t VALUES('some text to make it sixty bytes long, ok');"

    private static func seconds(_ body: () async throws -> Void) async throws -> Double {
        let start = ContinuousClock.now
        try await body()
        return Double((ContinuousClock.now - start).components.seconds)
    }

    @Test
    func
        `160,000 INSERTs as one text take about what they take as a list, and other writes go on`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        let other = try #require(cluster.nodes.first { $0.id != leader.id })
        _ = try await leader.client.execute(["CREATE TABLE t(a)", "CREATE TABLE w(a)"])
        let count = 160_000
        let list = try await Self.seconds {
            let result = try await other.client.execute(
                Array(repeating: Self.insert, count: count), parameters: "?timeout=120s",
                timeout: .seconds(120))
            #expect(result["results"].array?.count == count)
        }
        let text = String(repeating: Self.insert + "\n", count: count)
        async let written: JSON = other.client.execute(
            [text], parameters: "?timeout=120s", timeout: .seconds(120))
        let start = ContinuousClock.now
        // A client with the usual time-out beside it.
        for _ in 0..<10 {
            let result = try await leader.client.execute(["INSERT INTO w VALUES(1)"])
            #expect(result["results"][0]["rows_affected"].int == 1, "\(result)")
        }
        let result = try await written
        let single = Double((ContinuousClock.now - start).components.seconds)
        #expect(result["results"][0]["last_insert_id"].int == 2 * count, "\(result)")
        #expect(single < 3 * list + 10, "as a text \(single) s, as a list \(list) s")
        for node in cluster.nodes {
            try await eventually("node \(node.id) has all", within: .seconds(60)) {
                let rows = try await node.client.rows("SELECT count(*) FROM t", level: "none")
                return rows[0][0].int == 2 * count ? true : nil
            }
        }
    }

    @Test func `A result of 2000 columns of 256 MB is a clear error, and the node serves on`()
        async throws
    {
        let ports = try freePorts(2)
        let directory = try TestDirectory()
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE b(x)"])
        let columns = (0..<2000).map { "x AS c\($0)" }.joined(separator: ", ")
        let wide = "SELECT \(columns) FROM (SELECT zeroblob(256000000) AS x)"
        for parameters in ["", "?level=strong", "?blob_array", "?associative", "?pretty"] {
            let answer = try await node.client.execute(
                [wide], parameters: parameters, endpoint: "query", timeout: .seconds(120))
            #expect(
                answer["results"][0]["error"].string?.contains("more memory than the 1024 MiB")
                    == true, "\(parameters): \(answer)")
        }
        let written = try await node.client.execute(
            ["INSERT INTO b VALUES(zeroblob(256000000)) RETURNING \(columns)"],
            timeout: .seconds(120))
        #expect(written["results"][0]["error"].string != nil, "\(written)")
        #expect(try await node.client.rows("SELECT count(*) FROM b")[0][0].int == 0)
        #expect(try await node.client.get("/readyz").status == 200)
    }

    @Test func `A blob of 20 MB goes out as a list of numbers, as a stream`() async throws {
        let cluster = try TestCluster.joined(2)
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement()
        let size = 20_000_000
        _ = try await cluster.nodes[0].client.execute([
            "CREATE TABLE b(x)", "INSERT INTO b VALUES(zeroblob(\(size)))",
        ])
        for node in cluster.nodes {
            let answer = try await node.client.send(
                "POST", "/db/query?blob_array&level=strong",
                body: Data("[\"SELECT x FROM b\"]".utf8),
                timeout: .seconds(120))
            #expect(answer.status == 200)
            #expect(answer.headers["transfer-encoding"]?.lowercased() == "chunked")
            #expect(answer.body.count > 2 * size && answer.body.count < 2 * size + 200)
            #expect(answer.body.suffix(12) == Data(",0,0,0]]]}]}".utf8).suffix(12))
        }
    }
}
