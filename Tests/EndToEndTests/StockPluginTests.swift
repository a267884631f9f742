import Discovery
import Foundation
import Testing

/// The stock plugins as they are installed: what they show, weigh and take to load.
@Suite(.enabled(if: Installation.hindrance == nil, "\(Installation.hindrance ?? "")"))
struct StockPluginTests {
    private static let folder = "\(Installation.prefix ?? "")/lib/rqlite/plugins"

    /// Names of their files.
    private static let all =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
        .filter { $0.hasSuffix(".so") }.sorted()

    @Test func `Every plugin that the package declares is installed`() throws {
        let manifest = try String(
            contentsOf: ExamplePlugins.root.appending(path: "Package.swift"), encoding: .utf8)
        let declared = manifest.matches(of: /name: "(rqlite-disco-[a-z-]+)", type: .dynamic/)
            .map { "lib\($0.output.1).so" }
        #expect(declared.count >= 2)
        #expect(declared.sorted() == Self.all)
    }

    @Test(arguments: all)
    func `A stock plugin exports its entry alone`(_ name: String) throws {
        let symbols = try run(
            "nm", "-D", "--defined-only", "--extern-only", "\(Self.folder)/\(name)")
        #expect(symbols.split(separator: "\n").map { $0.suffix(18) } == ["rqlite_disco_entry"])
    }

    @Test(arguments: all)
    func `A stock plugin has less than 2 MB`(_ name: String) throws {
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(Self.folder)/\(name)")
        let size = try #require(attributes[.size] as? Int)
        #expect(size < 2_000_000)
    }

    /// Each time a copy, for the loader takes a file that it has for the same.
    @Test(arguments: all)
    func `A stock plugin is loaded in less than 50 ms`(_ name: String) throws {
        let place = try TestDirectory()
        let times = try (0..<5).map { number in
            let folder = "\(place.path)/\(number)"
            try run("mkdir", folder)
            try run("cp", "\(Self.folder)/\(name)", folder)
            let start = ContinuousClock.now
            let catalog = PluginCatalog(directories: [folder])
            let mode = try #require(catalog.scan().modes.first)
            _ = try Plugin(loading: catalog.find(mode: mode))
            return ContinuousClock.now - start
        }
        // The middle one: a machine that is busy may stop any of them.
        #expect(times.sorted()[2] < stretched(.milliseconds(50)), "\(times)")
    }
}
