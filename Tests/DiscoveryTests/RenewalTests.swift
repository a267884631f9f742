import Foundation
import JSON
import Testing
import Threads
import Time

@testable import Discovery

/// Another instance in the place of one that is at work, well and badly behaved.
@Suite struct RenewalTests {
    private let workshop: Workshop

    init() throws {
        workshop = try Workshop()
        try workshop.compile("resolver.c", as: "rqlite-disco-r.so", ["-D_GNU_SOURCE"])
    }

    private func subject(_ config: String, _ place: Place) throws -> Subject {
        var timing = PluginInstance.Timing()
        timing.grace = .seconds(2)
        timing.firstBackoff = .zero
        return try Subject(workshop, "tested", place, config: config, timing: timing)
    }

    /// The old instance goes when its calls are back; nobody is told.
    private func expectDestroyed(_ count: Int, of subject: Subject) {
        let deadline = ContinuousClock.now + Subject.patience
        func isDone() -> Bool { subject.lines.filter { $0.text == "destroyed" }.count == count }
        while !isDone(), ContinuousClock.now < deadline {}
        #expect(isDone(), "\(subject.lines)")
    }

    @Test(arguments: Place.allCases)
    func `A new instance takes the place of the old one, which is destroyed`(_ place: Place)
        async throws
    {
        let subject = try subject("", place)
        #expect(try await subject.resolve().get().addresses.count == 2)
        try await subject.renew("{fail}").get()
        expectDestroyed(1, of: subject)
        guard case .failure(let error) = await subject.resolve() else {
            Issue.record("the old configuration counts still")
            return
        }
        #expect(error.message.contains("the oracle is silent"))
        try await subject.renew("").get()
        expectDestroyed(2, of: subject)
        #expect(try await subject.resolve().get().addresses.count == 2)
        #expect(subject.status["reloads"] == .number("2"))
        await subject.stop()
        expectDestroyed(3, of: subject)
    }

    @Test(arguments: Place.allCases, ["{wrong}", "{hang create}", "{forgetful}", "{half}"])
    func `What can't be made leaves the old one at work, and is told`(
        _ place: Place, _ config: String
    ) async throws {
        let subject = try subject("", place)
        #expect(try await subject.resolve().get().addresses.count == 2)
        guard case .failure(let error) = await subject.renew(config, .milliseconds(500)) else {
            Issue.record("\(config) was taken")
            return
        }
        #expect(try await subject.resolve().get().addresses.count == 2)
        #expect(subject.status["last_reload_error"] == .string(error.message))
        #expect(!subject.lines.contains { $0.text == "destroyed" } || config == "{half}")
        try await subject.renew("").get()
        #expect(subject.status["last_reload_error"] == nil)
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `One that is being made when another takes its place is destroyed, not lost`(
        _ place: Place
    ) async throws {
        let go = "\(workshop.path)/go"
        let subject = try subject("{await \(go)}", place)
        async let first = subject.resolve()
        let deadline = ContinuousClock.now + Subject.patience
        while !subject.lines.contains(where: { $0.text == "awaits" }),
            ContinuousClock.now < deadline
        {
            await Task.yield()
        }
        try await subject.renew("").get()
        #expect(FileManager.default.createFile(atPath: go, contents: nil))
        _ = await first
        expectDestroyed(1, of: subject)
        #expect(try await subject.resolve().get().addresses.count == 2)
        await subject.stop()
        expectDestroyed(2, of: subject)
    }

    /// A session that does nothing.
    private final class Idle: PluginSession {
        func perform(_: PluginRequest, _: CallContext) throws(PluginError) -> Int32 { 0 }
        func destroy() {}
        func giveUp(during _: String) -> Bool { false }
        var hasEnded: Bool { false }
    }

    @Test func `A call that began before another instance came runs on the one it was for`() throws
    {
        let source = PluginSource.isolated(
            try workshop.find("tested").location, Subject.process)
        var state = PluginSupervision(source, timing: .init())
        let (first, second) = (Idle(), Idle())
        let adoptions = [first, second].map { state.adopt($0, epoch: 0, at: .now) }
        #expect(adoptions == [true, false])
        let old = state.replace(by: second, from: source, config: [], at: .now)
        #expect(old == 0)
        #expect(state.session(of: 0) as? Idle === first)
        #expect(state.session(of: 1) as? Idle === second)
        _ = state.takeRetired(0)
        #expect(state.session(of: 0) == nil)
    }

    @Test func `The process of a new instance that does not come back from create is ended`()
        async throws
    {
        let mode = "lingering-\(getpid())"
        try workshop.compile(
            "resolver.c", as: "rqlite-disco-l.so", ["-D_GNU_SOURCE", "-DMODE=\"\(mode)\""])
        var timing = PluginInstance.Timing()
        timing.grace = .seconds(2)
        let subject = try Subject(workshop, mode, .isolated, timing: timing)
        _ = try await subject.resolve().get()
        let own = try #require(subject.processID)
        guard case .failure(let error) = await subject.renew("{hang create}", .milliseconds(500))
        else {
            Issue.record("it was taken")
            return
        }
        #expect(error.code == .abandoned)
        let deadline = ContinuousClock.now + Subject.patience
        while try Self.processes(of: mode) != [own], ContinuousClock.now < deadline {
            await Task.yield()
        }
        #expect(try Self.processes(of: mode) == [own])
        await subject.stop()
    }

    /// Those that serve plugins of the mode, by their names.
    private static func processes(of mode: String) throws -> [Int32] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }
            .filter { process in
                let words = try? String(
                    contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8)
                return words?.split(separator: "\0").first == "rqlited: disco \(mode)"
            }
    }

    @Test(arguments: Place.allCases, ["{obey}", "{hang}"])
    func `A call that is under way doesn't hold the new instance up`(
        _ place: Place, _ config: String
    ) async throws {
        let subject = try subject(config, place)
        _ = await subject.start()
        async let call = subject.resolve(.seconds(1))
        try await subject.renew("").get()
        _ = await call
        #expect(try await subject.resolve().get().addresses.count == 2)
        await subject.stop()
    }
}
