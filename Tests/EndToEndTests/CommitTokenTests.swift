import Foundation
import ServerTesting
import Testing

/// Reads that see what the client has seen, on any node, and copies that still hold.
@Suite(.serialized) struct CommitTokenTests {
    private static let header = "x-rqlited-commit"

    private static func get(
        _ path: String, from node: Daemon, headers: [String] = []
    ) async throws -> HTTPAnswer {
        try await OneShotHTTP(host: node.host, port: node.httpPort).send(
            "GET", path, headers: headers, nil, timeout: 40)
    }

    @Test(.timeLimit(.minutes(5)))
    func `Who wrote anywhere reads it on every node by its token, without the leader`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(a)"])
        var last = ""
        for turn in 0..<60 {
            let answer = try await cluster.nodes[turn % 3].client.send(
                "POST", "/db/execute", body: Data(#"["INSERT INTO t VALUES(1)"]"#.utf8))
            last = try #require(answer.headers[Self.header], "\(answer.text)")
            for node in cluster.nodes {
                let read = try await node.client.get(
                    "/db/query?q=SELECT+count(*)+FROM+t&min_index=\(last)")
                #expect(try read.json()["results"][0]["values"][0][0].int == turn + 1)
                #expect(read.headers[Self.header] != nil)
            }
        }
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        for node in cluster.nodes where node.id != follower.id { node.kill() }
        let alone = try await follower.client.get(
            "/db/query?q=SELECT+count(*)+FROM+t&min_index=\(last)")
        #expect(try alone.json()["results"][0]["values"][0][0].int == 60)
        // What never comes, and what can't.
        let parts = last.split(separator: "-")
        let late = try await follower.client.get(
            "/db/query?q=SELECT+1&timeout=1s&min_index=\(parts[0])-\(parts[1])-999999")
        #expect(late.status == 504, "\(late.text)")
        #expect(late.text.hasPrefix("timed out waiting for index 999999: this node has applied "))
        let foreign = String(repeating: "0", count: 32)
        for token in ["\(foreign)-\(parts[1])-1", "\(parts[0])-7-1"] {
            let refused = try await follower.client.get("/db/query?q=SELECT+1&min_index=\(token)")
            #expect(refused.status == 412, "\(refused.text)")
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `A copy holds until something is written, on whichever node it is asked for`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(a)"])
        let path = "/db/query?q=SELECT+count(*)+FROM+t"
        for node in cluster.nodes {
            // Entries of the daemon's own may come between.
            let (body, tag) = try await eventually("a copy holds", within: .seconds(20)) {
                let read = try await Self.get(path, from: node)
                guard let tag = read.headers["etag"] else { return (String, String)?.none }
                let again = try await Self.get(
                    path, from: node, headers: ["If-None-Match: \(tag)"])
                return again.status == 304 && again.body.isEmpty ? (read.text, tag) : nil
            }
            _ = try await node.client.execute(["INSERT INTO t VALUES(1)"])
            let changed = try await Self.get(
                path, from: node, headers: ["If-None-Match: \(tag)"])
            #expect(changed.status == 200)
            #expect(changed.text != body)
            #expect(changed.headers["etag"] != tag)
        }
    }

    @Test func `Answers are packed on request, small and large`() async throws {
        let cluster = try TestCluster.joined(1)
        defer { cluster.stop() }
        try cluster.start()
        let node = try await cluster.waitForAgreement()
        for count in [100, 300_000] {
            let url =
                "http://\(node.host):\(node.httpPort)/db/query?q=WITH+RECURSIVE+n(i)+AS+(SELECT+1"
                + "+UNION+ALL+SELECT+i%2B1+FROM+n+WHERE+i%3C\(count))+SELECT+i+FROM+n"
            let size = ["-o", "/dev/null", "-w", "%{size_download}"]
            let plain = try Program.run(["curl", "-s", url])
            // It asks for what it can unpack, and unpacks it.
            #expect(try Program.run(["curl", "-s", "--compressed", url]) == plain)
            let packed = try Program.run(
                ["curl", "-s", "-H", "Accept-Encoding: gzip"] + size + [url])
            let bytes = try #require(Int(packed))
            #expect(bytes * 2 < plain.utf8.count, "\(bytes) of \(plain.utf8.count)")
        }
    }
}
