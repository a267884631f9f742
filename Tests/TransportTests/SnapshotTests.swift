import Glibc
import Gzip
import NIOCore
import PeerProtocol
import Raft
import Synchronization
import Testing
import Transport
import Wire

/// Snapshots over real sockets and files.
@Suite(.timeLimit(.minutes(15))) struct SnapshotTests {
    /// Bytes that tell their place, without holding them all.
    final class Source: SnapshotReading {
        struct Broken: Error, CustomStringConvertible {
            var description: String { "the disk is on fire" }
        }

        let byteCount: Int
        let breaksAt: UInt64?
        let furthest = Mutex<UInt64>(0)

        init(_ byteCount: Int, breaksAt: UInt64? = nil) {
            self.byteCount = byteCount
            self.breaksAt = breaksAt
        }

        /// A period that is no multiple of any chunk's.
        private static let period: [UInt8] = (0..<65_537).map {
            UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8)
        }

        static func bytes(at offset: Int, count: Int) -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count)
            while bytes.count < count {
                let start = (offset + bytes.count) % period.count
                let end = min(period.count, start + count - bytes.count)
                bytes += period[start..<end]
            }
            return bytes
        }

        func read(at offset: UInt64, count: Int) throws -> [UInt8] {
            if let breaksAt, offset >= breaksAt { throw Broken() }
            furthest.withLock { $0 = max($0, offset + UInt64(count)) }
            return Self.bytes(at: Int(offset), count: count)
        }
    }

    static func offer(
        _ count: Int, generation: UInt64 = 1, from sender: NodeID = NodeID("a")
    ) -> SnapshotOffer {
        var offer = Samples.offer
        offer.id.sender = sender
        offer.byteCount = UInt64(count)
        offer.id.generation = generation
        return offer
    }

    /// A path in a directory of its own.
    static func path() throws -> String {
        var template = Array("/tmp/transport-tests-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template))
        return String(cString: directory) + "/snapshot"
    }

    private func remove(_ path: String) {
        unlink(path)
        rmdir(String(path.dropLast("/snapshot".count)))
    }

    static func content(of path: String) throws -> [UInt8] {
        let file = try #require(fopen(path, "rb"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 {
            bytes += buffer[..<count]
        }
        return bytes
    }

    private typealias Ending = Result<Void, TransportError>

    private func send(
        _ source: Source, _ offer: SnapshotOffer, from a: TestNode, to b: TestNode
    ) -> Mailbox<Ending> {
        let ended = Mailbox<Ending>()
        a.transport.sendSnapshot(offer, from: source, to: b.id) { ended.put($0) }
        return ended
    }

    private func error(_ ending: Ending) -> TransportError? {
        if case .failure(let error) = ending { return error }
        return nil
    }

    @Test(arguments: [0, 1, 512 << 10, 5_000_001])
    func `A snapshot arrives whole and the sender hears when it is installed`(count: Int)
        async throws
    {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        let path = try Self.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let offer = Self.offer(count)
        let ended = send(Source(count), offer, from: a, to: b)
        let received = try await b.delegate.snapshots.first()
        #expect(received.offer == offer)
        #expect(received.path == path)
        #expect(try Self.content(of: path) == Source.bytes(at: 0, count: count))
        #expect(ended.items.isEmpty)
        received.done(nil)
        #expect(error(try await ended.first()) == nil)
        #expect(b.delegate.failedSnapshots.items.isEmpty)
        try await a.stop()
        try await b.stop()
        remove(path)
    }

    @Test(arguments: [0, 1, 5_000_001])
    func `A snapshot may go packed, and arrives as one that does not`(count: Int) async throws {
        var limits = TransportLimits.quick
        limits.packsSnapshots = true
        let a = try await TestNode.start("a", limits: limits)
        let b = try await TestNode.start("b")
        a.knows(b)
        let path = try Self.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let ended = send(Source(count), Self.offer(count), from: a, to: b)
        let received = try await b.delegate.snapshots.first()
        #expect(try Self.content(of: path) == Source.bytes(at: 0, count: count))
        received.done(nil)
        #expect(error(try await ended.first()) == nil)
        let sent = a.transport.statistics.sentFiles
        #expect(sent == b.transport.statistics.receivedFiles)
        #expect(sent.fileBytes == UInt64(count))
        #expect(count < 1000 || sent.wireBytes < sent.fileBytes / 2, "\(sent)")
        try await a.stop()
        try await b.stop()
        remove(path)
    }

    @Test func `The receiver has time to install for the snapshot's size`() async throws {
        var limits = TransportLimits.quick
        limits.snapshotStallTimeout = .seconds(3)
        limits.snapshotInstallTimeout = .milliseconds(1)
        let a = try await TestNode.start("a", limits: limits)
        let b = try await TestNode.start("b", limits: limits)
        a.knows(b)
        let path = try Self.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let ended = send(Source(100), Self.offer(100), from: a, to: b)
        let received = try await b.delegate.snapshots.first()
        // Its sender looks each 300 ms.
        try await a.pause(.milliseconds(700))
        received.done(nil)
        #expect(error(try await ended.first()) == nil)
        try await a.stop()
        try await b.stop()
        remove(path)
    }

    @Test func `An installation that fails tells the sender why`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        let path = try Self.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let ended = send(Source(100), Self.offer(100), from: a, to: b)
        try await b.delegate.snapshots.first().done("not a database")
        #expect(
            error(try await ended.first())?.cause == "the snapshot was rejected: not a database")
        try await a.stop()
        try await b.stop()
        remove(path)
    }

    @Test func `A refused offer tells the sender why`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        b.delegate.deciding.withLock { $0 = { _ in .refuse("newer data here") } }
        let ended = send(Source(100), Self.offer(100), from: a, to: b)
        let failure = error(try await ended.first())
        #expect(failure?.reason == .refused)
        #expect(failure?.cause == "the snapshot was rejected: newer data here")
        try await a.stop()
        try await b.stop()
    }

    @Test func `A path that can't be written is a failure on both sides`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: "/nonexistent/x") } }
        let ended = send(Source(100), Self.offer(100), from: a, to: b)
        let failure = error(try await ended.first())
        #expect(failure?.cause.contains("create /nonexistent/x: No such file") == true)
        try await b.delegate.failedSnapshots.wait(count: 1)
        try await a.stop()
        try await b.stop()
    }

    @Test func `A source that fails ends the transfer and leaves no file`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        let path = try Self.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let source = Source(4 << 20, breaksAt: 2 << 20)
        let ended = send(source, Self.offer(4 << 20), from: a, to: b)
        let failure = error(try await ended.first())
        #expect(failure?.reason == .storage)
        #expect(failure?.cause == "the snapshot can't be read: the disk is on fire")
        try await b.delegate.failedSnapshots.wait(count: 1)
        // Stopping waits for the thread that deletes it.
        try await a.stop()
        try await b.stop()
        #expect(access(path, F_OK) != 0)
        remove(path)
    }

    @Test func `A receiver that takes nothing holds the sender back, until it gives up`()
        async throws
    {
        var limits = TransportLimits.quick
        limits.snapshotStallTimeout = .seconds(5)
        let a = try await TestNode.start("a", limits: limits)
        // Accepts the offer and then never reads again.
        let stalled = try await RawServer.start(saying: WireBytes.frame(9, []), reads: false)
        a.transport.setAddress(stalled.address, for: NodeID("b"))
        let source = Source(1 << 30)
        let ended = Mailbox<Ending>()
        a.transport.sendSnapshot(Self.offer(1 << 30), from: source, to: NodeID("b")) {
            ended.put($0)
        }
        let failure = error(try await ended.first())
        #expect(failure?.reason == .timedOut)
        // What the kernel buffers, the water mark, and a chunk: nothing near the whole.
        let read = source.furthest.withLock { $0 }
        #expect(read >= 512 << 10 && read < 24 << 20, "\(read)")
        try await stalled.channel.close()
        try await a.stop()
    }

    @Test func `A sender that goes silent is given up, and its file deleted`() async throws {
        var limits = TransportLimits.quick
        limits.snapshotStallTimeout = .milliseconds(50)
        let b = try await TestNode.start("b", limits: limits)
        let path = try Self.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let (raw, channel) = try await RawConnection.open(to: b.listener.port)
        var writer = ByteWriter()
        Self.offer(1000, from: WireBytes.identity.id).encode(into: &writer)
        try await channel.say(
            WireBytes.preamble(purpose: 4) + WireBytes.introduction()
                + WireBytes.frame(8, writer.bytes))
        #expect(try await raw.bytesUntilClosed().withoutSignsOfWork == WireBytes.frame(9, [1]))
        #expect(try await b.delegate.failedSnapshots.first().reason == .timedOut)
        try await b.stop()
        #expect(access(path, F_OK) != 0)
        remove(path)
    }

    static func chunk(_ offset: UInt64, _ bytes: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(offset)
        writer.writeRaw(bytes)
        return WireBytes.frame(10, writer.bytes)
    }

    static func packedChunk(_ offset: UInt64, _ count: UInt32, _ bytes: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(offset)
        writer.write(count)
        writer.writeRaw(bytes)
        return WireBytes.frame(18, writer.bytes)
    }

    static func end(_ count: UInt64, _ checksum: UInt32) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(count)
        writer.write(checksum)
        return WireBytes.frame(11, writer.bytes)
    }

    @Test func `A wrong checksum, length or place is rejected`() async throws {
        let right = CRC32C([1, 2, 3] as [UInt8]).value
        let packed = try GzipWriter().add([1, 2, 3], isLast: true)
        let cases: [(stream: [UInt8], reason: String)] = [
            (
                Self.chunk(0, [1, 2, 3]) + Self.end(3, right ^ 1),
                "the checksum of the whole file is wrong"
            ),
            (Self.chunk(0, [1, 2]) + Self.end(3, right), "2 of 3 bytes arrived"),
            (Self.chunk(1, [1, 2]), "a chunk at 1 instead of 0"),
            (Self.chunk(0, [1, 2, 3, 4]), "a chunk at 0 instead of 0"),
            (Self.packedChunk(1, 2, packed), "a chunk at 1 instead of 0"),
            (Self.packedChunk(0, 4, packed), "a chunk at 0 instead of 0"),
            (
                Self.packedChunk(0, 2, packed),
                "a packed chunk at 0 can't be unpacked: unpacked it is larger than the limit of 2 "
                    + "bytes"
            ),
            (
                Self.packedChunk(0, 3, Array(packed.dropLast(3))),
                "a packed chunk at 0 can't be unpacked: its gzip stream breaks off"
            ),
            (
                Self.packedChunk(0, 3, [9, 9, 9]),
                "a packed chunk at 0 can't be unpacked: it is no gzip stream, or a damaged one"
            ),
        ]
        for (stream, reason) in cases {
            let b = try await TestNode.start("b")
            let path = try Self.path()
            b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
            let (raw, channel) = try await RawConnection.open(to: b.listener.port)
            var writer = ByteWriter()
            Self.offer(3, from: WireBytes.identity.id).encode(into: &writer)
            try await channel.say(
                WireBytes.preamble(purpose: 4) + WireBytes.introduction()
                    + WireBytes.frame(8, writer.bytes))
            try await raw.events.wait(count: 1)
            try await channel.say(stream)
            var text = ByteWriter()
            text.write(reason)
            #expect(
                try await raw.bytesUntilClosed().withoutSignsOfWork
                    == WireBytes.frame(9, [1]) + WireBytes.frame(14, text.bytes))
            #expect(b.delegate.snapshots.items.isEmpty)
            try await b.delegate.failedSnapshots.wait(count: 1)
            try await b.stop()
            #expect(access(path, F_OK) != 0)
            remove(path)
        }
    }

    @Test func `A second snapshot to a peer cancels the first`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        let paths = [try Self.path(), try Self.path()]
        b.delegate.deciding.withLock {
            $0 = { offer in
                .accept(
                    IncomingSnapshotID(offer.id.generation + 1),
                    path: paths[Int(offer.id.generation)])
            }
        }
        let first = send(Source(10), Self.offer(10, generation: 0), from: a, to: b)
        // Received, not installed.
        try await b.delegate.snapshots.wait(count: 1)
        let second = send(Source(10), Self.offer(10, generation: 1), from: a, to: b)
        #expect(error(try await first.first())?.reason == .cancelled)
        try await b.delegate.snapshots.wait(count: 2)[1].done(nil)
        #expect(error(try await second.first()) == nil)
        try await a.stop()
        try await b.stop()
        for path in paths { remove(path) }
    }

    @Test func `A snapshot to an unknown node fails at once`() async throws {
        let a = try await TestNode.start("a")
        let ended = Mailbox<Ending>()
        a.transport.sendSnapshot(Self.offer(1), from: Source(1), to: NodeID("x")) { ended.put($0) }
        #expect(
            error(try await ended.first())?.description == "x: the node's address is not known")
        try await a.stop()
    }

    @Test func `A receiver that stops ends the transfer`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        a.knows(b)
        let path = try Self.path()
        b.delegate.deciding.withLock { $0 = { _ in .accept(.one, path: path) } }
        let ended = send(Source(10), Self.offer(10), from: a, to: b)
        try await b.delegate.snapshots.wait(count: 1)
        try await b.stop()
        #expect(error(try await ended.first())?.reason == .connectionLost)
        try await a.stop()
        remove(path)
    }
}

extension IncomingSnapshotID {
    static let one = IncomingSnapshotID(1)
}
