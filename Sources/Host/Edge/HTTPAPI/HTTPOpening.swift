import NIOCore

/// Tells by the first bytes of a connection which version of HTTP its client speaks, has the handlers of
/// that installed, and leaves: a connection that speaks HTTP/1.1 has nothing of it left.
///
/// Who speaks HTTP/2 begins with a preface that is no request of HTTP/1.1 (RFC 9113 §3.4), whether it
/// knows that the server does or has agreed on it by TLS.
final class HTTPOpening: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    enum Version {
        case http1
        case http2
    }

    private enum State {
        case waiting
        case decided
        /// It came to nothing, and that was told.
        case gone
    }

    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    private let pace: HTTPPaceLimits
    private let install: (Version) throws -> Void
    private let gone: () -> Void
    private var bytes = ByteBuffer()
    private var state = State.waiting
    private var deadline: Scheduled<Void>?

    /// - Parameters:
    ///   - install: adds the handlers behind this one.
    ///   - gone: called instead, when the connection ends before.
    init(
        _ pace: HTTPPaceLimits, install: @escaping (Version) throws -> Void,
        gone: @escaping () -> Void
    ) {
        self.pace = pace
        self.install = install
        self.gone = gone
    }

    /// Nil: more must come to tell.
    static func version(of bytes: ByteBufferView) -> Version? {
        preface.withUTF8Buffer { preface in
            guard bytes.elementsEqual(preface.prefix(bytes.count)) else {
                return bytes.starts(with: preface) ? .http2 : .http1
            }
            return bytes.count == preface.count ? .http2 : nil
        }
    }

    func handlerAdded(context: ChannelHandlerContext) { wait(pace.idle, context) }

    private func wait(_ time: Duration, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) {
            context.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var new = unwrapInboundIn(data)
        let isFirst = bytes.readableBytes == 0
        if isFirst { bytes = new } else { bytes.writeBuffer(&new) }
        guard case .waiting = state else { return }
        guard let version = Self.version(of: bytes.readableBytesView) else {
            if isFirst { wait(pace.head, context) }
            return
        }
        state = .decided
        do {
            try install(version)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            // The connection is closing, and its pipeline takes no handlers any more.
            leave()
            context.close(promise: nil)
        }
    }

    private func leave() {
        if case .gone = state { return }
        state = .gone
        gone()
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .waiting = state { leave() }
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        guard case .decided = state else { return leave() }
        context.fireChannelRead(wrapInboundOut(bytes))
        context.fireChannelReadComplete()
    }
}
