import DNSSRVPlugin
import JSON
import PluginABI
import PluginSupport
import Testing

/// What the `dns-srv` mode makes of its configuration, before any question is asked.
@Suite struct DNSSRVConfigurationTests {
    private func resolver(
        _ text: String, _ environment: [String: String] = [:]
    ) throws(CallFailure) -> DNSSRVResolver {
        try DNSSRVResolver(
            InstanceArguments(mode: "dns-srv", config: Array(text.utf8)), log: HostLog { _, _ in }
        ) { environment[$0] }
    }

    @Test func `The defaults are rqlite's`() throws {
        #expect(
            try resolver("").describe() == [
                "name": "rqlite", "service": "rqlite", "dns_name": "_rqlite._tcp.rqlite.",
            ])
    }

    @Test func `Members and variables are taken`() throws {
        let text = """
            {"name":"$NAME","Service":"${SERVICE}","servers":["10.0.0.53","[::1]:5353"]}
            """
        #expect(
            try resolver(text, ["NAME": "rqlite.local.", "SERVICE": "rqlite-svc"]).describe() == [
                "name": "rqlite.local.", "service": "rqlite-svc",
                "dns_name": "_rqlite-svc._tcp.rqlite.local.",
                "servers": ["10.0.0.53:53", "[::1]:5353"],
            ])
    }

    @Test(arguments: ["_rqlite", "a.b", "a\\u0000b", String(repeating: "a", count: 63)])
    func `A service is one label without its underscore`(_ service: String) {
        let error = #expect(throws: CallFailure.self) {
            try resolver("{\"service\":\"\(service)\"}")
        }
        #expect(error?.code == RQD_CONFIG)
        #expect(error?.message.contains("\"service\" must be one label") == true)
    }

    @Test(arguments: ["a\\u0000b", String(repeating: "a", count: 255)])
    func `A name that can't be asked for is refused`(_ name: String) {
        let error = #expect(throws: CallFailure.self) { try resolver("{\"name\":\"\(name)\"}") }
        #expect(error?.code == RQD_CONFIG)
        #expect(error?.message.contains("\"name\" is no domain name") == true)
    }

    @Test func `A server that is no IP is refused`() {
        let error = #expect(throws: CallFailure.self) {
            try resolver("{\"servers\":[\"dns.local\"]}")
        }
        #expect(error?.code == RQD_CONFIG)
        #expect(error?.message.contains("\"dns.local\", which is neither IP nor IP:port") == true)
    }

    @Test func `An unknown member is an error that lists the known`() {
        let error = #expect(throws: CallFailure.self) { try resolver("{\"port\":4002}") }
        #expect(error?.code == RQD_CONFIG)
        #expect(error?.message.contains("\"port\"; known are name, service, servers") == true)
    }
}
