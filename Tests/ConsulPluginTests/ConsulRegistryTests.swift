import ConsulPlugin
import Foundation
import JSON
import PluginABI
import PluginSupport
import ServerTesting
import Synchronization
import Testing

/// The registry's promises, kept by the plugin against a strict double of Consul.
@Suite struct ConsulRegistryTests {
    private let consul: Consul

    init() throws { consul = try Consul() }

    @Test func `A record is created, changed and erased at its revision only`() throws {
        let registry = try consul.registry()
        #expect(try registry.read("leader", call()).record == nil)
        let value: [UInt8] = [0, 1, 0xFF, 0x22, 0x0A]
        let first = try registry.write("leader", expected: nil, value: value, call())
        #expect(
            try registry.read("leader", call()).record
                == RegistryRecord(name: "leader", value: value, revision: first))
        #expect(registry.code { try $0.write("leader", "x") } == RQD_CONFLICT)
        let second = try registry.write("leader", "", at: first)
        #expect(first != second)
        #expect(try registry.text("leader") == "")
        #expect(registry.code { try $0.write("leader", "x", at: first) } == RQD_CONFLICT)
        #expect(
            registry.code { try $0.erase("leader", expected: first, call()) } == RQD_CONFLICT)
        try registry.erase("leader", expected: second, call())
        #expect(registry.code { try $0.erase("leader", expected: second, call()) } == RQD_ABSENT)
        #expect(registry.code { try $0.write("leader", "x", at: second) } == RQD_ABSENT)
        #expect(try registry.read("leader", call()).record == nil)
        try consul.expectNoViolations()
    }

    @Test func `Writing what is there already is a write`() throws {
        let registry = try consul.registry()
        var revisions: Set<[UInt8]> = []
        var revision: [UInt8]?
        for _ in 0..<5 {
            revision = try registry.write("leader", "same", at: revision)
            revisions.insert(revision ?? [])
        }
        #expect(revisions.count == 5)
    }

    @Test(arguments: ["", "0", "?", "-1", "7 ", "99999999999999999999"])
    func `A revision that is none of Consul's is that of no record`(_ text: String) throws {
        let registry = try consul.registry()
        let revision = text.isEmpty ? [0] : Array(text.utf8)
        #expect(registry.code { try $0.write("leader", "x", at: revision) } == RQD_ABSENT)
        #expect(registry.code { try $0.erase("leader", expected: revision, call()) } == RQD_ABSENT)
        try registry.write("leader", "1")
        #expect(registry.code { try $0.write("leader", "x", at: revision) } == RQD_CONFLICT)
        #expect(
            registry.code { try $0.erase("leader", expected: revision, call()) } == RQD_CONFLICT)
        #expect(try registry.text("leader") == "1")
    }

    @Test func `The largest value comes back`() throws {
        let registry = try consul.registry()
        let value = [UInt8](repeating: 0xA5, count: Int(RQD_MAX_VALUE))
        _ = try registry.write("leader", expected: nil, value: value, call())
        #expect(try registry.read("leader", call()).record?.value == value)
    }

    @Test func `Lists hold what is below the key and begins with the prefix`() throws {
        let registry = try consul.registry()
        let other = try consul.registry(key: "rqlite-2")
        try other.write("leader", "not ours")
        #expect(try registry.list(prefix: "", call()) == [])
        let names = ["leader", "nodes/1", "nodes/a%2Fb", "nodes/ü ?&#+"]
        for name in names { try registry.write(name, name) }
        // As Consul's user interface makes folders.
        try consul.double.control("set", ["key": "rqlite/nodes/", "value": ""])
        #expect(try registry.list(prefix: "", call()).map(\.name) == names)
        let nodes = try registry.list(prefix: "nodes/", call())
        #expect(nodes.map(\.name) == Array(names[1...]))
        #expect(nodes.map(\.value) == names[1...].map { Array($0.utf8) })
        for node in nodes {
            #expect(try registry.read(node.name, call()).record == node)
        }
        #expect(try registry.list(prefix: "x", call()) == [])
        try consul.expectNoViolations()
    }

    @Test func `Reads see every write that was answered, even while others see the past`() throws {
        let registry = try consul.registry()
        let first = try registry.write("leader", "old")
        try consul.double.control("stale", true)
        let second = try registry.write("leader", "new", at: first)
        #expect(try registry.text("leader") == "new")
        #expect(try registry.list(prefix: "", call()).map(\.revision) == [second])
    }

    @Test func `Of sixteen clients that count, none loses a step`() throws {
        let clients = try (0..<16).map { _ in try consul.registry() }
        let counting = clients.map { registry in
            Beside { for _ in 0..<5 { try Self.increment(registry) } }
        }
        for each in counting { try each.result() }
        #expect(try consul.registry().text("leader") == "80")
        try consul.expectNoViolations()
    }

    private static func increment(_ registry: ConsulRegistry) throws {
        while true {
            let record = try registry.read("leader", call()).record
            let count = record.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) } ?? 0
            do {
                try registry.write("leader", "\(count + 1)", at: record?.revision)
                return
            } catch let failure as CallFailure where failure.code == RQD_CONFLICT {
                continue
            }
        }
    }

    @Test func `A rival's write in between is never overwritten`() throws {
        let registry = try consul.registry()
        let revision = try registry.write("leader", "mine")
        try consul.double.control("set", ["key": "rqlite/leader", "value": "the rival's"])
        #expect(registry.code { try $0.write("leader", "mine", at: revision) } == RQD_CONFLICT)
        #expect(
            registry.code { try $0.erase("leader", expected: revision, call()) } == RQD_CONFLICT)
        #expect(try registry.text("leader") == "the rival's")
    }

    @Test(arguments: [
        "", "/", "/a", "a/", "a//b", "a/./b", "../a", "a\u{7}", "a\u{200B}", "a\u{A0}b",
    ])
    func `A key that Consul would take for another is refused at once`(_ key: String) throws {
        let error = #expect(throws: CallFailure.self) { try consul.registry(key: key) }
        #expect(error?.code == RQD_CONFIG)
        #expect(error?.message.contains("-disco-key") == true)
    }

    @Test(arguments: ["", "nodes/..", "nodes//1", "/leader", "nodes/\n"])
    func `And so is such a name`(_ name: String) throws {
        let registry = try consul.registry(key: "a/b c")
        #expect(registry.code { _ = try $0.read(name, call()) } == RQD_UNSUPPORTED)
        #expect(registry.code { try $0.write(name, "x") } == RQD_UNSUPPORTED)
        #expect(try consul.double.log() == [])
    }

    @Test func `Only what is asked for goes over the wire`() throws {
        let registry = try consul.registry(key: "a/b c")
        let revision = try registry.write("nodes/%31", "x")
        _ = try registry.read("nodes/%31", call())
        _ = try registry.list(prefix: "nodes/", call())
        try registry.erase("nodes/%31", expected: revision, call())
        #expect(
            try consul.double.log() == [
                "PUT /v1/txn 200", "GET /v1/kv/a/b%20c/nodes/%2531?consistent= 200",
                "GET /v1/kv/a/b%20c/nodes/?consistent=&recurse= 200", "PUT /v1/txn 200",
            ])
    }
}
