import NIOCore
import PeerProtocol

/// Stands on a dialled connection whose other end shows the certificate of another node than the one that is
/// wanted. An honest node refuses such a connection and says who it is, so that the wanted one is looked for:
/// that is let through, and nothing else in either direction. Installed behind the preamble.
final class IdentityMismatchHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private static let kindOffset = 4

    private let error: TransportError
    private let limit: TimeAmount
    private var head = ByteBuffer()
    private var isRefusal = false
    private var hasFailed = false
    private var deadline: Scheduled<Void>?

    /// - Parameters:
    ///   - error: why nothing is said to the other end.
    ///   - limit: for its refusal.
    init(_ error: TransportError, limit: TimeAmount) {
        self.error = error
        self.limit = limit
    }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: limit) {
            self.fail(context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        promise?.fail(error)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        guard !hasFailed else { return }
        guard !isRefusal else { return context.fireChannelRead(wrapInboundOut(bytes)) }
        head.writeBuffer(&bytes)
        let kind = head.getInteger(at: head.readerIndex + Self.kindOffset, as: UInt8.self)
        guard let kind else { return }
        guard kind == Frame.Kind.refusal.rawValue else { return fail(context) }
        isRefusal = true
        context.fireChannelRead(wrapInboundOut(head))
    }

    private func fail(_ context: ChannelHandlerContext) {
        guard !hasFailed else { return }
        hasFailed = true
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }
}
