import Foundation
import Testing

/// A stranger's path to a cluster of three: `scripts/new-plugin`, `make`, the harness, three nodes; in
/// each language whose compiler is there.
@Suite(.serialized) struct NewPluginTests {
    struct Language: Sendable, CustomStringConvertible {
        let name: String
        let compiler: String
        /// What `make` is told besides.
        var variable = ""

        var description: String { name }
    }

    static let languages = [
        Language(name: "c", compiler: "cc"), Language(name: "rust", compiler: "rustc"),
        Language(name: "go", compiler: "go"), Language(name: "swift", compiler: "swiftc"),
        Language(name: "zig", compiler: "zig"),
    ].filter { (try? run("sh", "-c", "command -v \($0.compiler)")) != nil }

    @Test(arguments: languages)
    func `A new plugin is built, passes the harness, and makes a cluster`(
        _ language: Language
    ) async throws {
        let directory = try TestDirectory()
        let root = ExamplePlugins.root.path
        let name = "mine-\(language.name)"
        let folder = "\(directory.path)/\(name)"
        try run("\(root)/scripts/new-plugin", name, language.name, folder)
        try run("make", "-s", "-C", folder, "INCLUDE=\(root)/Sources/PluginABI/include")
        let file = "\(folder)/librqlite-disco-\(name).so"
        // Whatever mask the compiler's tool has.
        try run("chmod", "755", file)
        try run("\(Daemon.binaries)/disco-harness", file)

        let places = try DiscoveryMode.Place.onLoopback(3)
        let nodes = places.map { "\($0.host):\($0.raftPort)" }.joined(separator: " ")
        let cluster = try TestCluster(at: places) { _ in
            [
                "-disco-mode", file, "-disco-config", "{\"nodes\": \"\(nodes)\"}",
                "-bootstrap-expect", "3",
            ]
        }
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)"])
    }

    @Test func `What is no name of a mode, no language, or there already is refused`() throws {
        let directory = try TestDirectory()
        let script = ExamplePlugins.root.path + "/scripts/new-plugin"
        for arguments in [
            ["Big", "c"], ["a b", "c"], ["x", "cobol"], ["x"], ["x", "c", "/tmp"],
        ] {
            #expect(throws: (any Error).self, "\(arguments)") {
                try run(
                    ["sh", "-c", "cd \(directory.path) && exec \"$0\" \"$@\"", script] + arguments)
            }
        }
    }
}
