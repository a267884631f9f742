import NIOCore
import Telemetry

/// Stands before the decoder and counts what a client sends.
final class HTTPTrafficMeter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private(set) var received = 0
    /// Of all connections together.
    private let total: Counter
    /// Something came after the last complete request: maybe a part of the next one's head.
    private(set) var isMidHead = false

    init(total: Counter) { self.total = total }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let size = unwrapInboundIn(data).readableBytes
        received += size
        total.add(size)
        isMidHead = true
        context.fireChannelRead(data)
    }

    func requestEnded() { isMidHead = false }
}

/// Bytes that a channel has taken and the socket has not.
func meterUnsent(_ channel: any Channel) -> Int {
    guard let options = channel.syncOptions else { return 0 }
    // A channel without a socket has no such option, and keeps nothing back.
    return (try? options.getOption(.bufferedWritableBytes)) ?? 0
}
