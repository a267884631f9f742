import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Service
import Synchronization
import Wire

/// The accepting end of a connection for forwarded requests. It is the sink of its replies, which
/// gather until the event loop writes them together. While the dialer does not take its replies, or
/// too many of its requests are not answered, nothing more is read of it.
final class ForwardResponder: ChannelDuplexHandler {
    typealias InboundIn = ForwardedBatch
    typealias OutboundIn = ByteBuffer

    private let transport: PeerTransport
    private let delegate: any PeerDelegate
    private let caller: PeerCaller
    private let takesParts: Bool
    private var sink: ForwardedReplies?
    private var holdsRead = false

    /// - Parameter takesParts: the dialer knows of answers in parts.
    init(
        transport: PeerTransport, delegate: any PeerDelegate, caller: PeerCaller, takesParts: Bool
    ) {
        self.transport = transport
        self.delegate = delegate
        self.caller = caller
        self.takesParts = takesParts
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let here = NIOLoopBound((responder: self, context: context), eventLoop: context.eventLoop)
        sink = ForwardedReplies(
            channel: context.channel, transport: transport, takesParts: takesParts
        ) {
            here.value.responder.readAgain(here.value.context)
        }
    }

    /// The sink knows this handler, and may outlive it. What is under way for it may last for ever.
    func handlerRemoved(context: ChannelHandlerContext) {
        if let sink {
            let open = sink.close()
            if !open.isEmpty { delegate.recalled(open, replyTo: sink) }
        }
        sink = nil
        holdsRead = false
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        guard let sink else { return }
        if !batch.requests.isEmpty {
            sink.opened(batch.requests)
            delegate.forwarded(batch.requests, from: caller, replyTo: sink)
        }
        if !batch.demands.isEmpty {
            let others = sink.demand(batch.demands)
            if !others.isEmpty { delegate.demanded(others, replyTo: sink) }
        }
        if !batch.recalls.isEmpty {
            let open = sink.recall(batch.recalls)
            if !open.isEmpty { delegate.recalled(open, replyTo: sink) }
        }
    }

    func read(context: ChannelHandlerContext) {
        if isHeld(context) { holdsRead = true } else { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { sink?.writeParts() }
        readAgain(context)
        context.fireChannelWritabilityChanged()
    }

    private func isHeld(_ context: ChannelHandlerContext) -> Bool {
        !context.channel.isWritable || (sink?.holdsTooMuch ?? false)
    }

    private func readAgain(_ context: ChannelHandlerContext) {
        guard holdsRead, !isHeld(context) else { return }
        holdsRead = false
        context.read()
    }
}
