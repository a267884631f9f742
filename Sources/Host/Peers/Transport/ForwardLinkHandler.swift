import NIOCore
import PeerProtocol
import Raft

/// Watches a link's connection.
final class ForwardLinkHandler: ChannelInboundHandler {
    typealias InboundIn = ForwardedAnswers

    private let link: ForwardLink
    private var error: TransportError?

    init(link: ForwardLink) {
        self.link = link
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        link.received(unwrapInboundIn(data), on: context.channel)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { link.flush() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if self.error == nil {
            self.error = TransportError(error, address: link.address.rawValue)
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let lost = TransportError(
            .connectionLost, address: link.address.rawValue,
            cause: "the connection broke before the answer came")
        link.broke(context.channel, error ?? lost)
        context.fireChannelInactive()
    }
}
