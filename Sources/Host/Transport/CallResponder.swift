import NIOCore
import PeerProtocol
import Wire

/// The accepting end of a connection for questions. The dialer asks one and closes.
final class CallResponder: ChannelInboundHandler {
    typealias InboundIn = FrameBatch

    private let delegate: any PeerDelegate
    private let caller: PeerCaller
    private let limits: TransportLimits

    init(delegate: any PeerDelegate, caller: PeerCaller, limits: TransportLimits) {
        self.delegate = delegate
        self.caller = caller
        self.limits = limits
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        let channel = context.channel
        let limit = limits.maxCallBytes
        do {
            for frame in batch.frames where frame.kind == .request {
                var reader = batch.reader(of: frame)
                guard let request = try PeerRequest(from: &reader) else {
                    let kind = batch.bytes[frame.payload.lowerBound]
                    Self.send(.unsupported(kind: kind), on: channel, limit: limit)
                    continue
                }
                delegate.answer(request, from: caller) {
                    Self.send($0, on: channel, limit: limit)
                }
            }
        } catch {
            context.fireErrorCaught(
                FrameParser.Violation.malformed("a request can't be read: \(error)"))
        }
    }

    private static func send(_ answer: PeerAnswer, on channel: any Channel, limit: Int) {
        var writer = ByteWriter(reserving: 256)
        writer.writeFrame(.answer) { answer.encode(into: &$0) }
        if writer.count - Frame.headerSize > limit {
            let size = writer.count
            writer = ByteWriter()
            let text = "the answer of \(size) bytes is over the limit of \(limit)"
            writer.writeFrame(.answer) { PeerAnswer.failed(text).encode(into: &$0) }
        }
        channel.writeAndFlush(ByteBuffer(bytes: writer.bytes), promise: nil)
    }
}
