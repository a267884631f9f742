import NIOCore
import NIOEmbedded
import NIOPosix
import PeerProtocol
import Raft
import Service
import Wire

@testable import Transport

/// What a dialer says from its first byte on: preamble, introduction, and frames for what the
/// connection is for.
///
///     offset  size  input
///          0     1  bit 0: the frames' checksums are set right; bits 1 to 7: so many bytes, and one
///                   more, come at a time
///          1     …  the bytes of the connection
extension FuzzTarget {
    static let frames = FuzzTarget(name: "frames", largestInput: 8192) {
        bytes throws(Complaint) in
        guard let first = bytes.first else { return }
        var said = Array(bytes.dropFirst())
        if first & 1 == 1 { Checksums.mendFrames(&said, from: Frame.preambleSize) }
        let piece = Int(first >> 1) + 1
        try FrameCheck.compare(said, piece: piece)
        try FrameCheck.converse(said, piece: piece)
    } seeds: {
        let kinds: [(ConnectionPurpose, [(Frame.Kind, PeerMessageKind)])] = [
            (.messages, [(.message, .raft)]), (.calls, [(.request, .request)]),
            (.forwarding, [(.clientRequest, .clientRequest)]), (.snapshot, [(.offer, .offer)]),
        ]
        return kinds.map { purpose, frames in
            let said = Samples.bytes { writer in
                writer.writePreamble(purpose)
                writer.writeFrame(.introduction) { FrameCheck.introduction.encode(into: &$0) }
                for (kind, messages) in frames {
                    for sample in messages.samples {
                        writer.writeFrame(kind) { $0.writeRaw(sample) }
                    }
                }
                guard purpose == .forwarding else { return }
                writer.writeFrame(.demand) {
                    $0.write(UInt64(5))
                    $0.write(UInt32(1000))
                }
                writer.writeFrame(.recall) { $0.write(UInt64(5)) }
            }
            return FuzzSeed("\(purpose)", [0xFF] + said)
        }
    }
}

enum FrameCheck {
    /// Kept: an accepting end is, too.
    private static let transport = PeerTransport(
        group: MultiThreadedEventLoopGroup.singleton, identity: Samples.identity(2),
        limits: limits)
    /// What is announced is within a fuzzer's bound on memory.
    private static let limits = {
        var limits = TransportLimits()
        limits.maxFrameBytes = 8 << 20
        return limits
    }()
    private static let node = {
        let node = PeerDouble()
        transport.attach(node)
        return node
    }()

    static let introduction = Introduction(
        identity: Samples.identity, cluster: Samples.cluster, address: Samples.address(1))

    /// Frames are the same however their bytes arrive. Of those that come with what is refused, some may
    /// not be told: all that has arrived is looked at together.
    static func compare(_ bytes: [UInt8], piece: Int) throws(Complaint) {
        let whole = parsed(bytes, piece: max(bytes.count, 1))
        let inPieces = parsed(bytes, piece: piece)
        let fewer = min(whole.frames.count, inPieces.frames.count)
        let isSame =
            whole.isRefused && inPieces.isRefused
            ? whole.frames.prefix(fewer) == inPieces.frames.prefix(fewer) : whole == inPieces
        try Complaint.unless(
            isSame, "frames \(whole) became \(inPieces) in pieces of \(piece)")
    }

    private struct Parsed: Equatable {
        var frames: [String] = []
        var isRefused = false
    }

    private static func parsed(_ bytes: [UInt8], piece: Int) -> Parsed {
        var parser = FrameParser(limit: 4096, largeBytes: 512)
        var found = Parsed()
        var rest = bytes[...]
        while !rest.isEmpty {
            var buffer = ByteBuffer(bytes: rest.prefix(piece))
            rest = rest.dropFirst(piece)
            parser.append(&buffer)
            do throws(FrameParser.Violation) {
                while let next = try parser.next() {
                    switch next {
                    case .batch(let batch):
                        found.frames += batch.frames.map {
                            "\($0.rawKind) \(batch.bytes[$0.payload])"
                        }
                    case .large(let frame):
                        let batch = FrameBatch(large: frame)
                        found.frames += batch.frames.map {
                            "\($0.rawKind) \(batch.bytes[$0.payload])"
                        }
                    }
                }
            } catch {
                found.isRefused = true
                return found
            }
        }
        return found
    }

    static func converse(_ bytes: [UInt8], piece: Int) throws(Complaint) {
        _ = node
        let channel = EmbeddedChannel()
        do {
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            try channel.pipeline.syncOperations.addHandler(PreambleHandler(transport: transport))
        } catch {
            throw Complaint("no connection: \(error)")
        }
        channel.feed(bytes, piece: piece)
        var answered = 0
        while let part = try? channel.readOutbound(as: ByteBuffer.self) {
            answered += part.readableBytes
        }
        try Complaint.unless(
            answered <= 64 * bytes.count + 4096, "\(bytes.count) bytes had \(answered) in answer")
        _ = try? channel.finish(acceptAlreadyClosed: true)
    }
}

/// A node that answers at once, and takes no snapshot.
final class PeerDouble: QuietPeer {
    func forwarded(
        _ requests: [ClientRequest], from caller: PeerCaller, replyTo sink: any ReplySink
    ) {
        sink.deliver(requests.map { Reply(id: $0.id, outcome: .done) })
    }
}
