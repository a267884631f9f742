import Foundation
import Glibc
import JSON
import Testing
import Threads
import Time

@testable import Discovery

/// What differs when a plugin runs in a process of its own: that nothing it does reaches this one.
/// What must not differ stands in the tests of resolvers and registries.
@Suite struct IsolationTests {
    private let workshop: Workshop

    init() throws {
        workshop = try Workshop()
        try workshop.compile("resolver.c", as: "rqlite-disco-r.so", ["-D_GNU_SOURCE"])
    }

    private func subject(_ config: String, pause: Duration = .zero) throws -> Subject {
        var timing = PluginInstance.Timing()
        // Only what hangs is given up soon: on a busy machine others need their time.
        if config.contains("hang") {
            timing.grace = .milliseconds(500)
            timing.creation = .zero
        }
        timing.firstBackoff = pause
        timing.lastBackoff = max(timing.lastBackoff, pause)
        return try Subject(workshop, "tested", .isolated, config: config, timing: timing)
    }

    private func failure(_ result: Result<Resolution, PluginError>) throws -> PluginError {
        guard case .failure(let error) = result else {
            throw Unexpected(description: "\(result)")
        }
        return error
    }

    private struct Unexpected: Error {
        let description: String
    }

    @Test(
        arguments: [
            ("{crash}", .unavailable, "was ended by SIGSEGV (during resolve)"),
            ("{exit}", .unavailable, "ended with exit status 3 (during resolve)"),
            ("{close}", .unavailable, "(during resolve)"),
            ("{crash create}", .unavailable, "was ended by SIGSEGV (during create)"),
            ("{garbage}", .protocol, "malformed frame: kind of frame has the unknown value 99"),
            ("{foreign}", .protocol, "malformed frame: call has the unknown value 77"),
            ("{giant}", .protocol, "malformed frame: length has the unknown value 2147483647"),
            ("{reversed}", .protocol, "malformed frame: direction of frame"),
        ] as [(String, PluginError.Code, String)])
    func `What ends the plugin's process is an error of the call, in words`(
        _ config: String, _ code: PluginError.Code, _ text: String
    ) async throws {
        let subject = try subject(config)
        let error = try failure(await subject.resolve())
        #expect(error.code == code)
        #expect(error.message.contains(text), "\(error)")
        #expect(subject.lines.contains { $0.level == .error && $0.text == error.message })
        await subject.stop()
    }

    @Test func `After a crash the next instance comes after a pause`() async throws {
        let subject = try subject("{crash}", pause: .seconds(600))
        _ = await subject.resolve()
        let error = try failure(await subject.resolve())
        #expect(error.code == .unavailable)
        #expect(error.message.contains("starts again after a pause; before that: "), "\(error)")
        #expect(error.message.contains("SIGSEGV"), "\(error)")
        await subject.stop()
    }

    @Test func `A process that ends between calls is noticed and replaced`() async throws {
        let subject = try subject("{}")
        _ = try await subject.resolve().get()
        let process = try #require(subject.processID)
        kill(process, SIGKILL)
        let error = try failure(await subject.resolve())
        #expect(error.message.contains("was ended by SIGKILL"), "\(error)")
        _ = try await subject.resolve().get()
        #expect(subject.processID != process)
        await subject.stop()
    }

    @Test(arguments: ["{hang}", "{hang create}"])
    func `What hangs is killed, as often as it takes`(_ config: String) async throws {
        let subject = try subject(config)
        for _ in 0...DiscoveryLimits.strikes {
            let error = try failure(await subject.resolve(.milliseconds(10)))
            #expect(error.code == .abandoned)
            #expect(error.message.contains("its process was killed"), "\(error)")
        }
        #expect(subject.instance.status()["abandoned"] == 4)
        await subject.stop()
    }

    @Test func `A description that never comes is not asked for again`() async throws {
        let subject = try subject("{hang describe}")
        _ = try await subject.resolve().get()
        // In the shadow of the first description this one finds no instance, or makes a new one.
        _ = try await subject.resolve().get()
        let process = subject.processID
        _ = try await subject.resolve().get()
        #expect(subject.processID == process)
        #expect(subject.lines.filter { $0.text.contains("come back from describe") }.count == 1)
        await subject.stop()
    }

    @Test func `What hangs in destroy is killed`() async throws {
        let subject = try subject("{hang destroy}")
        _ = try await subject.resolve().get()
        let process = try #require(subject.processID)
        await subject.stop()
        #expect(kill(process, 0) != 0 || subject.processID == nil)
        #expect(subject.lines.contains { $0.text.contains("did not come back from destroy") })
    }

