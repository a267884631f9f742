import Foundation
import HarnessBackends
import JSON
import PluginABI
import PluginSupport
import Testing

@testable import KubernetesPlugin

/// Watches of the mode `kubernetes`.
@Suite struct KubernetesWatchTests {
    private let subject: KubernetesSubject
    private let resolver: KubernetesResolver

    init() throws {
        subject = try KubernetesSubject()
        try subject.tell("slice", "a", "rqlite", "raft=4002", "10.0.0.1")
        try subject.tell("slice", "other/a", "rqlite", "raft=4002", "10.9.0.1")
        resolver = try subject.resolver(["service": "rqlite", "port_name": "raft"])
    }

    private func expectChange(
        from token: [UInt8], _ change: @Sendable () throws -> Void
    ) async throws {
        let resolver = resolver
        // Its time runs from when it begins, which may be late: threads for tasks are few.
        async let waiting = resolver.wait(token: token, call())
        // Whether it happens before or after the watch begins makes no difference.
        try change()
        let next = try #require(try await waiting)
        #expect(next == (try resolver.look(call()).token))
        #expect(next != token)
    }

    @Test(arguments: [
        ["slice", "a", "rqlite", "raft=4002", "10.0.0.1", "10.0.0.2"],
        ["slice", "a", "rqlite", "raft=5002", "10.0.0.1"],
        ["slice", "a", "rqlite", "raft=4002", "10.0.0.1!terminating"],
        ["slice", "b", "rqlite", "raft=4002", "10.0.0.3"],
        ["delete", "a"], ["wipe"],
    ])
    func `A wait ends with other addresses`(command: [String]) async throws {
        let token = try resolver.look(call()).token
        let server = subject.server
        try await expectChange(from: token) { _ = try server.command(command) }
    }

    @Test func `What happened between look and wait is no secret`() throws {
        let token = try resolver.look(call()).token
        try subject.tell("slice", "b", "rqlite", "raft=4002", "10.0.0.3")
        #expect(try resolver.wait(token: token, call()) == resolver.look(call()).token)
    }

    @Test func `Changes that leave the addresses, of others and bookmarks don't end a wait`() throws
    {
        let token = try resolver.look(call()).token
        for _ in 1...5 {
            try subject.tell("touch", "a")
            try subject.tell("bookmark")
            try subject.tell("slice", "other/a", "rqlite", "raft=4002", "10.9.0.2")
            try subject.tell("slice", "c", "another", "raft=4002", "10.8.0.1")
        }
        let before = subject.server.requestCount
        #expect(
            resolver.failure(waitingFrom: token, call(seconds: 1.5))?.code == RQD_TIMEOUT)
        #expect(subject.server.requestCount - before <= 8)
    }

    @Test(arguments: [["compact"], ["compact", "status"]])
    func `A state that the server has forgotten is listed anew`(command: [String]) async throws {
        let token = try resolver.look(call()).token
        _ = try subject.server.command(command)
        // Nothing changed: it waits on, from the new state.
        #expect(resolver.failure(waitingFrom: token, call(seconds: 1))?.code == RQD_TIMEOUT)
        let server = subject.server
        try await expectChange(from: token) {
            _ = try server.command(["slice", "b", "rqlite", "raft=4002", "10.0.0.3"])
            _ = try server.command(command)
        }
    }

    @Test func `A watch that the server ends is begun again where it was, and not at once`()
        async throws
    {
        let token = try resolver.look(call()).token
        let server = subject.server
        let limits = call(seconds: 2)
        let resolver = resolver
        async let waiting = resolver.failure(waitingFrom: token, limits)
        let before = server.requestCount
        while Call.now < limits.deadline { _ = try server.command(["hang-up"]) }
        #expect(await waiting?.code == RQD_TIMEOUT)
        #expect(server.requestCount - before <= 12)
        try await expectChange(from: token) {
            _ = try server.command(["hang-up"])
            _ = try server.command(["slice", "b", "rqlite", "raft=4002", "10.0.0.3"])
        }
    }

    @Test func `Who may list but not watch learns of changes all the same`() async throws {
        let token = try resolver.look(call()).token
        try subject.tell("forbid", "watch")
        let server = subject.server
        try await expectChange(from: token) {
            _ = try server.command(["slice", "b", "rqlite", "raft=4002", "10.0.0.3"])
        }
        #expect(
            resolver.failure(
                waitingFrom: try resolver.look(call()).token, call(seconds: 1))?.code
                == RQD_TIMEOUT)
        #expect(resolver.describe()["last_error"]?.string?.contains("status 403") == true)
    }

    @Test func `A wait without a state ends at once, and one that is given up too`() throws {
        #expect(try resolver.wait(token: [], call()) == resolver.look(call()).token)
        let token = try resolver.look(call()).token
        let pipe = Pipe()
        try pipe.fileHandleForWriting.close()
        let descriptor = pipe.fileHandleForReading.fileDescriptor
        #expect(
            resolver.failure(
                waitingFrom: token, call(seconds: 600, cancelDescriptor: descriptor))?.code
                == RQD_CANCELLED)
    }

    @Test(arguments: ["", String(repeating: "7", count: 60)])
    func `A list with a version that no token can keep is not asked for again and again`(
        version: String
    ) throws {
        let list = """
            {"kind":"EndpointSliceList","metadata":{"resourceVersion":"\(version)"},"items":[]}
            """
        let server = try FakeHTTPServer { request, _ in
            guard request.parameter("watch") != nil else { return HTTPResponse(200, json: list) }
            return HTTPResponse(
                200, .stream { exchange in while !exchange.isOver { exchange.pause() } })
        }
        defer { server.goDown() }
        let resolver = try subject.resolver([
            "service": "rqlite", "server": .string(server.url),
            "token_file": .string("\(subject.account)/token"),
        ])
        let token = try resolver.look(call()).token
        let before = server.requestCount
        #expect(resolver.failure(waitingFrom: token, call(seconds: 1))?.code == RQD_TIMEOUT)
        #expect(server.requestCount - before <= 2)
        let other = [UInt8](repeating: 1, count: token.count)
        #expect(try resolver.wait(token: other, call()) == token)
    }

    @Test func `A server that goes and comes back is watched on`() async throws {
        let token = try resolver.look(call()).token
        let server = subject.server
        try await expectChange(from: token) {
            server.goDown()
            _ = try server.command(["slice", "b", "rqlite", "raft=4002", "10.0.0.3"])
            try server.comeUp()
        }
    }
}
