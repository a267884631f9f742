import Gzip
import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Synchronization
import Wire

/// The accepting end of a snapshot transfer. Chunks are written on a thread that may block; while
/// one is being written nothing more is read of the connection, so that TCP slows the sender down.
///
///     awaitingOffer → deciding → creating → receiving → verifying → installing → done
///
/// Whatever ends it before `installing` closes and deletes the file, and only then is the delegate
/// told that the transfer failed. From `installing` on the file is the delegate's.
final class SnapshotReceiver: ChannelDuplexHandler {
    typealias InboundIn = FrameBatch
    typealias OutboundIn = ByteBuffer

    private enum Phase {
        case awaitingOffer
        /// The delegate thinks about it.
        case deciding
        case creating(Accepted)
        case receiving(Accepted, SnapshotFile)
        case verifying(Accepted, SnapshotFile)
        /// The file is the delegate's.
        case installing
        case done
    }

    private struct Accepted {
        var id: IncomingSnapshotID
        var offer: SnapshotOffer
    }

    /// The event that ends a transfer by the delegate's order.
    struct Stop: Sendable {
        var id: IncomingSnapshotID
        var reason: String
    }

    private struct Chunk {
        var offset: UInt64
        var bytes: ArraySlice<UInt8>
        /// What they are when they are unpacked; nil: they are as they are.
        var unpackedCount: Int?
    }

    private struct End {
        var byteCount: UInt64
        var checksum: UInt32
    }

    private struct Rejection: Error {
        var text: String
    }

    private let transport: PeerTransport
    private let delegate: any PeerDelegate
    private let caller: PeerCaller

    private var phase = Phase.awaitingOffer
    /// All must have arrived by then.
    private var deadline: NIODeadline?
    private var chunks: [Chunk] = []
    private var end: End?
    private var isWriting = false
    private var holdsRead = false
    private var lastProgress = NIODeadline.now()
    private var watchdog: Scheduled<Void>?
    /// Why the transfer ended while its file was being created.
    private var endedBy = TransportError(.other, address: "", cause: "it has not ended")

    init(transport: PeerTransport, delegate: any PeerDelegate, caller: PeerCaller) {
        self.transport = transport
        self.delegate = delegate
        self.caller = caller
    }

