import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2

/// Stands between one stream of HTTP/2 and the `HTTPConnection` that serves it as a connection with one
/// request: makes the parts of HTTP/1.1 of its frames, and frames of the answer.
///
/// The answer is whole when its last frame has `END_STREAM`. A stream that is closed before is reset, and
/// so is one whose client still sends what nobody wants (RFC 9113 §8.1).
final class HTTPStream: ChannelDuplexHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private let session: HTTP2Session
    private let limits: HTTPLimits
    /// What the connection behind it goes by; bytes are those of bodies.
    let meter: HTTPTrafficMeter
    private var context: ChannelHandlerContext?
    /// To be written, and how many bytes of bodies are in each.
    private var frames: [(payload: HTTP2Frame.FramePayload, bytes: Int)] = []
    /// What is in `frames` takes of what all answers may.
    private var shares: [Share] = []
    private var hasHead = false
    private var hasRequest = false
    private var hasAnswer = false
    /// Bytes of bodies that were written, and of them those that the socket has taken.
    private var written = 0
    private var taken = 0
    /// Frames that were written, and the socket has not taken.
    private var underWay = 0
    /// Fulfilled when there are none.
    private var waiting: [EventLoopPromise<Void>] = []

    init(_ session: HTTP2Session, _ limits: HTTPLimits, _ counters: HTTPCounters) {
        self.session = session
        self.limits = limits
        meter = HTTPTrafficMeter(total: counters.receivedBytes)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Of this stream alone, but for what the client takes of the socket that all streams share.
    var traffic: HTTPTraffic {
        HTTPTraffic(
            received: meter.received, taken: taken + session.drained, unsent: written - taken)
    }

    // MARK: The request

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let frame): take(frame, context)
        case .data(let frame):
            if case .byteBuffer(let bytes) = frame.data, bytes.readableBytes > 0 {
                meter.frameTaken(bytes.readableBytes)
                context.fireChannelRead(wrapInboundOut(.body(bytes)))
            }
            if frame.endStream { end(context) }
        case .rstStream: session.streamWasReset()
        default: break
        }
    }

    private func take(_ frame: HTTP2Frame.FramePayload.Headers, _ context: ChannelHandlerContext) {
        if hasHead {
            // Fields behind the body say nothing that is asked for here.
            if frame.endStream { end(context) }
            return
        }
        hasHead = true
        if frame.headers.count > limits.headerFields {
            return context.fireErrorCaught(HTTPParserError.headerOverflow)
        }
        let head = HTTPRequestHead(ofStream: frame.headers, hasBody: !frame.endStream)
        context.fireChannelRead(wrapInboundOut(.head(head)))
        if frame.endStream { end(context) }
    }

    private func end(_ context: ChannelHandlerContext) {
        guard !hasRequest else { return }
        hasRequest = true
        context.fireChannelRead(wrapInboundOut(.end(nil)))
    }

    /// The stream has ended, or a frame did not fit into it.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    // MARK: The answer

    /// A complete answer, or the head of one in slices. It goes out with the next `flush`.
    func write(_ response: Response, _ framing: ResponseFraming, _ writer: ResponseWriter) {
        let isWhole = !framing.hasNoLength || framing.omitsBody
        let body = framing.omitsBody ? [] : response.body
        var headFraming = framing
        headFraming.omitsBody = true
        var text = ByteBuffer()
        writer.write(response, headFraming, to: &text)
        append(
            .headers(
                .init(headers: HPACKHeaders(answer: text), endStream: isWhole && body.isEmpty)))
        hasAnswer = isWhole
        if !body.isEmpty { append(body, isLast: isWhole) }
        if !body.isEmpty, let share = response.share { shares.append(share) }
    }

    func write(slice: [UInt8], isLast: Bool) {
        hasAnswer = isLast
        if isLast || !slice.isEmpty { append(slice, isLast: isLast) }
    }

    func writeContinue() {
        append(.headers(.init(headers: [":status": "100"])))
    }

    /// In frames of which each is counted when it is taken: a client may take a slice for long.
    private func append(_ bytes: [UInt8], isLast: Bool) {
        var rest = ByteBuffer(bytes: bytes)
        repeat {
            let count = min(rest.readableBytes, Self.frameBytes)
            // There are so many.
            let part = rest.readSlice(length: count) ?? ByteBuffer()
            let isEnd = isLast && rest.readableBytes == 0
            let frame = HTTP2Frame.FramePayload.Data(data: .byteBuffer(part), endStream: isEnd)
            frames.append((payload: .data(frame), bytes: count))
        } while rest.readableBytes > 0
    }

    /// No more than a client must take within a while.
    private static let frameBytes = 4096

    private func append(_ frame: HTTP2Frame.FramePayload) {
        frames.append((payload: frame, bytes: 0))
    }

    /// - Parameter promise: fulfilled when the socket has taken all that was written.
    func flush(_ promise: EventLoopPromise<Void>?) {
        guard let context, !frames.isEmpty else {
            if let promise { whenOut(promise) }
            return
        }
        let going = frames
        let held = shares
        // Writing may bring about anything, even the end of this stream.
        frames = []
        shares = []
        underWay += going.count
        for frame in going { written += frame.bytes }
        for (place, frame) in going.enumerated() {
            let done = context.eventLoop.makePromise(of: Void.self)
            done.futureResult.assumeIsolated().whenComplete { _ in
                withExtendedLifetime(held) { self.frameIsOut(frame.bytes) }
            }
            if place == going.count - 1 { done.futureResult.cascade(to: promise) }
            context.write(wrapOutboundOut(frame.payload), promise: done)
        }
        context.flush()
    }

    /// The socket has taken a frame, or never will.
    private func frameIsOut(_ bytes: Int) {
        taken += bytes
        underWay -= 1
        guard underWay == 0 else { return }
        let waiting = self.waiting
        self.waiting = []
        for promise in waiting { promise.succeed() }
    }

    private func whenOut(_ promise: EventLoopPromise<Void>) {
        if underWay == 0 { promise.succeed() } else { waiting.append(promise) }
    }

    /// Ends the stream, where its frames have not done that.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        let isOut = hasAnswer && underWay == 0
        if isOut, hasRequest {
            promise?.succeed()
        } else {
            let code = isOut ? HTTP2ErrorCode.noError : hasAnswer ? .cancel : .internalError
            context.writeAndFlush(wrapOutboundOut(.rstStream(code)), promise: promise)
        }
    }

    /// The connection that serves it is over.
    func ended() { session.streamClosed(self) }
}

