import Foundation
import Testing

/// Descriptors: raised at the start, and never all taken by clients.
@Suite(.serialized) struct DescriptorTests {
    @Test func `Clients that take every connection leave the log and the database theirs`()
        async throws
    {
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            prefix: ["prlimit", "--nofile=64:160"])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady(within: .seconds(60))
        let os = try await node.client.get("/status").json()["os"]["descriptors"]
        #expect(os["limit_at_start"].int == 64)
        #expect(os["limit"].int == 160)
        let connections = try #require(os["connections_max"].int)
        _ = try await node.client.execute(["CREATE TABLE t(v)"])

        var held: [Int32] = []
        defer { for descriptor in held { close(descriptor) } }
        for _ in 0..<(connections * 3) { held.append(try Self.connect(to: node.httpPort)) }
        try await eventually("those that are too many are closed", within: .seconds(60)) {
            held.filter { Self.isClosed($0) }.count >= connections ? true : nil
        }
        for descriptor in held.prefix(connections / 2) { close(descriptor) }
        held.removeFirst(connections / 2)
        try await eventually("there is room for a client", within: .seconds(60)) {
            try await node.client.get("/readyz").status == 200 ? true : nil
        }
        // Enough for another segment of the log, and for SQLite's files to be opened anew.
        for _ in 0..<40 {
            let result = try await node.client.execute(
                ["INSERT INTO t VALUES(zeroblob(500000))", "DELETE FROM t"])
            #expect(result["results"][1]["rows_affected"].int == 1, "\(result)")
        }
        #expect(node.isRunning)
        #expect(try await node.terminate() == 0)
    }

    private static func connect(to port: Int) throws -> Int32 {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(result == 0)
        return socket
    }

    /// The other end has closed it.
    private static func isClosed(_ socket: Int32) -> Bool {
        var byte: UInt8 = 0
        return recv(socket, &byte, 1, Int32(MSG_DONTWAIT)) == 0
    }
}
