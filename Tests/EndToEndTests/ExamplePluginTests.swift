import Foundation
import Testing

/// The plugins of `Examples/plugins` as files. What they do in a cluster: `DiscoveryModeTests`.
@Suite(
    .enabled(if: ExamplePlugins.hindrance == nil, "\(ExamplePlugins.hindrance ?? "")"))
struct ExamplePluginTests {
    @Test(arguments: ExamplePlugins.all.map(\.mode))
    func `An example exports its entry alone`(_ mode: String) throws {
        let path = try path(mode)
        let symbols = try run("nm", "-D", "--defined-only", "--extern-only", path)
        #expect(symbols.split(separator: "\n").map { $0.suffix(18) } == ["rqlite_disco_entry"])
    }

    @Test(arguments: ExamplePlugins.all.map(\.folder))
    func `An example is at most 200 lines of source`(_ folder: String) throws {
        let path = "\(ExamplePlugins.root.path)/Examples/plugins/\(folder)"
        let sources = try FileManager.default.contentsOfDirectory(atPath: path)
            .filter(Self.isSource)
        #expect(!sources.isEmpty)
        let lines = try sources.map { name in
            try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
                .split(separator: "\n", omittingEmptySubsequences: false).count - 1
        }
        #expect(lines.reduce(0, +) <= 200, "\(folder): \(lines)")
    }

    @Test(arguments: ExamplePlugins.all.map(\.mode))
    func `An example passes every check of the harness`(_ mode: String) throws {
        let judgement = try run("\(Daemon.binaries)/disco-harness", path(mode))
        #expect(judgement.contains("passed  resolver.addresses"), "\(judgement)")
    }

    private static func isSource(_ name: String) -> Bool {
        [".c", ".rs", ".swift"].contains { name.hasSuffix($0) }
    }

    private func path(_ mode: String) throws -> String {
        let example = try #require(ExamplePlugins.all.first { $0.mode == mode })
        return try ExamplePlugins.built().path(example)
    }
}
