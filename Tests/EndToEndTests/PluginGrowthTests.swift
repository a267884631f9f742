import Foundation
import ServerTesting
import Testing

/// What a daemon does for its plugin beyond asking it: telling it of the node, waiting for changes,
/// and saying who it was when it crashes.
@Suite struct PluginGrowthTests {
    private let directory: TestDirectory

    init() throws { directory = try TestDirectory() }

    private func node(_ arguments: [String]) throws -> Daemon {
        let ports = try freePorts(2)
        return Daemon(
            id: "n", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: arguments + ["-bootstrap-expect", "1"])
    }

    private func compile(_ source: String) throws -> String {
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let include = here.deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/PluginABI/include").path
        let folder = directory.path + "/plugins"
        try run("mkdir", "-p", folder)
        try run(
            "cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
            "-fvisibility=hidden", "-I\(include)", "-o", "\(folder)/librqlite-disco-x.so",
            here.appendingPathComponent("Plugins/\(source)").path)
        return folder
    }

    @Test(arguments: [nil, "none"])
    func `A plugin learns that its node joins, leads, is ready, and leaves`(
        _ isolation: String?
    ) async throws {
        let folder = try compile("telling.c")
        let node = try node(
            ["-disco-plugin-path", folder, "-disco-mode", "telling"]
                + (isolation.map { ["-disco-isolation", $0] } ?? []))
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        try await eventually("the plugin is told") {
            node.log.contains("told: joined voter leads ready") ? true : nil
        }
        // A plugin that did not come with the daemon does not run in it, unless one says so.
        let disco = try await node.client.get("/status").json()["disco"]
        #expect(disco["isolation"].string == isolation ?? "process")
        #expect(try await node.terminate() == 0)
        #expect(node.log.contains("told: joined voter leaving"), "\(node.log)")
    }

    @Test func `A registry gets a second to be told, for its leader's look waits behind that`()
        async throws
    {
        let registry = try DirectoryRegistry(listens: true)
        let cluster = try TestCluster(at: try DiscoveryMode.Place.onLoopback(1)) { _ in
            registry.arguments()
        }
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.nodes[0].waitUntilReady()
        let told = try await eventually("it was told twice", within: .seconds(60)) {
            let told = registry.journal.filter { $0.operation == "update" }
            return told.count >= 2 ? told : nil
        }
        #expect(told.allSatisfy { $0.status <= 1_000 }, "\(told)")
    }

    @Test func `A plugin that was too late to say that it was told gets its goodbye`() async throws
    {
        let node = try node([
            "-disco-plugin-path", try compile("telling.c"), "-disco-mode", "telling",
            "-disco-config", #"{"late":true}"#,
        ])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        try await eventually("the plugin is told") {
            node.log.contains("told: joined voter leads ready") ? true : nil
        }
        #expect(try await node.terminate() == 0)
        #expect(node.log.contains("told: joined voter leaving"), "\(node.log)")
    }

    @Test func `A plugin that is being told for the first time gets its goodbye`() async throws {
        let node = try node([
            "-disco-plugin-path", try compile("telling.c"), "-disco-mode", "telling",
            "-disco-config", #"{"hung":true}"#,
        ])
        defer { node.kill() }
        try node.start()
        try await eventually("the plugin is being told") {
            node.log.contains("told:") ? true : nil
        }
        _ = try await node.terminate()
        #expect(node.log.contains("has said goodbye"), "\(node.log)")
    }

    @Test func `Plugins say goodbye at the same time`() async throws {
        let config = #"{"telling":{"lingers":true},"telling-too":{"lingers":true}}"#
        let node = try node([
            "-disco-plugin-path", try compile("telling.c"), "-disco-mode", "telling,telling-too",
            "-disco-config", config,
        ])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        try await eventually("both plugins are told") {
            node.log.ranges(of: "told: joined voter leads ready").count >= 2 ? true : nil
        }
        #expect(try await node.terminate() == 0)
        let log = node.log
        let begins = log.ranges(of: "leaving at")
        let ends = log.ranges(of: "has said goodbye")
        #expect(begins.count == 2 && ends.count == 2, "\(log)")
        let last = try #require(begins.last)
        let first = try #require(ends.first)
        #expect(last.upperBound < first.lowerBound, "\(log)")
    }

