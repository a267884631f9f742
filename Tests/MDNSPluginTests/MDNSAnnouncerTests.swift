import Foundation
import JSON
import PluginABI
import PluginSupport
import Testing

@testable import MDNSPlugin

/// Nodes that announce themselves, on loopback.
@Suite struct MDNSAnnouncerTests {
    private let service = "_rq\(UUID().uuidString.prefix(8).lowercased())._tcp"

    private func resolver(announces: Bool) throws -> MDNSResolver {
        let config: JSONValue = [
            "service": .string(service), "interface": "lo", "window": "300ms",
            "announce": .bool(announces),
        ]
        return try MDNSResolver(
            InstanceArguments(mode: "mdns", config: Array(config.text().utf8)),
            environment: { _ in nil })
    }

    private var call: Call {
        Call(deadline: Call.now + 60_000_000_000, cancelDescriptor: -1)
    }

    /// Looks until the nodes are these; silence is none.
    private func see(_ expected: [String], _ resolver: MDNSResolver) throws {
        let limits = call
        while true {
            var found: [String] = []
            do throws(CallFailure) {
                found = try resolver.look(limits).found.map { "\($0.host) \($0.port)" }.sorted()
            } catch {
                guard error.code == RQD_UNAVAILABLE else { throw error }
            }
            if found == expected { return }
            try #require(Call.now < limits.deadline, "\(found), not \(expected)")
        }
    }

    private func state(
        _ id: String, _ address: String, isLeaving: Bool = false
    ) -> NodeState {
        NodeState(id: id, raftAddress: address, isLeaving: isLeaving)
    }

    @Test func `Nodes that announce themselves find each other, and nobody who has left`() throws {
        let (one, two) = try (resolver(announces: true), resolver(announces: true))
        let other = try resolver(announces: false)
        #expect(one.listens && !other.listens)
        try one.update(state("1", "10.0.0.1:4002"), call)
        try see(["10.0.0.1 4002"], other)
        try two.update(state("späť 2", "[2001:db8::2]:4012"), call)
        for looking in [one, two, other] {
            try see(["10.0.0.1 4002", "2001:db8::2 4012"], looking)
        }
        // Told again it stays as it is; told of another place it is there.
        try one.update(state("1", "10.0.0.1:4002"), call)
        try one.update(state("1", "10.0.0.7:4002"), call)
        try see(["10.0.0.7 4002", "2001:db8::2 4012"], other)
        try two.update(state("späť 2", "[2001:db8::2]:4012", isLeaving: true), call)
        try see(["10.0.0.7 4002"], other)
    }

    @Test func `An instance that is destroyed announces nothing any more`() throws {
        let other = try resolver(announces: false)
        do {
            let one = try resolver(announces: true)
            try one.update(state("1", "10.0.0.1:4002"), call)
            try see(["10.0.0.1 4002"], other)
        }
        try see([], other)
    }

    @Test func `A name is no address that can be announced`() throws {
        let one = try resolver(announces: true)
        let failure = #expect(throws: CallFailure.self) {
            try one.update(state("1", "node-1.example.org:4002"), call)
        }
        #expect(failure?.code == RQD_UNAVAILABLE)
        #expect(failure?.message.contains("-raft-adv-addr") == true)
    }

    @Test func `Only questions for what is announced are answered`() throws {
        let name = try MDNSConfiguration(Array("{}".utf8), environment: { _ in nil }).service
        let own = try #require(
            MDNSAnnouncement(service: name, nodeID: "1", host: "10.0.0.1", port: 4002))
        func question(_ kind: MDNSMessage.Kind, _ name: MDNSName) -> [UInt8] {
            MDNSMessage.question(.init(name: name, kind: kind), id: 77)
        }
        let answer = try #require(own.answer(to: question(.pointer, name), isLegacy: true))
        var browse = MDNSBrowse(name)
        browse.take(try #require(MDNSMessage.records(of: answer, id: 77)))
        #expect(browse.isComplete && browse.found.map(\.host) == ["10.0.0.1"])
        // Whoever asks as all do hears it as all do: without number and questions.
        let all = try #require(own.answer(to: question(.pointer, name), isLegacy: false))
        #expect(all == own.message() && MDNSMessage.records(of: all, id: 0)?.count == 3)
        #expect(own.answer(to: question(.service, name), isLegacy: true) == nil)
        #expect(
            own.answer(to: question(.pointer, name.with(first: [0x61])), isLegacy: true) == nil)
        #expect(own.answer(to: own.message(), isLegacy: true) == nil)
    }

    @Test func `No damaged or cut message is answered with more than a question is`() throws {
        let name = try MDNSConfiguration(Array("{}".utf8), environment: { _ in nil }).service
        let own = try #require(
            MDNSAnnouncement(
                service: name, nodeID: String(repeating: "ä", count: 200), host: "2001:db8::1",
                port: 65535))
        let good = MDNSMessage.question(.init(name: name, kind: .pointer), id: 77)
        #expect(own.answer(to: good, isLegacy: true) != nil)
        for count in 0..<good.count {
            #expect(own.answer(to: Array(good.prefix(count)), isLegacy: true) == nil)
        }
        for place in good.indices {
            for value in [UInt8(0), 1, 0x3F, 0x40, 0x80, 0xC0, 0xFF] {
                var bad = good
                bad[place] = value
                let answer = own.answer(to: bad, isLegacy: true)
                #expect((answer?.count ?? 0) < 1_000)
            }
        }
        // Many questions are not repeated without end.
        var many = good
        many[4] = 0xFF
        many += (0..<200).flatMap { _ in Array(good.dropFirst(12)) }
        #expect((own.answer(to: many, isLegacy: true)?.count ?? 0) < 2_000)
    }
}
