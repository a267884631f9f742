import NIOCore
import PeerProtocol
import Raft
import Service
import Synchronization
import Testing
import Transport
import Wire

/// Nodes from which another takes nothing more.
@Suite(.timeLimit(.minutes(15))) struct RefusalTests {
    @Test func `Who breaks the protocol is cut off with the reason, and may dial again`()
        async throws
    {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        a.transport.send([a.message(1, to: b.id)])
        _ = try await b.delegate.messages(atLeast: 1)
        b.transport.refuse(a.transport.identity, cause: "a term past all terms")
        let lost = try await a.delegate.observations.wait {
            $0.contains { if case .disconnected = $0 { true } else { false } }
        }
        #expect(lost.contains { "\($0)".contains("a term past all terms") }, "\(lost)")
        // Whoever bears the identity rightly must not be kept out.
        while !b.delegate.batches.items.flatMap({ $0 }).contains(where: { $0.term == Term(2) }) {
            a.transport.send([a.message(2, to: b.id)])
            try await a.pause(.milliseconds(2))
        }
        try await a.stop()
        try await b.stop()
    }

    @Test func `A copy is refused at its place by name, its original is not, and it may ask`()
        async throws
    {
        var limits = TransportLimits.quick
        limits.unwantedTime = .minutes(5)
        let b = try await TestNode.start("b", limits: limits)
        let original = try await TestNode.start("a")
        let copy = try await TestNode.start("a")
        for node in [original, copy] { node.knows(b) }
        b.delegate.answering.withLock { $0 = { _, _, reply in reply(.failed("asked")) } }
        copy.transport.send([copy.message(1, to: b.id)])
        original.transport.send([original.message(2, to: b.id)])
        _ = try await b.delegate.messages(atLeast: 2)
        b.transport.refuse(
            copy.transport.identity, at: copy.address, cause: "node a is alive elsewhere")
        let lost = try await copy.delegate.observations.wait {
            $0.contains { if case .disconnected = $0 { true } else { false } }
        }
        #expect(lost.contains { "\($0)".contains("node a is alive elsewhere") }, "\(lost)")
        for round in 3...20 {
            copy.transport.send([copy.message(1000, to: b.id)])
            original.transport.send([original.message(UInt64(round), to: b.id)])
            try await original.pause(.milliseconds(2))
        }
        let heard = try await b.delegate.batches.wait {
            $0.joined().contains { $0.term == Term(20) }
        }.flatMap { $0 }
        #expect(!heard.contains { $0.term == Term(1000) })
        let answer = try await copy.transport.call(.hello, at: b.address, timeout: .seconds(20))
            .get()
        #expect(answer == .failed("asked"))
        for node in [b, original, copy] { try await node.stop() }
    }

    @Test func `After a while a refused node is heard anew, and said to have spoken`()
        async throws
    {
        var limits = TransportLimits.quick
        limits.unwantedTime = .milliseconds(50)
        let b = try await TestNode.start("b", limits: limits)
        let a = try await TestNode.start("a")
        a.knows(b)
        a.transport.send([a.message(1, to: b.id)])
        try await b.delegate.spoken.wait(count: 1)
        b.transport.refuse(a.transport.identity, at: a.address, cause: "not now")
        while b.delegate.spoken.items.count < 2 {
            a.transport.send([a.message(2, to: b.id)])
            try await a.pause(.milliseconds(2))
        }
        try await a.stop()
        try await b.stop()
    }

    @Test func `Who was refused is heard again at once when it is the member at that place`()
        async throws
    {
        var limits = TransportLimits.quick
        limits.unwantedTime = .hours(1)
        let b = try await TestNode.start("b", limits: limits)
        let a = try await TestNode.start("a")
        a.knows(b)
        b.transport.refuse(a.transport.identity, at: a.address, cause: "a copy")
        a.transport.send([a.message(1, to: b.id)])
        _ = try await a.delegate.observations.wait {
            $0.contains { if case .disconnected = $0 { true } else { false } }
        }
        #expect(b.delegate.batches.items.isEmpty)
        b.transport.accept(a.transport.identity, at: a.address)
        while b.delegate.batches.items.isEmpty {
            a.transport.send([a.message(2, to: b.id)])
            try await a.pause(.milliseconds(2))
        }
        try await a.stop()
        try await b.stop()
    }

    @Test func `Nobody sends the messages of another node`() async throws {
        let node = try await TestNode.start("b")
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        var message = node.message(1, to: NodeID("b"))
        message.from = Samples.identity
        var writer = ByteWriter()
        message.encode(into: &writer)
        try await channel.say(
            WireBytes.preamble(purpose: 1) + WireBytes.introduction()
                + WireBytes.frame(3, writer.bytes))
        let said = try await raw.bytesUntilClosed()
        #expect(said.contains(Array("node raw sends a message of node n1".utf8)))
        #expect(node.delegate.batches.items.isEmpty)
        #expect(try await node.delegate.breaches.first().id == NodeID("raw"))
        try await node.stop()
    }

    @Test func `Refusals that are remembered are bounded`() async throws {
        var limits = TransportLimits.quick
        limits.maxUnwanted = 2
        limits.unwantedTime = .minutes(5)
        let b = try await TestNode.start("b", limits: limits)
        let a = try await TestNode.start("a")
        a.knows(b)
        b.transport.refuse(a.transport.identity, at: a.address, cause: "forgotten soon")
        for port in 1...2 {
            b.transport.refuse(
                a.transport.identity, at: PeerAddress("h:\(port)"), cause: "another")
        }
        a.transport.send([a.message(1, to: b.id)])
        _ = try await b.delegate.messages(atLeast: 1)
        try await a.stop()
        try await b.stop()
    }

    @Test func `A node that is a member no more is not dialed any more`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        a.transport.send([a.message(1, to: b.id)])
        _ = try await b.delegate.messages(atLeast: 1)
        a.transport.removeAddress(of: b.id)
        #expect(a.transport.address(of: b.id) == nil)
        #expect(a.transport.statistics.peers.isEmpty)
        a.transport.send([a.message(2, to: b.id)])
        try await until { b.transport.statistics.inbound.peers == 0 }
        #expect(a.transport.statistics.unroutableMessages == 1)
        try await a.stop()
        try await b.stop()
    }
}
