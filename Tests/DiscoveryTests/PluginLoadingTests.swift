import Foundation
import Testing

@testable import Discovery

/// From file to descriptor.
@Suite struct PluginLoadingTests {
    private let workshop: Workshop

    init() throws { workshop = try Workshop() }

    private func refusal(_ arguments: [String]) throws -> PluginRefusal? {
        // The loader would take a second file under one name for the first.
        let workshop = try Workshop()
        try workshop.compile("resolver.c", as: "rqlite-disco-a.so", arguments)
        do {
            let choice = try PluginCatalog(directories: [workshop.path]).find(mode: "tested")
            _ = try Plugin(loading: choice)
            return nil
        } catch let error as PluginRefusal {
            return error
        }
    }

    @Test func `A good plugin loads and shows its descriptor`() throws {
        try workshop.compile("resolver.c", as: "rqlite-disco-a.so")
        let plugin = try workshop.load("tested")
        #expect(plugin.id == "org.example.resolver")
        #expect(plugin.identity.version == "1.2.3")
        #expect(plugin.identity.vendor == "Example")
        #expect(plugin.identity.license == "MIT")
        #expect(plugin.configSchema == "{}")
        #expect(plugin.mode == PluginMode(name: "tested", role: .resolver))
    }

    @Test func `A note that lies is found out`() throws {
        #expect(
            try refusal(["-DMODE=\"real\"", "-DNOTE_MODE=\"tested\""])
                == .wrongDescriptor("its modes differ from the note's"))
        #expect(
            try refusal(["-DMAJOR=2u", "-DNOTE_MAJOR=1u"])
                == .wrongDescriptor("its ABI version differs from the note's"))
    }

    @Test func `A truncated descriptor is refused`() throws {
        #expect(
            try refusal(["-DPLUGIN_SIZE=144"])
                == .wrongDescriptor("it has 144 bytes; at least 152 are needed"))
    }

    @Test func `A missing entry is named`() throws {
        #expect(
            try refusal(["-DNO_ENTRY"])
                == .notLoadable("it does not export rqlite_disco_entry"))
    }

    @Test func `A missing shared library is named`() throws {
        let library = "\(workshop.path)/libabsent.so.3"
        try "int absent_function(void) { return 1; }".write(
            toFile: "\(workshop.path)/absent.c", atomically: false, encoding: .utf8)
        try workshop.run(
            "cc",
            [
                "-shared", "-fPIC", "-Wl,-soname,libabsent.so.3", "-o", library,
                "\(workshop.path)/absent.c",
            ])
        try workshop.compile("resolver.c", as: "rqlite-disco-a.so", ["-DNEEDS_LIBRARY", library])
        try FileManager.default.removeItem(atPath: library)
        let choice = try PluginCatalog(directories: [workshop.path]).find(mode: "tested")
        #expect(throws: PluginRefusal.missingLibrary("libabsent.so.3")) {
            try Plugin(loading: choice)
        }
    }

    @Test func `A file that was replaced after it was looked at is not loaded`() throws {
        let path = try workshop.compile("resolver.c", as: "rqlite-disco-a.so")
        let choice = try PluginCatalog(directories: [workshop.path]).find(mode: "tested")
        try FileManager.default.moveItem(atPath: path, toPath: path + ".old")
        try workshop.compile("resolver.c", as: "rqlite-disco-a.so")
        #expect(
            throws: PluginRefusal.notLoadable(
                "it was replaced while it was looked at; start again")
        ) { try Plugin(loading: choice) }
    }
}
