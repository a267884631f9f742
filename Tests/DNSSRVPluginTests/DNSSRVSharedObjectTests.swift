import Discovery
import JSON
import PluginTesting
import Testing

/// The plugin as users have it: found beside the program, loaded, and called through the ABI.
@Suite struct DNSSRVSharedObjectTests {
    private let plugin: BuiltPlugin

    init() throws { plugin = try BuiltPlugin(mode: "dns-srv") }

    @Test func `It is a resolver that exports its entry alone`() throws {
        #expect(plugin.choice.file.path.hasSuffix("/librqlite-disco-dns-srv.so"))
        #expect(plugin.choice.mode.role == .resolver)
        #expect(try plugin.exportedSymbols() == ["rqlite_disco_entry"])
    }

    @Test func `More addresses than an answer may have are refused`() async throws {
        let server = try NameServer(
            hosts: (1...40).map { "10.1.0.\($0) n.test\n" }.joined(),
            options: (1...40).map { "--srv-host=_rqlite._tcp.a.test,n.test,\($0)" })
        let instance = try plugin.instance(
            """
            {"name":"a.test","servers":["127.0.0.1:\(server.port)"]}
            """)
        let result = await BuiltPlugin.resolve(instance)
        let error = #expect(throws: PluginError.self) { try result.get() }
        #expect(error?.code == .protocol)
        #expect(error?.message.contains("than the 1024 that nodes of one cluster may have") == true)
    }

    @Test func `Its addresses reach the host with their record's port and rank`() async throws {
        let server = try NameServer(
            hosts: "10.1.0.1 n1.test\n", options: ["--srv-host=_db._tcp.a.test,n1.test,4010,3,9"])
        let instance = try plugin.instance(
            """
            {"name":"a.test","service":"db","servers":["127.0.0.1:\(server.port)"]}
            """)
        let resolution = try await BuiltPlugin.resolve(instance).get()
        let address = try #require(resolution.addresses.first)
        #expect(resolution.addresses.count == 1)
        #expect(address.hostAndPort == "10.1.0.1:4010")
        #expect(address.priority == 3)
        #expect(address.weight == 9)
        #expect(address.timeToLive == nil)
        let status = instance.status()
        #expect(status["mode"] == "dns-srv")
        #expect(status["name"] == "a.test")
        #expect(status["service"] == "db")
        #expect(status["dns_name"] == "_db._tcp.a.test.")
    }
}
