import NIOCore
import PeerProtocol
import Raft
import Service
import Synchronization
import Wire

/// The accepting end of a connection for forwarded requests. It is the sink of its replies, which
/// gather until the event loop writes them together. While the dialer does not take its replies,
/// nothing more is read of it.
final class ForwardResponder: ChannelDuplexHandler {
    typealias InboundIn = FrameBatch
    typealias OutboundIn = ByteBuffer

    private let delegate: any PeerDelegate
    private let caller: PeerCaller
    private let limits: TransportLimits
    private var sink: ForwardedReplies?
    private var holdsRead = false

    init(delegate: any PeerDelegate, caller: PeerCaller, limits: TransportLimits) {
        self.delegate = delegate
        self.caller = caller
        self.limits = limits
    }

    func handlerAdded(context: ChannelHandlerContext) {
        sink = ForwardedReplies(channel: context.channel, limits: limits)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        var requests: [ClientRequest] = []
        requests.reserveCapacity(batch.frames.count)
        do {
            for frame in batch.frames where frame.kind == .clientRequest {
                var reader = batch.reader(of: frame)
                requests.append(try ClientRequest(from: &reader))
            }
        } catch {
            context.fireErrorCaught(
                FrameParser.Violation.malformed("a request can't be read: \(error)"))
            return
        }
        guard !requests.isEmpty, let sink else { return }
        delegate.forwarded(requests, from: caller, replyTo: sink)
    }

    func read(context: ChannelHandlerContext) {
        if context.channel.isWritable { context.read() } else { holdsRead = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if holdsRead, context.channel.isWritable {
            holdsRead = false
            context.read()
        }
        context.fireChannelWritabilityChanged()
    }
}

/// Takes replies from any thread and writes them to one connection.
private final class ForwardedReplies: ReplySink {
    private struct State {
        var replies: [Reply] = []
        var isFlushScheduled = false
    }

    private let channel: any Channel
    private let limits: TransportLimits
    private let state = Mutex(State())

    init(channel: any Channel, limits: TransportLimits) {
        self.channel = channel
        self.limits = limits
    }

    var isRemote: Bool { true }

    func deliver(_ replies: [Reply]) {
        let mustSchedule = state.withLock { state -> Bool in
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
