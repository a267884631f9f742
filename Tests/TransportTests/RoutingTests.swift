import NIOCore
import PeerProtocol
import Raft
import Service
import Synchronization
import Testing
import Transport
import Wire

/// Nodes that are not where they should be: who speaks on a connection is known from it, and any
/// permutation of addresses heals.
@Suite(.timeLimit(.minutes(15))) struct RoutingTests {
    /// Lets every node speak to every other, as elections do, until each was heard by each.
    /// - Parameter first: only messages from this number on count.
    private func untilAllHear(_ nodes: [TestNode], from first: UInt64) async throws {
        var heard: Set<String> = []
        var round = first
        let all = nodes.flatMap { a in
            nodes.filter { $0.id != a.id }.map { "\(a.id)>\($0.id)" }
        }
        while heard != Set(all) {
            for node in nodes {
                for other in nodes where other.id != node.id {
                    node.transport.send([node.vote(round, to: other.id)])
                }
            }
            round += 1
            for node in nodes {
                for message in node.delegate.batches.items.flatMap({ $0 })
                where message.term >= Term(first) {
                    #expect(message.to == node.id)
                    heard.insert("\(message.from)>\(node.id)")
                }
            }
            try await nodes[0].pause(.milliseconds(2))
        }
    }

    private static let permutations: [[Int]] = [
        [1, 0], [1, 0, 2], [2, 1, 0], [0, 2, 1], [1, 2, 0], [2, 0, 1],
    ]

    @Test(arguments: permutations, [true, false])
    func `Any permutation of addresses heals, all at once or one by one`(
        places: [Int], atOnce: Bool
    ) async throws {
        var nodes: [TestNode] = []
        for place in places.indices { nodes.append(try await TestNode.start("n\(place)")) }
        let addresses = nodes.map(\.address)
        let members = nodes.map {
            Member(
                id: $0.id, incarnation: $0.transport.identity.incarnation, address: $0.address,
                suffrage: .voter)
        }
        func seat(_ node: TestNode) {
            node.delegate.ownPresence.withLock {
                $0.cluster = Samples.cluster
                $0.members = members
            }
            var hello = Samples.hello
            hello.identity = node.transport.identity
            node.delegate.answering.withLock { [hello] in
                $0 = { _, _, reply in reply(.hello(hello)) }
            }
            for member in members where member.id != node.id {
                node.transport.setAddress(member.address, for: member.id)
            }
        }
        for node in nodes { seat(node) }
        try await untilAllHear(nodes, from: 1)

        // Each comes back at another's address, with what it knew.
        var moved = nodes
        if atOnce {
            for node in nodes { try await node.stop() }
            for place in places.indices {
                moved[place] = try await TestNode.start(
                    "n\(place)", at: addresses[places[place]])
                seat(moved[place])
            }
        } else {
            // A free seat is needed to move one by one.
            for place in places.indices where places[place] != place {
                try await nodes[place].stop()
                moved[place] = try await TestNode.start("n\(place)")
                seat(moved[place])
            }
            for place in places.indices where places[place] != place {
                let interim = moved[place]
                for other in moved where other.id != interim.id {
                    interim.transport.send([interim.vote(1, to: other.id)])
                }
                try await interim.stop()
                moved[place] = try await TestNode.start(
                    "n\(place)", at: addresses[places[place]])
                seat(moved[place])
            }
        }
        let start = NIODeadline.now()
        try await untilAllHear(moved, from: 1_000_000)
        // About a second; much more on a machine that is starved.
        #expect(NIODeadline.now() - start < .seconds(20))
        for node in moved {
            for member in members where member.id != node.id {
                let place = moved.firstIndex { $0.id == member.id } ?? 0
                #expect(node.transport.address(of: member.id) == moved[place].address)
            }
        }
        for node in moved { try await node.stop() }
    }

    @Test func `A dialer hears who is there, reports it, forgets the address and counts`()
        async throws
    {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.transport.setAddress(b.address, for: NodeID("c"))
        a.transport.send([a.message(1, to: NodeID("c"))])
        let misrouting = try await a.delegate.misroutings.first()
        #expect(misrouting == .init(wanted: NodeID("c"), found: b.id, address: b.address))
        #expect(b.delegate.batches.items.isEmpty)
        #expect(b.transport.statistics.inbound.misdirected == 1)
        #expect(a.transport.address(of: NodeID("c")) == nil)
        let peer = try #require(a.transport.statistics.peers.first)
        #expect(peer.state == .lost && peer.address == b.address)
        #expect(peer.lastError?.description == "\(b.address): node b is here, not node c")
        #expect(a.transport.statistics.unroutableMessages == 1)
        // What is sent meanwhile is counted too; nobody is dialed for it.
        a.transport.send([a.message(2, to: NodeID("c"))])
        try await until { a.transport.statistics.unroutableMessages >= 2 }
        // The node itself says where it is.
        let c = try await TestNode.start("c")
        c.knows(a)
        c.transport.send([c.message(1, to: a.id)])
        let spoken = try await a.delegate.spoken.wait { $0.contains { $0.id == c.id } }
        #expect(spoken.last == .init(id: c.id, address: c.address))
        while c.delegate.batches.items.isEmpty {
            a.transport.send([a.message(3, to: c.id)])
            try await a.pause(.milliseconds(2))
        }
        #expect(a.transport.address(of: c.id) == c.address)
        for node in [a, b, c] { try await node.stop() }
    }

    @Test func `A node of another cluster is refused by name, except for questions`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        let other = ClusterID(RandomID(high: 7, low: 7))
        a.delegate.ownPresence.withLock { $0.cluster = Samples.cluster }
        b.delegate.ownPresence.withLock { $0.cluster = other }
        b.delegate.answering.withLock { $0 = { _, _, reply in reply(.failed("here")) } }
        a.knows(b)
        a.transport.send([a.message(1, to: b.id)])
        try await a.delegate.unreachable.wait(count: 1)
        let error = try #require(a.transport.statistics.peers.first?.lastError)
        #expect(error.reason == .refused)
        #expect(error.cause.contains("this node is in cluster \(other), the caller in"))
        #expect(b.delegate.batches.items.isEmpty)
        let sink = RecordingSink()
        a.transport.forward(
            [.init(id: .init(1), operation: .leader)], to: b.address, sink: sink)
        #expect("\(try await sink.replies.first().outcome)".contains("cluster"))
        #expect(b.delegate.forwards.items.isEmpty)
        let answer = try await a.transport.call(.hello, at: b.address, timeout: .seconds(20)).get()
        #expect(answer == .failed("here"))
        // Where it says it is, is nothing to its namesake's cluster.
        #expect(b.delegate.spoken.items.isEmpty)
        try await a.stop()
        try await b.stop()
    }

    @Test func `A message for another node is refused with the name of who is here`()
        async throws
    {
        let node = try await TestNode.start("b")
        // A dialer of version 1.0 names nobody in its preamble.
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        var writer = ByteWriter()
        node.message(1, to: NodeID("c")).encode(into: &writer)
        try await channel.say(
            WireBytes.preamble(purpose: 1) + WireBytes.introduction()
                + WireBytes.frame(3, writer.bytes))
        var refusal = ByteWriter()
        refusal.writeRaw([5, 1, 4] as [UInt8])
        refusal.write("node b is here, not node c")
        Introduction(
            identity: node.transport.identity, cluster: Samples.cluster, address: node.address
        ).encode(into: &refusal)
        #expect(try await raw.bytesUntilClosed() == WireBytes.frame(2, refusal.bytes))
        #expect(node.delegate.batches.items.isEmpty)
        #expect(node.transport.statistics.inbound.misdirected == 1)
        try await node.stop()
    }

    @Test func `A node alive at its known address is not moved by who speaks in its name`()
        async throws
    {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        let copy = try await TestNode.start("b")
        a.knows(b)
        copy.knows(a)
        while b.delegate.batches.items.isEmpty {
            a.transport.send([a.message(1, to: b.id)])
            try await a.pause(.milliseconds(2))
        }
        // Confirmed by now: the welcome came before the first message was read.
        copy.transport.send([copy.message(1, to: a.id)])
        try await a.delegate.spoken.wait { $0.contains { $0.address == copy.address } }
        for round in 2...20 {
            a.transport.send([a.message(UInt64(round), to: b.id)])
            try await a.pause(.milliseconds(1))
        }
        #expect(a.transport.address(of: b.id) == b.address)
        #expect(copy.delegate.batches.items.isEmpty)
        for node in [a, b, copy] { try await node.stop() }
    }

    @Test func `Snapshots go to nobody but the node that they are for`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.transport.setAddress(b.address, for: NodeID("c"))
        let ended = Mailbox<Result<Void, TransportError>>()
        a.transport.sendSnapshot(
            SnapshotTests.offer(10), from: SnapshotTests.Source(10), to: NodeID("c")
        ) { ended.put($0) }
        guard case .failure(let error) = try await ended.first(),
            case .otherNode(let found) = error.reason
        else {
            Issue.record("\(ended.items)")
            return
        }
        #expect(found.identity.id == b.id)
        #expect(b.delegate.offers.items.isEmpty)
        #expect(try await a.delegate.misroutings.first().found == b.id)
        try await a.stop()
        try await b.stop()
    }

    @Test func `An introduction survives encoding, and those of version 1.0 are read`() throws {
        let full = Introduction(
            identity: Samples.identity, cluster: Samples.cluster, address: PeerAddress("h:1"),
            wanted: .init(
                id: NodeID("x"), incarnation: Incarnation(RandomID(high: 1, low: 2))))
        for introduction in [
            full, Introduction(identity: Samples.identity),
            Introduction(identity: Samples.identity, wanted: .init(id: NodeID("y"))),
        ] {
            var writer = ByteWriter()
            introduction.encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            #expect(try Introduction(from: &reader) == introduction)
            #expect(reader.isAtEnd)
        }
        var old = ByteWriter()
        Samples.identity.encode(into: &old)
        var reader = ByteReader(old.bytes)
        #expect(try Introduction(from: &reader) == Introduction(identity: Samples.identity))
    }
}
