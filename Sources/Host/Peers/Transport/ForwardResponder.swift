import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Rights
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
    private let budget: ByteBudget
    private let limit: Int
    private var sink: ForwardedReplies?
    private var receiver: RequestReceiver?
    private var holdsRead = false

    /// - Parameters:
    ///   - takesParts: the dialer knows of answers in parts.
    ///   - budget: where requests that come in parts take their memory.
    ///   - limit: bytes of such a request.
    init(
        transport: PeerTransport, delegate: any PeerDelegate, caller: PeerCaller, takesParts: Bool,
        budget: ByteBudget, limit: Int
    ) {
        self.budget = budget
        self.limit = limit
        self.transport = transport
        self.delegate = delegate
        self.caller = caller
        self.takesParts = takesParts
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let here = NIOLoopBound((responder: self, context: context), eventLoop: context.eventLoop)
        let sink = ForwardedReplies(
            channel: context.channel, transport: transport, takesParts: takesParts
        ) {
            here.value.responder.readAgain(here.value.context)
        }
        self.sink = sink
        receiver = RequestReceiver(
            context, transport, budget: budget, limit: limit, sink: sink
        ) { request in
            here.value.responder.take([request])
        } broken: { error in
            here.value.responder.fail(here.value.context, error)
        }
    }

    /// The sink knows this handler, and may outlive it. What is under way for it may last for ever.
    func handlerRemoved(context: ChannelHandlerContext) {
        caller.asker.leave()
        if let sink {
            let open = sink.close()
            if !open.isEmpty { delegate.recalled(open, replyTo: sink) }
        }
        receiver?.close()
        receiver = nil
        sink = nil
        holdsRead = false
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        guard let sink, let receiver else { return }
        if !batch.requests.isEmpty { take(batch.requests) }
        do {
            for announcement in batch.announcements { try receiver.announced(announcement) }
            for part in batch.parts { try receiver.received(part) }
        } catch {
            return fail(context, error)
        }
        if !batch.demands.isEmpty {
            let others = sink.demand(batch.demands)
            if !others.isEmpty { delegate.demanded(others, replyTo: sink) }
        }
        if !batch.recalls.isEmpty {
            let open = sink.recall(batch.recalls.filter { !receiver.drop($0) })
            if !open.isEmpty { delegate.recalled(open, replyTo: sink) }
        }
    }

    private func take(_ requests: [ClientRequest]) {
        guard let sink else { return }
        sink.opened(requests)
        delegate.forwarded(requests, from: caller, replyTo: sink)
    }

    private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
        receiver?.close()
        context.fireErrorCaught(error)
    }

    func read(context: ChannelHandlerContext) {
        guard isHeld(context) else { return context.read() }
        if !holdsRead { sink?.readsNothing() }
        holdsRead = true
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
        sink?.readsAgain()
        context.read()
    }
}
