import NIOCore
import NIOHTTP1
import Telemetry

/// One client connection: gathers requests, passes them on, and writes the answers in the order of
/// the requests, whatever the order they come in.
///
/// A request goes through these steps:
///
/// 1. Its head decides what becomes of it: an answer at once (a bad parameter, no such route), or
///    a route. Nothing is answered before the body has been taken, so that the connection stays
///    usable; only a body over its limit, or one the client waits to be asked for, ends it.
/// 2. At its end it takes the next place in the queue of exchanges, and its route's handler runs.
/// 3. The answer is put into its place. All answers at the head of the queue are written into one
///    buffer, which is flushed once per turn.
final class HTTPConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Where a request stands among all of its connection.
    struct Place {
        fileprivate let number: Int
    }

    private struct Exchange {
        let framing: ResponseFraming
        var response: Response?
    }

    private enum Plan {
        case answer(Response)
        case route(Route, HTTPRequest)
    }

    private struct Incoming {
        let framing: ResponseFraming
        let plan: Plan
        let bodyLimit: Int
        var bodySize = 0
        var body: ByteBuffer?
    }

    private enum Intake {
        case idle
        case receiving(Incoming)
        /// The last request has come; the connection closes when it is answered.
        case ended
    }

    private let gateway: LoopGateway
    private let endpoints: Endpoints
    private let writer: ResponseWriter
    private let limits: HTTPLimits

    private var context: ChannelHandlerContext?
    private var intake = Intake.idle
    private var exchanges = CircularBuffer<Exchange>()
    /// The place of `exchanges.first`.
    private var firstNumber = 0
    private var output = ByteBuffer()
    private var isNotedUnflushed = false
    /// The client holds its body back until it is told to go on.
    private var owesContinue = false
    /// The last answer is in `output`.
    private var isFinishing = false
    /// The client may still be sending what nobody wants.
    private var lingers = false
    private var readWanted = false
    private var lastActivity = NIODeadline.uptimeNanoseconds(0)
    private var idleCheck: Scheduled<Void>?

    init(
        gateway: LoopGateway, endpoints: Endpoints, writer: ResponseWriter, limits: HTTPLimits
    ) {
        self.gateway = gateway
        self.endpoints = endpoints
        self.writer = writer
        self.limits = limits
    }

    var isOpen: Bool { context != nil }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): begin(head)
        case .body(let part): append(part)
        case .end: finishRequest()
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        lastActivity = context.eventLoop.now
        flush()
        context.fireChannelReadComplete()
    }

    private func begin(_ head: HTTPRequestHead) {
        guard case .idle = intake else { return }
        // After a request to upgrade, the decoder reads no further.
        let isLast = !head.isKeepAlive || head.headers.contains(name: "upgrade")
        let framing = ResponseFraming(
            isHTTP10: head.version.minor == 0, keepAlive: !isLast && head.method != .CONNECT,
            omitsBody: head.method == .HEAD)
        let plan = plan(head)
        var bodyLimit = limits.smallBodyBytes
        if case .route(let route, _) = plan, route.bodyLimit == .statements {
            bodyLimit = limits.bodyBytes
        }
        intake = .receiving(Incoming(framing: framing, plan: plan, bodyLimit: bodyLimit))
        if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }),
            length > bodyLimit
        {
            refuseBody(plan, limit: bodyLimit)
        } else if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
            if case .answer(let response) = plan {
                refuse(response)
            } else {
                owesContinue = true
                writeContinueIfDue()
            }
        }
    }

    private func plan(_ head: HTTPRequestHead) -> Plan {
        if head.method == .OPTIONS { return .answer(Response(.ok)) }
        do throws(QueryParameters.Invalid) {
            let request = try HTTPRequest(head, arrival: .now())
            guard let route = RouteTable.route(for: request.path) else {
                return .answer(Response(.notFound))
            }
            if let counter = route.counter { counter(endpoints.counters).add() }
            if let methods = route.methods, !methods.contains(request.method) {
                return .answer(Response(.methodNotAllowed, route.content))
            }
            return .route(route, request)
        } catch {
            return .answer(.plain(.badRequest, error.text))
        }
    }

    private func append(_ part: ByteBuffer) {
        guard case .receiving(var incoming) = intake else { return }
        // Leaves `incoming` the only owner of its body, so that appending does not copy it.
        intake = .idle
        owesContinue = false
        incoming.bodySize += part.readableBytes
        let isOverLimit = incoming.bodySize > incoming.bodyLimit
        if case .route = incoming.plan, !isOverLimit {
            if incoming.body == nil {
                incoming.body = part
            } else {
                incoming.body?.writeImmutableBuffer(part)
            }
        }
        let (plan, limit) = (incoming.plan, incoming.bodyLimit)
        intake = .receiving(incoming)
        if isOverLimit { refuseBody(plan, limit: limit) }
    }

    private func finishRequest() {
        guard case .receiving(let incoming) = intake else { return }
        owesContinue = false
        intake = incoming.framing.keepAlive ? .idle : .ended
        let place = enqueue(incoming.framing)
        switch incoming.plan {
        case .answer(let response): complete(place, with: response)
        case .route(let route, var request):
            request.body = incoming.body
            switch route.handler(endpoints, request) {
            case .respond(let response): complete(place, with: response)
            case .submit(let operation, let pending):
                gateway.submit(operation, pending, for: self, at: place)
            }
        }
    }

    /// Answers in the middle of a request, which can only be the connection's last.
    private func refuse(_ response: Response) {
        var framing = ResponseFraming()
        if case .receiving(let incoming) = intake { framing = incoming.framing }
        framing.keepAlive = false
        owesContinue = false
        intake = .ended
        lingers = true
        complete(enqueue(framing), with: response)
    }

    private func refuseBody(_ plan: Plan, limit: Int) {
        if case .answer(let response) = plan {
            refuse(response)
        } else {
            let text = "request body is larger than the limit of \(limit) bytes"
            refuse(.plain(.payloadTooLarge, text))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let fault = error as? HTTPParserError else {
            context.close(promise: nil)
            return
        }
        if case .ended = intake { return }
        let status: HTTPResponseStatus =
            fault == .headerOverflow ? .requestHeaderFieldsTooLarge : .badRequest
        refuse(.plain(status, "malformed HTTP request: \(fault)"))
        flush()
    }

    // MARK: Answers

    private func enqueue(_ framing: ResponseFraming) -> Place {
        exchanges.append(Exchange(framing: framing))
        return Place(number: firstNumber + exchanges.count - 1)
    }

    /// The answer goes out with the next `flush`, or when all before it have come.
    func complete(_ place: Place, with response: Response) {
        guard isOpen else { return }
        exchanges[offset: place.number - firstNumber].response = response
        while let exchange = exchanges.first, let response = exchange.response {
            exchanges.removeFirst()
            firstNumber += 1
            var framing = exchange.framing
            if mustSendAway { framing.keepAlive = false }
            writer.write(response, framing, to: &output)
            if !framing.keepAlive {
                isFinishing = true
                intake = .ended
            }
        }
        writeContinueIfDue()
    }

    /// The server is about to stop, and the client has nothing else under way: its next request
    /// shall go to another node.
    private var mustSendAway: Bool {
        if case .idle = intake { gateway.isDraining && exchanges.isEmpty } else { false }
    }

    /// The interim answer must not overtake those to earlier requests.
    private func writeContinueIfDue() {
        guard owesContinue, exchanges.isEmpty else { return }
        owesContinue = false
        output.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
    }

    /// True once between two flushes.
    func noteUnflushed() -> Bool {
        defer { isNotedUnflushed = true }
        return !isNotedUnflushed
    }

    func flush() {
        isNotedUnflushed = false
        guard let context else { return }
        if output.readableBytes > 0 {
            lastActivity = context.eventLoop.now
            if isFinishing {
                writeLast(context)
            } else {
                context.writeAndFlush(wrapOutboundOut(output), promise: nil)
            }
            if output.capacity > limits.retainedBufferBytes {
                output = ByteBuffer()
            } else {
                output.clear()
            }
        }
        resumeReading()
    }

    private func writeLast(_ context: ChannelHandlerContext) {
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in
            // Not `self.context`: the handler may be on its way out.
            guard self.lingers else {
                context.close(promise: nil)
                return
            }
            context.close(mode: .output).assumeIsolated().whenFailure { _ in
                context.close(promise: nil)
            }
            context.eventLoop.assumeIsolated().scheduleTask(in: self.limits.lingerTimeout) {
                context.close(promise: nil)
            }
        }
        context.writeAndFlush(wrapOutboundOut(output), promise: written)
    }

    // MARK: Flow control and life

    /// A client that sends faster than it takes answers is not read from until it has caught up.
    private func mustPause(_ context: ChannelHandlerContext) -> Bool {
        exchanges.count >= limits.pipelinedRequests || !context.channel.isWritable
    }

    func read(context: ChannelHandlerContext) {
        if mustPause(context) { readWanted = true } else { context.read() }
    }

    private func resumeReading() {
        guard readWanted, let context, !mustPause(context) else { return }
        readWanted = false
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        lastActivity = context.eventLoop.now
        resumeReading()
        context.fireChannelWritabilityChanged()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        gateway.connectionOpened()
        lastActivity = context.eventLoop.now
        checkIdle(after: limits.idleTimeout, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    /// Requests under way are still executed; their answers find nobody.
    private func end() {
        if isOpen { gateway.connectionClosed() }
        context = nil
        intake = .ended
        exchanges.removeAll()
        idleCheck?.cancel()
        idleCheck = nil
    }

    private func checkIdle(after delay: TimeAmount, _ context: ChannelHandlerContext) {
        idleCheck = context.eventLoop.assumeIsolated().scheduleTask(in: delay) {
            guard self.isOpen else { return }
            let waitsForUs = !self.exchanges.isEmpty && context.channel.isWritable
            let left = self.lastActivity + self.limits.idleTimeout - context.eventLoop.now
            if waitsForUs {
                self.checkIdle(after: self.limits.idleTimeout, context)
            } else if left > .zero {
                self.checkIdle(after: left, context)
            } else {
                context.close(promise: nil)
            }
        }
    }
}
