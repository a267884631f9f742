import ConsulPlugin
import HarnessBackends
import PluginABI
import PluginSupport
import ServerTesting
import Testing

/// The fake Consul that `disco-harness` brings along, met by the stock plugin as the double is.
@Suite struct ConsulHarnessTests {
    @Test func `The harness's fake Consul is one to the plugin`() throws {
        let server = try ConsulServer()
        defer { server.stop() }
        let config = "{\"address\":\"\(server.host):\(server.port)\"}"
        let registry = try ConsulRegistry(
            InstanceArguments(mode: "consul-kv", config: Array(config.utf8)),
            log: HostLog { _, _ in }
        ) { _ in nil }
        let absent = try registry.read("leader", call())
        #expect(absent.record == nil)
        let first = try registry.write("leader", "")
        #expect(registry.code { try $0.write("leader", "x") } == RQD_CONFLICT)
        let second = try registry.write("leader", "", at: first)
        #expect(first != second)
        #expect(registry.code { try $0.write("leader", "x", at: first) } == RQD_CONFLICT)
        let token = try #require(absent.token)
        #expect(
            try registry.wait(for: "leader", token: token, call())
                == registry.read("leader", call()).token)
        try registry.write("nodes/%31", "one")
        #expect(try registry.list(prefix: "", call()).map(\.name) == ["leader", "nodes/%31"])
        #expect(
            registry.code { try $0.erase("leader", expected: first, call()) } == RQD_CONFLICT)
        try registry.erase("leader", expected: second, call())
        #expect(registry.code { try $0.erase("leader", expected: second, call()) } == RQD_ABSENT)
        #expect(try server.command(["get", "rqlite/nodes/%31"]) == "one")
        server.misbehave(FaultPlan(.dropAfterExecution))
        #expect(registry.code { try $0.write("leader", "2") } == RQD_UNAVAILABLE)
        #expect(try registry.text("leader") == "2")
    }
}
