import Foundation
import JSON
import Testing

/// A node beside a disk or a file server that does not answer.
@Suite(
    .serialized, .enabled(if: PoisonShim.hindrance == nil, "\(PoisonShim.hindrance ?? "")"))
struct HungPlaceTests {
    private let directory: TestDirectory
    private let shim: StallShim

    init() throws {
        directory = try TestDirectory()
        shim = try StallShim(nodes: 1)
    }

    private func start(_ arguments: [String] = []) async throws -> Daemon {
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: arguments, prefix: shim.prefix(0))
        try node.start()
        try await node.waitUntilReady()
        return node
    }

    @Test func `A directory of copies that hangs keeps no node from stopping`() async throws {
        let folder = "\(directory.path)/copies"
        let backup = try directory.write(
            "backup.json",
            StorageConfiguration.of(
                "file", [.init("dir", .string(folder)), .init("name", "db.sqlite")],
                [.init("interval", "300ms")]))
        let node = try await start(["-auto-backup", backup])
        try shim.hang(0, .copies)
        _ = try await node.client.execute(["CREATE TABLE t(x)"])
        try await eventually("a copy hangs") { () -> Bool? in
            let names = try FileManager.default.contentsOfDirectory(atPath: folder)
            return names.contains { $0.hasPrefix(".upload-") } ? true : nil
        }
        #expect(try await node.terminate() == 0, "\(node.log.suffix(2_000))")
        #expect(node.log.contains("left behind what=auto-backup"), "\(node.log.suffix(2_000))")
    }

    @Test func `A log that goes to a disk that hangs stops no node`() async throws {
        let node = try await start()
        try shim.hang(0, .log)
        // It says in its log that it does.
        #expect(try await node.terminate() == 0, "\(node.log.suffix(2_000))")
        #expect(!node.log.contains("received signal"))
    }

    @Test func `A crash of a plugin ends its node, also while the disk of the log hangs`()
        async throws
    {
        let plugin = try MisbehavingPlugin()
        let node = try await start(
            try plugin.arguments(mode: "own-host", name: "crash", isolation: "none")
                + ["-bootstrap-expect", "1"])
        defer { node.kill() }
        try shim.hang(0, .log)
        try plugin.misbehave("crash", "resolve crash")
        // Then it is asked at once.
        node.signal(SIGHUP)
        #expect(try await node.waitForExit(within: .seconds(60)) != 0)
    }

    @Test func `The status is answered while the disk hangs, with the sizes of before`()
        async throws
    {
        let node = try await start()
        let first = try await node.client.get("/status").json()["store"]["dir_size"].int
        #expect(first ?? 0 > 0)
        try shim.hang(0, .names)
        for _ in 0..<3 {
            let answer = try await node.client.get("/status", timeout: .seconds(10))
            #expect(answer.status == 200, "\(answer.text)")
            #expect(try answer.json()["store"]["dir_size"].int == first)
        }
        try shim.hang(0, .nothing)
        _ = try await node.client.execute(["CREATE TABLE t(x)"])
        #expect(try await node.terminate() == 0, "\(node.log.suffix(2_000))")
    }
}
