import Testing

@testable import HarnessBackends

/// The fake API server of Kubernetes, asked over a real socket. That a real client understands it is for the
/// tests of the plugin `kubernetes` to show.
@Suite struct KubernetesAPIServerTests {
    private let server: KubernetesAPIServer

    init() throws {
        server = try KubernetesAPIServer()
        for name in ["one", "two"] {
            _ = try server.command(["slice", name, "db", "raft=4002", "10.0.0.1"])
        }
    }

    private func get(_ query: String, waiting: Int32 = 60_000) throws -> String {
        try RawClient(port: server.port).exchange(
            "GET /apis/discovery.k8s.io/v1/namespaces/default/endpointslices?\(query) HTTP/1.1\r\n"
                + "Connection: close\r\n\r\n", waiting: waiting)
    }

    @Test func `Pages of any size are answered, from any place on`() throws {
        defer { server.stop() }
        let most = Int.max
        let (first, whole) = try (get("limit=1"), get("limit=\(most)"))
        #expect(first.contains("\"one\"") && !first.contains("\"two\""))
        #expect(first.contains("\"continue\":\"1002.1\""))
        #expect(whole.contains("\"one\"") && whole.contains("\"two\""))
        let second = try get("limit=\(most)&continue=1002.1")
        #expect(!second.contains("\"one\"") && second.contains("\"two\""))
        #expect(try get("limit=1&continue=1002.\(UInt64.max)").contains("\"items\":[]"))
    }

    @Test func `A watch for any time begins`() throws {
        defer { server.stop() }
        let query = "watch=1&resourceVersion=1002&timeoutSeconds=\(UInt64.max)"
        #expect(try get(query, waiting: 500).hasPrefix("HTTP/1.1 200 "))
    }
}