    /// The second's telling waits behind a call that ends while the first says goodbye.
    @Test func `Nobody is told of a node that stops without a goodbye`() async throws {
        let node = try node([
            "-disco-plugin-path", try compile("telling.c"), "-disco-mode", "telling,telling-too",
            "-disco-isolation", "none", "-disco-config",
            #"{"telling":{"lingers":true},"telling-too":{"stuck":true}}"#,
        ])
        defer { node.kill() }
        try node.start()
        try await eventually("the first plugin is told") {
            node.log.contains("told:") ? true : nil
        }
        _ = try await node.terminate()
        #expect(node.log.contains("has said goodbye"), "\(node.log)")
        let stuck = node.log.split(separator: "\n").filter { $0.contains("stuck:") }
        #expect(stuck.last?.contains("leaving at") ?? true, "\(node.log)")
    }

    @Test func `A plugin that wants to know of the node only from SIGHUP on is told`() async throws
    {
        let folder = try compile("telling.c")
        let config = "\(directory.path)/config.json"
        func configure(_ text: String) throws {
            try text.write(toFile: config, atomically: true, encoding: .utf8)
        }
        try configure(#"{"deaf":true}"#)
        let node = try node([
            "-disco-plugin-path", folder, "-disco-mode", "telling", "-disco-config", config,
        ])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        try await eventually("the plugin does not want to know") {
            node.log.contains("won't be told") ? true : nil
        }
        try configure("{}")
        node.signal(SIGHUP)
        try await eventually("the plugin is told") {
            node.log.contains("told: joined voter leads ready") ? true : nil
        }
        #expect(try await node.terminate() == 0)
        #expect(node.log.contains("told: joined voter leaving"), "\(node.log)")
    }

    @Test func `A plugin is told that the API speaks HTTPS, when it is made and later`()
        async throws
    {
        let authority = try CertificateAuthority()
        let node = try node([
            "-disco-plugin-path", try compile("telling.c"), "-disco-mode", "telling",
            "-http-cert", authority.server.certificate, "-http-key", authority.server.key,
        ])
        defer { node.kill() }
        try node.start()
        let url = "https://127.0.0.1:\(node.httpPort)"
        for words in ["made at \(url)", "told: joined voter leads ready at \(url)"] {
            try await eventually("the plugin is told") { node.log.contains(words) ? true : nil }
        }
    }

    @Test(.enabled(if: ExamplePlugins.hindrance == nil, "\(ExamplePlugins.hindrance ?? "")"))
    func `A resolver that says that its addresses changed is asked at once`() async throws {
        let example = try #require(ExamplePlugins.all.first { $0.mode == "file" })
        let peers = "\(directory.path)/peers"
        try "127.0.0.1\n".write(toFile: peers, atomically: true, encoding: .utf8)
        let node = try node([
            "-disco-mode", try ExamplePlugins.built().path(example), "-disco-config",
            #"{"path": "\#(peers)"}"#,
        ])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        for number in 7...9 {
            let start = ContinuousClock.now
            try "127.0.0.\(number):4002\n".write(toFile: peers, atomically: true, encoding: .utf8)
            try await eventually("127.0.0.\(number) is found") {
                node.log.contains("resolved addresses: [127.0.0.\(number):4002]") ? true : nil
            }
            #expect(ContinuousClock.now - start < stretched(.seconds(5)))
        }
        #expect(try await node.terminate() == 0)
    }

    @Test func `A crash of a plugin leaves a line that names it, its function and the remedy`()
        async throws
    {
        let plugin = try MisbehavingPlugin()
        let node = try node(
            try plugin.arguments(mode: "own-host", name: "crash", isolation: "none"))
        defer { node.kill() }
        try plugin.misbehave("crash", "resolve crash")
        try node.start()
        _ = try? await node.waitForExit(within: .seconds(60))
        let line = node.log.split(separator: "\n").first { $0.contains("crashed in resolve") }
        #expect(line?.contains("plugin org.example.misbehaving (") == true, "\(node.log)")
        #expect(line?.contains("-disco-isolation=process") == true)
        #expect(line?.hasSuffix("(SIGSEGV)") == true)
    }

    @Test func `A crash of a plugin ends its node, also where nobody takes the line`() async throws
    {
        let plugin = try MisbehavingPlugin()
        let pipe = "\(directory.path)/full"
        try #require(mkfifo(pipe, 0o600) == 0)
        let reader = open(pipe, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        try #require(reader >= 0)
        defer { close(reader) }
        let page = [UInt8](repeating: 10, count: 4096)
        while write(reader, page, page.count) > 0 {}
        let ports = try freePorts(2)
        let node = Daemon(
            id: "n", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: try plugin.arguments(mode: "own-host", name: "crash", isolation: "none")
                + ["-bootstrap-expect", "1"],
            prefix: ["sh", "-c", #"exec "$@" 2>"$0""#, pipe])
        defer { node.kill() }
        try plugin.misbehave("crash", "resolve crash")
        try node.start()
        #expect(try await node.waitForExit(within: .seconds(60)) != 0)
    }
}
