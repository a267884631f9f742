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
    typealias InboundIn = [ClientRequest]
    typealias OutboundIn = ByteBuffer

    @Sendable static func decode(_ batch: FrameBatch) throws -> [ClientRequest] {
        var requests: [ClientRequest] = []
        requests.reserveCapacity(batch.frames.count)
        for frame in batch.frames where frame.kind == .clientRequest {
            var reader = batch.reader(of: frame)
            requests.append(try ClientRequest(from: &reader))
        }
        return requests
    }

    private let transport: PeerTransport
    private let delegate: any PeerDelegate
    private let caller: PeerCaller
    private var sink: ForwardedReplies?
    private var holdsRead = false

    init(transport: PeerTransport, delegate: any PeerDelegate, caller: PeerCaller) {
        self.transport = transport
        self.delegate = delegate
        self.caller = caller
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let here = NIOLoopBound((responder: self, context: context), eventLoop: context.eventLoop)
        sink = ForwardedReplies(channel: context.channel, transport: transport) {
            here.value.responder.readAgain(here.value.context)
        }
    }

    /// The sink knows this handler, and may outlive it.
    func handlerRemoved(context: ChannelHandlerContext) {
        sink = nil
        holdsRead = false
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let requests = unwrapInboundIn(data)
        guard !requests.isEmpty, let sink else { return }
        sink.opened(requests)
        delegate.forwarded(requests, from: caller, replyTo: sink)
    }

    func read(context: ChannelHandlerContext) {
        if isHeld(context) { holdsRead = true } else { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
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

/// Takes replies from any thread and writes them to one connection.
private final class ForwardedReplies: ReplySink {
    private struct State {
        /// The sizes of requests that are not answered, by what the dialer calls them.
        var open: [RequestID: Int] = [:]
        var openBytes = 0
        var replies: [Reply] = []
        var isFlushScheduled = false
    }

    private let channel: any Channel
    private let limits: TransportLimits
    private let codec: NIOThreadPool
    private let answered: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameter answered: called on the channel's loop after requests were.
    init(
        channel: any Channel, transport: PeerTransport, answered: @escaping @Sendable () -> Void
    ) {
        self.channel = channel
        limits = transport.limits
        codec = transport.codec
        self.answered = answered
    }

    var holdsTooMuch: Bool {
        state.withLock {
            $0.open.count > limits.maxOpenForwards || $0.openBytes > limits.maxOpenForwardBytes
        }
    }

    func opened(_ requests: [ClientRequest]) {
        state.withLock { state in
            for request in requests {
                let size = request.approximateSize
                state.openBytes += size - (state.open.updateValue(size, forKey: request.id) ?? 0)
            }
        }
    }

    var isRemote: Bool { true }

    func deliver(_ replies: [Reply]) {
        let mustSchedule = state.withLock { state -> Bool in
            for reply in replies {
                state.openBytes -= state.open.removeValue(forKey: reply.id) ?? 0
            }
            state.replies += replies
            defer { state.isFlushScheduled = true }
            return !state.isFlushScheduled
        }
        if mustSchedule { channel.eventLoop.execute { self.flush() } }
    }

    private func flush() {
        let replies = state.withLock { state -> [Reply] in
            state.isFlushScheduled = false
            defer { state.replies = [] }
            return state.replies
        }
        guard channel.isActive else { return }
        if replies.reduce(0, { $0 + $1.approximateSize }) > limits.largeFrameBytes {
            codec.submit { _ in self.write(replies) }
        } else {
            write(replies)
        }
        answered()
    }

    /// On the loop, or where large frames are encoded: replies are paired by number, not by order.
    private func write(_ replies: [Reply]) {
        var writer = ByteWriter(reserving: 256 * replies.count)
        for reply in replies {
            fitting(reply).encode(asFrameInto: &writer)
            if writer.count >= limits.writeBatchBytes {
                channel.write(ByteBuffer(bytes: writer.bytes), promise: nil)
                writer = ByteWriter()
            }
        }
        channel.writeAndFlush(ByteBuffer(bytes: writer.bytes), promise: nil)
    }

    private func fitting(_ reply: Reply) -> Reply {
        let size = reply.approximateSize
        guard size > limits.maxReplyBytes else { return reply }
        let cause =
            "its answer of \(size) bytes is over the limit of \(limits.maxReplyBytes) between "
            + "nodes: ask for less at once, or ask that node itself"
        return Reply(
            id: reply.id,
            outcome: .failed(
                .forwardingFailed(to: PeerAddress(channel.localText), cause: cause)))
    }
}

extension Reply {
    fileprivate func encode(asFrameInto writer: inout ByteWriter) {
        writer.writeFrame(.reply) { encode(into: &$0) }
    }
}
