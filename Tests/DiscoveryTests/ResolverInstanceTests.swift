import Foundation
import JSON
import Testing

@testable import Discovery

/// Calls of a resolver, good and bad.
@Suite struct ResolverInstanceTests {
    private let workshop: Workshop

    init() throws {
        workshop = try Workshop()
        try workshop.compile("resolver.c", as: "rqlite-disco-r.so", ["-D_GNU_SOURCE"])
    }

    /// Only what hangs is given up soon: on a busy machine others need their time.
    private func subject(_ config: String, _ place: Place = .inProcess) throws -> Subject {
        var timing = PluginInstance.Timing()
        if config.contains("hang") {
            timing.grace = .milliseconds(200)
            timing.creation = .zero
        }
        timing.firstBackoff = .zero
        return try Subject(workshop, "tested", place, config: config, timing: timing)
    }

    @Test(arguments: Place.allCases)
    func `Addresses come out checked, with the node's own port for 0`(_ place: Place) async throws {
        let config = "{\"port\":$PORT, \"é\"}"
        let subject = try subject(config, place)
        let resolution = try await subject.resolve().get()
        #expect(
            resolution.addresses == [
                DiscoveredAddress(
                    host: "2001:db8::1", port: 4002, priority: 0, weight: 0,
                    timeToLive: .seconds(30), source: "test"),
                DiscoveredAddress(
                    host: "10.0.0.7", port: 4002, priority: 0, weight: 0, timeToLive: .seconds(30),
                    source: config),
            ])
        #expect(resolution.addresses[0].hostAndPort == "[2001:db8::1]:4002")
        #expect(resolution.token == [7, 0, 7])
        #expect(resolution.timeToLive == .seconds(30))
        await subject.stop()
        #expect(
            subject.lines == [
                .init(level: .warning, text: "some/key"),
                .init(level: .debug, text: "10.0.0.1:4002"),
                .init(level: .info, text: "destroyed"),
            ])
    }

    @Test(arguments: Place.allCases)
    func `The status shows what the plugin describes and what was seen`(_ place: Place) async throws
    {
        let subject = try subject("{}", place)
        _ = try await subject.resolve().get()
        // The description is asked for after a call is answered, and before the next.
        _ = try await subject.start().get()
        #expect(
            subject.status == [
                "abandoned": 0, "calls": 2, "failures": 0,
                "isolation": place == .isolated ? "process" : "none",
                "last_addresses": ["10.0.0.7:4002", "[2001:db8::1]:4002"],
                "last_contact": "2026-01-02T15:04:05Z", "mode": "tested", "name": "oracle",
                "port": 4002,
            ])
        let times = subject.instance.status()["durations"]?["resolve"]
        #expect(times?["calls"] == 1)
        #expect(times?["last"] == times?["longest"])
        await subject.stop()
        let failing = try self.subject("{fail}", place)
        _ = await failing.resolve()
        #expect(failing.instance.status()["last_error"] == "the oracle is silent")
        #expect(failing.instance.status()["failures"] == 1)
        await failing.stop()
    }

    @Test(arguments: Place.allCases)
    func `A description that is no object is dropped`(_ place: Place) async throws {
        let subject = try subject("{undescribed}", place)
        _ = try await subject.start().get()
        _ = try await subject.start().get()
        #expect(subject.status["name"] == nil)
        #expect(subject.status["mode"] == "tested")
        await subject.stop()
    }

    @Test(
        arguments: [
            ("{fail}", .unavailable, "the oracle is silent"),
            ("{strange}", .internal, "failed: internal error, status 77"),
            ("{absent}", .protocol, "resolve can't return status 1"),
            ("{host}", .protocol, "neither a host name nor an IP address"),
            ("{null}", .protocol, "neither a host name nor an IP address"),
            ("{digits}", .protocol, "neither a host name nor an IP address"),
            ("{port}", .protocol, "10.0.0.7 has the port 65536"),
            ("{nul}", .protocol, "neither a host name nor an IP address"),
            ("{utf8}", .protocol, "the source of 10.0.0.7"),
            ("{long}", .protocol, "neither a host name nor an IP address"),
            ("{many}", .protocol, "over 1024 addresses"),
            ("{record}", .protocol, "a record was not asked for"),
            ("{wrong}", .config, "member x is unknown"),
            ("{truncated}", .protocol, "does not offer what a resolver must"),
            ("{forgetful}", .protocol, "made no instance"),
        ] as [(String, PluginError.Code, String)], Place.allCases)
    func `What goes wrong is told`(
        _ expected: (config: String, code: PluginError.Code, text: String), _ place: Place
    ) async throws {
        let (config, code, text) = expected
        let subject = try subject(config, place)
        let result = await subject.resolve()
        guard case .failure(let error) = result else {
            Issue.record("\(config) gave \(result)")
            return
        }
        #expect(error.code == code)
        #expect(error.message.contains(text), "\(error)")
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `The deadline and a cancellation reach the plugin`(_ place: Place) async throws {
        let subject = try subject("{obey}", place)
        guard case .failure(let late) = await subject.resolve(.milliseconds(20)) else {
            Issue.record("the deadline was ignored")
            return
        }
        #expect(late.code == .timeout)
        let error = await withCheckedContinuation { waiter in
            let call = subject.instance.resolve(timeout: .seconds(600)) { result in
                if case .failure(let error) = result {
                    waiter.resume(returning: Optional(error))
                } else {
                    waiter.resume(returning: nil)
                }
            }
            call.cancel()
        }
        #expect(error?.code == .cancelled)
        #expect(subject.instance.status()["failures"] == 1)
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `Stopping cancels what runs and what waits`(_ place: Place) async throws {
        let subject = try subject("{obey}", place)
        async let first = subject.resolve(.seconds(600))
        async let second = subject.resolve(.seconds(600))
        // Either call may still be on its way here: it is then refused, which is as good.
        await subject.stop()
        for result in await [first, second] {
            guard case .failure(let error) = result else {
                Issue.record("resolved")
                continue
            }
            #expect([.cancelled, .busy].contains(error.code))
        }
    }

    @Test func `A call that never returns is abandoned and a new instance made`() async throws {
        let subject = try subject("{hang once}")
        guard case .failure(let error) = await subject.resolve(.milliseconds(10)) else {
            Issue.record("the plugin came back")
            return
        }
        #expect(error.code == .abandoned)
        #expect(error.message.contains("did not come back from resolve"))
        #expect(try await subject.resolve().get().addresses.count == 2)
        await subject.stop()
        #expect(subject.lines.filter { $0.text == "destroyed" }.count == 1)
    }

    /// Its own time is over before it begins, and would be with the grace.
    @Test(arguments: Place.allCases)
    func `A call that waits behind a long one is not given up for that`(_ place: Place) async throws
    {
        let subject = try subject("{obey}", place)
        _ = try await subject.start().get()
        let error: PluginError? = await withCheckedContinuation { waiter in
            subject.instance.resolve(timeout: .seconds(4)) { _ in }
            subject.instance.resolve(timeout: .milliseconds(1)) { result in
                if case .failure(let error) = result {
                    waiter.resume(returning: error)
                } else {
                    waiter.resume(returning: nil)
                }
            }
        }
        #expect(error?.code == .timeout)
        #expect(subject.instance.status()["abandoned"] == 0)
        await subject.stop()
        #expect(subject.lines.filter { $0.text == "destroyed" }.count == 1)
    }

    /// As a process has on a machine that is busy, and where a leader asks, who has no patience.
    @Test(arguments: Place.allCases)
    func `An instance that is long in the making is not given up with a short call`(
        _ place: Place
    ) async throws {
        var timing = PluginInstance.Timing()
        timing.grace = .seconds(1)
        timing.creation = Subject.patience
        let go = "\(workshop.path)/go"
        let subject = try Subject(
            workshop, "tested", place, config: "{await \(go)}", timing: timing)
        let hanging = try Subject(workshop, "tested", .inProcess, config: "{hang}", timing: timing)
        async let result = subject.resolve(.milliseconds(1))
        // That takes longer than the short call and its grace.
        _ = await hanging.resolve(.seconds(1))
        #expect(FileManager.default.createFile(atPath: go, contents: nil))
        #expect(try await result.get().addresses.count == 2)
        #expect(subject.instance.status()["abandoned"] == 0)
        await subject.stop()
        await hanging.stop()
    }

    @Test(arguments: ["{hang}", "{hang create}"])
    func `After three lost calls the mode is off`(_ config: String) async throws {
        let subject = try subject(config)
        var codes: [PluginError.Code] = []
        for _ in 0..<4 {
            if case .failure(let error) = await subject.resolve(.milliseconds(10)) {
                codes.append(error.code)
            }
        }
        #expect(codes == [.abandoned, .abandoned, .abandoned, .off])
        await subject.stop()
    }

    @Test func `After a lost call the next waits for the back-off`() async throws {
        var timing = PluginInstance.Timing()
        timing.grace = .milliseconds(100)
        timing.firstBackoff = .seconds(600)
        timing.lastBackoff = .seconds(600)
        let subject = try Subject(
            workshop, "tested", .inProcess, config: "{hang}", timing: timing)
        _ = await subject.resolve(.milliseconds(10))
        guard case .failure(let error) = await subject.resolve() else {
            Issue.record("the plugin was called")
            return
        }
        #expect(error.code == .unavailable)
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `A plugin can't flood the log or forge lines`(_ place: Place) async throws {
        let subject = try subject("{chatter}", place)
        _ = try await subject.resolve().get()
        await subject.stop()
        let lines = subject.lines.filter { $0.text == "line line" }
        #expect((1...150).contains(lines.count), "\(lines.count)")
    }

    @Test(arguments: Place.allCases)
    func `Calls of the other role are unsupported`(_ place: Place) async throws {
        let subject = try subject("{}", place)
        await #expect(throws: PluginError.self) { try await subject.read("leader") }
        await subject.stop()
    }
}
