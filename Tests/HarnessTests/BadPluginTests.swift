import Foundation
import Testing

@testable import Harness

/// That the harness catches what it says it catches: each bad plugin is judged by the checks that
/// must not let it pass.
@Suite struct BadPluginTests {
    @Test(arguments: BadPlugin.all)
    func `A bad plugin is caught`(plugin: BadPlugin) throws {
        let shop = try PluginShop()
        let mode = plugin.name == "two_versions" ? "tested-resolver" : nil
        let entries = try PluginShop.judge(shop.compile(plugin), plugin.caughtBy, mode: mode)
        #expect(entries.count == plugin.caughtBy.count)
        for entry in entries {
            #expect(
                entry.verdict.outcome.isBad,
                "\(entry.check.name): \(entry.verdict.outcome), \(entry.verdict.seen)")
            #expect(!entry.verdict.expected.isEmpty && !entry.verdict.seen.isEmpty)
        }
    }

    @Test func `Every check catches at least one of them`() {
        let caught = Set(BadPlugin.all.flatMap(\.caughtBy))
        for check in CheckCatalog.all {
            #expect(caught.contains(check.name), "\(check.name) was never failed")
        }
        #expect(caught.subtracting(CheckCatalog.all.map(\.name)).isEmpty)
    }

    @Test func `Every source is in the table`() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: PluginShop.sources.path)
            .filter { $0.hasSuffix(".c") || $0.hasSuffix(".cc") }
            .map { String($0.prefix { $0 != "." }) }
        #expect(Set(names) == Set(BadPlugin.all.map(\.name) + ["good"]))
    }

    @Test(arguments: [BadPlugin.Role.resolver, .registry])
    func `A plugin that breaks no rule passes every check`(role: BadPlugin.Role) throws {
        let shop = try PluginShop()
        let entries = try PluginShop.judge(shop.compile(BadPlugin("good", role)))
        for entry in entries {
            #expect(
                entry.verdict.outcome == .passed || entry.verdict.outcome == .skipped,
                "\(entry.check.name): \(entry.verdict)")
        }
        // Only the other role's are skipped.
        let other = role == .resolver ? "for registries" : "for resolvers"
        #expect(
            entries.filter { $0.verdict.outcome == .skipped }.allSatisfy {
                $0.verdict.seen == other
            })
    }
}
