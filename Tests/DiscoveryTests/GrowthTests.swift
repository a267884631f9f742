import Foundation
import Testing

@testable import Discovery

/// What came with 1.1, in this process and in one of the plugin's own: the same must be seen.
@Suite struct GrowthTests {
    private let workshop: Workshop

    init() throws {
        workshop = try Workshop()
        try workshop.compile("growing.c", as: "rqlite-disco-g.so")
    }

    private func subject(_ place: Place, _ config: String) throws -> Subject {
        try Subject(workshop, "growing", place, config: config)
    }

    private func tell(
        _ subject: Subject, _ node: PluginNode
    ) async -> Result<PluginInstance.Telling, PluginError> {
        await withCheckedContinuation { waiter in
            subject.instance.tell(node, timeout: Subject.patience) { waiter.resume(returning: $0) }
        }
    }

    private func node(_ flags: PluginNode.Flags, health: String = "") -> PluginNode {
        PluginNode(
            flags: flags, nodeID: "n-1", raftAddress: "a:1", apiURL: "http://a:2", health: health)
    }

    @Test(arguments: Place.allCases)
    func `A list that comes in pages has no limit of one answer`(_ place: Place) async throws {
        let subject = try subject(place, "")
        let names = try await subject.list("nodes/").map(\.name)
        #expect(names.count == 2500)
        #expect(names.first == "nodes/00000" && names.last == "nodes/02499")
        #expect(names == names.sorted())
        await subject.stop()
    }

