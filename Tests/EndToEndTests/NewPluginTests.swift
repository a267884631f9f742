import Foundation
import Testing

/// A stranger's path to a cluster of three: `scripts/new-plugin`, `make`, the harness, three nodes; in
/// each language whose compiler is there.
@Suite(.serialized) struct NewPluginTests {
    struct Language: Sendable, CustomStringConvertible {
        let name: String
        /// A command that works where there is a compiler.
        let probe: String
        /// What comes before a command that calls `make`.
        var prefix: [String] = []

        var description: String { name }
    }

    /// `scripts/test` brings a compiler for each, that of Zig in its Python.
    static let languages = [
        Language(name: "c", probe: "command -v cc"),
        Language(name: "rust", probe: "command -v rustc"),
        Language(name: "go", probe: "command -v go"),
        Language(name: "swift", probe: "command -v swiftc"),
        Language(name: "zig", probe: "\(zig) version", prefix: ["env", "ZIG=\(zig)"]),
    ].filter { (try? run("sh", "-c", $0.probe)) != nil }

    /// Then the same sources are judged by all checks there, and here by those to which the name matters, and how it
    /// was built.
    static let isPrintedPathPossible = Namespace.isPossible && Installation.hindrance == nil

    private static let zig = "\(ExamplePlugins.root.path)/.build/python/bin/python3 -m ziglang"

    /// The commands that `docs/plugins.md` prints for this path: its only block that is indented.
    private static func printed() throws -> [String] {
        let page = try String(
            contentsOf: ExamplePlugins.root.appending(path: "docs/plugins.md"), encoding: .utf8)
        return page.split(separator: "\n").filter { $0.hasPrefix("    ") }.map {
            String($0.dropFirst(4))
        }.drop { !$0.hasPrefix("scripts/new-plugin") }.map { String($0) }
    }

    @Test(arguments: languages)
    func `A new plugin is built, passes the harness, and makes a cluster`(
        _ language: Language
    ) async throws {
        let directory = try TestDirectory()
        let root = ExamplePlugins.root.path
        let name = "mine-\(language.name)"
        let folder = "\(directory.path)/\(name)"
        try run("\(root)/scripts/new-plugin", name, language.name, folder)
        try run(
            language.prefix + [
                "make", "-s", "-C", folder, "INCLUDE=\(root)/Sources/PluginABI/include",
            ])
        let file = "\(folder)/librqlite-disco-\(name).so"
        let groups = Self.isPrintedPathPossible ? ["file", "note", "descriptor"] : []
        try run(
            ["\(Daemon.binaries)/disco-harness", file] + groups.flatMap { ["--only", $0] })

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

    @Test(.enabled(if: NewPluginTests.isPrintedPathPossible), arguments: languages)
    func `A stranger needs less than ten commands, as printed, to a cluster of three`(
        _ language: Language
    ) throws {
        let commands = try Self.printed()
        #expect(commands.count < 10 && commands.count > 5, "\(commands)")
        let prefix = Installation.prefix ?? ""
        let directory = try TestDirectory()
        for folder in ["scripts", "Examples"] {
            try FileManager.default.createSymbolicLink(
                atPath: "\(directory.path)/\(folder)",
                withDestinationPath: "\(ExamplePlugins.root.path)/\(folder)")
        }
        let script =
            commands.joined(separator: "\n")
            .replacing("mine c\n", with: "mine \(language.name)\n")
            .replacing("/opt/rqlite", with: prefix)
            .replacing("\ndisco-harness ", with: "\numask 022\ndisco-harness ")
        // The ports are the printed ones, so the network is one of its own.
        let whole = """
            set -eu
            cd "$1"
            umask 000
            export PATH="\(prefix)/bin:$PATH"
            trap 'kill $(jobs -p) 2>/dev/null || :' EXIT
            ip link set lo up
            \(script)
            until curl -s --fail-with-body localhost:4021/readyz; do echo; sleep 0.2; done; echo
            curl -s localhost:4001/nodes; echo
            """
        let output = try run(
            language.prefix + [
                "unshare", "--net", "timeout", "--kill-after=5", "300", "bash", "-c", whole, "bash",
                directory.path,
            ])
        #expect(output.contains("[+]node ok"), "\(output)")
        for id in 1...3 { #expect(output.contains("\"\(id)\":{"), "\(output)") }
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
