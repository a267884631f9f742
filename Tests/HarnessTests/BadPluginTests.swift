import Foundation
import Testing

@testable import Harness

/// That the harness catches what it says it catches: each bad plugin is judged by the checks that
/// must not let it pass.
@Suite struct BadPluginTests {
    @Test(arguments: BadPlugin.all)
    func `A bad plugin is caught`(plugin: BadPlugin) async throws {
        let shop = try PluginShop()
        let mode = plugin.name == "two_versions" ? "tested-resolver" : nil
        let path = try await shop.compile(plugin)
        var entries: [Runner.Entry] = []
        for isIsolated in [false, true] {
            let checks = plugin.caughtBy.filter {
                CheckCatalog.find($0)?.needs.contains(.isolated) == isIsolated
            }
            guard !checks.isEmpty else { continue }
            entries += try await PluginShop.judge(
                path, checks, mode: mode, isIsolated: isIsolated)
        }
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
        #expect(
            Set(names)
                == Set(BadPlugin.all.map(\.name) + ["good", "late_once", "counts_on_goodbye"]))
    }

    @Test(arguments: [
        ("lifecycle.brief", "destroy"), ("deadlines.cancel", "cancel"),
        ("deadlines.cancelled-before", "cancel"),
    ])
    func `A plugin is not blamed for what was late once`(check: String, place: String) async throws
    {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("late_once"))
        for entry in try await PluginShop.judge(plugin, [check]) {
            #expect(entry.verdict.outcome == .passed, "\(entry.verdict)")
            #expect(entry.verdict.milliseconds > 2000)
        }
        #expect(FileManager.default.fileExists(atPath: plugin + ".was-late-in-" + place))
    }

    @Test func `A plugin is not called behind its goodbye`() async throws {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("counts_on_goodbye"))
        for entry in try await PluginShop.judge(plugin, ["calls.update"]) {
            #expect(entry.verdict.outcome == .passed, "\(entry.verdict)")
        }
    }

    @Test(arguments: [BadPlugin.Role.resolver, .registry])
    func `A plugin that breaks no rule passes every check`(role: BadPlugin.Role) async throws {
        let shop = try PluginShop()
        let entries = try await PluginShop.judgePatiently(shop.compile(BadPlugin("good", role)))
        for entry in entries {
            #expect(
                entry.verdict.outcome == .passed || entry.verdict.outcome == .skipped,
                "\(entry.check.name): \(entry.verdict)")
        }
        // Only the other role's are skipped, and those that look from outside.
        let other = role == .resolver ? "for registries" : "for resolvers"
        for entry in entries where entry.verdict.outcome == .skipped {
            #expect(
                [other, "with --isolation", GrowthChecks.noPages, GrowthChecks.noNode].contains(
                    entry.verdict.seen), "\(entry.check.name)")
        }
    }

    @Test(arguments: [BadPlugin.Role.resolver, .registry])
    func `It passes in a process of its own, too`(role: BadPlugin.Role) async throws {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("good", role))
        let entries = try await PluginShop.judgePatiently(plugin, isIsolated: true)
        for entry in entries {
            #expect(
                entry.verdict.outcome == .passed || entry.verdict.outcome == .skipped,
                "\(entry.check.name): \(entry.verdict)")
        }
        #expect(entries.filter { $0.verdict.outcome == .passed }.count >= 50)
    }

    /// What must be caught through the process as well.
    static let isolated: [(BadPlugin.Role, String, String)] = [
        (.resolver, "crash_in_create", "lifecycle.create"),
        (.resolver, "crash_in_call", "calls.work"), (.resolver, "exits", "calls.work"),
        (.resolver, "hangs", "calls.work"), (.resolver, "broken", "calls.work"),
        (.resolver, "gullible", "config.rejected"), (.resolver, "recursive", "config.deep"),
        (.resolver, "ignores_cancel", "deadlines.cancel"),
        (.resolver, "ignores_deadline", "deadlines.silence"),
        (.resolver, "optimist", "faults.down"), (.registry, "bad_results", "calls.results"),
        (.registry, "overwrites", "registry.contention"),
        (.registry, "claims_success", "registry.unknown"),
        (.registry, "misses_events", "watch.change"),
    ]

    @Test(arguments: isolated)
    func `A bad plugin is caught in a process of its own, too`(
        role: BadPlugin.Role, name: String, check: String
    ) async throws {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin(name, role))
        for entry in try await PluginShop.judge(plugin, [check], isIsolated: true) {
            #expect(
                entry.verdict.outcome.isBad,
                "\(entry.check.name): \(entry.verdict.outcome), \(entry.verdict.seen)")
        }
    }

    /// What is caught where nobody answers: without a fake server.
    static let serverless: [(String, String)] = [
        ("hangs", "deadlines.past"), ("hangs", "deadlines.cancelled-before"),
        ("closes_cancel", "deadlines.descriptor"), ("bad_describe", "status.object"),
        ("crash_in_call", "deadlines.past"), ("prints", "manners.silent"),
        ("prints_late", "manners.late"), ("leaks_failures", "leaks.failures"),
        ("hangs_in_update", "calls.update"), ("exit_handler", "manners.exit"),
        ("changes_mask", "manners.state"), ("late_sink", "threads.sink"),
        ("leaks_threads", "threads.joined"),
    ]

    @Test(arguments: serverless)
    func `A bad plugin is caught without a server, too`(name: String, check: String) async throws {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin(name))
        try #"{"config": "{127.0.0.1:1}"}"#.write(
            toFile: Runner.manifestPath(of: plugin), atomically: true, encoding: .utf8)
        for entry in try await PluginShop.judge(plugin, [check]) {
            #expect(
                entry.verdict.outcome.isBad,
                "\(entry.check.name): \(entry.verdict.outcome), \(entry.verdict.seen)")
        }
    }
}
