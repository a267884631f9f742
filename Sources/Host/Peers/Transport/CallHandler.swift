import NIOCore
import PeerProtocol
import Wire

/// The dialing end of a question: sends it, takes one answer, closes.
final class CallHandler: ChannelInboundHandler {
    typealias InboundIn = FrameBatch

    private let promise: EventLoopPromise<PeerAnswer>
    private let address: String
    private var isAnswered = false

    /// - Parameter promise: may be completed from elsewhere too, by its owner's deadline.
    init(promise: EventLoopPromise<PeerAnswer>, address: String) {
        self.promise = promise
        self.address = address
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        guard let frame = batch.frames.first(where: { $0.kind == .answer }) else { return }
        do {
            var reader = batch.reader(of: frame)
            finish(.success(try PeerAnswer(from: &reader)))
        } catch {
            let cause = "its answer can't be read: \(error)"
            finish(.failure(TransportError(.corrupted, address: address, cause: cause)))
        }
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(.failure(TransportError(error, address: address)))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let cause = "closed the connection without an answer"
        finish(.failure(TransportError(.connectionLost, address: address, cause: cause)))
        context.fireChannelInactive()
    }

    private func finish(_ result: Result<PeerAnswer, any Error>) {
        guard !isAnswered else { return }
        isAnswered = true
        promise.completeWith(result)
    }
}
