import DNSPlugin
import Glibc
import JSON
import PluginABI
import PluginSupport
import Testing

/// What the `dns` mode makes of its configuration, before any question is asked.
@Suite struct DNSConfigurationTests {
    private func resolver(
        _ text: String, _ environment: [String: String] = [:]
    ) throws(CallFailure) -> DNSResolver {
        try DNSResolver(
            InstanceArguments(mode: "dns", config: Array(text.utf8)), log: HostLog { _, _ in }
        ) { environment[$0] }
    }

    @Test func `The defaults are rqlite's`() throws {
        #expect(try resolver("").describe() == ["name": "rqlite", "port": 0])
    }

    @Test func `Members and variables are taken`() throws {
        let text = """
            {"name":"$NAME","port":${PORT},"servers":["10.0.0.53","2001:db8::53","[::1]:5353"]}
            """
        #expect(
            try resolver(text, ["NAME": "db", "PORT": "4002"]).describe() == [
                "name": "db", "port": 4002,
                "servers": ["10.0.0.53:53", "[2001:db8::53]:53", "[::1]:5353"],
            ])
    }

    @Test(arguments: ["dns.local", "10.0.0.1:0", "10.0.0.1:99999", "[::1", "", "::1:x"])
    func `A name server is an IP with or without port`(_ server: String) {
        let error = #expect(throws: CallFailure.self) {
            try resolver("{\"servers\":[\"\(server)\"]}")
        }
        #expect(error?.code == RQD_CONFIG)
        #expect(error?.message.contains("\"\(server)\", which is neither IP nor IP:port") == true)
    }

    @Test func `An unknown member is an error that lists the known`() {
        let error = #expect(throws: CallFailure.self) { try resolver("{\"nam\":\"x\"}") }
        #expect(error?.message.contains("\"nam\"; known are name, port, servers") == true)
    }

    @Test func `The override for tests takes the place of DNS`() throws {
        let variable = ["RQLITE_DISCO_DNS_HOSTS": "node1:4002,[2001:db8::1]:4004"]
        let call = Call(deadline: .max, cancelDescriptor: -1)
        #expect(
            try resolver("", variable).resolve(call).map { "\($0.host) \($0.port)" } == [
                "node1 4002", "2001:db8::1 4004",
            ])
    }

    @Test(arguments: ["", "node1", "a:1,b", ":1", "a:x", "a:1,"])
    func `An override that is no list of host and port is refused`(_ value: String) {
        let error = #expect(throws: CallFailure.self) {
            try resolver("", ["RQLITE_DISCO_DNS_HOSTS": value])
        }
        #expect(error?.message.hasPrefix("RQLITE_DISCO_DNS_HOSTS: invalid address") == true)
    }
}
