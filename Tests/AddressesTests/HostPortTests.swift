import Addresses
import Testing

@Suite struct HostPortTests {
    @Test(arguments: ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.8.7", "::1"])
    func `An address that leads nowhere but here is known by its text`(_ host: String) {
        #expect(HostPort(host: host, port: 1).isLoopback)
    }

    @Test(arguments: ["10.0.0.1", "host", "127.example.com", "localhost.example.com", "::2", ""])
    func `Others are not taken for one`(_ host: String) {
        #expect(!HostPort(host: host, port: 1).isLoopback)
    }

    @Test(
        arguments: [
            ("a:1", "a", 1), ("[::1]:65535", "::1", 65535), (":0", "", 0),
            ("h-1.example:080", "h-1.example", 80),
        ] as [(String, String, UInt16)])
    func `An address is split at its last colon, and written as it was read`(
        _ text: String, _ host: String, _ port: UInt16
    ) throws {
        let address = try HostPort(parsing: text)
        #expect(address == HostPort(host: host, port: port))
        #expect(try HostPort(parsing: address.description) == address)
    }

    @Test(arguments: [
        "", "a", "a:", "a:x", "a:+1", "a:65536", "a:99999999999999999999", "::1:1", "[::1]1",
        "[a]:1",
        "[]:1", "[:1", "a b:1", "a/b:1", "a]:1", "http://a:1", "a:１", "a\n:1", "[[::1]]:1",
    ])
    func `What is no address of a host and a port is refused`(_ text: String) {
        #expect(throws: HostPort.Failure.self) { try HostPort(parsing: text) }
    }

    @Test(arguments: ["", "0.0.0.0", "::", "0:0::0"])
    func `An address that means any interface is known by its text`(_ host: String) {
        #expect(HostPort(host: host, port: 1).isUnspecified)
        #expect(!HostPort(host: "10.0.0.0", port: 1).isUnspecified)
    }
}
