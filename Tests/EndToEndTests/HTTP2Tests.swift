import Foundation
import ServerTesting
import Testing

/// HTTP/2 of real nodes, by clients that nobody here wrote.
@Suite(.serialized) struct HTTP2Tests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private func single(
        in directory: TestDirectory, _ arguments: [String] = []
    ) throws -> Daemon {
        let ports = try freePorts(2)
        return Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: arguments)
    }

    private func curl(_ words: String...) throws -> String {
        try Program.run(
            ["curl", "-s", "-m", "60", "-w", " %{http_code} %{http_version}"] + words)
    }

    private func waitUntilReady(_ url: String, _ words: [String] = []) async throws {
        try await eventually("the node is ready", within: .seconds(30)) {
            let text = try? Program.run(["curl", "-sf", "-m", "20"] + words + ["\(url)/readyz"])
            return text == nil ? nil : true
        }
    }

    private func drive(_ node: Daemon, _ more: [String] = []) throws {
        let python = Self.root.appending(path: ".build/python/bin/python3")
        try #require(
            FileManager.default.isExecutableFile(atPath: python.path),
            "\(python.path) is missing: scripts/test makes it, with h2 in it")
        let script = Self.root.appending(path: "Tests/Drivers/drive_http2.py").path
        let output = try Program.run(
            [python.path, "-B", script, "127.0.0.1", "\(node.httpPort)"] + more)
        #expect(output.contains("\nOK"), "\(output)")
    }

    @Test(.timeLimit(.minutes(10)))
    func `Clients that know that a node speaks HTTP/2 are served`() async throws {
        let directory = try TestDirectory()
        let node = try single(in: directory)
        defer { node.kill() }
        try node.start()
        let url = "http://127.0.0.1:\(node.httpPort)"
        try await waitUntilReady(url)
        let json = "Content-Type: application/json"
        let knows = "--http2-prior-knowledge"
        #expect(
            try curl(knows, "-H", json, "-d", #"["CREATE TABLE t(x)"]"#, "\(url)/db/execute")
                == #"{"results":[{}]} 200 2"#)
        #expect(
            try curl(knows, "-H", json, "-d", #"["INSERT INTO t VALUES(1)"]"#, "\(url)/db/execute")
                == #"{"results":[{"last_insert_id":1,"rows_affected":1}]} 200 2"#)
        #expect(try curl(knows, "\(url)/nowhere") == " 404 2")
        // The other port, and without knowing it beforehand.
        #expect(
            try curl(knows, "http://127.0.0.1:\(node.raftPort)/readyz").hasSuffix(" 200 2"))
        #expect(try curl("--http2", "\(url)/readyz").hasSuffix(" 200 1.1"))
        try drive(node)
    }

    @Test(.timeLimit(.minutes(10)))
    func `Over TLS the client chooses`() async throws {
        let authority = try CertificateAuthority()
        let directory = try TestDirectory()
        let node = try single(
            in: directory,
            ["-http-cert", authority.server.certificate, "-http-key", authority.server.key])
        defer { node.kill() }
        try node.start()
        let url = "https://127.0.0.1:\(node.httpPort)"
        let trust = ["--cacert", authority.certificate]
        try await waitUntilReady(url, trust)
        let (option, file) = (trust[0], trust[1])
        #expect(try curl(option, file, "--http2", "\(url)/readyz").hasSuffix(" 200 2"))
        #expect(try curl(option, file, "--http1.1", "\(url)/readyz").hasSuffix(" 200 1.1"))
        #expect(
            try curl(option, file, "\(url)/status").contains(
                #""next_protos":["h2","http/1.1"]"#))
        try drive(node, [authority.certificate])
    }

    private func ask(_ url: String, _ sql: String) async throws -> String {
        try Program.run([
            "curl", "-s", "--http2-prior-knowledge", "-G", "-d", "level=none", "--data-urlencode",
            "q=\(sql)", url,
        ])
    }

    @Test(.timeLimit(.minutes(10)))
    func `A node that stops answers what its streams have asked`() async throws {
        let directory = try TestDirectory()
        let node = try single(in: directory)
        defer { node.kill() }
        try node.start()
        let url = "http://127.0.0.1:\(node.httpPort)"
        try await waitUntilReady(url)
        // Slow enough to be under way when the node stops.
        let sql =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 3000000) "
            + "SELECT count(*) FROM n"
        async let asked = ask("\(url)/db/query", sql)
        try await eventually("a stream is open", within: .seconds(30)) {
            let page = try await node.client.get("/metrics").text
            return page.contains("\nrqlited_http2_streams 1\n") ? true : nil
        }
        #expect(try await node.terminate() == 0)
        #expect(try await asked.contains("[[3000000]]"))
    }
}
