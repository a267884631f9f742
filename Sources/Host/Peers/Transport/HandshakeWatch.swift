import NIOCore
import NIOTLS

/// Stands behind the handler that encrypts, until it has shaken hands with the other end: then, or when
/// that failed or took too long, it says so and leaves.
final class HandshakeWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let limit: TimeAmount
    private let done: (Result<Void, any Error>) -> Void
    private var isDone = false
    private var deadline: Scheduled<Void>?

    /// - Parameter done: called once, on the loop; before it nothing has come of what was encrypted.
    init(limit: TimeAmount, _ done: @escaping (Result<Void, any Error>) -> Void) {
        self.limit = limit
        self.done = done
    }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: limit) {
            self.finish(.failure(ChannelError.connectTimeout(self.limit)), context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { finish(.success(()), context) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isDone { return context.fireErrorCaught(error) }
        finish(.failure(error), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.failure(ChannelError.eof), context)
        context.fireChannelInactive()
    }

    private func finish(_ result: Result<Void, any Error>, _ context: ChannelHandlerContext) {
        guard !isDone else { return }
        isDone = true
        deadline?.cancel()
        if case .failure = result { context.close(promise: nil) }
        done(result)
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