extension HTTPRequestHead {
    /// As the same request would begin in HTTP/1.1 (RFC 9113 §8.3.1).
    /// - Parameter fields: checked: each pseudo-header at most once, and before all others.
    init(ofStream fields: HPACKHeaders, hasBody: Bool) {
        var method = HTTPMethod.GET
        var path: String?
        var authority: String?
        var headers = HTTPHeaders()
        headers.reserveCapacity(fields.count)
        var hosts: [String] = []
        for (name, value, _) in fields {
            switch name {
            case ":method": method = HTTPMethod(rawValue: value)
            case ":path": path = value
            case ":authority": authority = value
            case "host": hosts.append(value)
            default:
                if name.utf8.first != UInt8(ascii: ":") { headers.add(name: name, value: value) }
            }
        }
        // Who is named twice must be named alike, or it is refused as two hosts are.
        if hosts.isEmpty || authority.map({ $0 != hosts[0] }) ?? false {
            hosts.append(authority ?? "")
        }
        for host in hosts { headers.add(name: "host", value: host) }
        if hasBody, !headers.contains(name: "content-length") {
            headers.add(name: "transfer-encoding", value: "chunked")
        }
        self.init(version: .http1_1, method: method, uri: path ?? authority ?? "", headers: headers)
    }
}

extension HPACKHeaders {
    /// Of the head of an answer, as `ResponseWriter` writes it: so the fields of an answer stand in one
    /// place for all versions of HTTP.
    init(answer text: ByteBuffer) {
        var lines = text.readableBytesView.split(separator: UInt8(ascii: "\n")).makeIterator()
        let status = lines.next()?.dropFirst("HTTP/1.1 ".utf8.count).prefix(3) ?? []
        self.init([(":status", String(decoding: status, as: UTF8.self))])
        reserveCapacity(24)
        while let line = lines.next(), let colon = line.firstIndex(of: UInt8(ascii: ":")) {
            let name = String(decoding: line[..<colon].map(\.loweredASCII), as: UTF8.self)
            // Frames do what these are for.
            if name == "connection" || name == "transfer-encoding" { continue }
            let value = line[(colon + 1)...].dropFirst().dropLast()
            add(name: name, value: String(decoding: value, as: UTF8.self))
        }
    }
}
