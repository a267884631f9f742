import Chance
import NIOCore
import PeerProtocol
import Raft
import Service
import Synchronization
import Testing
import Transport
import Wire

/// What a peer may cost: memory, attention, and other peers' time.
@Suite(.timeLimit(.minutes(15))) struct BoundsTests {
    @Test func `What the node doesn't take isn't read, and comes whole and in order later`()
        async throws
    {
        let limits = TransportLimits.quick
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b", limits: limits)
        a.knows(b)
        b.delegate.keepsCredits.withLock { $0 = true }
        // Less than a queue holds.
        let count = 48
        a.transport.send((1...count).map { a.message(UInt64($0), to: b.id, payload: 1 << 20) })
        // Nothing more comes once its share is used up; one read or frame may go beyond.
        try await until {
            !(b.transport.statistics.inbound.untakenBytes < limits.maxUntakenConnectionBytes)
        }
        try await b.pause(.milliseconds(50))
        let most = limits.maxUntakenConnectionBytes + 4 << 20
        #expect(b.transport.statistics.inbound.untakenBytes <= most)
        #expect(a.transport.statistics.peers.first?.queuedBytes ?? 0 > 16 << 20)
        b.delegate.keepsCredits.withLock { $0 = false }
        b.delegate.credits.withLock { $0 = [] }
        let received = try await b.delegate.messages(atLeast: count)
        #expect(received.map(\.term.rawValue) == (1...UInt64(count)).map { $0 })
        try await until { b.transport.statistics.inbound.untakenBytes == 0 }
        try await a.stop()
        try await b.stop()
    }

    @Test func `Heartbeats and votes overtake entries that are backed up, as signs of life`()
        async throws
    {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        b.delegate.keepsCredits.withLock { $0 = true }
        a.transport.send((1...40).map { a.message(UInt64($0), to: b.id, payload: 1 << 20) })
        try await until { b.transport.statistics.inbound.untakenBytes >= 8 << 20 }
        var heartbeat = a.message(99, to: b.id)
        heartbeat.body = .appendEntries(
            .init(
                previous: LogPosition(index: LogIndex(40), term: Term(9)), entries: [],
                commitIndex: LogIndex(40), round: 7))
        a.transport.send([heartbeat, a.vote(100, to: b.id)])
        try await b.delegate.batches.wait {
            let terms = $0.flatMap { $0 }.map(\.term.rawValue)
            return terms.contains(99) && terms.contains(100) && !terms.contains(40)
        }
        // It asks about nothing that may still be on its way, and confirms the same round.
        let sign = b.delegate.batches.items.flatMap { $0 }.first { $0.term == Term(99) }
        #expect(
            sign?.body
                == .appendEntries(
                    .init(previous: .zero, entries: [], commitIndex: LogIndex(40), round: 7)))
        b.delegate.keepsCredits.withLock { $0 = false }
        b.delegate.credits.withLock { $0 = [] }
        let all = try await b.delegate.messages(atLeast: 43)
        #expect(all.last == heartbeat)
        let appends = all.filter { $0.term < Term(99) }.map(\.term.rawValue)
        #expect(appends == Array(1...40))
        // On an idle connection nothing is said twice.
        a.transport.send([heartbeat])
        _ = try await b.delegate.messages(atLeast: 44)
        try await b.pause(.milliseconds(20))
        #expect(b.delegate.batches.items.flatMap { $0 }.count == 44)
        try await a.stop()
        try await b.stop()
    }

    /// A frame's header, and some of its payload.
    private func beginning(of length: UInt32, kind: UInt8 = 3, sent: Int = 16) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(length)
        writer.write(kind)
        writer.write(UInt32(0))
        writer.writeRaw([UInt8](repeating: 0, count: sent))
        return writer.bytes
    }

    private func stranger(
        at node: TestNode, purpose: UInt8 = 1, saying bytes: [UInt8]
    ) async throws -> (RawConnection, any Channel) {
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        try await channel.say(
            WireBytes.preamble(purpose: purpose) + WireBytes.introduction() + bytes)
        return (raw, channel)
    }

    @Test func `A stranger may announce little, and strangers together not much more`()
        async throws
    {
        var limits = TransportLimits.quick
        limits.maxUntrustedFrameBytes = 1 << 20
        limits.maxUntrustedBytes = 1 << 20
        let node = try await TestNode.start("b", limits: limits)
        // More than a stranger's limit, less than a member's.
        let (greedy, _) = try await stranger(at: node, saying: beginning(of: 2 << 20))
        #expect(try await greedy.bytesUntilClosed() == [])
        #expect(node.transport.statistics.inbound.corrupted == 1)
        // The first takes all there is; the second waits for it, and isn't read meanwhile.
        let (_, first) = try await stranger(at: node, saying: beginning(of: 1 << 20))
        try await until { node.transport.statistics.inbound.arrivingBytes >= 1 << 20 }
        var message = ByteWriter()
        node.message(5, to: node.id, payload: 200_000, from: WireBytes.identity).encode(
            into: &message)
        let (_, second) = try await stranger(
            at: node, saying: WireBytes.frame(3, message.bytes))
        try await node.pause(.milliseconds(30))
        #expect(node.transport.statistics.inbound.arrivingBytes == 1 << 20)
        // A small frame of another needs no budget.
        var small = ByteWriter()
        node.message(6, to: node.id, from: WireBytes.identity).encode(into: &small)
        let (_, third) = try await stranger(at: node, saying: WireBytes.frame(3, small.bytes))
        try await node.delegate.batches.wait { $0.joined().contains { $0.term == Term(6) } }
        try await first.close()
        try await node.delegate.batches.wait { $0.joined().contains { $0.term == Term(5) } }
        try await until { node.transport.statistics.inbound.arrivingBytes == 0 }
        try await second.close()
        try await third.close()
        try await node.stop()
    }

    @Test func `A frame that arrives too slowly ends its connection`() async throws {
        var limits = TransportLimits.quick
        limits.frameGrace = .milliseconds(50)
        limits.minFrameRate = 1 << 30
        let node = try await TestNode.start("b", limits: limits)
        let (raw, _) = try await stranger(at: node, saying: beginning(of: 500_000))
        #expect(try await raw.bytesUntilClosed() == [])
        let reason = try await node.delegate.observations.first().description
        #expect(reason.hasSuffix("protocol violation: a frame of 500000 bytes arrives too slowly"))
        try await until { node.transport.statistics.inbound.arrivingBytes == 0 }
        try await node.stop()
    }

    @Test func `A damaged large frame closes the connection and delivers nothing`() async throws {
        let node = try await TestNode.start("b")
        node.delegate.ownPresence.withLock { presence in
            presence.members = [
                Member(
                    id: NodeID("raw"), incarnation: Incarnation(RandomID(high: 3, low: 4)),
                    address: PeerAddress("h:1"), suffrage: .voter)
            ]
        }
        var writer = ByteWriter()
        node.message(1, to: node.id, payload: 3 << 20, from: WireBytes.identity).encode(
            into: &writer)
        var frame = WireBytes.frame(3, writer.bytes)
        let (_, good) = try await stranger(at: node, saying: frame)
        try await node.delegate.batches.wait(count: 1)
        frame[frame.count / 2] ^= 1
        let (raw, _) = try await stranger(at: node, saying: frame)
        #expect(try await raw.bytesUntilClosed() == [])
        #expect(node.transport.statistics.inbound.corrupted == 1)
        #expect(node.delegate.batches.items.count == 1)
        // The node may have closed it when the same peer came again.
        good.close(promise: nil)
        try await node.stop()
    }

    @Test func `Questions of one connection are asked one after the other`() async throws {
        let node = try await TestNode.start("b")
        let open = Mailbox<@Sendable (PeerAnswer) -> Void>()
        node.delegate.answering.withLock { $0 = { _, _, reply in open.put(reply) } }
        let question = WireBytes.frame(4, [1])
        let (raw, channel) = try await stranger(
            at: node, purpose: 2, saying: Array([[UInt8]](repeating: question, count: 50).joined()))
        for round in 1...50 {
            let replies = try await open.wait(count: round)
            #expect(replies.count == round)
            replies[round - 1](.failed("\(round)"))
            // Again: a reply counts once.
            replies[round - 1](.failed("twice"))
        }
        var expected: [UInt8] = []
        for round in 1...50 {
            var writer = ByteWriter()
            PeerAnswer.failed("\(round)").encode(into: &writer)
            expected += WireBytes.frame(5, writer.bytes)
        }
        let wanted = expected
        try await raw.events.wait {
            $0.reduce(0) { sum, event in
                if case .bytes(let bytes) = event { return sum + bytes.count }
                return sum
            } >= wanted.count
        }
        try await channel.close()
        #expect(try await raw.bytesUntilClosed() == expected)
        try await node.stop()
    }

    @Test func `Forwarded requests that are not answered stop their connection from being read`()
        async throws
    {
        var limits = TransportLimits.quick
        limits.maxOpenForwards = 100
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b", limits: limits)
        let sink = RecordingSink()
        // One read may bring more than is left; each of these fills several.
        let text = String(repeating: "x", count: 20_000)
        let requests = (1...2000).map {
            ClientRequest(
                id: RequestID($0),
                operation: .command(
                    Command(kind: .execute, statements: [Statement(text)]), ReadOptions()),
                timeout: .seconds(60))
        }
        a.transport.forward(requests, to: b.address, sink: sink)
        try await b.delegate.forwards.wait { $0.reduce(0) { $0 + $1.requests.count } > 100 }
        try await b.pause(.milliseconds(50))
        let seen = b.delegate.forwards.items.reduce(0) { $0 + $1.requests.count }
        #expect(seen < 300, "\(seen)")
        var answered = 0
        while answered < requests.count {
            for forwarded in b.delegate.forwards.items {
                forwarded.sink.deliver(
                    forwarded.requests.map { Reply(id: $0.id, outcome: .done) })
            }
            answered = Set(sink.replies.items.map(\.id)).count
            try await b.pause(.milliseconds(2))
        }
        #expect(sink.replies.items.count == requests.count)
        try await a.stop()
        try await b.stop()
    }

    @Test func `A flood of refusals is counted, not logged`() async throws {
        var limits = TransportLimits.quick
        limits.refusalPeriod = .minutes(10)
        let node = try await TestNode.start("b", limits: limits)
        for _ in 0..<60 {
            let (raw, channel) = try await RawConnection.open(to: node.listener.port)
            try await channel.say([0, 1, 2])
            _ = try await raw.bytesUntilClosed()
        }
        #expect(node.transport.statistics.inbound.refusedUnknown == 60)
        #expect(node.delegate.observations.items.count == 20)
        try await node.stop()
    }

    @Test func `Too many refused connections are closed without a word`() async throws {
        var limits = TransportLimits.quick
        limits.maxRefusing = 2
        let node = try await TestNode.start("b", limits: limits)
        // Of another major version, and staying.
        var open: [any Channel] = []
        var told = 0
        for _ in 0..<6 {
            let (raw, channel) = try await RawConnection.open(
                to: node.listener.port, staysOpen: true)
            try await channel.say(
                WireBytes.preamble(major: 9, purpose: 2) + WireBytes.introduction())
            // Told, or the end of the stream, after which a write finds it reset.
            while raw.events.items.isEmpty, channel.isActive {
                channel.writeAndFlush(ByteBuffer(bytes: [0]), promise: nil)
                try await node.pause(.milliseconds(1))
            }
            if let event = raw.events.items.first, event != .closed { told += 1 }
            open.append(channel)
        }
        #expect(told == 2)
        for channel in open { try? await channel.close() }
        try await node.stop()
    }

    // MARK: Fuzz

    private func payload(_ kind: UInt8, _ random: inout SplitMix64) -> [UInt8] {
        var writer = ByteWriter()
        switch kind {
        case 3:
            Message(
                cluster: Samples.cluster, from: Samples.identity, to: NodeID("b"),
                term: Term(random.next()),
                body: .appendEntries(
                    .init(
                        previous: .zero,
                        entries: [
                            Entry(
                                index: LogIndex(random.next()), term: Term(random.next()),
                                payload: .command([1, 2, 3]))
                        ], commitIndex: LogIndex(random.next()), round: random.next()))
            ).encode(into: &writer)
        case 4:
            Samples.requests[Int(random.next() % UInt64(Samples.requests.count))]
                .encode(into: &writer)
        case 6:
            let operation = Samples.operations[
                Int(random.next() % UInt64(Samples.operations.count))]
            ClientRequest(id: RequestID(random.next() % 9), operation: operation)
                .encode(into: &writer, id: RequestID(random.next() % 9))
        case 8:
            var offer = Samples.offer
            offer.id.sender = WireBytes.identity.id
            offer.byteCount = random.next() >> (random.next() % 64)
            offer.encode(into: &writer)
        default: for _ in 0..<random.next() % 64 { writer.write(UInt8(random.next() & 255)) }
        }
        return writer.bytes
    }

    /// A conversation that is right as a whole, in parts, or not at all.
    private func conversation(_ random: inout SplitMix64) -> [UInt8] {
        let purpose = UInt8(random.next() % 6)
        let kinds: [UInt8] = [[3], [3], [4], [6], [8, 10, 11], [1, 2, 15]][Int(purpose)]
        var bytes = WireBytes.preamble(purpose: purpose) + WireBytes.introduction()
        for _ in 0..<random.next() % 8 {
            let isOdd = random.next() % 5 == 0
            let kind =
                isOdd
                ? UInt8(random.next() & 31) : kinds[Int(random.next() % UInt64(kinds.count))]
            bytes += WireBytes.frame(kind, payload(kind, &random))
        }
        switch random.next() % 4 {
        case 0: break
        case 1:
            for _ in 0...random.next() % 4 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(random.next() & 255)
            }
        case 2: bytes.removeLast(Int(random.next() % UInt64(bytes.count)))
        default:
            bytes += (0..<random.next() % 300).map { _ in UInt8(random.next() & 255) }
            if random.next() % 2 == 0 { bytes += [0xFF, 0xFF, 0xFF, 0x7F, 3] }
        }
        return bytes
    }

    @Test(arguments: UInt64(1)...8)
    func `No bytes trap, hang or fill a node, on any kind of connection`(seed: UInt64)
        async throws
    {
        var limits = TransportLimits.quick
        limits.sniffTimeout = .milliseconds(500)
        limits.snapshotStallTimeout = .milliseconds(500)
        let node = try await TestNode.start("b", limits: limits)
        node.delegate.answering.withLock {
            $0 = { _, _, reply in reply(.hello(Samples.hello)) }
        }
        let paths = try SnapshotTests.path()
        let number = Atomic<UInt64>(0)
        node.delegate.deciding.withLock {
            $0 = { _ in
                let id = number.add(1, ordering: .relaxed).newValue
                return id % 3 == 0 ? .refuse("no") : .accept(.init(id), path: "\(paths)-\(id)")
            }
        }
        var random = SplitMix64(seed: seed)
        for _ in 0..<150 {
            var bytes = conversation(&random)
            guard let (_, channel) = try? await RawConnection.open(to: node.listener.port) else {
                continue
            }
            while !bytes.isEmpty {
                let count = min(bytes.count, Int(random.next() % 200) + 1)
                channel.writeAndFlush(ByteBuffer(bytes: bytes[..<count]), promise: nil)
                bytes.removeFirst(count)
            }
            // Some stay, and say nothing more.
            if random.next() % 4 != 0 {
                channel.eventLoop.scheduleTask(in: .milliseconds(Int64(random.next() % 20))) {
                    channel.close(promise: nil)
                }
            }
        }
        let other = try await TestNode.start("other")
        let answer = try await other.transport.call(
            .hello, at: node.address, timeout: .seconds(20)
        ).get()
        #expect(answer == .hello(Samples.hello))
        let inbound = node.transport.statistics.inbound
        #expect(inbound.arrivingBytes <= limits.maxUntrustedBytes)
        #expect(inbound.untakenBytes == 0)
        try await other.stop()
        try await node.stop()
        // What was accepted has ended, one way or the other.
        let accepted = number.load(ordering: .relaxed)
        let refused = accepted / 3
        let ended = node.delegate.endedSnapshots.items.count + node.delegate.snapshots.items.count
        #expect(ended == Int(accepted - refused))
    }
}
