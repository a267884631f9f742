import Discovery
import JSON
import PluginTesting
import Testing

/// The plugin as users have it: found beside the program, loaded, and called through the ABI.
@Suite struct DNSSharedObjectTests {
    private let plugin: BuiltPlugin

    init() throws { plugin = try BuiltPlugin(mode: "dns") }

    @Test func `The program's own directory offers the mode`() {
        #expect(plugin.choice.file.path.hasSuffix("/librqlite-disco-dns.so"))
        #expect(plugin.choice.mode.role == .resolver)
    }

    @Test func `It exports its entry alone`() throws {
        #expect(try plugin.exportedSymbols() == ["rqlite_disco_entry"])
    }

    @Test func `Its addresses reach the host with the node's own port`() async throws {
        let server = try NameServer(hosts: "10.1.0.1 db.test\n2001:db8::1 db.test\n")
        let instance = try plugin.instance(
            "{\"name\":\"db.test\",\"servers\":[\"127.0.0.1:\(server.port)\"]}")
        let resolution = try await BuiltPlugin.resolve(instance).get()
        #expect(
            resolution.addresses.map(\.hostAndPort).sorted()
                == ["10.1.0.1:4002", "[2001:db8::1]:4002"])
        #expect(resolution.timeToLive == .seconds(7))
        #expect(instance.status()["name"] == "db.test")
    }

    @Test func `A wrong configuration reaches the host in words`() async throws {
        let result = await BuiltPlugin.resolve(try plugin.instance("{\"nam\":1}"))
        guard case .failure(let error) = result else {
            Issue.record("resolved")
            return
        }
        #expect(error.code == .config)
        #expect(error.retry == .never)
        #expect(error.message.contains("known are name, port, servers"))
    }
}
