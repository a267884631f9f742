import Foundation
import HarnessBackends
import JSON
import PluginABI
import PluginSupport
import ServerTesting
import Testing

@testable import MDNSPlugin

/// The mode `mdns` without a daemon around it: by multicast on loopback, and at one responder.
@Suite struct MDNSResolverTests {
    private func resolver(_ members: [String: JSONValue]) throws -> MDNSResolver {
        let config = JSONValue.object(members.sorted { $0.key < $1.key }.map { .init($0, $1) })
        return try MDNSResolver(
            InstanceArguments(mode: "mdns", config: Array(config.text().utf8)),
            environment: { _ in nil })
    }

    /// Waits until as many were found, for a machine that is busy may be late to answer.
    private func found(_ resolver: MDNSResolver, _ count: Int) throws -> [String] {
        let limits = call()
        while true {
            do throws(CallFailure) {
                let found = try resolver.look(limits).found.map { "\($0.host) \($0.port)" }
                if found.count == count || Call.now > limits.deadline { return found.sorted() }
            } catch {
                guard error.code == RQD_UNAVAILABLE else { throw error }
            }
        }
    }

    @Test(arguments: [false, true])
    func `Instances are found by multicast, whether their places come along or not`(
        isSparse: Bool
    ) throws {
        let responder = try MDNSResponder(interface: "lo", isSparse: isSparse)
        try responder.announce([
            .init("node 1", target: "host-1", port: 4002, addresses: ["10.0.0.1", "fe80::1"]),
            .init("node.2", target: "Host-2", port: 5002, addresses: ["2001:db8::2", "10.0.0.2"]),
            .init("späť", target: "host-1", port: 6002, addresses: ["10.0.0.1"]),
        ])
        let resolver = try resolver([
            "service": .string(responder.service), "interface": "lo", "window": "500ms",
        ])
        #expect(
            try found(resolver, 4) == [
                "10.0.0.1 4002", "10.0.0.1 6002", "10.0.0.2 5002", "2001:db8::2 5002",
            ])
        #expect(responder.violations == [])
    }

    @Test func `Of two responders on a link both are heard`() throws {
        let (one, two) = try (MDNSResponder(interface: "lo"), MDNSResponder(interface: "lo"))
        try one.announce([.init("a", target: "a", port: 1, addresses: ["10.0.0.1"])])
        try two.announce([.init("b", target: "b", port: 2, addresses: ["10.0.0.2"])])
        for (responder, expected) in [(one, "10.0.0.1 1"), (two, "10.0.0.2 2")] {
            let resolver = try resolver([
                "service": .string(responder.service), "interface": "lo", "window": "500ms",
            ])
            #expect(try found(resolver, 1) == [expected])
        }
    }

    @Test func `Silence is no answer, and says who was asked on which interface`() throws {
        let resolver = try resolver([
            "service": "_rq-nobody._tcp", "interface": "lo", "window": "200ms",
        ])
        let failure = #expect(throws: CallFailure.self) { try resolver.look(call()) }
        #expect(failure?.code == RQD_UNAVAILABLE)
        #expect(
            failure?.message
                == "224.0.0.251:5353 on lo: nobody answers for _rq-nobody._tcp.local within 200 ms")
    }

    @Test func `An interface that is not there is named, and waited for`() throws {
        let resolver = try resolver(["interface": "rq-none0"])
        let failure = #expect(throws: CallFailure.self) { try resolver.look(call()) }
        #expect(failure?.code == RQD_UNAVAILABLE)
        #expect(
            failure?.message == "the interface rq-none0 is not up, or has no address")
    }

    @Test func `Who is announced without a place is named`() throws {
        let server = try FakeDNSServer()
        defer { server.stop() }
        _ = try server.command(["ptr", "_rqlite._tcp.local", "one._rqlite._tcp.local"])
        let resolver = try resolver([
            "responder": .string("127.0.0.1:\(server.port)"), "window": "300ms",
        ])
        let failure = #expect(throws: CallFailure.self) { try resolver.look(call()) }
        #expect(
            failure?.message.hasSuffix("\"one\" of _rqlite._tcp.local told no address and port")
                == true)
    }

    @Test func `A wait ends with another announcement, and not with silence`() async throws {
        let server = try FakeDNSServer()
        defer { server.stop() }
        func announce(_ host: String) throws {
            _ = try server.command(["wipe"])
            _ = try server.command(["a", "h.local", host])
            _ = try server.command(["srv", "one._rqlite._tcp.local", "0", "0", "4002", "h.local"])
            _ = try server.command(["ptr", "_rqlite._tcp.local", "one._rqlite._tcp.local"])
        }
        try announce("10.0.0.1")
        let resolver = try resolver([
            "responder": .string("127.0.0.1:\(server.port)"), "window": "200ms",
            "interval": "100ms",
        ])
        #expect(try found(resolver, 1) == ["10.0.0.1 4002"])
        let token = try #require(try resolver.wait(token: [], call()))
        server.misbehave(FaultPlan(.silent))
        let failure = #expect(throws: CallFailure.self) {
            try resolver.wait(token: token, call(seconds: 1))
        }
        #expect(failure?.code == RQD_TIMEOUT)
        server.misbehave(FaultPlan(.none))
        // Its time runs from when it begins, which may be late: threads for tasks are few.
        async let waiting = resolver.wait(token: token, call())
        try announce("10.0.0.9")
        #expect(try await waiting != nil)
        #expect(try found(resolver, 1) == ["10.0.0.9 4002"])
    }

    @Test func `A look that is given up ends at once`() throws {
        let resolver = try resolver([
            "service": "_rq-nobody._tcp", "interface": "lo", "window": "10s",
        ])
        let pipe = Pipe()
        try pipe.fileHandleForWriting.close()
        let failure = #expect(throws: CallFailure.self) {
            try resolver.look(
                call(
                    seconds: 600,
                    cancelDescriptor: pipe.fileHandleForReading.fileDescriptor))
        }
        #expect(failure?.code == RQD_CANCELLED)
        let late = #expect(throws: CallFailure.self) { try resolver.look(call(seconds: 0.1)) }
        #expect(late?.code == RQD_TIMEOUT)
    }
}

private func call(seconds: Double = 60, cancelDescriptor: Int32 = -1) -> Call {
    Call(
        deadline: Call.now + UInt64(seconds * 1_000_000_000),
        cancelDescriptor: cancelDescriptor)
}
