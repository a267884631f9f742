import NIOCore
import Telemetry

/// Stands before what makes frames of bytes, and bytes of frames: counts both, and notices when the
/// connection was told to end for what its client did. From then on nothing of it is read, nor written.
final class HTTP2Meter: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private(set) var received = 0
    private(set) var sent = 0
    private(set) var incoming = FrameScan(skipping: HTTPOpening.preface.utf8CodeUnitCount)
    private var outgoing = FrameScan()
    private let counters: HTTPCounters

    /// GOAWAY frames that the session writes itself, and that have not passed.
    private var farewells = 0
    /// The frames of this client can't be followed any more, and it was told so.
    private(set) var hasFailed = false
    private var context: ChannelHandlerContext?

    init(_ counters: HTTPCounters) { self.counters = counters }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// What makes frames of bytes stops at one that does not fit, until more comes: this has it look at
    /// what stands behind.
    func goOn() {
        guard !hasFailed, let context else { return }
        context.fireChannelRead(wrapInboundOut(ByteBuffer()))
        context.fireChannelReadComplete()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        received += bytes.readableBytes
        counters.receivedBytes.add(bytes.readableBytes)
        guard !hasFailed else { return }
        incoming.follow(bytes.readableBytesView)
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // Why the client must go was said, and is the last word: answers that are under way go nowhere.
        guard !hasFailed else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        if case .byteBuffer(let bytes) = unwrapOutboundIn(data) {
            sent += bytes.readableBytes
            counters.sentBytes.add(bytes.readableBytes)
            if outgoing.follow(bytes.readableBytesView, lookingFor: .goAway) { saidGoAway() }
        }
        context.write(data, promise: promise)
    }

    /// The next GOAWAY is no fault.
    func farewellComes() { farewells += 1 }

    private func saidGoAway() {
        if farewells > 0 { farewells -= 1 } else { hasFailed = true }
    }
}
