import Discovery
import Foundation
import JSON
import Testing

/// The plugin as users have it: found beside the program, loaded, and called through the ABI.
@Suite struct DNSSharedObjectTests {
    private let directory: String

    init() throws {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        directory = URL(filePath: program).deletingLastPathComponent().path
    }

    private func instance(_ config: String) throws -> PluginInstance {
        let choice = try PluginCatalog(directories: [directory]).find(mode: "dns")
        return PluginInstance(
            plugin: try Plugin(loading: choice),
            arguments: PluginArguments(
                key: "rqlite", config: Array(config.utf8), nodeID: "1",
                raft: ("10.0.0.1:4002", 4002), apiURL: "http://10.0.0.1:4001"),
            environment: PluginEnvironment(log: { _, _ in }, wallTime: { "" }))
    }

    private func resolve(_ instance: PluginInstance) async -> Result<Resolution, PluginError> {
        let result = await withCheckedContinuation { waiter in
            instance.resolve(timeout: .seconds(20)) { waiter.resume(returning: $0) }
        }
        await withCheckedContinuation { waiter in instance.stop { waiter.resume() } }
        return result
    }

    @Test func `The program's own directory offers the mode`() throws {
        let choice = try PluginCatalog(directories: [directory]).find(mode: "dns")
        #expect(choice.file.path.hasSuffix("/librqlite-disco-dns.so"))
        #expect(choice.mode.role == .resolver)
    }

    @Test func `It exports its entry alone`() throws {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "nm", "-D", "--defined-only", "--extern-only", "\(directory)/librqlite-disco-dns.so",
        ]
        process.standardOutput = pipe
        try process.run()
        let output = String(
            decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let names = output.split(separator: "\n").compactMap { $0.split(separator: " ").last }
        #expect(names == ["rqlite_disco_entry"])
    }

    @Test func `Its addresses reach the host with the node's own port`() async throws {
        let server = try NameServer(hosts: "10.1.0.1 db.test\n2001:db8::1 db.test\n")
        let instance = try instance(
            "{\"name\":\"db.test\",\"servers\":[\"127.0.0.1:\(server.port)\"]}")
        let resolution = try await resolve(instance).get()
        #expect(
            resolution.addresses.map(\.hostAndPort).sorted()
                == ["10.1.0.1:4002", "[2001:db8::1]:4002"])
        #expect(resolution.timeToLive == .seconds(7))
        #expect(instance.status()["name"] == "db.test")
    }

    @Test func `A wrong configuration reaches the host in words`() async throws {
        let result = await resolve(try instance("{\"nam\":1}"))
        guard case .failure(let error) = result else {
            Issue.record("resolved")
            return
        }
        #expect(error.code == .config)
        #expect(error.retry == .never)
        #expect(error.message.contains("known are name, port, servers"))
    }
}
