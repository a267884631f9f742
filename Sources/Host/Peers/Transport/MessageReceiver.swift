import NIOCore
import PeerProtocol
import Raft
import Wire

/// Messages of one read of a connection, or one large one.
struct ReceivedMessages: Sendable {
    var messages: [Message] = []
    var bytes = 0

    static func decode(_ batch: FrameBatch) throws -> ReceivedMessages {
        var received = ReceivedMessages(bytes: batch.bytes.count)
        received.messages.reserveCapacity(batch.frames.count)
        for frame in batch.frames where frame.kind == .message {
            var reader = batch.reader(of: frame)
            received.messages.append(try Message(from: &reader))
        }
        return received
    }
}

/// The accepting end of a connection for messages: one read, one batch. It is not read while the
/// delegate holds too much of it.
final class MessageReceiver: ChannelDuplexHandler {
    typealias InboundIn = ReceivedMessages
    typealias OutboundIn = ByteBuffer

    private let transport: PeerTransport
    private let delegate: any PeerDelegate
    /// Who opened the connection, by its introduction.
    private let speaker: NodeIdentity
    private let bound: Int
    private var gate: ReceiveGate?
    private var isRefused = false
    private var holdsRead = false

    /// - Parameter isTrusted: it comes from this node's cluster, by what it says.
    init(
        transport: PeerTransport, delegate: any PeerDelegate, speaker: NodeIdentity, isTrusted: Bool
    ) {
        self.transport = transport
        self.delegate = delegate
        self.speaker = speaker
        let limits = transport.limits
        bound = isTrusted ? limits.maxUntakenConnectionBytes : limits.ambientBytes
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let here = NIOLoopBound((receiver: self, context: context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        gate = ReceiveGate(
            bound: bound, total: transport.inbound.untaken, limits: transport.limits
        ) {
            loop.execute { here.value.receiver.opened(here.value.context) }
        }
    }

    /// The gate knows this handler.
    func handlerRemoved(context: ChannelHandlerContext) {
        gate = nil
        holdsRead = false
    }

    func read(context: ChannelHandlerContext) {
        if gate?.isClosed ?? false { holdsRead = true } else { context.read() }
    }

    private func opened(_ context: ChannelHandlerContext) {
        guard holdsRead else { return }
        holdsRead = false
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused, let gate else { return }
        let received = unwrapInboundIn(data)
        let messages = received.messages
        if let stray = messages.first(where: { $0.to != transport.identity.id }) {
            return refuse(context, stray, of: messages)
        }
        if let foreign = messages.first(where: { $0.from != speaker }) {
            return refuse(context, speaksFor: foreign.from)
        }
        guard !messages.isEmpty else { return }
        transport.inbound.count {
            $0.receivedMessages += UInt64(messages.count)
            $0.receivedBytes += UInt64(received.bytes)
        }
        delegate.received(messages, credit: MessageCredit(gate, received.bytes))
    }

    /// Messages for another node: the dialer hears who is here, so that it looks for the other.
    private func refuse(
        _ context: ChannelHandlerContext, _ stray: Message, of messages: [Message]
    ) {
        let text = transport.identity.differs(from: Introduction.Wanted(id: stray.to))
        transport.inbound.count { $0.misdirected += UInt64(messages.count) }
        refuse(context, .otherNode, text)
    }

    /// Nobody sends another's messages: who speaks on a connection is known from it.
    private func refuse(_ context: ChannelHandlerContext, speaksFor other: NodeIdentity) {
        let text = "node \(speaker.id) sends a message of node \(other)"
        transport.inbound.count { $0.corrupted += 1 }
        refuse(context, .unwanted, text)
        delegate.brokeProtocol(speaker, cause: text)
    }

    private func refuse(_ context: ChannelHandlerContext, _ code: RefusalCode, _ text: String) {
        transport.observe(
            .refusedInbound(remoteAddress: context.channel.remoteText, reason: text))
        isRefused = true
        var writer = ByteWriter(reserving: 256)
        writer.writeRefusal(code, text, by: transport)
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: writer.bytes)), promise: nil)
        context.close(mode: .output, promise: nil)
    }
}
