import Foundation
import Testing

@testable import Harness

/// The project's own plugins, as they are built, with the manifests that are shipped beside them.
@Suite struct StockPluginTests {
    static let plugins: [(name: String, folder: String)] = [
        ("dns", "dns"), ("dns-srv", "dnssrv"), ("consul-kv", "consul"), ("etcd-kv", "etcd"),
        ("file", "file"), ("exec", "exec"), ("http", "http"),
        ("kubernetes", "kubernetes"), ("nomad", "nomad"), ("mdns", "mdns"),
    ]

    @Test(arguments: plugins, [false, true])
    func `A stock plugin passes every check`(
        stock: (name: String, folder: String), isIsolated: Bool
    ) async throws {
        let (name, folder) = stock
        let directory = try URL(filePath: PluginShop.harness()).deletingLastPathComponent()
        let shop = try PluginShop()
        let plugin = "\(shop.path)/librqlite-disco-\(name).so"
        try FileManager.default.copyItem(
            at: directory.appending(path: "librqlite-disco-\(name).so"),
            to: URL(filePath: plugin))
        try FileManager.default.copyItem(
            at: PluginShop.root.appending(
                path: "Plugins/\(folder)/rqlite-disco-\(name).harness.json"),
            to: URL(filePath: Runner.manifestPath(of: plugin)))
        let entries = try await PluginShop.judgePatiently(plugin, isIsolated: isIsolated)
        for entry in entries {
            #expect(!entry.verdict.outcome.isBad, "\(entry.check.name): \(entry.verdict)")
            #expect(entry.verdict.outcome != .warning, "\(entry.check.name): \(entry.verdict)")
        }
    }
}
