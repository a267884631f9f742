import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Wire

/// The accepting end of a snapshot transfer. Chunks are written on a thread that may block; while
/// one is being written nothing more is read of the connection, so that TCP slows the sender down.
final class SnapshotReceiver: ChannelDuplexHandler {
    typealias InboundIn = FrameBatch
    typealias OutboundIn = ByteBuffer

    private enum Phase {
        case awaitingOffer
        case preparing
        case receiving(SnapshotFile)
        case verifying(SnapshotFile)
        /// The file is the delegate's.
        case installing
        case done
    }

    private struct Chunk {
        var offset: UInt64
        var bytes: ArraySlice<UInt8>
    }

    private struct End {
        var byteCount: UInt64
        var checksum: UInt32
    }

    private struct Rejection: Error {
        var text: String
    }

    private let transport: Transport
    private let delegate: any PeerDelegate
    private let caller: PeerCaller

    private var phase = Phase.awaitingOffer
    private var offer: SnapshotOffer?
    private var chunks: [Chunk] = []
    private var end: End?
    private var isWriting = false
    private var holdsRead = false
    private var lastProgress = NIODeadline.now()
    private var watchdog: Scheduled<Void>?

    init(transport: Transport, delegate: any PeerDelegate, caller: PeerCaller) {
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
                    prepare(context, try SnapshotOffer(from: &reader))
                case (.chunk, .receiving) where end == nil:
                    let offset: UInt64 = try reader.read()
                    let bytes = batch.bytes[frame.payload.dropFirst(8)]
                    chunks.append(Chunk(offset: offset, bytes: bytes))
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

    private var isBusy: Bool {
        if case .preparing = phase { return true }
        return isWriting
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
    private func prepare(_ context: ChannelHandlerContext, _ offer: SnapshotOffer) {
        phase = .preparing
        self.offer = offer
        let (delegate, caller) = (delegate, caller)
        perform(context) { () throws -> SnapshotFile in
            switch delegate.prepareSnapshot(offer, from: caller) {
            case .refuse(let text): throw Rejection(text: text)
            case .accept(let path):
                do {
                    return try SnapshotFile(path: path)
                } catch {
                    let failure = TransportError(
                        .storage, address: caller.remoteAddress, cause: "\(error)")
                    delegate.snapshotFailed(offer, error: failure)
                    throw error
                }
            }
        } then: { result in
            switch (result, self.phase) {
            case (.success(let file), .preparing):
                self.phase = .receiving(file)
                self.lastProgress = .now()
                self.send(context, .accepted)
            case (.success(let file), _):
                // The connection has ended meanwhile.
                self.phase = .receiving(file)
                self.abandon(TransportError(ChannelError.eof, address: caller.remoteAddress))
            case (.failure(let error), .preparing):
                self.reject(context, (error as? Rejection)?.text ?? "\(error)")
            case (.failure, _): break
            }
            self.readAgain(context)
        }
    }

    private func writeMore(_ context: ChannelHandlerContext) {
        guard !isWriting, case .receiving(let file) = phase, let offer else { return }
        guard !chunks.isEmpty else {
            if let end { verify(context, file, offer, end) }
            return
        }
        isWriting = true
        let pending = chunks
        chunks = []
        perform(context) {
            for chunk in pending {
                let expected = file.byteCount
                guard chunk.offset == expected,
                    UInt64(chunk.bytes.count) <= offer.byteCount - expected
                else { throw Rejection(text: "a chunk at \(chunk.offset) instead of \(expected)") }
                try file.append(chunk.bytes)
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

    private func verify(
        _ context: ChannelHandlerContext, _ file: SnapshotFile, _ offer: SnapshotOffer, _ end: End
    ) {
        phase = .verifying(file)
        perform(context) {
            guard file.byteCount == offer.byteCount, end.byteCount == offer.byteCount else {
                throw Rejection(text: "\(file.byteCount) of \(offer.byteCount) bytes arrived")
            }
            guard file.checksum == end.checksum else {
                throw Rejection(text: "the checksum of the whole file is wrong")
            }
            try file.finish()
        } then: { result in
            guard case .verifying = self.phase else { return }
            switch result {
            case .success: self.install(context, file, offer)
            case .failure(let error):
                self.reject(context, (error as? Rejection)?.text ?? "\(error)")
            }
        }
    }

    private func install(
        _ context: ChannelHandlerContext, _ file: SnapshotFile, _ offer: SnapshotOffer
    ) {
        phase = .installing
        let delegate = delegate
        let installed = context.eventLoop.makePromise(of: String?.self)
        perform(context) {
            delegate.snapshotReceived(offer, path: file.path) { installed.succeed($0) }
        } then: { result in
            if case .failure(let error) = result { installed.fail(error) }
        }
        installed.futureResult.assumeIsolated().whenComplete { result in
            guard case .installing = self.phase else { return }
            switch result {
            case .success(nil):
                self.phase = .done
                self.send(context, .installed)
                context.close(mode: .output, promise: nil)
            case .success(let reason?): self.reject(context, reason)
            case .failure(let error): self.reject(context, "\(error)")
            }
        }
    }

    private func send(_ context: ChannelHandlerContext, _ kind: Frame.Kind) {
        var writer = ByteWriter(reserving: Frame.headerSize)
        writer.writeFrame(kind)
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
        case .receiving(let file), .verifying(let file):
            if let offer { delegate.snapshotFailed(offer, error: error) }
            transport.storageThreads.submit { _ in file.abandon() }
        case .awaitingOffer, .preparing, .installing, .done: break
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
        case .preparing: break
        case .receiving where isWriting: break
        case .awaitingOffer, .receiving, .done:
            let limit = transport.limits.snapshotStallTimeout
            guard lastProgress + limit < .now() else { return }
            abandon(.timedOut(caller.remoteAddress, after: limit))
            context.close(promise: nil)
        }
    }
}
