import Gzip
import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Synchronization
import Wire

/// One outgoing snapshot: offers it, and once it is accepted streams it chunk by chunk, reading the
/// next only when the connection takes more.
final class SnapshotSender: ChannelInboundHandler {
    typealias InboundIn = FrameBatch
    typealias Completion = @Sendable (Result<Void, TransportError>) -> Void

    private enum Phase {
        case offered
        case streaming
        /// All is sent; the receiver verifies and installs.
        case ended
        case done
    }

    /// A piece of the source with the checksum of everything up to its end.
    private struct Piece {
        var bytes: [UInt8]
        var checksum: CRC32C
        /// The same, packed, where it goes so and is smaller.
        var packed: [UInt8]?
    }

    private let transport: PeerTransport
    private let offer: SnapshotOffer
    private let source: any SnapshotReading
    private let address: PeerAddress
    private let completion: Completion

    private var phase = Phase.offered
    private var offset: UInt64 = 0
    private var checksum = CRC32C()
    private var isReading = false
    /// The receiver takes packed chunks, and this node packs them.
    private var packs = false
    private var lastProgress = NIODeadline.now()
    private var endedAt = NIODeadline.now()
    /// All must be sent by then.
    private let deadline: NIODeadline
    /// How the transfer ended while a piece was being read: told when the source is left alone.
    private var outcome: Result<Void, TransportError>?
    private var watchdog: Scheduled<Void>?

    /// - Parameter completion: called once; the source is not read any more then.
    init(
        transport: PeerTransport, offer: SnapshotOffer, source: any SnapshotReading,
        address: PeerAddress, completion: @escaping Completion
    ) {
        self.transport = transport
        self.offer = offer
        self.source = source
        self.address = address
        self.completion = completion
        deadline = .now() + transport.limits.snapshotTime(for: offer.byteCount)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        progressed()
        armWatchdog(context)
        var writer = ByteWriter(reserving: 256)
        writer.writeFrame(.offer) { offer.encode(into: &$0) }
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: writer.bytes)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        progressed()
        for frame in batch.frames {
            switch (frame.kind, phase) {
            case (.accepted, .offered):
                phase = .streaming
                var reader = batch.reader(of: frame)
                packs = transport.limits.packsSnapshots && (try? reader.readByte()) == 1
                sendMore(context)
            case (.installing, .ended): break
            case (.installed, .ended): finish(context, .success(()))
            case (.rejected, _):
                var reader = batch.reader(of: frame)
                let text = (try? reader.readText()) ?? "for no stated reason"
                fail(context, .refused, "the snapshot was rejected: \(text)")
            case (_, .done): return
            default: fail(context, .corrupted, "protocol violation in a snapshot transfer")
            }
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if phase == .streaming { sendMore(context) }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(context, .failure(TransportError(error, address: address.rawValue)))
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(context, .connectionLost, "the connection broke during a snapshot transfer")
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is Cancel {
            fail(context, .cancelled, "the snapshot transfer was cancelled")
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// The event that ends a transfer early.
    struct Cancel: Sendable {}

    private func sendMore(_ context: ChannelHandlerContext) {
        guard !isReading, context.channel.isWritable else { return }
        let left = offer.byteCount - offset
        guard left > 0 else { return sendEnd(context) }
        let count = Int(min(left, UInt64(transport.limits.snapshotChunkBytes)))
        isReading = true
        let (source, offset, checksum, packs) = (source, offset, checksum, packs)
        transport.storageThreads.runIfActive(eventLoop: context.eventLoop) { () throws -> Piece in
            let bytes = try source.read(at: offset, count: count)
            var checksum = checksum
            checksum.update(bytes)
            let packed = packs ? try GzipWriter().add(bytes, isLast: true) : nil
            return Piece(
                bytes: bytes, checksum: checksum,
                packed: packed.flatMap { $0.count < bytes.count ? $0 : nil })
        }.assumeIsolated().whenComplete { result in
            self.isReading = false
            if let outcome = self.outcome { return self.completion(outcome) }
            switch result {
            case .success(let piece) where piece.bytes.count == count:
                self.send(piece, context)
            case .success(let piece):
                self.fail(
                    context, .storage,
                    "\(piece.bytes.count) of \(count) bytes read at \(offset) of the snapshot")
            case .failure(let error):
                self.fail(context, .storage, "the snapshot can't be read: \(error)")
            }
        }
    }

    private func send(_ piece: Piece, _ context: ChannelHandlerContext) {
        guard phase == .streaming else { return }
        var writer = ByteWriter(reserving: piece.bytes.count + 32)
        if let packed = piece.packed {
            writer.writeFrame(.packedChunk) {
                $0.write(offset)
                $0.write(UInt32(piece.bytes.count))
                $0.writeRaw(packed)
            }
        } else {
            writer.writeFrame(.chunk) {
                $0.write(offset)
                $0.writeRaw(piece.bytes)
            }
        }
        offset += UInt64(piece.bytes.count)
        checksum = piece.checksum
        transport.sentFiles.withLock {
            $0.wireBytes += UInt64(piece.packed?.count ?? piece.bytes.count)
            $0.fileBytes += UInt64(piece.bytes.count)
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenSuccess { self.progressed() }
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: writer.bytes)), promise: written)
        sendMore(context)
    }

    private func sendEnd(_ context: ChannelHandlerContext) {
        phase = .ended
        endedAt = .now()
        var writer = ByteWriter(reserving: 32)
        writer.writeFrame(.end) {
            $0.write(offer.byteCount)
            $0.write(checksum.value)
        }
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: writer.bytes)), promise: nil)
    }

    private func progressed() { lastProgress = .now() }

    private func armWatchdog(_ context: ChannelHandlerContext) {
        watchdog = context.eventLoop.assumeIsolated().scheduleTask(
            in: transport.limits.watchInterval
        ) {
            self.watch(context)
            if self.phase != .done { self.armWatchdog(context) }
        }
    }

    private func watch(_ context: ChannelHandlerContext) {
        let limits = transport.limits
        if lastProgress + limits.snapshotStallTimeout < .now() {
            let seconds = limits.snapshotStallTimeout.nanoseconds / 1_000_000_000
            fail(context, .timedOut, "a snapshot transfer made no progress for \(seconds) s")
        } else if phase != .ended, deadline < .now() {
            let seconds = limits.snapshotTime(for: offer.byteCount).nanoseconds / 1_000_000_000
            fail(
                context, .timedOut,
                "\(offset) of the snapshot's \(offer.byteCount) bytes were sent in the \(seconds) s "
                    + "that it may take")
        } else if phase == .ended, endedAt + limits.installTime(for: offer.byteCount) < .now() {
            fail(context, .timedOut, "the receiver did not install the snapshot in time")
        }
    }

    private func fail(
        _ context: ChannelHandlerContext, _ reason: TransportError.Reason, _ cause: String
    ) {
        let error = TransportError(reason, address: address.rawValue, cause: cause)
        finish(context, .failure(error))
    }

    private func finish(
        _ context: ChannelHandlerContext, _ result: Result<Void, TransportError>
    ) {
        guard phase != .done else { return }
        phase = .done
        watchdog?.cancel()
        context.close(promise: nil)
        if isReading { outcome = result } else { completion(result) }
    }
}
