import Foundation
import HarnessBackends
import JSON
import NomadPlugin
import PluginABI
import PluginSupport
import Testing

/// The mode `nomad` without a daemon around it.
@Suite final class NomadResolverTests {
    private let server: NomadServer

    init() throws { server = try NomadServer() }

    deinit { server.stop() }

    private func tell(_ words: String...) throws { _ = try server.command(words) }

    private func resolver(
        _ members: [String: JSONValue] = [:], environment: [String: String] = [:]
    ) throws -> NomadResolver {
        let own: [String: JSONValue] = ["service": "rqlite", "address": .string(server.url)]
        let all = own.merging(members) { $1 }.filter { $0.value != .null }
        let config = JSONValue.object(all.sorted { $0.key < $1.key }.map { .init($0, $1) })
        return try NomadResolver(
            InstanceArguments(mode: "nomad", config: Array(config.text().utf8)),
            environment: { environment[$0] })
    }

    @Test func `Registrations of the service count, those of the namespace and with all tags`()
        throws
    {
        try tell("register", "1", "rqlite", "10.0.0.1", "4002", "blue", "voter")
        try tell("register", "2", "rqlite", "10.0.0.2", "21000", "blue")
        try tell("register", "3", "rqlite", "2001:db8::3", "4002")
        try tell("register", "4", "other", "10.0.0.4", "4002")
        try tell("register", "5", "db/rqlite", "10.0.0.5", "4002")
        #expect(
            try resolver().found() == ["10.0.0.1 4002", "10.0.0.2 21000", "2001:db8::3 4002"])
        #expect(
            try resolver(["tags": ["blue"]]).found() == ["10.0.0.1 4002", "10.0.0.2 21000"])
        #expect(try resolver(["tags": ["voter", "blue"]]).found() == ["10.0.0.1 4002"])
        #expect(try resolver(["tags": ["green"]]).found().isEmpty)
        #expect(try resolver(["namespace": "db"]).found() == ["10.0.0.5 4002"])
        #expect(try resolver(["service": "nobody"]).found().isEmpty)
        try tell("register", "6", "a b&c=d", "10.0.0.6", "1")
        #expect(try resolver(["service": "a b&c=d"]).found() == ["10.0.0.6 1"])
    }

    @Test func `What is not given comes from the variables of Nomad's tools`() throws {
        try tell("register", "5", "db/rqlite", "10.0.0.5", "4002")
        try tell("token", "of-the-environment")
        let environment = [
            "NOMAD_ADDR": server.url, "NOMAD_NAMESPACE": "db", "NOMAD_TOKEN": "of-the-environment",
            "NOMAD_REGION": "eu",
        ]
        #expect(
            try resolver(["address": .null], environment: environment).found() == [
                "10.0.0.5 4002"
            ])
        let described = try resolver(["address": .null], environment: environment).describe()
        #expect(described["region"]?.string == "eu" && described["namespace"]?.string == "db")
        #expect(!described.text().contains("of-the-environment"))
    }

    @Test func `A token that was replaced is read again, and one that is refused is told`() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "rqd-nomad-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { _ = try? FileManager.default.removeItem(atPath: folder) }
        let path = "\(folder)/token"
        try "first\n".write(toFile: path, atomically: true, encoding: .utf8)
        try tell("register", "1", "rqlite", "10.0.0.1", "4002")
        try tell("token", "first")
        let resolver = try resolver(["token_file": .string(path)])
        #expect(try resolver.found() == ["10.0.0.1 4002"])
        try tell("token", "second")
        var failure = resolver.failure()
        #expect(failure?.code == RQD_AUTH)
        #expect(
            failure?.message.contains("status 403, the token needs read-job in the namespace")
                == true)
        #expect(resolver.describe()["last_error"]?.string == failure?.message)
        try "second\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try resolver.found() == ["10.0.0.1 4002"])
        try FileManager.default.removeItem(atPath: path)
        failure = resolver.failure()
        #expect(failure?.code == RQD_AUTH)
        #expect(failure?.message.contains("\(path): No such file") == true)
    }

    @Test(arguments: [
        (nil, "[]", "no agent of Nomad"), ("x", "[]", "no agent of Nomad"),
        ("7", "{}", "no list of services"), ("7", "<html>", "no list of services"),
        ("7", "[7]", "no address and port"),
        ("7", #"[{"Address":"10.0.0.1","Port":70000}]"#, "no address and port"),
        ("7", #"[{"Address":"","Port":1}]"#, "no address and port"),
    ])
    func `What is no answer of Nomad's is refused`(
        index: String?, text: String, words: String
    ) throws {
        let strange = try FakeHTTPServer { _, _ in
            var response = HTTPResponse(200, json: text)
            if let index { response.set("X-Nomad-Index", index) }
            return response
        }
        defer { strange.goDown() }
        let failure = try resolver(["address": .string(strange.url)]).failure()
        #expect(failure?.code == RQD_PROTOCOL)
        #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
    }

    @Test(arguments: [
        ["register", "2", "rqlite", "10.0.0.2", "4002"],
        ["register", "1", "rqlite", "10.0.0.1", "4003"], ["deregister", "1"], ["wipe"],
    ])
    func `A wait ends with other addresses`(command: [String]) async throws {
        try tell("register", "1", "rqlite", "10.0.0.1", "4002")
        let resolver = try resolver()
        let token = try resolver.look(call()).token
        // Its time runs from when it begins, which may be late: threads for tasks are few.
        async let waiting = resolver.wait(token: token, call())
        // Whether it happens before or after the query begins makes no difference.
        _ = try server.command(command)
        let next = try #require(try await waiting)
        #expect(next == (try resolver.look(call()).token))
    }

    @Test func `Changes of other services don't end a wait, nor make it spin`() async throws {
        try tell("register", "1", "rqlite", "10.0.0.1", "4002")
        let resolver = try resolver()
        let token = try resolver.look(call()).token
        let limits = call(seconds: 1.5)
        async let waiting = resolver.failure(waitingFrom: token, limits)
        let before = server.requestCount
        while Call.now < limits.deadline {
            try tell("register", "2", "other", "10.0.0.2", "4002")
        }
        #expect(await waiting?.code == RQD_TIMEOUT)
        #expect(server.requestCount - before <= 10)
    }

    @Test func `An index that began anew is no reason to wait for the old one`() async throws {
        try tell("register", "1", "rqlite", "10.0.0.1", "4002")
        let resolver = try resolver()
        let token = try resolver.look(call()).token
        try tell("restore")
        #expect(resolver.failure(waitingFrom: token, call(seconds: 0.7))?.code == RQD_TIMEOUT)
        // Its time runs from when it begins, which may be late: threads for tasks are few.
        async let waiting = resolver.wait(token: token, call())
        try tell("register", "2", "rqlite", "10.0.0.2", "4002")
        #expect(try await waiting != nil)
    }

    @Test func `A wait without a state ends at once, and one that is given up too`() throws {
        let resolver = try resolver()
        #expect(try resolver.wait(token: [], call()) == resolver.look(call()).token)
        let pipe = Pipe()
        try pipe.fileHandleForWriting.close()
        let descriptor = pipe.fileHandleForReading.fileDescriptor
        let token = try resolver.look(call()).token
        #expect(
            resolver.failure(
                waitingFrom: token, call(seconds: 600, cancelDescriptor: descriptor))?.code
                == RQD_CANCELLED)
    }

    @Test func `A wait outlives an agent that goes and comes back`() async throws {
        let resolver = try resolver()
        let token = try resolver.look(call()).token
        // Its time runs from when it begins, which may be late: threads for tasks are few.
        async let waiting = resolver.wait(token: token, call())
        server.goDown()
        try tell("register", "2", "rqlite", "10.0.0.2", "4002")
        try server.comeUp()
        #expect(try await waiting != nil)
    }
}

extension NomadResolver {
    fileprivate func found() throws -> [String] {
        try look(Call(deadline: Call.now + 60_000_000_000, cancelDescriptor: -1)).found
            .map { "\($0.host) \($0.port)" }
    }

    /// What a look fails with.
    fileprivate func failure() -> CallFailure? {
        do throws(CallFailure) {
            _ = try look(Call(deadline: Call.now + 60_000_000_000, cancelDescriptor: -1))
            return nil
        } catch {
            return error
        }
    }

    /// What a wait fails with.
    fileprivate func failure(waitingFrom token: [UInt8], _ call: Call) -> CallFailure? {
        do throws(CallFailure) {
            _ = try wait(token: token, call)
            return nil
        } catch {
            return error
        }
    }
}

private func call(seconds: Double = 60, cancelDescriptor: Int32 = -1) -> Call {
    Call(
        deadline: Call.now + UInt64(seconds * 1_000_000_000),
        cancelDescriptor: cancelDescriptor)
}
