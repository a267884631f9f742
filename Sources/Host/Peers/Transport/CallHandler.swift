import NIOCore
import PeerProtocol
import Raft
import Wire

/// The dialing end of a question: sends it, takes one answer, closes.
final class CallHandler: ChannelInboundHandler {
    typealias InboundIn = FrameBatch

    private let promise: EventLoopPromise<PeerAnswer>
    private let address: String
    private let security: TransportSecurity
    private var isAnswered = false

    /// - Parameters:
    ///   - promise: may be completed from elsewhere too, by its owner's deadline.
    ///   - security: who says that it is a node must be by its certificate, too.
    init(promise: EventLoopPromise<PeerAnswer>, address: String, security: TransportSecurity) {
        self.promise = promise
        self.address = address
        self.security = security
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        guard let frame = batch.frames.first(where: { $0.kind == .answer }) else { return }
        do {
            var reader = batch.reader(of: frame)
            let answer = try PeerAnswer(from: &reader)
            if case .hello(let hello) = answer,
                let objection = security.objection(to: hello.identity.id, on: context.channel)
            {
                finish(.failure(TransportError(.other, address: address, cause: objection)))
            } else {
                finish(.success(answer))
            }
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
