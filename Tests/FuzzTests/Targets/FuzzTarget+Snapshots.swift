import Glibc
import Gzip
import NIOCore
import NIOPosix
import PeerProtocol
import Synchronization
import Wire

@testable import Transport

/// The sending end of a snapshot's transfer, over a real connection: whatever is said, the transfer
/// ends, once, and what was installed is what was sent.
///
/// An input is a list of steps, each a byte that says what is sent, a length of one byte, and content:
///
///     0  an offer as it stands there            3  a chunk at the place where the next belongs
///     1  an offer of so many bytes (u16)        4  an end as it stands there
///     2  a chunk as it stands there             5  an end that fits what was sent
///                                               6  a frame, its kind first
///     7  a packed chunk where the next belongs  8  the same, packed already, behind its size (u32)
///
/// A fitting end is sent behind the last step.
extension FuzzTarget {
    static let snapshots = FuzzTarget(name: "snapshots", largestInput: 2048) {
        bytes throws(Complaint) in
        let transfer = try SnapshotCheck()
        try transfer.play(bytes)
    } seeds: {
        let offer = Samples.bytes { Samples.offer.encode(into: &$0) }
        let stream = SnapshotCheck.packed([9, 9])
        return [
            FuzzSeed("offer", [0, UInt8(offer.count)] + offer + [3, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
            FuzzSeed("whole", [1, 2, 5, 0, 3, 2, 9, 9, 3, 3, 7, 7, 7, 5, 0]),
            FuzzSeed("gap", [1, 2, 4, 0, 2, 10, 1, 0, 0, 0, 0, 0, 0, 0, 9, 9]),
            FuzzSeed("bad end", [1, 2, 1, 0, 3, 1, 5, 4, 12] + [UInt8](repeating: 1, count: 12)),
            FuzzSeed("out of turn", [6, 1, 9, 3, 1, 7]),
            FuzzSeed("packed", [1, 2, 5, 0, 7, 2, 9, 9, 7, 3, 7, 7, 7, 5, 0]),
            FuzzSeed(
                "packed stream",
                [1, 2, 2, 0, 8, UInt8(4 + stream.count), 2, 0, 0, 0] + stream + [5, 0]),
        ]
    }
}

final class SnapshotCheck {
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private static let transport = PeerTransport(group: group, identity: Samples.identity(2))
    private static let node = {
        let node = SnapshotTaker()
        transport.attach(node)
        return node
    }()
    /// One transfer at a time, as the taker counts.
    private static let turn = Mutex(())

    private let socket: Int32
    /// As one snapshot.
    private var sent: [UInt8] = []
    /// What was sent when an end was.
    private var claimed: [[UInt8]] = []

    init() throws(Complaint) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
            throw Complaint("no sockets: errno \(errno)")
        }
        socket = ends[0]
        var patience = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(
            socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let transport = Self.transport
        do {
            _ = try ClientBootstrap(group: Self.group)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            PreambleHandler(transport: transport))
                    }
                }
                .withConnectedSocket(ends[1]).wait()
        } catch {
            throw Complaint("no connection: \(error)")
        }
    }

    deinit { close(socket) }

    func play(_ bytes: [UInt8]) throws(Complaint) {
        let node = Self.node
        try Self.turn.withLock { (_) throws(Complaint) in
            node.begin()
            say(
                Samples.bytes { writer in
                    writer.writePreamble(.snapshot)
                    writer.writeFrame(.introduction) { FrameCheck.introduction.encode(into: &$0) }
                })
            var rest = bytes[...]
            while let step = rest.popFirst(), let count = rest.popFirst() {
                take(step, Array(rest.prefix(Int(count))))
                rest = rest.dropFirst(Int(count))
            }
            take(5, [])
            try end(node)
        }
    }

    private func end(_ node: SnapshotTaker) throws(Complaint) {
        while let kind = try answer() {
            // The sender of what was rejected closes.
            if kind == .rejected || kind == .refusal { break }
        }
        shutdown(socket, Int32(SHUT_WR))
        while try answer() != nil {}
        let outcome = node.outcome()
        try Complaint.unless(
            outcome.accepted == outcome.ended,
            "\(outcome.accepted) transfers, \(outcome.ended) ends")
        if let content = outcome.content {
            try Complaint.unless(
                claimed.contains(content), "\(content) was installed, of \(claimed)")
        }
        try Complaint.unless(!outcome.leavesFile, "a transfer that failed left its file")
    }

    private func take(_ step: UInt8, _ content: [UInt8]) {
        switch step % 9 {
        case 0: offer(content)
        case 1:
            var offer = Samples.offer
            offer.byteCount = content.prefix(2).reversed().reduce(0) { $0 << 8 | UInt64($1) }
            self.offer(Samples.bytes { offer.encode(into: &$0) })
        case 2:
            frame(.chunk, content)
            let place = content.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
            if content.count >= 8, place == sent.count { sent += content.dropFirst(8) }
        case 3:
            frame(.chunk, Samples.bytes { $0.write(UInt64(sent.count)) } + content)
            sent += content
        case 4:
            claimed.append(sent)
            frame(.end, content)
        case 5:
            claimed.append(sent)
            let end = Samples.bytes {
                $0.write(UInt64(sent.count))
                $0.write(CRC32C(sent).value)
            }
            frame(.end, end)
        case 6: frame(Frame.Kind(rawValue: content.first ?? 0) ?? .demand, content)
        case 7: packedChunk(content.count, Self.packed(content))
        default:
            let count = content.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            packedChunk(count, Array(content.dropFirst(4)))
        }
    }

    /// At the place where the next belongs, with the size that it is said to have unpacked.
    private func packedChunk(_ count: Int, _ stream: [UInt8]) {
        frame(
            .packedChunk,
            Samples.bytes {
                $0.write(UInt64(sent.count))
                $0.write(UInt32(clamping: count))
                $0.writeRaw(stream)
            })
        sent += Self.unpacked(stream, count)
    }

    static func packed(_ bytes: [UInt8]) -> [UInt8] {
        let writer = GzipWriter()
        do throws(GzipError) { return try writer.add(bytes, isLast: true) } catch { return [] }
    }

    /// What a receiver makes of it; nothing of what it refuses.
    private static func unpacked(_ stream: [UInt8], _ count: Int) -> [UInt8] {
        var reader = GzipReader(limit: count)
        var bytes: [UInt8] = []
        do throws(GzipError) {
            try reader.add(stream) { bytes += $0 }
            try reader.end()
        } catch {
            return []
        }
        return bytes.count == count ? bytes : []
    }

    /// A sender waits for what is said to its offer.
    private func offer(_ content: [UInt8]) {
        frame(.offer, content)
        _ = try? answer()
    }

    private func frame(_ kind: Frame.Kind, _ content: [UInt8]) {
        say(Samples.bytes { writer in writer.writeFrame(kind) { $0.writeRaw(content) } })
    }

    /// What the other end has closed for takes nothing more.
    private func say(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// The kind of the next frame; nil at the end.
    private func answer() throws(Complaint) -> Frame.Kind? {
        guard let header = try read(Frame.headerSize) else { return nil }
        guard try read(Int(Checksums.number(header, at: 0))) != nil else { return nil }
        return Frame.Kind(rawValue: header[4])
    }

    private func read(_ count: Int) throws(Complaint) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = bytes.withUnsafeMutableBytes {
                recv(socket, $0.baseAddress?.advanced(by: filled), count - filled, 0)
            }
            if got < 0, errno == EINTR { continue }
            if got < 0, errno == EAGAIN { throw Complaint("the transfer does not end") }
            guard got > 0 else { return nil }
            filled += got
        }
        return bytes
    }
}
