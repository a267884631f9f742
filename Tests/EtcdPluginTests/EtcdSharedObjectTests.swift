import Discovery
import Foundation
import JSON
import PluginTesting
import ServerTesting
import Testing

/// The plugin as users have it: found beside the program, loaded, and called through the ABI.
@Suite struct EtcdSharedObjectTests {
    private let plugin: BuiltPlugin

    init() throws { plugin = try BuiltPlugin(mode: "etcd-kv") }

    @Test func `The program's own directory offers the mode`() {
        #expect(plugin.choice.file.path.hasSuffix("/librqlite-disco-etcd-kv.so"))
        #expect(plugin.choice.mode.role == .registry)
    }

    @Test func `It exports its entry alone`() throws {
        #expect(try plugin.exportedSymbols() == ["rqlite_disco_entry"])
    }

    @Test(.enabled(if: EtcdServer.hindrance == nil, "\(EtcdServer.hindrance ?? "")"))
    func `Records go to etcd and come back through the ABI`() async throws {
        let server = try EtcdServer()
        let instance = try plugin.instance("{\"endpoints\":[\"\(server.url)\"]}")
        func call<Answer: Sendable>(
            _ body: (@escaping @Sendable (Result<Answer, PluginError>) -> Void) -> PluginCall
        ) async throws -> Answer {
            try await withCheckedContinuation { waiter in
                _ = body { waiter.resume(returning: $0) }
            }.get()
        }
        let absent: RegistryReading = try await call {
            instance.read("leader", timeout: .seconds(10), completion: $0)
        }
        #expect(absent.record == nil)
        let written: RegistryWriting = try await call {
            instance.write(
                "leader", value: [1, 0, 2], expected: nil, timeout: .seconds(10), completion: $0)
        }
        guard case .written(let revision) = written else {
            Issue.record("\(written)")
            return
        }
        let again: RegistryWriting = try await call {
            instance.write(
                "leader", value: [3], expected: nil, timeout: .seconds(10), completion: $0)
        }
        #expect(again == .conflict)
        let waited: WatchOutcome = try await call {
            instance.wait(
                for: "leader", token: absent.token, timeout: .seconds(10), completion: $0)
        }
        #expect(waited != .unchanged)
        let listed: [RegistryRecord] = try await call {
            instance.list(prefix: "", timeout: .seconds(10), completion: $0)
        }
        #expect(listed.map(\.name) == ["leader"])
        #expect(listed.first?.value == [1, 0, 2])
        #expect(listed.first?.revision == revision)
        let erased: RegistryErasure = try await call {
            instance.erase(
                "leader", expected: revision, timeout: .seconds(10), completion: $0)
        }
        #expect(erased == .erased)
        #expect(instance.status()["endpoint"]?.string == server.url)
        await withCheckedContinuation { waiter in instance.stop { waiter.resume() } }
    }
}