    /// The child process has descriptors to lose; the tests' own must not run out.
    @Test func `What finds no descriptor to start with is lost, and not half started for ever`()
        async
    {
        await #expect(processExitsWith: .success) {
            let workshop = try Workshop()
            defer { withExtendedLifetime(workshop) {} }
            try workshop.compile("resolver.c", as: "rqlite-disco-r.so", ["-D_GNU_SOURCE"])
            let session = try IsolatedSession(
                try workshop.find("tested").location, in: Subject.process,
                arguments: PluginArguments(
                    key: "k", config: [], nodeID: "1", raft: ("10.0.0.1:4002", 4002),
                    apiURL: "http://10.0.0.1:4001"), name: "tested-1", log: { _, _ in })
            let end = ContinuousClock.now + Subject.patience
            while session.processID == nil, ContinuousClock.now < end {}
            let context = try CallContext(
                deadline: .now + Subject.patience, kinds: PluginRequest.resolve.results)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            var none = limit
            none.rlim_cur = 3
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &none)
            do throws(PluginError) {
                _ = try session.perform(.resolve, context)
                exit(3)
            } catch {
                guard error.message.contains("no descriptor") else { exit(4) }
            }
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            while !session.hasEnded, ContinuousClock.now < end {}
            guard session.hasEnded else { exit(5) }
        }
    }

    @Test func `Only four descriptors and no secret are handed down`() async throws {
        // Without close-on-exec, as a careless library has them.
        let own = open("/dev/zero", O_RDONLY)
        defer { close(own) }
        let subject = try subject("{\"secret\": 1}")
        _ = try await subject.resolve().get()
        let process = try #require(subject.processID)
        let files = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")
        #expect(files.sorted() == ["0", "1", "2", "3"])
        let words = try String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8)
        #expect(words == "rqlited: disco tested\0disco\0serve-plugin\0")
        let environment = try Data(contentsOf: URL(filePath: "/proc/\(process)/environ"))
        #expect(environment.range(of: Data("secret".utf8)) == nil)
        await subject.stop()
        #expect(subject.processID == nil)
    }

    @Test func `A plugin finds the variables that it needs, and no others`() async throws {
        // This process's own are all there is: what is wanted is one that any shell sets.
        var process = Subject.process
        process.variables = PluginVariables(named: ["SHLV*"])
        let own = PluginVariables.ofThisProcess
        let subject = Subject(
            .isolated(try workshop.find("tested").location, process),
            config: Array("{environment $WANTED}".utf8))
        _ = try await subject.resolve().get()
        let expected = PluginVariables(named: ["SHLV*"]).chosen(
            from: own, mode: "tested", config: [])
        #expect(expected.contains { $0.hasPrefix("PATH=") })
        let found = subject.lines.filter { $0.level == .info && $0.text.contains("=") }
        // The program sets its own time zone.
        #expect(
            found.map(\.text).sorted()
                == (expected.filter { !$0.hasPrefix("TZ=") } + ["TZ=UTC"]).sorted())
        let number = try #require(subject.processID)
        let text = try String(contentsOfFile: "/proc/\(number)/environ", encoding: .utf8)
        #expect(text.split(separator: "\0").map(String.init).sorted() == expected.sorted())
        await subject.stop()
    }

    @Test func `A configuration of any size arrives whole`() async throws {
        let config = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let sum = config.reduce(UInt64(0)) { $0 &* 31 &+ UInt64($1) }
        let subject = Subject(
            .isolated(try workshop.find("tested").location, Subject.process), config: config)
        guard case .failure(let error) = await subject.start() else {
            Issue.record("it was taken")
            return
        }
        #expect(error == PluginError(.config, "1048576 bytes, sum \(sum)"))
        await subject.stop()
    }

    @Test func `A program that is missing is named`() async throws {
        let process = PluginProcess(executable: "/nowhere/rqlited", arguments: [])
        let subject = Subject(
            .isolated(try workshop.find("tested").location, process), config: [])
        let error = try failure(await subject.resolve())
        #expect(error.message.contains("/nowhere/rqlited: No such file"), "\(error)")
        await subject.stop()
    }

    @Test func `A plugin that is refused says why`() async throws {
        let location = try workshop.find("tested").location
        try workshop.setMode("rqlite-disco-r.so", 0o777)
        let subject = Subject(.isolated(location, Subject.process), config: [])
        let error = try failure(await subject.resolve())
        #expect(error.code == .config)
        #expect(error.message.contains("is writable by everyone"), "\(error)")
        await subject.stop()
    }

    @Test func `A mode that lost too many calls in process moves to one of its own`() async throws {
        var timing = PluginInstance.Timing()
        timing.grace = .milliseconds(200)
        timing.firstBackoff = .zero
        let subject = Subject(
            .loaded(try workshop.load("tested"), refuge: Subject.process),
            config: Array("{hang}".utf8), timing: timing)
        for _ in 0..<DiscoveryLimits.strikes {
            let error = try failure(await subject.resolve(.milliseconds(10)))
            #expect(error.message.contains("its instance was given up"), "\(error)")
        }
        #expect(subject.instance.status()["isolation"] == "process")
        let error = try failure(await subject.resolve(.milliseconds(10)))
        #expect(error.message.contains("its process was killed"), "\(error)")
        await subject.stop()
    }
}
