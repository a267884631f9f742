import ConsulPlugin
import Foundation
import JSON
import PluginABI
import PluginSupport
import ServerTesting
import Testing

/// What the plugin makes of a Consul that fails, and of servers that are none.
@Suite struct ConsulFailureTests {
    private let consul: Consul
    private let registry: ConsulRegistry

    init() throws {
        consul = try Consul()
        registry = try consul.registry()
    }

    private func failure(_ body: (ConsulRegistry) throws -> Void) throws -> CallFailure {
        try #require(#expect(throws: CallFailure.self) { try body(registry) })
    }

    private struct Nonsense: CustomTestStringConvertible {
        let status: Int
        let body: String
        var shape: JSONValue = "whole"
        let says: String
        var code = RQD_PROTOCOL

        var testDescription: String { says }
    }

    private static let nonsense = [
        Nonsense(status: 200, body: "<html>Welcome</html>", says: "status 200, JSON"),
        Nonsense(status: 200, body: "{}", says: "not a list of entries: {}"),
        Nonsense(status: 200, body: "[]", says: "no usable header X-Consul-Index"),
        Nonsense(status: 200, body: "[{\"Key\":\"x\"}]", says: "entry without Key or ModifyIndex"),
        Nonsense(
            status: 200, body: "[{\"Key\":\"x\",\"ModifyIndex\":3,\"Value\":\"eA==\"}]",
            says: "another key's entry"),
        Nonsense(
            status: 200, body: "[{\"Key\":\"rqlite/leader\",\"ModifyIndex\":0}]",
            says: "entry without Key or ModifyIndex"),
        Nonsense(
            status: 200, body: "[{\"Key\":\"rqlite/leader\",\"ModifyIndex\":3,\"Value\":\"?\"}]",
            says: "a Value that is not base64"),
        // Absence is Consul's to tell, not a proxy's.
        Nonsense(status: 404, body: "no such page", says: "this is no answer of Consul's"),
        Nonsense(status: 301, body: "", says: "status 301 and an empty body"),
        Nonsense(
            status: 500, body: "rpc error", says: "status 500: rpc error", code: RQD_UNAVAILABLE),
        Nonsense(status: 429, body: "slow down", says: "status 429", code: RQD_UNAVAILABLE),
        Nonsense(
            status: 200, body: "[", shape: "truncated", says: "transfer closed",
            code: RQD_UNAVAILABLE),
        Nonsense(status: 200, body: "", shape: "endless", says: "an answer of more than"),
    ]

    @Test(arguments: nonsense)
    private func `What is no answer to a read is an error in words`(_ nonsense: Nonsense) throws {
        try consul.double.control(
            "answer",
            [
                "status": .integer(nonsense.status), "body": .string(nonsense.body),
                "shape": nonsense.shape,
            ])
        let failure = try failure { _ = try $0.read("leader", call()) }
        #expect(failure.code == nonsense.code, "\(failure)")
        #expect(failure.message.contains(nonsense.says), "\(failure)")
        let asked = "http://\(consul.double.address): GET /v1/kv/rqlite/leader?consistent=: "
        #expect(failure.message.hasPrefix(asked), "\(failure)")
        #expect(failure.message.utf8.count < 512)
        #expect(try registry.text("leader") == nil)
    }

    @Test(arguments: [
        (200, "{\"Results\":[],\"Errors\":null}", RQD_PROTOCOL),
        (200, "true", RQD_PROTOCOL), (409, "conflict", RQD_PROTOCOL),
        (409, "{\"Errors\":[{\"OpIndex\":0,\"What\":\"index is stale\"}]}", RQD_CONFLICT),
        (404, "", RQD_PROTOCOL), (403, "Permission denied", RQD_AUTH),
        (503, "", RQD_UNAVAILABLE),
    ])
    func `No answer but Consul's own counts as a write`(
        _ status: Int, _ body: String, _ code: rqd_code
    ) throws {
        try consul.double.control(
            "answer", ["status": .integer(status), "body": .string(body)])
        let failure = try failure { try $0.write("leader", "x") }
        #expect(failure.code == code, "\(failure)")
        #expect(failure.message.contains("PUT /v1/txn: status \(status)"), "\(failure)")
    }

    @Test func `A slow answer is an answer`() throws {
        try consul.double.control(
            "answer",
            [
                "status": 200, "shape": "slow",
                "body": "[{\"Key\":\"rqlite/leader\",\"ModifyIndex\":3,\"Value\":\"eA==\"}]",
            ])
        #expect(try registry.text("leader") == "x")
        try consul.double.control("delay", .number("0.3"))
        #expect(try registry.text("leader") == nil)
    }

    @Test func `A write whose answer is lost is unknown, and never sent again`() throws {
        try consul.double.control("drop", "after")
        #expect(registry.code { try $0.write("leader", "1") } == RQD_UNAVAILABLE)
        #expect(try registry.text("leader") == "1")
        try consul.double.control("drop", "before")
        #expect(registry.code { try $0.write("other", "1") } == RQD_UNAVAILABLE)
        #expect(try registry.text("other") == nil)
        let writes = try consul.double.log().filter { $0.hasPrefix("PUT") }
        #expect(writes == ["PUT /v1/txn 200"])
    }

    @Test func `Without a leader Consul is unavailable`() throws {
        try consul.double.control("leader", false)
        let failure = try failure { _ = try $0.read("leader", call()) }
        #expect(failure.code == RQD_UNAVAILABLE)
        #expect(failure.message.contains("No cluster leader"))
        try consul.double.control("leader", true)
        #expect(try registry.text("leader") == nil)
    }

    @Test func `A Consul that is down and comes back is used again`() throws {
        let revision = try registry.write("leader", "1")
        try consul.double.control("down", true)
        for _ in 0..<3 {
            let failure = try failure { _ = try $0.read("leader", call()) }
            #expect(failure.code == RQD_UNAVAILABLE)
            #expect(failure.message.contains("can't connect"), "\(failure)")
        }
        try consul.double.control("down", false)
        try registry.write("leader", "2", at: revision)
        #expect(try registry.text("leader") == "2")
    }

    @Test func `Data that are lost are absent, and their revisions meet nothing new`() throws {
        let revision = try registry.write("leader", "1")
        try consul.double.control("wipe", .null)
        #expect(try registry.read("leader", call()).record == nil)
        #expect(registry.code { try $0.write("leader", "2", at: revision) } == RQD_ABSENT)
        try registry.write("leader", "3")
    }

    @Test func `Calls end by their deadline whatever Consul does`() throws {
        try consul.double.control("pause", true)
        let calls: [(ConsulRegistry, Call) throws -> Void] = [
            { _ = try $0.read("leader", $1) }, { _ = try $0.list(prefix: "", $1) },
            { _ = try $0.write("leader", expected: nil, value: [], $1) },
            { try $0.erase("leader", expected: Array("7".utf8), $1) },
            { _ = try $0.wait(for: "leader", token: Array("a7".utf8), $1) },
        ]
        for body in calls {
            let limited = call(seconds: 0.1)
            #expect(registry.code { try body($0, limited) } == RQD_TIMEOUT)
            #expect(Call.now < limited.deadline + 1_000_000_000)
        }
        let pipe = Pipe()
        pipe.fileHandleForWriting.write(Data([1]))
        for body in calls {
            let cancelled = call(cancelDescriptor: pipe.fileHandleForReading.fileDescriptor)
            #expect(registry.code { try body($0, cancelled) } == RQD_CANCELLED)
        }
    }
}
