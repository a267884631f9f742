import ConsulPlugin
import Foundation
import JSON
import PluginABI
import PluginSupport
import ServerTesting
import Testing

/// Waiting for a record to change, by blocking queries.
@Suite struct ConsulWatchTests {
    private let consul: Consul
    private let registry: ConsulRegistry

    init() throws {
        consul = try Consul()
        registry = try consul.registry()
    }

    private func token(_ name: String = "leader") throws -> [UInt8] {
        try #require(try registry.read(name, call()).token)
    }

    /// Waits, and then does what the body does.
    private func waited(from token: [UInt8], _ body: () throws -> Void) throws -> [UInt8]? {
        let registry = registry
        let waiting = Beside { try registry.wait(for: "leader", token: token, call()) }
        try consul.double.control("waiting", 1)
        try body()
        return try waiting.result()
    }

    @Test func `Making, changing and erasing a record end it, with the new state's token`() throws {
        var before = try token()
        before = try #require(try waited(from: before) { try registry.write("leader", "1") })
        #expect(before == (try token()))
        let revision = try registry.read("leader", call()).record?.revision
        before = try #require(
            try waited(from: before) { try registry.write("leader", "2", at: revision) })
        #expect(before == (try token()))
        let last = try #require(try registry.read("leader", call()).record?.revision)
        _ = try waited(from: before) {
            try registry.erase("leader", expected: last, call())
        }
        #expect(try registry.read("leader", call()).record == nil)
        try consul.expectNoViolations()
    }

    @Test func `A state that is past already ends it at once`() throws {
        let absent = try token()
        try registry.write("leader", "1")
        #expect(try registry.wait(for: "leader", token: absent, call()) == (try token()))
        #expect(try registry.wait(for: "leader", token: [], call()) == (try token()))
        #expect(try registry.wait(for: "leader", token: Array("?".utf8), call()) == (try token()))
    }

    @Test func `Nothing ends it before the deadline but a change of this record`() throws {
        for isPresent in [false, true] {
            let registry = try consul.registry(key: "k\(isPresent)")
            if isPresent { try registry.write("leader", "1") }
            let token = try #require(try registry.read("leader", call()).token)
            let waiting = call(seconds: 0.7)
            let outcome = Beside {
                registry.code { _ = try $0.wait(for: "leader", token: token, waiting) }
            }
            for number in 0..<5 { try registry.write("other-\(number)", "1") }
            #expect(try outcome.result() == RQD_TIMEOUT)
            #expect(Call.now >= waiting.deadline - 100_000_000)
            // It waits; it does not ask again and again.
            #expect(try consul.double.log().filter { $0.contains("wait=") }.count < 10)
        }
    }

    /// The index that is waited for is then one that Consul's new data reach much later.
    @Test func `When all data were lost it is seen at the end of a query`() throws {
        for number in 0..<10 { try registry.write("other-\(number)", "1") }
        let absent = try token()
        try consul.double.control("wipe", .null)
        try registry.write("leader", "1")
        let present = try registry.wait(for: "leader", token: absent, call(seconds: 2))
        #expect(present == (try token()))
        try consul.double.control("wipe", .null)
        let waiting = call(seconds: 2)
        #expect(try registry.wait(for: "leader", token: #require(present), waiting)?.first == 0x61)
        #expect(Call.now < waiting.deadline)
    }

    @Test func `Cancellation and deadline end it although Consul is silent`() throws {
        let token = try token()
        try consul.double.control("pause", true)
        let pipe = Pipe()
        pipe.fileHandleForWriting.write(Data([1]))
        let cancelled = call(cancelDescriptor: pipe.fileHandleForReading.fileDescriptor)
        #expect(
            registry.code { _ = try $0.wait(for: "leader", token: token, cancelled) }
                == RQD_CANCELLED)
        let late = call(seconds: 0.2)
        #expect(
            registry.code { _ = try $0.wait(for: "leader", token: token, late) } == RQD_TIMEOUT)
        #expect(Call.now < late.deadline + 1_000_000_000)
        #expect(registry.code { _ = try $0.read("leader", call(seconds: 0.2)) } == RQD_TIMEOUT)
    }

    @Test func `A restart of Consul ends it, and the next wait goes on`() throws {
        let registry = registry
        let before = try token()
        let outcome = Beside {
            registry.code { _ = try $0.wait(for: "leader", token: before, call()) }
        }
        try consul.double.control("waiting", 1)
        try consul.double.control("down", true)
        #expect(try outcome.result() == RQD_UNAVAILABLE)
        try consul.double.control("down", false)
        let new = try waited(from: before) { try registry.write("leader", "1") }
        #expect(new == (try token()))
    }
}
