import NIOCore
import PeerProtocol
import Raft
import Rights
import Wire

/// The accepting end of a connection for questions. The dialer asks one and closes; more are
/// answered one after the other. Nothing is read while one is open or its answer not written, and a
/// connection that is idle for long is closed.
final class CallResponder: ChannelDuplexHandler {
    typealias InboundIn = FrameBatch
    typealias OutboundIn = ByteBuffer

    private enum Question: Sendable {
        case known(PeerRequest, Credential)
        case unknown(kind: UInt8)
    }

    /// Of one read. Who dials asks one.
    private static let mostWaiting = 256

    private let delegate: any PeerDelegate
    private let caller: PeerCaller
    private let limits: TransportLimits
    /// Of one read, not asked yet.
    private var waiting: [Question] = []
    private var isAsking = false
    /// Of the question that is open: a second reply to an earlier one is none to it.
    private var number: UInt64 = 0
    private var holdsRead = false
    private var lastUse = NIODeadline.now()
    private var watchdog: Scheduled<Void>?

    init(delegate: any PeerDelegate, caller: PeerCaller, limits: TransportLimits) {
        self.delegate = delegate
        self.caller = caller
        self.limits = limits
    }

    func handlerAdded(context: ChannelHandlerContext) { watch(context) }

    func handlerRemoved(context: ChannelHandlerContext) {
        watchdog?.cancel()
        waiting = []
        caller.asker.leave()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        do {
            for frame in batch.frames where frame.kind == .request {
                var reader = batch.reader(of: frame)
                if let request = try PeerRequest(from: &reader) {
                    waiting.append(.known(request, try Credential(atEndOf: &reader)))
                } else {
                    waiting.append(.unknown(kind: batch.bytes[frame.payload.lowerBound]))
                }
            }
        } catch {
            return refuse("a request can't be read: \(error)", context)
        }
        guard waiting.count <= Self.mostWaiting else {
            return refuse("more than \(Self.mostWaiting) questions at a time", context)
        }
        askNext(context)
    }

    private func refuse(_ cause: String, _ context: ChannelHandlerContext) {
        waiting = []
        context.fireErrorCaught(FrameParser.Violation.malformed(cause))
    }

    func read(context: ChannelHandlerContext) {
        if isBusy(context) { holdsRead = true } else { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        askNext(context)
        context.fireChannelWritabilityChanged()
    }

    private func isBusy(_ context: ChannelHandlerContext) -> Bool {
        isAsking || !waiting.isEmpty || !context.channel.isWritable
    }

    private func askNext(_ context: ChannelHandlerContext) {
        while !isAsking, !waiting.isEmpty, context.channel.isActive, context.channel.isWritable {
            lastUse = .now()
            switch waiting.removeFirst() {
            case .unknown(let kind): send(.unsupported(kind: kind), context)
            case .known(.join(let join), _) where join.identity != caller.identity:
                // By its introduction, which a certificate may vouch for.
                let text = "node \(caller.identity.id) asks to join as node \(join.identity.id)"
                send(.failed(text), context)
            case .known(let request, let credential): ask(request, credential, context)
            }
        }
        guard holdsRead, !isBusy(context) else { return }
        holdsRead = false
        context.read()
    }

    private func ask(
        _ request: PeerRequest, _ credential: Credential, _ context: ChannelHandlerContext
    ) {
        var caller = caller
        caller.credential = credential
        isAsking = true
        number += 1
        let number = number
        let here = NIOLoopBound((responder: self, context: context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        delegate.answer(request, from: caller) { answer in
            loop.execute {
                let (responder, context) = here.value
                guard responder.isAsking, responder.number == number else { return }
                responder.isAsking = false
                responder.lastUse = .now()
                responder.send(answer, context)
                responder.askNext(context)
            }
        }
    }

    private func send(_ answer: PeerAnswer, _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        let limit = limits.maxCallBytes
        var writer = ByteWriter(reserving: 256)
        writer.writeFrame(.answer) { answer.encode(into: &$0) }
        if writer.count - Frame.headerSize > limit {
            let size = writer.count
            writer = ByteWriter()
            let text = "the answer of \(size) bytes is over the limit of \(limit)"
            writer.writeFrame(.answer) { PeerAnswer.failed(text).encode(into: &$0) }
        }
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: writer.bytes)), promise: nil)
    }

    private func watch(_ context: ChannelHandlerContext) {
        watchdog = context.eventLoop.assumeIsolated().scheduleTask(in: limits.callIdleTimeout) {
            guard self.lastUse + self.limits.callIdleTimeout > .now() else {
                return context.close(promise: nil)
            }
            self.watch(context)
        }
    }
}
