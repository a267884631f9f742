import Foundation
import JSON
import PluginABI
import Testing

@testable import Discovery

/// What was built against 1.0 works for ever, and what is built against a later version works here
/// or is refused.
@Suite struct FrozenABITests {
    private let workshop: Workshop

    init() throws { workshop = try Workshop() }

    private static let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]

    /// Compiles one of the frozen sources, against a header to choose.
    @discardableResult
    private func compile(_ source: String, as name: String, header: PluginHeader? = nil) throws
        -> String
    {
        var folder = PluginHeader.frozenFolder
        if let header {
            folder = try workshop.makeDirectory("include-\(name)")
            try header.text.write(
                toFile: "\(folder)/rqlite_disco.h", atomically: false, encoding: .utf8)
        }
        // A copy, for a header beside the source would be found before any other.
        let copy = "\(workshop.path)/\(name).c"
        try FileManager.default.copyItem(
            atPath: "\(PluginHeader.frozenFolder)/\(source)", toPath: copy)
        let output = "\(workshop.path)/\(name)"
        let quiet = header == nil ? Self.strict : ["-Wno-missing-field-initializers"]
        try workshop.run(
            "cc",
            ["-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", "-I\(folder)", "-o", output]
                + quiet + [copy])
        try workshop.setMode(name, 0o755)
        return output
    }

    private func expectWorking(_ subject: Subject) async throws {
        let resolution = try await subject.resolve().get()
        #expect(
            resolution.addresses == [
                DiscoveredAddress(
                    host: "node-1", port: 4002, priority: 1, weight: 2,
                    timeToLive: .seconds(3), source: "frozen")
            ])
        #expect(try await subject.wait("", [], .seconds(5)).get() == .changed(token: [1, 0, 1]))
        #expect(try await subject.wait("", [1, 0, 1], .seconds(5)).get() == .unchanged)
        #expect(subject.instance.status()["frozen"] == "1.0")
        await subject.stop()
        #expect(subject.lines == [.init(level: .info, text: "frozen")])
    }

    @Test func `A resolver of 1_0 works`() async throws {
        try compile("resolver.c", as: "rqlite-disco-a.so")
        try await expectWorking(Subject(try workshop.load("frozen"), config: "node-1"))
    }

    @Test func `A registry of 1_0 works`() async throws {
        try compile("registry.c", as: "rqlite-disco-a.so")
        let subject = Subject(try workshop.load("memory"))
        guard case .written(let first) = try await subject.write("frozen", [1], nil) else {
            Issue.record("not written")
            return
        }
        #expect(try await subject.write("frozen", [2], nil) == .conflict)
        #expect(try await subject.read("frozen").record?.value == [1])
        #expect(try await subject.list("fro").map(\.name) == ["frozen"])
        #expect(try await subject.erase("frozen", first) == .erased)
        #expect(try await subject.read("frozen").record == nil)
        await subject.stop()
    }

    @Test func `Nothing of 1_0 has moved, changed or gone`() throws {
        let frozen = try PluginHeader.read(PluginHeader.frozenFolder)
        let current = try PluginHeader.read(PluginHeader.currentFolder)
        let offsets = Set(current.assertions("AT"))
        #expect(frozen.assertions("AT").count > 60)
        for assertion in frozen.assertions("AT") { #expect(offsets.contains(assertion)) }
        let versioned = ["RQD_ABI_MINOR"]
        let constants = current.constants
        #expect(frozen.constants.count > 40)
        for (name, value) in frozen.constants where !versioned.contains(name) {
            #expect(constants[name] == value, "\(name)")
        }
        // 1.1 has added structs, and no member to one of 1.0.
        let sizes = Set(current.assertions("SIZE"))
        for assertion in frozen.assertions("SIZE") { #expect(sizes.contains(assertion)) }
    }

    @Test func `A plugin of a later minor version with larger structs works here`() async throws {
        let later = try PluginHeader.read(PluginHeader.currentFolder).grown(toMinor: 7)
        let path = try compile("resolver.c", as: "rqlite-disco-a.so", header: later)
        let note = try PluginFile(path: path, trust: .ofThisProcess).note
        #expect(note.version == .init(major: 1, minor: 7, minorNeeded: 0))
        let plugin = try workshop.load("frozen")
        #expect(plugin.descriptor.pointee.size > 152)
        try await expectWorking(Subject(plugin, config: "node-1"))
    }

    @Test(arguments: [0, 7], [0, 7])
    func `Hosts and plugins of any minor versions understand each other`(
        _ host: Int, _ plugin: Int
    ) throws {
        let current = try PluginHeader.read(PluginHeader.currentFolder)
        let frozen = try PluginHeader.read(PluginHeader.frozenFolder)
        let path = try compile(
            "resolver.c", as: "rqlite-disco-a.so",
            header: plugin == 0 ? frozen : current.grown(toMinor: plugin))
        let folder = try workshop.makeDirectory("host")
        try (host == 0 ? frozen : current.grown(toMinor: host)).text.write(
            toFile: "\(folder)/rqlite_disco.h", atomically: false, encoding: .utf8)
        let source = PluginHeader.frozenFolder + "/../host.c"
        try workshop.run(
            "cc", ["-std=c11", "-D_GNU_SOURCE", "-I\(folder)", "-o", "\(folder)/host", source])
        let said = try workshop.output("\(folder)/host", [path])
        #expect(
            said == """
                node-1:4002 priority 1 weight 2 ttl 3
                token of 3 bytes
                status 0, plugin built against 1.\(plugin)

                """)
    }

    @Test func `What a plugin needs decides, not what it was built against`() throws {
        func note(_ minor: UInt32, _ needed: UInt32) throws -> PluginNote {
            let path = try workshop.compile(
                "resolver.c", as: "\(minor)-\(needed).so",
                ["-DNOTE_MINOR=\(minor)u", "-DNEEDED=\(needed)u"])
            return try PluginFile(path: path, trust: .ofThisProcess).note
        }
        for host: UInt32 in [0, 1, 9] { try note(0, 0).checkVersion(hostMinor: host) }
        try note(9, 0).checkVersion(hostMinor: 0)
        try note(9, 2).checkVersion(hostMinor: 2)
        #expect(throws: PluginRefusal.wrongVersion(needs: "1.2")) {
            try note(9, 2).checkVersion(hostMinor: 1)
        }
    }

    @Test func `Members that a size does not cover are not there`() async throws {
        // Half a pointer is none; an address that ends with its host has no more.
        try workshop.compile("resolver.c", as: "rqlite-disco-a.so")
        let plugin = try workshop.load("tested")
        for config in ["{truncated}", "{half}"] {
            let subject = Subject(plugin, config: config)
            guard case .failure(let error) = await subject.resolve() else {
                Issue.record("\(config) worked")
                continue
            }
            #expect(error.message.contains("does not offer what a resolver must"), "\(error)")
            await subject.stop()
        }
        let subject = Subject(plugin, config: "{short}")
        #expect(
            try await subject.resolve().get().addresses == [
                DiscoveredAddress(
                    host: "10.0.0.7", port: 4002, priority: 0, weight: 0, timeToLive: nil,
                    source: "")
            ])
        await subject.stop()
    }

    @Test func `The plugin that is printed in the header works`() async throws {
        let source = try #require(PluginHeader.read(PluginHeader.currentFolder).example)
        try source.write(
            toFile: "\(workshop.path)/one.c", atomically: false, encoding: .utf8)
        let output = "\(workshop.path)/librqlite-disco-one.so"
        try workshop.run(
            "cc",
            ["-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", "-o", output]
                + ["-I\(PluginHeader.currentFolder)", "\(workshop.path)/one.c"] + Self.strict)
        try workshop.setMode("librqlite-disco-one.so", 0o755)
        let subject = Subject(try workshop.load("one"), config: "{10.0.0.7}")
        #expect(try await subject.resolve().get().addresses.map(\.hostAndPort) == ["10.0.0.7:4002"])
        await subject.stop()
    }

    @Test(.enabled(if: Workshop.has("rustc"), "no rustc"))
    func `The Rust recipe of the header makes a note`() throws {
        try expectNote("Rust", "one.rs", "") { source, output in
            try workshop.run(
                "rustc", ["--edition", "2021", "--crate-type", "cdylib", "-o", output, source])
        }
    }

    @Test func `The Swift recipe of the header makes a note`() throws {
        try expectNote("Swift", "one.swift", "") { source, output in
            try workshop.run(
                "swiftc", ["-parse-as-library", "-emit-library", "-o", output, source])
        }
    }

    private func expectNote(
        _ language: String, _ file: String, _ prefix: String,
        build: (String, String) throws -> Void
    ) throws {
        let header = try PluginHeader.read(PluginHeader.currentFolder)
        let recipe = try #require(header.recipe(language))
        let source = "\(workshop.path)/\(file)"
        try (prefix + recipe + "\n").write(toFile: source, atomically: false, encoding: .utf8)
        let output = "\(workshop.path)/one.so"
        try build(source, output)
        try workshop.setMode("one.so", 0o755)
        #expect(
            try PluginFile(path: output, trust: .ofThisProcess).note.modes
                == [PluginMode(name: "one", role: .resolver)])
    }
}
