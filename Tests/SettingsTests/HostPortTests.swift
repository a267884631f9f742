import Testing

@testable import Settings

@Suite struct HostPortTests {
    @Test(arguments: ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.8.7", "::1"])
    func `An address that leads nowhere but here is known by its text`(_ host: String) {
        #expect(HostPort(host: host, port: 1).isLoopback)
    }

    @Test(arguments: ["10.0.0.1", "host", "127.example.com", "localhost.example.com", "::2", ""])
    func `Others are not taken for one`(_ host: String) {
        #expect(!HostPort(host: host, port: 1).isLoopback)
    }
}
