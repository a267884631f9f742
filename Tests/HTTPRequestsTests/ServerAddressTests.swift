import HTTPRequests
import Testing

/// How servers are written in configurations.
@Suite struct ServerAddressTests {
    @Test(arguments: [
        ("localhost", "http://localhost:2379"), ("etcd-1:80", "http://etcd-1:80"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080"), ("https://e.org", "https://e.org:2379"),
        ("HTTPS://e.org/", "https://e.org:2379"), ("[::1]:7", "http://[::1]:7"),
        ("[2001:db8::1]", "http://[2001:db8::1]:2379"),
        ("2001:db8::1", "http://[2001:db8::1]:2379"),
        ("http://e.org:1/etcd/a/", "http://e.org:1/etcd/a"),
        ("unix:///run/etcd.sock", "unix:///run/etcd.sock"),
    ])
    func `Every form is understood`(_ text: String, _ expected: String) {
        #expect(ServerAddress(text, defaultPort: 2379, isTLS: false)?.description == expected)
    }

    @Test(arguments: [
        "", ":1", "e.org:", "e.org:0", "e.org:65536", "e.org:x", "[::1", "[::1]x", "ftp://e.org",
        "user:password@e.org", "http://user@e.org", "e.org:1?x", "e .org", "http://e.org/a b",
        "unix://", "http://",
    ])
    func `Anything else is not`(_ text: String) {
        #expect(ServerAddress(text, defaultPort: 2379, isTLS: false) == nil)
    }

    @Test func `Without a scheme the caller's choice holds`() {
        #expect(
            ServerAddress("e.org", defaultPort: 1, isTLS: true)?.description == "https://e.org:1")
        #expect(
            ServerAddress("http://e.org", defaultPort: 1, isTLS: true)?.description
                == "http://e.org:1")
    }
}
