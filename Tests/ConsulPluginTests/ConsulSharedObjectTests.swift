import Discovery
import JSON
import PluginTesting
import ServerTesting
import Testing

/// The plugin as users have it: found beside the program, loaded, and called through the ABI.
@Suite struct ConsulSharedObjectTests {
    private let plugin: BuiltPlugin

    init() throws { plugin = try BuiltPlugin(mode: "consul-kv") }

    @Test func `The program's own directory offers the mode`() {
        #expect(plugin.choice.file.path.hasSuffix("/librqlite-disco-consul-kv.so"))
        #expect(plugin.choice.mode.role == .registry)
    }

    @Test func `It exports its entry alone`() throws {
        #expect(try plugin.exportedSymbols() == ["rqlite_disco_entry"])
    }

    @Test func `Records pass through the ABI, and so does what waits for them`() async throws {
        let double = try ConsulDouble()
        let instance = BuiltRegistry(
            try plugin.instance("{\"address\":\"\(double.address)\"}"))
        let before = try await instance.read("leader")
        #expect(before.record == nil)
        let token = before.token
        let change = instance.wait("leader", token)
        guard case .written(let revision) = try await instance.write("leader", [1, 0, 2], nil)
        else {
            Issue.record("not written")
            return
        }
        guard case .success(.changed) = await change.first(where: { _ in true }) else {
            Issue.record("unchanged")
            return
        }
        #expect(try await instance.write("leader", [3], nil) == .conflict)
        #expect(try await instance.write("leader", [3], [0x37]) == .conflict)
        #expect(try await instance.write("none", [3], revision) == .absent)
        let record = try #require(try await instance.read("leader").record)
        #expect(record.value == [1, 0, 2] && record.revision == revision)
        #expect(try await instance.list("") == [record])
        #expect(try await instance.erase("leader", revision) == .erased)
        #expect(try await instance.erase("leader", revision) == .absent)
        #expect(instance.status()["address"]?.string == "http://\(double.address)")
        await instance.stop()
        #expect(try double.violations() == [])
    }

    @Test func `Waiting ends at once when the instance stops`() async throws {
        let double = try ConsulDouble()
        let instance = BuiltRegistry(
            try plugin.instance("{\"address\":\"\(double.address)\"}"))
        let token = try await instance.read("leader").token
        let change = instance.wait("leader", token)
        try double.control("waiting", 1)
        await instance.stop()
        guard case .failure(let error) = await change.first(where: { _ in true }) else {
            Issue.record("changed")
            return
        }
        #expect([.cancelled, .busy].contains(error.code))
    }
}
