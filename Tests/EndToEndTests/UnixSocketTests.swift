import Foundation
import ServerTesting
import Testing

/// The HTTP API on a Unix socket.
@Suite(.serialized) struct UnixSocketTests {
    private static func curl(_ socket: String, _ arguments: [String]) throws -> String {
        try Program.run(["curl", "-s", "--max-time", "20", "--unix-socket", socket] + arguments)
    }

    private static func waitUntilReady(_ socket: String) async throws {
        try await eventually("the node is ready", within: .seconds(20)) {
            let text = try? curl(socket, ["http://localhost/readyz"])
            return text?.contains("[+]db ok") == true ? true : nil
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `A node serves on a socket as over TCP, leaves no file, and takes over what kill -9 left`()
        async throws
    {
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let socket = "/tmp/rqlited-\(ports[0])-\(getpid()).sock"
        let users = "\(directory.path)/users.json"
        try #"[{"username": "bob", "password": "b", "perms": ["all"]}]"#
            .write(toFile: users, atomically: true, encoding: .utf8)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: [
                "-http-addr", "unix:\(socket),mode=600", "-http-adv-addr",
                "127.0.0.1:\(ports[0])", "-auth", users, "-auth-open", "ready",
            ])
        defer {
            node.kill()
            unlink(socket)
        }
        try node.start()
        try await Self.waitUntilReady(socket)
        var status = stat()
        #expect(lstat(socket, &status) == 0)
        #expect(status.st_mode == S_IFSOCK | 0o600)
        let write = [
            "-H", "Content-Type: application/json", "-d", #"["CREATE TABLE t(a)"]"#,
            "http://localhost/db/execute",
        ]
        #expect(try Self.curl(socket, ["-o", "/dev/null", "-w", "%{http_code}"] + write) == "401")
        #expect(try Self.curl(socket, ["-u", "bob:b"] + write) == #"{"results":[{}]}"#)
        let document = try Self.curl(
            socket, ["-u", "bob:b", "http://localhost/status?key=http.bind_addr"])
        #expect(document.contains("unix:"))
        node.kill()
        #expect(lstat(socket, &status) == 0)
        try node.start()
        try await Self.waitUntilReady(socket)
        try await node.terminate()
        #expect(lstat(socket, &status) != 0)
    }
}