    func handlerAdded(context: ChannelHandlerContext) {
        armWatchdog(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        watchdog?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        lastProgress = .now()
        do {
            for frame in batch.frames {
                var reader = batch.reader(of: frame)
                switch (frame.kind, phase) {
                case (.offer, .awaitingOffer):
                    decide(context, try SnapshotOffer(from: &reader))
                case (.chunk, .receiving) where end == nil:
                    let offset: UInt64 = try reader.read()
                    let bytes = batch.bytes[frame.payload.dropFirst(8)]
                    chunks.append(Chunk(offset: offset, bytes: bytes))
                case (.packedChunk, .receiving) where end == nil:
                    let offset: UInt64 = try reader.read()
                    let count: UInt32 = try reader.read()
                    guard Int(count) <= transport.limits.maxUnpackedChunkBytes else {
                        throw FrameParser.Violation.malformed("a packed chunk is too large")
                    }
                    let bytes = batch.bytes[frame.payload.dropFirst(12)]
                    chunks.append(Chunk(offset: offset, bytes: bytes, unpackedCount: Int(count)))
                case (.end, .receiving) where end == nil:
                    end = End(byteCount: try reader.read(), checksum: try reader.read())
                case (_, .done): return
                default: throw FrameParser.Violation.malformed("a frame out of turn")
                }
            }
            writeMore(context)
        } catch {
            context.fireErrorCaught(
                error is WireError
                    ? FrameParser.Violation.malformed("a snapshot frame can't be read") : error)
        }
    }

    func read(context: ChannelHandlerContext) {
        if isBusy { holdsRead = true } else { context.read() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        abandon(
            TransportError(
                .connectionLost, address: caller.remoteAddress,
                cause: "the connection broke during a snapshot transfer"))
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let stop = event as? Stop else {
            return context.fireUserInboundEventTriggered(event)
        }
        switch phase {
        case .creating(let accepted), .receiving(let accepted, _), .verifying(let accepted, _):
            if accepted.id == stop.id { reject(context, stop.reason) }
        case .awaitingOffer, .deciding, .installing, .done: break
        }
    }

    private var isBusy: Bool {
        switch phase {
        case .deciding, .creating: true
        default: isWriting
        }
    }

    private func readAgain(_ context: ChannelHandlerContext) {
        guard holdsRead, !isBusy else { return }
        holdsRead = false
        context.read()
    }

    /// Runs a step that may block, and goes on with its result on the loop.
    private func perform<T: Sendable>(
        _ context: ChannelHandlerContext, _ step: @escaping @Sendable () throws -> T,
        then next: @escaping (Result<T, any Error>) -> Void
    ) {
        transport.storageThreads.runIfActive(eventLoop: context.eventLoop, step)
            .assumeIsolated().whenComplete(next)
    }
}

// MARK: Steps

extension SnapshotReceiver {
    private func decide(_ context: ChannelHandlerContext, _ offer: SnapshotOffer) {
        // Nobody offers another's snapshot: who speaks on a connection is known from it.
        guard offer.id.sender == caller.identity.id else {
            let text = "node \(caller.identity.id) offers a snapshot of node \(offer.id.sender)"
            reject(context, text)
            return delegate.brokeProtocol(caller.identity, cause: text)
        }
        phase = .deciding
        let (transport, channel, loop) = (transport, context.channel, context.eventLoop)
        let here = NIOLoopBound((receiver: self, context: context), eventLoop: loop)
        delegate.prepareSnapshot(offer, from: caller) { decision in
            // Known before the caller goes on, so that its order to stop finds it.
            if case .accept(let id, _) = decision { transport.receiving(id, on: channel) }
            loop.execute { here.value.receiver.decided(here.value.context, offer, decision) }
        }
    }

    private func decided(
        _ context: ChannelHandlerContext, _ offer: SnapshotOffer, _ decision: SnapshotDecision
    ) {
        switch (decision, phase) {
        case (.accept(let id, let path), .deciding):
            create(context, Accepted(id: id, offer: offer), path)
        case (.accept(let id, _), _):
            // The connection has ended meanwhile.
            let error = TransportError(ChannelError.eof, address: caller.remoteAddress)
            discard(Accepted(id: id, offer: offer), nil, error)
        case (.refuse(let text), .deciding): reject(context, text)
        case (.refuse, _): break
        }
    }

    private func create(
        _ context: ChannelHandlerContext, _ accepted: Accepted, _ path: String
    ) {
        phase = .creating(accepted)
        let byteCount = accepted.offer.byteCount
        deadline = .now() + transport.limits.snapshotTime(for: byteCount)
        perform(context) {
            try SnapshotFile(path: path, for: byteCount)
        } then: { result in
            switch (result, self.phase) {
            case (.success(let file), .creating):
                self.phase = .receiving(accepted, file)
                self.lastProgress = .now()
                self.send(context, .accepted, saying: [1])
            case (.success(let file), _):
                // Ended meanwhile; what ended it has not told the delegate yet.
                self.discard(accepted, file, self.endedBy)
            case (.failure(let error), .creating):
                self.reject(context, "\(error)")
                self.discard(accepted, nil, self.endedBy)
            case (.failure, _): self.discard(accepted, nil, self.endedBy)
            }
            self.readAgain(context)
        }
    }

    private func writeMore(_ context: ChannelHandlerContext) {
        guard !isWriting, case .receiving(let accepted, let file) = phase else { return }
        guard !chunks.isEmpty else {
            if let end { verify(context, accepted, file, end) }
            return
        }
        let byteCount = accepted.offer.byteCount
        isWriting = true
        let pending = chunks
        chunks = []
        perform(context) { [transport] in
            for chunk in pending {
                let expected = file.byteCount
                let count = chunk.unpackedCount ?? chunk.bytes.count
                guard chunk.offset == expected, UInt64(count) <= byteCount - expected
                else { throw Rejection(text: "a chunk at \(chunk.offset) instead of \(expected)") }
                try file.append(try Self.unpacked(chunk))
                transport.receivedFiles.withLock {
                    $0.wireBytes += UInt64(chunk.bytes.count)
                    $0.fileBytes += UInt64(count)
                }
            }
        } then: { result in
            self.isWriting = false
            self.lastProgress = .now()
            switch result {
            case .success: self.writeMore(context)
            case .failure(let error):
                self.reject(context, (error as? Rejection)?.text ?? "\(error)")
            }
            self.readAgain(context)
        }
    }

    /// On a thread that may block; no more than the chunk says of itself is made of it.
    private static func unpacked(_ chunk: Chunk) throws -> ArraySlice<UInt8> {
        guard let count = chunk.unpackedCount else { return chunk.bytes }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        do throws(GzipError) {
            var reader = GzipReader(limit: count)
            try reader.add(Array(chunk.bytes)) { bytes += $0 }
            try reader.end()
        } catch {
            throw Rejection(text: "a packed chunk at \(chunk.offset) can't be unpacked: \(error)")
        }
        guard bytes.count == count else {
            throw Rejection(
                text:
                    "a packed chunk at \(chunk.offset) has \(bytes.count) bytes instead of \(count)"
            )
        }
        return bytes[...]
    }

    private func verify(
        _ context: ChannelHandlerContext, _ accepted: Accepted, _ file: SnapshotFile, _ end: End
    ) {
        phase = .verifying(accepted, file)
        let byteCount = accepted.offer.byteCount
        perform(context) {
            guard file.byteCount == byteCount, end.byteCount == byteCount else {
                throw Rejection(text: "\(file.byteCount) of \(byteCount) bytes arrived")
            }
            try file.finish(expecting: byteCount, checksum: end.checksum)
        } then: { result in
            guard case .verifying = self.phase else { return }
            switch result {
            case .success: self.install(context, accepted, file)
            case .failure(let error):
                self.reject(context, (error as? Rejection)?.text ?? "\(error)")
            }
        }
    }

    private func install(
        _ context: ChannelHandlerContext, _ accepted: Accepted, _ file: SnapshotFile
    ) {
        phase = .installing
        file.release()
        transport.received(accepted.id)
        let (delegate, loop) = (delegate, context.eventLoop)
        let here = NIOLoopBound((receiver: self, context: context), eventLoop: loop)
        // It must reach the delegate even when the connection breaks or the node stops now.
        transport.storageThreads.submit { _ in
            delegate.snapshotReceived(accepted.id, accepted.offer, path: file.path) { problem in
                loop.execute { here.value.receiver.installed(here.value.context, problem) }
            }
        }
    }

    private func installed(_ context: ChannelHandlerContext, _ problem: String?) {
        guard case .installing = phase else { return }
        if let problem { return reject(context, problem) }
        phase = .done
        send(context, .installed)
        context.close(mode: .output, promise: nil)
    }

    private func send(
        _ context: ChannelHandlerContext, _ kind: Frame.Kind, saying payload: [UInt8] = []
    ) {
        var writer = ByteWriter(reserving: Frame.headerSize + payload.count)
        writer.writeFrame(kind) { $0.writeRaw(payload) }
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: writer.bytes)), promise: nil)
    }

    /// Says why, and reads on without listening until the sender has closed: closing first, with
    /// chunks unread, would reset the connection and might overtake the reason.
    private func reject(_ context: ChannelHandlerContext, _ text: String) {
        if case .done = phase { return }
        abandon(
            TransportError(
                .storage, address: caller.remoteAddress, cause: "the snapshot was rejected: \(text)"
            ))
        var writer = ByteWriter(reserving: 64)
        writer.writeFrame(.rejected) { $0.write(text) }
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: writer.bytes)), promise: nil)
        context.close(mode: .output, promise: nil)
    }

    /// Ends the transfer on this side.
    private func abandon(_ error: TransportError) {
        let ended = phase
        phase = .done
        chunks = []
        switch ended {
        case .receiving(let accepted, let file), .verifying(let accepted, let file):
            discard(accepted, file, error)
        case .creating: endedBy = error
        case .awaitingOffer, .deciding, .installing, .done: break
        }
    }

    /// Tells the delegate when nothing is left of the transfer.
    private func discard(_ accepted: Accepted, _ file: SnapshotFile?, _ error: TransportError) {
        let (transport, delegate) = (transport, delegate)
        transport.storageThreads.submit { _ in
            file?.abandon()
            transport.received(accepted.id)
            delegate.snapshotFailed(accepted.id, accepted.offer, error: error)
        }
    }

    private func armWatchdog(_ context: ChannelHandlerContext) {
        watchdog = context.eventLoop.assumeIsolated().scheduleTask(
            in: transport.limits.watchInterval
        ) {
            self.armWatchdog(context)
            self.watch(context)
        }
    }

    private func watch(_ context: ChannelHandlerContext) {
        switch phase {
        case .verifying, .installing: send(context, .installing)
        case .deciding, .creating: break
        case .receiving where deadline.map { $0 < .now() } ?? false:
            reject(context, "it takes too long: less than the least rate arrived")
        case .receiving where isWriting: break
        case .awaitingOffer, .receiving, .done:
            let limit = transport.limits.snapshotStallTimeout
            guard lastProgress + limit < .now() else { return }
            abandon(.timedOut(caller.remoteAddress, after: limit))
            context.close(promise: nil)
        }
    }
}
