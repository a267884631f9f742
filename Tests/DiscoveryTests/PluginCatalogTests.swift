import Foundation
import Testing

@testable import Discovery

/// Which plugin serves a mode.
@Suite struct PluginCatalogTests {
    private let workshop: Workshop

    init() throws { workshop = try Workshop() }

    private func catalog(_ directories: String...) -> PluginCatalog {
        PluginCatalog(directories: directories.map { "\(workshop.path)/\($0)" })
    }

    private func message(_ catalog: PluginCatalog, _ mode: String) -> String {
        do throws(PluginCatalogError) {
            return "found \(try catalog.find(mode: mode).file.path)"
        } catch {
            return error.description
        }
    }

    @Test func `The standard directories come in their order`() {
        #expect(
            PluginCatalog.standardDirectories(
                flag: ["/a", "/b"], environment: "/c:/d", executable: "/opt/rq/bin/rqlited")
                == [
                    "/a", "/b", "/c", "/d", "/opt/rq/bin/../lib/rqlite/plugins", "/opt/rq/bin",
                    "/usr/local/lib/rqlite/plugins", "/usr/lib/rqlite/plugins",
                ])
    }

    @Test func `The first directory that offers the mode wins and the rest is listed`() throws {
        try workshop.makeDirectory("one")
        try workshop.makeDirectory("two")
        try workshop.compile("registry.c", as: "one/librqlite-disco-memory.so")
        try workshop.compile("resolver.c", as: "one/librqlite-disco-x.so")
        try workshop.compile("resolver.c", as: "two/rqlite-disco-y.so")
        let choice = try catalog("none", "one", "two").find(mode: "tested")
        #expect(choice.file.path == "\(workshop.path)/one/librqlite-disco-x.so")
        #expect(choice.shadowed == ["\(workshop.path)/two/rqlite-disco-y.so"])
        #expect(try catalog("two", "one").find(mode: "tested").file.path.contains("two"))
        #expect(try catalog("one").role(ofMode: "tested") == .resolver)
        #expect(try catalog("one").role(ofMode: "memory") == .registry)
    }

    @Test func `Two plugins with one mode in one directory are an error that names both`() throws {
        try workshop.compile("resolver.c", as: "rqlite-disco-a.so")
        try workshop.compile("resolver.c", as: "rqlite-disco-b.so")
        let text = message(catalog(""), "tested")
        #expect(text.contains("/rqlite-disco-a.so and") && text.contains("/rqlite-disco-b.so;"))
    }

    @Test func `One file under several names counts once`() throws {
        let path = try workshop.compile("resolver.c", as: "rqlite-disco-a.so")
        try workshop.makeDirectory("two")
        try FileManager.default.createSymbolicLink(
            atPath: "\(workshop.path)/rqlite-disco-b.so", withDestinationPath: path)
        try FileManager.default.linkItem(
            atPath: path, toPath: "\(workshop.path)/two/rqlite-disco-c.so")
        let choice = try catalog("", "two").find(mode: "tested")
        #expect(choice.shadowed.isEmpty)
    }

    @Test func `Other files are not looked at`() throws {
        try workshop.compile("resolver.c", as: "libdisco.so")
        try workshop.compile("resolver.c", as: "rqlite-disco-a.so.1")
        try workshop.compile("resolver.c", as: "rqlite-disco-.so")
        let listing = catalog("").scan()
        #expect(listing.plugins.map { $0.path.hasSuffix("/rqlite-disco-.so") } == [true])
        #expect(listing.refused.isEmpty)
    }

    @Test func `An unknown mode's error lists modes, directories and refusals`() throws {
        try workshop.makeDirectory("one")
        try workshop.compile("registry.c", as: "one/rqlite-disco-m.so")
        try workshop.compile("resolver.c", as: "one/rqlite-disco-n.so", ["-DNO_NOTE"])
        let text = message(catalog("one", "two"), "dnss")
        #expect(text.contains("no plugin offers -disco-mode dnss; modes found: memory;"))
        #expect(text.contains("searched: \(workshop.path)/one, \(workshop.path)/two;"))
        #expect(text.contains("one/rqlite-disco-n.so was refused: it has no rqdisco note"))
        #expect(message(catalog("two"), "x").contains("modes found: none;"))
    }

    @Test func `A mode with a slash is a plugin's path`() throws {
        let one = try workshop.compile("registry.c", as: "anything.so")
        let two = try workshop.compile("resolver.c", as: "two.so", ["-DSECOND_MODE=\"other\""])
        let catalog = catalog()
        #expect(try catalog.find(mode: one).mode.name == "memory")
        #expect(try catalog.find(mode: "\(two)#other").mode.role == .registry)
        #expect(message(catalog, two).contains("several modes: "))
        #expect(message(catalog, two).contains("choose one as \(two)#"))
        #expect(message(catalog, "\(one)#none").contains("has no mode none, only memory"))
        #expect(message(catalog, "/none.so").contains("/none.so is refused: it can't be read"))
    }

    @Test(arguments: [(0o757, 0o755), (0o700, 0o757)])
    func `What everyone can write is refused`(_ directory: Int, _ file: Int) throws {
        try workshop.makeDirectory("open")
        try workshop.compile("resolver.c", as: "open/rqlite-disco-a.so", mode: file)
        try workshop.setMode("open", directory)
        #expect(message(catalog("open"), "tested").contains("is writable by everyone"))
        let path = "\(workshop.path)/open/rqlite-disco-a.so"
        #expect(message(catalog(), path).contains("is writable by everyone"))
    }

    @Test(arguments: [
        (0o757, 0o755, "rqlite-disco-a.so"), (0o700, 0o757, "rqlite-disco-tested.so"),
    ])
    func `A refused file is never silently replaced by another that offers its mode`(
        _ file: Int, _ directory: Int, _ name: String
    ) throws {
        try workshop.makeDirectory("first")
        try workshop.makeDirectory("second")
        try workshop.compile("resolver.c", as: "first/\(name)", mode: file)
        try workshop.compile("resolver.c", as: "second/rqlite-disco-a.so")
        try workshop.setMode("first", directory)
        let text = message(catalog("first", "second"), "tested")
        #expect(text.contains("/first"))
        #expect(text.contains("is refused") && text.contains("is writable by everyone"))
        // Behind the one that serves the mode it would not have been taken anyway.
        #expect(try catalog("second", "first").find(mode: "tested").file.path.contains("second"))
    }

    @Test func `Owner and group decide whom to trust`() throws {
        var status = stat()
        status.st_uid = 4_000_000_001
        status.st_mode = 0o755
        let trust = PluginTrust(user: 4_000_000_000)
        #expect(
            throws: PluginRefusal.untrusted(path: "p", why: "is owned by user 4000000001")
        ) { try trust.check(status, path: "p") }
        status.st_uid = 4_000_000_000
        status.st_mode = 0o775
        status.st_gid = 8
        #expect(throws: PluginRefusal.untrusted(path: "p", why: "is writable by group 8")) {
            try trust.check(status, path: "p")
        }
        status.st_gid = 0
        try trust.check(status, path: "p")
        status.st_uid = 0
        try trust.check(status, path: "p")
    }

    @Test func `A plugin's path may hold the sign that precedes a mode`() throws {
        try workshop.makeDirectory("a#b")
        let path = try workshop.compile(
            "resolver.c", as: "a#b/two#x.so", ["-DSECOND_MODE=\"other\""])
        let one = try workshop.compile("registry.c", as: "a#b/one#y.so")
        #expect(try catalog().find(mode: one).mode.name == "memory")
        #expect(try catalog().find(mode: "\(path)#other").mode.role == .registry)
        #expect(try catalog().find(path: path, mode: "tested").file.path == path)
        #expect(message(catalog(), path).contains("choose one as \(path)#"))
    }

    @Test func `A plugin in the root folder is found by its path`() throws {
        let path = "/rqd-\(UUID().uuidString).so"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.copyItem(
            atPath: try workshop.compile("registry.c", as: "anything.so"), toPath: path)
        #expect(try catalog().find(mode: path).mode.name == "memory")
    }
}
