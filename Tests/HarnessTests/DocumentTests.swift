import Foundation
import Testing

@testable import Harness

/// That the pages for authors say what the harness does.
@Suite struct DocumentTests {
    private func page(_ name: String) throws -> String {
        try String(contentsOf: PluginShop.root.appending(path: "docs/\(name)"), encoding: .utf8)
    }

    @Test func `The table of checks is what --list prints`() throws {
        let page = try page("harness.md")
        let start = try #require(page.range(of: "\n### file: "))
        #expect(
            page[start.lowerBound...].dropFirst() == Presentation.list[...],
            "write the output of disco-harness --list to the end of docs/harness.md")
    }

    @Test func `Every member of a manifest and every fake server is told`() throws {
        let page = try page("harness.md")
        for member in Manifest.memberNames { #expect(page.contains("`\(member)`"), "\(member)") }
        for kind in Matrix.serverKinds { #expect(page.contains("| `\(kind)` |"), "\(kind)") }
    }

    /// The page is made from a whole run, which takes minutes: `HARNESS_MATRIX=write` makes it. What
    /// is asserted here are its rows and columns, and every catch that `BadPluginTests` proves.
    @Test func `The matrix has every check, every plugin and every proven catch`() throws {
        let matrix = try Matrix(parsing: page("harness-matrix.md"))
        #expect(matrix.checks == CheckCatalog.all.map(\.name))
        #expect(matrix.plugins == BadPlugin.all.map(\.name))
        for plugin in BadPlugin.all {
            for check in plugin.caughtBy {
                #expect(matrix.catches(check, plugin.name), "\(check) does not catch \(plugin)")
            }
        }
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["HARNESS_MATRIX"] == "write"))
    func `The matrix is made`() async throws {
        try await Matrix.run().text.write(
            to: PluginShop.root.appending(path: "docs/harness-matrix.md"), atomically: true,
            encoding: .utf8)
    }
}