    @Test(
        arguments: Place.allCases,
        [
            ("repeats", "does not follow"), ("falls", "does not follow"),
            ("too many", "there are over 1024 records"),
            ("fails later", "can't be reached"), ("endless", "there are over 65536 records"),
        ])
    func `Pages that don't follow one another are no list`(
        _ place: Place, _ fault: (config: String, message: String)
    ) async throws {
        let subject = try subject(place, fault.config)
        let error = await #expect(throws: PluginError.self) { try await subject.list("nodes/") }
        #expect(error?.message.contains(fault.message) == true, "\(String(describing: error))")
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `A plugin is told what the node is, and what of it changed`(_ place: Place) async throws {
        let subject = try subject(place, "")
        let first = node([.joined, .voter], health: "wait")
        #expect(try await tell(subject, first).get() == .told)
        #expect(try await tell(subject, first).get() == .told)
        #expect(try await tell(subject, node([.joined, .voter, .leads, .ready])).get() == .told)
        #expect(try await tell(subject, node([.joined, .leaving])).get() == .told)
        #expect(
            subject.lines.map(\.text) == [
                "n-1 wait flags 3 changed 3 follower voter",
                "n-1  flags 15 changed 12 leader voter ready",
                "n-1  flags 17 changed 30 follower non-voter",
            ])
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `Nothing is asked of a plugin behind its goodbye`(_ place: Place) async throws {
        let subject = try subject(place, "")
        #expect(try await tell(subject, node([.joined])).get() == .told)
        #expect(try await tell(subject, node([.joined, .leaving])).get() == .told)
        // As one does who had looked at the node a moment before.
        let late = await tell(subject, node([.joined]))
        #expect(throws: PluginError.self) { try late.get() }
        let error = await #expect(throws: PluginError.self) { try await subject.list("nodes/") }
        #expect(error?.code == .busy)
        #expect(
            subject.lines.map(\.text) == [
                "n-1  flags 1 changed 1 follower non-voter",
                "n-1  flags 17 changed 16 follower non-voter",
            ])
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `What could not be told is told again as it is by then`(_ place: Place) async throws {
        let subject = try subject(place, "refuses once")
        await #expect(throws: PluginError.self) { try await tell(subject, node([.joined])).get() }
        #expect(!subject.instance.knows(node([.joined])))
        #expect(try await tell(subject, node([.joined, .ready])).get() == .told)
        #expect(subject.lines.map(\.text).last == "n-1  flags 9 changed 9 follower non-voter ready")
        await subject.stop()
    }

    /// Whoever may have told others of the node is owed a goodbye.
    @Test(arguments: Place.allCases)
    func `A plugin may have heard of the node from the call on, whatever it answers`(
        _ place: Place
    ) async throws {
        for (config, isHeard) in [("", true), ("refuses once", true), ("deaf", false)] {
            let subject = try subject(place, config)
            try await subject.start().get()
            #expect(!subject.instance.mayHaveHeard)
            _ = await tell(subject, node([.joined]))
            #expect(subject.instance.mayHaveHeard == isHeard, "\(config)")
            await subject.stop()
        }
    }

    @Test(arguments: Place.allCases)
    func `A plugin that does not want to know is not asked again`(_ place: Place) async throws {
        let subject = try subject(place, "deaf")
        #expect(try await tell(subject, node([.joined])).get() == .unwanted)
        #expect(try await tell(subject, node([])).get() == .unwanted)
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `What takes the place of a plugin that does not want to know is told`(
        _ place: Place
    ) async throws {
        let subject = try subject(place, "deaf")
        #expect(try await tell(subject, node([.joined])).get() == .unwanted)
        #expect(!subject.instance.listens)
        try await subject.renew("").get()
        #expect(subject.instance.listens)
        #expect(try await tell(subject, node([.joined])).get() == .told)
        #expect(subject.lines.last?.text == "n-1  flags 1 changed 1 follower non-voter")
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `A plugin learns the host's name, version and limits in create`(
        _ place: Place
    ) async throws {
        let subject = try subject(place, "info")
        try await subject.start().get()
        #expect(subject.lines.map(\.text) == ["rqlited unknown minor 1 limits 8192 65536 0"])
        await subject.stop()
    }

    @Test(arguments: ["-DFLAGS=RQD_FLAG_OWN_PROCESS", "-DFLAGS=0x10001u", "-DGO"])
    func `A plugin for its own process alone is refused in this one and works in its own`(
        _ argument: String
    ) async throws {
        try workshop.compile("growing.c", as: "rqlite-disco-g.so", [argument])
        #expect(throws: PluginRefusal.needsOwnProcess) { try workshop.load("growing") }
        let subject = try subject(.isolated, "")
        #expect(try await subject.list("").count == 2500)
        await subject.stop()
    }

    @Test func `A flag that this program must know is a reason to refuse, another is none`() throws
    {
        let file = try workshop.compile("growing.c", as: "a.so", ["-DFLAGS=0x80000000u"])
        #expect(try PluginFile(path: file, trust: .ofThisProcess).note.needsOwnProcess == false)
        let other = try workshop.compile("growing.c", as: "b.so", ["-DFLAGS=0x40u"])
        #expect(
            throws: PluginRefusal.malformedNote(
                "it has a flag that this program doesn't know: 0x40; a newer rqlited may")
        ) { try PluginFile(path: other, trust: .ofThisProcess) }
    }

    @Test func `A mode of a role to come is passed over beside those that are known`() throws {
        try workshop.compile("growing.c", as: "rqlite-disco-g.so", ["-DUNKNOWN_ROLE"])
        #expect(try workshop.find("growing").file.note.modes.map(\.name) == ["growing"])
        #expect(try workshop.load("growing").mode.role == .registry)
    }

    @Test func `Programs that an isolated plugin started end with it`() async throws {
        let subject = try subject(.isolated, "parent")
        _ = try await subject.read("leader")
        let line = try #require(subject.lines.first?.text)
        let child = try #require(line.split(separator: " ").last.flatMap { pid_t($0) })
        #expect(kill(child, 0) == 0)
        let process = try #require(subject.processID)
        kill(process, SIGKILL)
        _ = try? await subject.read("leader")
        let end = ContinuousClock.now + .seconds(60)
        while Self.isRunning(child), ContinuousClock.now < end { await Task.yield() }
        #expect(!Self.isRunning(child))
        await subject.stop()
    }

    /// Not as a zombie, which whoever took it over may not have reaped.
    private static func isRunning(_ process: pid_t) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        else {
            return false
        }
        return text.split(separator: ")").last?.hasPrefix(" Z") != true
    }

    @Test func `What the loader took from an older file of the name is refused`() throws {
        guard FileManager.default.fileExists(atPath: "/dev/shm") else { return }
        let folder = "/dev/shm/rqd-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let built = try workshop.compile("growing.c", as: "built.so")
        let path = "\(folder)/rqlite-disco-g.so"
        try FileManager.default.copyItem(atPath: built, toPath: path)
        let catalog = PluginCatalog(directories: [folder])
        _ = try Plugin(loading: try catalog.find(mode: "growing"))
        try FileManager.default.moveItem(atPath: path, toPath: "\(folder)/old")
        try FileManager.default.copyItem(atPath: built, toPath: path)
        let refusal = #expect(throws: PluginRefusal.self) {
            _ = try Plugin(loading: try catalog.find(mode: "growing"))
        }
        #expect("\(String(describing: refusal))".contains("another file than the one"))
    }
}
