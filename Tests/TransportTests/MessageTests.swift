import NIOCore
import PeerProtocol
import Raft
import Testing
import Transport
import Wire

/// Messages between two nodes over real sockets.
@Suite(.timeLimit(.minutes(15))) struct MessageTests {
    @Test func `Messages arrive in order, many per batch`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        let sent = (1...500).map { a.message(UInt64($0), to: b.id) }
        a.transport.send(sent)
        #expect(try await b.delegate.messages(atLeast: 500) == sent)
        #expect(b.delegate.batches.items.count < 250)
        let peer = try #require(a.transport.statistics.peers.first)
        #expect(peer.state == .connected)
        #expect(peer.sentMessages == 500)
        #expect(peer.queuedBytes == 0)
        #expect(b.transport.statistics.inbound.receivedMessages == 500)
        #expect(b.transport.statistics.inbound.peers == 1)
        try await a.stop()
        try await b.stop()
    }

    @Test func `Each message goes to its own destination`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        let c = try await TestNode.start("c")
        a.knows(b)
        a.knows(c)
        a.transport.send([
            a.message(1, to: b.id), a.message(2, to: c.id), a.message(3, to: b.id),
            a.message(4, to: NodeID("stranger")),
        ])
        #expect(try await b.delegate.messages(atLeast: 2).map(\.term.rawValue) == [1, 3])
        #expect(try await c.delegate.messages(atLeast: 1).map(\.term.rawValue) == [2])
        #expect(a.transport.statistics.unroutableMessages == 1)
        try await a.stop()
        try await b.stop()
        try await c.stop()
    }

    @Test func `A large entry arrives whole`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        let large = a.message(1, to: b.id, payload: 9 << 20)
        a.transport.send([large, a.message(2, to: b.id)])
        let received = try await b.delegate.messages(atLeast: 2)
        #expect(received.first == large)
        #expect(received.last?.term == Term(2))
        try await a.stop()
        try await b.stop()
    }

    @Test func `A peer that restarts is reached again, and its loss is reported`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        a.transport.send([a.message(1, to: b.id)])
        try await b.delegate.batches.wait(count: 1)
        try await b.stop()
        #expect(try await a.delegate.unreachable.first() == b.id)

        let again = try await TestNode.start("b", at: b.address)
        again.knows(a)
        again.transport.send([again.message(9, to: a.id)])
        try await a.delegate.batches.wait(count: 1)
        a.transport.send([a.message(3, to: b.id)])
        let received = try await again.delegate.messages(atLeast: 1)
        #expect(received.map(\.term.rawValue) == [3])
        #expect(a.transport.statistics.peers.first?.connections == 2)
        try await a.stop()
        try await again.stop()
    }

    @Test func `A peer that was lost is found again with nothing to send to it`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        a.transport.send([a.message(1, to: b.id)])
        try await b.delegate.batches.wait(count: 1)
        try await b.stop()
        try await a.delegate.observations.wait {
            $0.contains { if case .disconnected = $0 { true } else { false } }
        }
        let again = try await TestNode.start("b", at: b.address)
        let back = TransportObservation.connected(again.id, again.address, isBack: true)
        try await a.delegate.observations.wait { $0.last == back }
        try await a.stop()
        try await again.stop()
    }

    @Test func `A lost peer that is removed is forgotten`() async throws {
        let gone = try await TestNode.start("gone")
        try await gone.stop()
        let a = try await TestNode.start("a")
        // An address of which no other test takes a port.
        a.transport.setAddress(PeerAddress("127.0.0.9:\(gone.listener.port)"), for: gone.id)
        a.transport.send([a.message(1, to: gone.id)])
        try await a.delegate.observations.wait(count: 1)
        a.transport.removeAddress(of: gone.id)
        let observations = try await a.delegate.observations.wait(count: 2)
        #expect(observations.last == .forgotten(gone.id))
        a.transport.removeAddress(of: gone.id)
        try await a.stop()
        #expect(a.delegate.observations.items == observations)
    }

    @Test func `An unreachable peer is reported with the cause, once per outage`() async throws {
        let gone = try await TestNode.start("gone")
        try await gone.stop()
        let a = try await TestNode.start("a")
        // An address of which no other test takes a port.
        let nowhere = PeerAddress("127.0.0.9:\(gone.listener.port)")
        a.transport.setAddress(nowhere, for: gone.id)
        for round in 1...3 {
            a.transport.send([a.message(UInt64(round), to: gone.id)])
            try await until { a.transport.statistics.peers.first?.droppedMessages ?? 0 >= round }
        }
        #expect(a.delegate.unreachable.items == [gone.id])
        let expected = TransportError(
            .connectionRefused, address: nowhere.rawValue, cause: "connection refused")
        #expect(a.delegate.observations.items == [.disconnected(gone.id, expected)])
        let peer = try #require(a.transport.statistics.peers.first)
        #expect(peer.lastError == expected)
        #expect(peer.droppedMessages >= 3)
        try await a.stop()
    }

    @Test func `Another address ends the connection to the old one`() async throws {
        let a = try await TestNode.start("a")
        let old = try await TestNode.start("b")
        let new = try await TestNode.start("b")
        a.knows(old)
        a.transport.send([a.message(1, to: old.id)])
        try await old.delegate.batches.wait(count: 1)
        a.knows(new)
        a.transport.send([a.message(2, to: old.id)])
        #expect(try await new.delegate.messages(atLeast: 1).map(\.term.rawValue) == [2])
        #expect(old.delegate.batches.items.count == 1)
        #expect(try await a.delegate.unreachable.first() == old.id)
        #expect(a.transport.address(of: old.id) == new.address)
        a.transport.removeAddress(of: old.id)
        #expect(a.transport.address(of: old.id) == nil)
        try await a.stop()
        try await old.stop()
        try await new.stop()
    }

    @Test func `A peer that refuses again and again is reported once`() async throws {
        var limits = TransportLimits.quick
        limits.minBackoff = .milliseconds(1)
        limits.maxBackoff = .seconds(30)
        limits.nameFreshness = .minutes(1)
        let a = try await TestNode.start("a", limits: limits)
        var refusal = ByteWriter()
        refusal.writeRaw([1, 2, 0] as [UInt8])
        refusal.write("…")
        let newer = try await RawServer.start(saying: WireBytes.frame(2, refusal.bytes))
        let id = NodeID("b")
        a.transport.setAddress(newer.address, for: id)
        for round in 1...3 {
            a.transport.send([a.message(UInt64(round), to: id)])
            try await a.delegate.unreachable.wait(count: round)
        }
        let observations = a.delegate.observations.items
        #expect(observations.count == 2)
        #expect(observations.first == .connected(id, newer.address, isBack: false))
        guard case .disconnected(_, let error) = observations.last else {
            Issue.record("\(observations)")
            return
        }
        #expect(error.reason == .versionMismatch)
        try await newer.channel.close()
        try await a.stop()
    }

    @Test func `A full queue is dropped and reported, and a message no frame holds too`()
        async throws
    {
        var limits = TransportLimits.quick
        limits.maxQueuedMessageBytes = 10_000
        limits.maxFrameBytes = 1 << 20
        limits.snapshotChunkBytes = 1 << 16
        limits.maxCallBytes = 1 << 16
        let a = try await TestNode.start("a", limits: limits)
        let b = try await TestNode.start("b")
        a.knows(b)
        a.transport.send((1...5).map { a.message(UInt64($0), to: b.id, payload: 4000) })
        try await a.delegate.unreachable.wait(count: 1)
        // The queue held two at most; the last of them is there.
        let received = try await b.delegate.messages(atLeast: 1)
        #expect(received.last?.term == Term(5))
        a.transport.send([a.message(6, to: b.id, payload: 2 << 20)])
        try await a.delegate.unreachable.wait(count: 2)
        #expect(a.delegate.observations.items.contains(.messagesDropped(b.id, count: 4)))
        #expect(a.delegate.observations.items.contains(.messagesDropped(b.id, count: 1)))
        #expect(a.transport.statistics.peers.first?.droppedMessages == 5)
        try await a.stop()
        try await b.stop()
    }

    @Test func `A stopping node lets go of everything`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        b.knows(a)
        a.transport.send([a.message(1, to: b.id)])
        try await b.delegate.batches.wait(count: 1)
        try await a.stop()
        #expect(a.transport.statistics.peers.isEmpty)
        a.transport.send([a.message(2, to: b.id)])
        await #expect(throws: TransportError.self) {
            try await a.transport.call(.hello, at: b.address, timeout: .seconds(5)).get()
        }
        try await b.stop()
    }
}
