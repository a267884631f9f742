import Testing

@testable import HTTPRequests

/// Which proxy is asked, by the rules of Go's programs.
@Suite struct HTTPProxyTests {
    private func choice(_ address: String, _ variables: [String: String] = [:]) throws -> String? {
        let server = try #require(ServerAddress(address, defaultPort: 80, isTLS: false))
        return HTTPProxy.choice(for: server) { variables[$0] }
    }

    @Test(arguments: [
        "localhost", "LOCALHOST:1", "127.0.0.1:8500", "127.9.9.9", "[::1]:2379",
        "[::ffff:127.0.0.1]:1", "https://localhost", "unix:///run/consul.sock",
    ])
    func `What is on this machine is never asked for through a proxy`(_ address: String) throws {
        #expect(
            try choice(address, ["HTTP_PROXY": "http://p:1", "http_proxy": "http://p:1"]) == "")
    }

    @Test func `HTTP_PROXY counts in capitals, unless a client could have set it`() throws {
        #expect(try choice("10.0.0.1", ["HTTP_PROXY": "http://p:1"]) == "http://p:1")
        #expect(try choice("10.0.0.1", ["HTTP_PROXY": "x", "http_proxy": "y"]) == nil)
        #expect(try choice("10.0.0.1", ["HTTP_PROXY": "x", "REQUEST_METHOD": "GET"]) == nil)
        #expect(try choice("https://10.0.0.1", ["HTTP_PROXY": "x"]) == nil)
        #expect(try choice("[::2]") == nil)
        #expect(try choice("localhost.example", [:]) == nil)
    }
}
