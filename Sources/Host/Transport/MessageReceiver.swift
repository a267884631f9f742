import NIOCore
import Raft
import Wire

/// The accepting end of a connection for messages: one read, one batch.
final class MessageReceiver: ChannelInboundHandler {
    typealias InboundIn = FrameBatch

    private let transport: Transport
    private let delegate: any PeerDelegate

    init(transport: Transport, delegate: any PeerDelegate) {
        self.transport = transport
        self.delegate = delegate
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        var messages: [Message] = []
        messages.reserveCapacity(batch.frames.count)
        do {
            for frame in batch.frames where frame.kind == .message {
                var reader = batch.reader(of: frame)
                messages.append(try Message(from: &reader))
            }
        } catch {
            context.fireErrorCaught(
                FrameParser.Violation.malformed("a message can't be read: \(error)"))
            return
        }
        guard !messages.isEmpty else { return }
        transport.inbound.count {
            $0.receivedMessages += UInt64(messages.count)
            $0.receivedBytes += UInt64(batch.bytes.count)
        }
        delegate.received(messages)
    }
}
