import Foundation
import PluginABI
import Testing

@testable import Discovery

/// Notes are read from files that may be anything.
@Suite struct PluginNoteTests {
    private let workshop: Workshop

    init() throws { workshop = try Workshop() }

    private func note(_ path: String) throws(PluginRefusal) -> PluginNote {
        try PluginFile(path: path, trust: .ofThisProcess).note
    }

    @Test func `A plugin's version, modes and roles are read without loading it`() throws {
        let path = try workshop.compile(
            "resolver.c", as: "a.so", ["-DMODE=\"one\"", "-DSECOND_MODE=\"two-2\""])
        let note = try note(path)
        #expect(note.version == .init(major: 1, minor: 1, minorNeeded: 0))
        #expect(
            note.modes.sorted { $0.name < $1.name } == [
                PluginMode(name: "one", role: .resolver),
                PluginMode(name: "two-2", role: .registry),
            ])
    }

    @Test func `The note survives strip and section garbage collection`() throws {
        let path = try workshop.compile(
            "resolver.c", as: "a.so", ["-ffunction-sections", "-Wl,--gc-sections", "-s"])
        #expect(try note(path).modes.map(\.name) == ["tested"])
    }

    @Test func `A library without note is no plugin`() throws {
        let path = try workshop.compile("resolver.c", as: "a.so", ["-DNO_NOTE"])
        #expect(throws: PluginRefusal.noNote) { try note(path) }
    }

    @Test(arguments: ["-DNOTE_MODE=\"Upper\"", "-DNOTE_MODE=\"\"", "-DNOTE_MODE=\"a\\0b\""])
    func `A mode's name must be of its form`(_ argument: String) throws {
        let path = try workshop.compile("resolver.c", as: "a.so", [argument])
        #expect(
            throws: PluginRefusal.malformedNote(
                "a mode's name is not of the form [a-z0-9-]{1,32}")
        ) { try note(path) }
    }

    @Test func `One file can't name a mode twice`() throws {
        let path = try workshop.compile(
            "resolver.c", as: "a.so", ["-DMODE=\"x\"", "-DSECOND_MODE=\"x\""])
        #expect(throws: PluginRefusal.malformedNote("it names the mode x twice")) { try note(path) }
    }

    @Test func `A newer plugin is refused with the version it needs`() throws {
        try workshop.compile("resolver.c", as: "rqlite-disco-a.so", ["-DNEEDED=7u"])
        try workshop.compile("resolver.c", as: "rqlite-disco-b.so", ["-DMAJOR=2u"])
        let listing = PluginCatalog(directories: [workshop.path]).scan()
        #expect(listing.plugins.isEmpty)
        #expect(
            listing.refused.map(\.why) == [
                .wrongVersion(needs: "1.7"), .wrongVersion(needs: "2.0"),
            ])
    }

    @Test func `A file that is no shared object is refused`() throws {
        for content in ["", "\u{7F}ELF", String(repeating: "x", count: 100)] {
            let path = "\(workshop.path)/a.so"
            try content.write(toFile: path, atomically: false, encoding: .utf8)
            #expect(throws: PluginRefusal.self) { try note(path) }
        }
        #expect(throws: PluginRefusal.malformedFile("it is not a regular file")) {
            try note(workshop.path)
        }
        #expect(throws: PluginRefusal.unreadable("No such file or directory")) {
            try note(workshop.path + "/none.so")
        }
    }

    @Test func `No corruption of headers, segments or notes is fatal to the reader`() throws {
        let path = try workshop.compile("resolver.c", as: "a.so")
        let good = try Array(Data(contentsOf: URL(filePath: path)))
        let expected = try note(path)
        let broken = "\(workshop.path)/b.so"
        let name = Array("rqdisco\0".utf8)
        let place = try #require(
            (0..<(good.count - 8)).first { Array(good[$0..<($0 + 8)]) == name })
        var refusals = 0
        for offset in Array(0..<600) + Array((place - 12)..<(place + 60)) {
            for value in [0, 0x7F, 0xFF] as [UInt8] where good[offset] != value {
                var bytes = good
                bytes[offset] = value
                try Data(bytes).write(to: URL(filePath: broken))
                do throws(PluginRefusal) {
                    _ = try note(broken)
                } catch {
                    refusals += 1
                }
            }
        }
        #expect(refusals > 100)
        for length in stride(from: 0, to: 1024, by: 7) {
            try Data(good[..<length]).write(to: URL(filePath: broken))
            do throws(PluginRefusal) {
                #expect(try note(broken) == expected)
            } catch {
                refusals += 1
            }
        }
    }
}
