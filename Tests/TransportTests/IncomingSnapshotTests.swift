import Glibc
import NIOCore
import PeerProtocol
import Raft
import Synchronization
import Testing
import Transport
import Wire

/// One snapshot at a time into a node, a file of its own each, whoever sends and stops when.
@Suite(.timeLimit(.minutes(15))) struct IncomingSnapshotTests {
    private typealias Source = SnapshotTests.Source

    private func offer(_ count: Int, _ sender: String = "a", term: UInt64? = nil) -> SnapshotOffer {
        var offer = SnapshotTests.offer(count, from: NodeID(sender))
        offer.term = term.map { Term($0) }
        return offer
    }

    /// A sender that says what a test wants, until it has heard `events`.
    /// - Parameter sender: as who it introduces itself; nil: as who the offer names.
    private func begin(
        _ offer: SnapshotOffer, to node: TestNode, as sender: NodeID? = nil
    ) async throws -> (RawConnection, any Channel) {
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        var writer = ByteWriter()
        offer.encode(into: &writer)
        try await channel.say(
            WireBytes.preamble(purpose: 4) + WireBytes.introduction(sender ?? offer.id.sender)
                + WireBytes.frame(8, writer.bytes))
        return (raw, channel)
    }

    private func rejection(_ text: String) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(text)
        return WireBytes.frame(14, writer.bytes)
    }

    @Test func `A newer leader's snapshot comes whole while a deposed one's stream is stopped`()
        async throws
    {
        let node = try await TestNode.start("b")
        let new = try await TestNode.start("new")
        new.knows(node)
        let paths = [try SnapshotTests.path(), try SnapshotTests.path()]
        node.delegate.deciding.withLock { $0 = { _ in nil } }
        // The old leader has sent a third, and never stops of itself.
        let (raw, channel) = try await begin(offer(3_000_000, "old"), to: node)
        try await node.delegate.offers.wait(count: 1)[0].reply(
            .accept(IncomingSnapshotID(1), path: paths[0]))
        try await raw.events.wait(count: 1)
        try await channel.say(
            SnapshotTests.chunk(0, [UInt8](repeating: 0xEE, count: 1_000_000)))

        let ended = Mailbox<Result<Void, TransportError>>()
        new.transport.sendSnapshot(offer(2_000_000, "new"), from: Source(2_000_000), to: node.id) {
            ended.put($0)
        }
        let second = try await node.delegate.offers.wait(count: 2)[1]
        node.transport.stopReceiving(IncomingSnapshotID(1), reason: "superseded")
        // Said when its file is closed and gone; only then does the newer begin.
        try await node.delegate.endedSnapshots.wait { $0 == [IncomingSnapshotID(1)] }
        #expect(access(paths[0], F_OK) != 0)
        second.reply(.accept(IncomingSnapshotID(2), path: paths[1]))
        // The old stream goes on and reaches nobody.
        channel.writeAndFlush(
            ByteBuffer(
                bytes: SnapshotTests.chunk(1_000_000, [UInt8](repeating: 0xEE, count: 100_000))),
            promise: nil)
        let received = try await node.delegate.snapshots.first()
        #expect(received.id == IncomingSnapshotID(2))
        let content = try SnapshotTests.content(of: paths[1])
        #expect(content == Source.bytes(at: 0, count: 2_000_000))
        received.done(nil)
        let heard = try await raw.bytesUntilClosed().withoutSignsOfWork
        #expect(heard == WireBytes.frame(9, [1]) + rejection("superseded"))
        if case .failure(let error) = try await ended.first() { Issue.record("\(error)") }
        try await new.stop()
        try await node.stop()
        for path in paths { unlink(path) }
    }

    @Test func `Nobody offers another node's snapshot`() async throws {
        let node = try await TestNode.start("b")
        let (raw, _) = try await begin(offer(3), to: node, as: NodeID("c"))
        let text = "node c offers a snapshot of node a"
        #expect(try await raw.bytesUntilClosed().withoutSignsOfWork == rejection(text))
        #expect(
            try await node.delegate.breaches.first()
                == .init(id: NodeID("c"), address: PeerAddress(text)))
        #expect(node.delegate.offers.items.isEmpty)
        try await node.stop()
    }

    @Test func `A stop in mid-stream ends the transfer on both sides, with its reason`()
        async throws
    {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        let path = try SnapshotTests.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        // Larger than all buffers, so that it is under way.
        let source = Source(256 << 20)
        let ended = Mailbox<Result<Void, TransportError>>()
        a.transport.sendSnapshot(offer(256 << 20), from: source, to: b.id) { ended.put($0) }
        try await b.delegate.offers.wait(count: 1)
        b.transport.stopReceiving(.one, reason: "enough")
        guard case .failure(let error) = try await ended.first() else {
            Issue.record("it went through")
            return
        }
        #expect(error.cause == "the snapshot was rejected: enough")
        try await b.delegate.endedSnapshots.wait { $0 == [.one] }
        #expect(access(path, F_OK) != 0)
        #expect(b.delegate.snapshots.items.isEmpty)
        // A second order finds nothing.
        b.transport.stopReceiving(.one, reason: "again")
        try await a.stop()
        try await b.stop()
        #expect(b.delegate.endedSnapshots.items == [.one])
    }

    @Test func `What was handed over is touched no more, whatever the sender does`() async throws {
        let b = try await TestNode.start("b")
        let path = try SnapshotTests.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let (raw, channel) = try await begin(offer(3), to: b)
        try await raw.events.wait(count: 1)
        let bytes: [UInt8] = [1, 2, 3]
        try await channel.say(
            SnapshotTests.chunk(0, bytes) + SnapshotTests.end(3, CRC32C(bytes).value))
        try await b.delegate.snapshots.wait(count: 1)
        b.transport.stopReceiving(.one, reason: "too late")
        channel.writeAndFlush(ByteBuffer(bytes: SnapshotTests.chunk(0, [9])), promise: nil)
        _ = try await raw.bytesUntilClosed().withoutSignsOfWork
        try await b.stop()
        #expect(try SnapshotTests.content(of: path) == bytes)
        #expect(b.delegate.endedSnapshots.items.isEmpty)
        unlink(path)
    }

    /// What happens to the file behind the transfer's back.
    enum Damage: CaseIterable { case content, length }

    @Test(arguments: Damage.allCases)
    func `The file is verified, not the stream`(damage: Damage) async throws {
        let b = try await TestNode.start("b")
        let path = try SnapshotTests.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let (raw, channel) = try await begin(offer(3), to: b)
        try await raw.events.wait(count: 1)
        try await channel.say(SnapshotTests.chunk(0, [1, 2]))
        try await until { try SnapshotTests.content(of: path) == [1, 2] }
        let file = open(path, O_WRONLY)
        #expect(pwrite(file, [9], 1, damage == .content ? 1 : 3) == 1)
        close(file)
        let checksum = CRC32C([1, 2, 3] as [UInt8]).value
        try await channel.say(SnapshotTests.chunk(2, [3]) + SnapshotTests.end(3, checksum))
        let text =
            damage == .content
            ? "the checksum of the whole file is wrong"
            : "the file holds other than the 3 bytes sent"
        let heard = try await raw.bytesUntilClosed().withoutSignsOfWork
        #expect(heard == WireBytes.frame(9, [1]) + rejection(text))
        try await b.delegate.failedSnapshots.wait(count: 1)
        #expect(b.delegate.snapshots.items.isEmpty)
        try await b.stop()
        #expect(access(path, F_OK) != 0)
    }

    @Test func `A file that stands at the path is not touched, and the transfer refused`()
        async throws
    {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        let path = try SnapshotTests.path()
        let file = try #require(fopen(path, "w"))
        fputs("precious", file)
        fclose(file)
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let ended = Mailbox<Result<Void, TransportError>>()
        a.transport.sendSnapshot(offer(10), from: Source(10), to: b.id) { ended.put($0) }
        guard case .failure(let error) = try await ended.first() else {
            Issue.record("it was taken")
            return
        }
        #expect(error.cause.contains("File exists"))
        try await b.delegate.endedSnapshots.wait { $0 == [.one] }
        try await a.stop()
        try await b.stop()
        #expect(try SnapshotTests.content(of: path) == Array("precious".utf8))
        unlink(path)
    }

    @Test func `One for which the disk has no room is refused before a byte of it is sent`()
        async throws
    {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        let path = try SnapshotTests.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let source = Source(1 << 60)
        let ended = Mailbox<Result<Void, TransportError>>()
        a.transport.sendSnapshot(offer(1 << 60), from: source, to: b.id) { ended.put($0) }
        guard case .failure(let error) = try await ended.first() else {
            Issue.record("it was taken")
            return
        }
        #expect(error.cause.contains("make room for 1152921504606846976 bytes where "))
        #expect(source.furthest.withLock { $0 } == 0)
        try await b.delegate.endedSnapshots.wait { $0 == [.one] }
        #expect(access(path, F_OK) != 0)
        try await a.stop()
        try await b.stop()
    }

    @Test func `A decision after the sender has gone ends the transfer without a file`()
        async throws
    {
        let b = try await TestNode.start("b")
        let path = try SnapshotTests.path()
        b.delegate.deciding.withLock { $0 = { _ in nil } }
        let (_, channel) = try await begin(offer(10), to: b)
        let offered = try await b.delegate.offers.first()
        try await channel.close()
        try await until { b.transport.statistics.inbound.peers == 0 }
        offered.reply(.accept(.one, path: path))
        try await b.delegate.endedSnapshots.wait { $0 == [.one] }
        try await b.stop()
        #expect(access(path, F_OK) != 0)
    }

    @Test func `A transfer below the least rate is given up`() async throws {
        var limits = TransportLimits.quick
        limits.snapshotStallTimeout = .seconds(3)
        limits.snapshotGrace = .seconds(3)
        limits.minSnapshotRate = 1 << 30
        let node = try await TestNode.start("b", limits: limits)
        let path = try SnapshotTests.path()
        node.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        // One byte at a time: never silent for as long as a stall takes.
        let (raw, channel) = try await begin(offer(1 << 20), to: node)
        try await raw.events.wait(count: 1)
        let sent = Mutex<UInt64>(0)
        let trickle = channel.eventLoop.scheduleRepeatedTask(
            initialDelay: .zero, delay: .milliseconds(5)
        ) { _ in
            let offset = sent.withLock { count in
                defer { count += 1 }
                return count
            }
            let bytes = SnapshotTests.chunk(offset, [1])
            channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        }
        let heard = try await raw.bytesUntilClosed().withoutSignsOfWork
        trickle.cancel()
        let text = "it takes too long: less than the least rate arrived"
        #expect(heard == WireBytes.frame(9, [1]) + rejection(text))
        #expect(try await node.delegate.endedSnapshots.first() == .one)
        try await node.stop()
        #expect(access(path, F_OK) != 0)
    }

    @Test func `Any announced length has a bounded time`() {
        let limits = TransportLimits()
        #expect(limits.snapshotTime(for: 0) == limits.snapshotGrace)
        #expect(limits.snapshotTime(for: .max) == limits.maxSnapshotTime)
        #expect(limits.snapshotTime(for: 600 << 20) == limits.snapshotGrace + .minutes(10))
        #expect(limits.installTime(for: .max) == .minutes(10) + limits.maxSnapshotTime)
        // Read twice at 128 MB/s, it takes 26 minutes.
        #expect(limits.installTime(for: 100_000_000_000) > .minutes(26))
    }
}
