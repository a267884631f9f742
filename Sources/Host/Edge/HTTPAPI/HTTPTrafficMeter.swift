import Glibc
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

    /// Of the request that is being received; nil while there is none.
    private var body: Body?
    /// The last line of a head that has begun: its first bytes, up to where it shows what it is.
    private var lineStart: [UInt8] = []

    private struct Body {
        /// `received`, when its head was taken.
        let receivedBefore: Int
        var byteCount = 0
        var parts = 0
    }

    init(total: Counter) { self.total = total }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        let size = bytes.readableBytes
        if body == nil {
            noteLine(bytes.readableBytesView)
        } else {
            lineStart.removeAll(keepingCapacity: true)
        }
        received += size
        total.add(size)
        isMidHead = true
        context.fireChannelRead(data)
    }

    /// Of a stream of HTTP/2: the connection counts the bytes, and there are no lines.
    func frameTaken(_ byteCount: Int) { received += byteCount }

    func requestEnded() {
        isMidHead = false
        body = nil
    }

    // MARK: Framing

    func headTaken() { body = Body(receivedBefore: received) }

    /// A part of the body came: at least one, however many chunks it is of.
    func bodyTaken(_ byteCount: Int) {
        body?.byteCount += byteCount
        body?.parts += 1
    }

    /// What came since the head is more lines around chunks than anybody needs. To be asked when all
    /// that was read has been decoded.
    func hasTooMuchFraming(_ limits: HTTPLimits) -> Bool {
        guard let body else { return false }
        let framing = received - body.receivedBefore - body.byteCount
        return framing > limits.framingBytes + body.parts * limits.chunkLineBytes
    }

    // MARK: Lines

    /// The line that was being received last is a request's first one: other than in a field, its first
    /// word ends with a blank.
    var isInRequestLine: Bool {
        lineStart.last == UInt8(ascii: " ") && lineStart.count > 1
    }

    private func noteLine(_ bytes: ByteBufferView) {
        let newline = bytes.lastIndex(of: UInt8(ascii: "\n"))
        if newline != nil { lineStart.removeAll(keepingCapacity: true) }
        var rest = bytes[(newline.map { $0 + 1 } ?? bytes.startIndex)...]
        while lineStart.count < Self.longestWord, !endsWord, let byte = rest.popFirst() {
            lineStart.append(byte)
        }
    }

    private var endsWord: Bool {
        lineStart.last.map { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: ":") } ?? false
    }

    /// No method is longer.
    private static let longestWord = 32
}

/// Bytes that a channel has taken and the socket has not.
func meterUnsent(_ channel: any Channel) -> Int {
    guard let options = channel.syncOptions else { return 0 }
    // A channel without a socket has no such option, and keeps nothing back.
    return (try? options.getOption(.bufferedWritableBytes)) ?? 0
}

/// Bytes that the socket has taken and the other side has not: a socket takes megabytes at once, and then nothing more until a
/// third of them is gone. Of a Unix socket that is little, and what its reader has not looked at counts there.
/// On the channel's event loop.
func meterUnacknowledged(_ channel: any Channel) -> Int {
    guard channel.remoteAddress?.ipAddress != nil else { return 0 }
    let found = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
        of: NIOBSDSocket.Handle.self
    ) { descriptor -> Int in
        var count: CInt = 0
        // SIOCOUTQ (tcp(7)), by the name that it has for terminals.
        return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? max(0, Int(count)) : 0
    }
    return found ?? 0
}
