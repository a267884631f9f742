import NIOCore
import NIOHTTP1
import Rights
import Telemetry
import Wire

/// One client connection: carries out what its `HTTPConnectionMachine` says, and keeps the bodies
/// and the bytes that the machine only counts.
///
/// All answers at the head of the queue are written into one buffer, which is flushed once per
/// turn.
final class HTTPConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    typealias Machine = HTTPConnectionMachine<FinishedResponse>

    /// A request whose body is being received.
    struct Incoming {
        let operation: HTTPOperation
        var request: HTTPRequest
        /// Of a body in parts; nil before the first of them.
        var upload: BodyUpload?
    }

    private let gateway: LoopGateway
    let edge: Edge
    private let limits: HTTPLimits
    /// Counts what passes before this handler.
    private let meter: HTTPTrafficMeter
    private let place: ConnectionPlace
    private let client: ConnectionClient
    /// What this stands for, where that is no connection; its frames are the answer then.
    private let stream: HTTPStream?
    /// Tells this connection's requests from those of others on its event loop.
    let serial: UInt32

    var machine: Machine
    private(set) var context: ChannelHandlerContext?
    var incoming: Incoming?
    let asker: Asker
    /// Whose sender's rights are being found out.
    private var awaited: HTTPRequestHead?
    /// What came behind a head whose sender's rights are being found out, or behind a body in parts
    /// of which some are not taken yet.
    var held: HeldParts?
    /// What stands behind a body that is not taken yet is no request.
    private(set) var lateRefusal: HTTPRefusal?
    /// Complete requests that the machine has not begun yet, in their order.
    private var ready = CircularBuffer<Incoming>()
    private var source: AnswerSource?
    private var slicing = ResponseFraming()
    private var output = OutgoingBytes()
    private var isNotedUnflushed = false
    private var isPerforming = false
    private var closing: Closing?
    private var readWanted = false
    private var tick: Scheduled<Void>?

    private enum Closing {
        case whenWritten(lingers: Bool)
        case underWay
    }

    init(
        gateway: LoopGateway, edge: Edge, meter: HTTPTrafficMeter, client: ConnectionClient,
        place: ConnectionPlace, now: NIODeadline, stream: HTTPStream? = nil
    ) {
        asker = Asker(address: client.address)
        self.client = client
        self.place = place
        self.stream = stream
        self.gateway = gateway
        self.edge = edge
        self.meter = meter
        serial = gateway.nextSerial()
        limits = place.isObserver ? edge.limits.forObservers : edge.limits
        machine = Machine(limits, now: Self.time(now))
    }

    var isOpen: Bool { context != nil }

    /// No request is being received or answered, and the client has taken all answers.
    var isIdle: Bool {
        machine.isIdle && !meter.isMidHead && output.buffer.readableBytes == 0
            && (stream?.traffic.unsent ?? context.map { meterUnsent($0.channel) } ?? 0) == 0
    }

    static func time(_ moment: NIODeadline) -> Duration {
        .nanoseconds(Int64(clamping: moment.uptimeNanoseconds))
    }

    var now: Duration { Self.time(context?.eventLoop.now ?? .now()) }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if held == nil {
            take(part)
        } else if let shortage = held?.append(part) {
            refuseHeld(shortage)
        }
        perform()
    }

    /// There is no room for what must wait.
    private func refuseHeld(_ shortage: Shortage) {
        held?.drop()
        // The request that is waited for is not refused, where it has come to its end.
        if machine.isCompleting {
            lateRefusal = .bodiesExhausted(shortage)
        } else {
            refuse(.bodiesExhausted(shortage))
        }
    }

    private func take(_ part: HTTPServerRequestPart) {
        switch part {
        case .head(let head): begin(head, verdict: nil)
        case .body(let part): append(part)
        case .end:
            meter.requestEnded()
            machine.endReceived(at: now)
            if machine.isCompleting {
                hold()
            } else {
                queueIncoming()
            }
        }
    }

    /// What comes from here on waits.
    private func hold() {
        guard held == nil else { return }
        held = HeldParts(countedIn: Share(of: edge.budgets.bodyBytes, for: client.account))
    }

    func queueIncoming() {
        guard var incoming else { return }
        self.incoming = nil
        if let upload = incoming.upload { incoming.request.bring(upload) }
        ready.append(incoming)
    }

    /// What was held back is taken now; another head in it may have to wait for a verdict again.
    private func judged(_ verdict: Bool) {
        guard isOpen, let head = awaited, let parts = held else { return }
        awaited = nil
        held = nil
        begin(head, verdict: verdict)
        take(parts)
        flush()
    }

    /// Takes what was held back, until something must be waited for again. One by one: a request that
    /// is worked on elsewhere keeps those behind it from the node.
    func take(_ parts: HeldParts) {
        var parts = parts
        perform()
        while held == nil, let part = parts.popFirst() {
            take(part)
            perform()
        }
        if held != nil { held = parts }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // What is held back is not counted yet.
        if held == nil, meter.hasTooMuchFraming(limits) {
            refuse(.malformed("malformed HTTP request: more framing than body"))
            perform()
        }
        flush()
        context.fireChannelReadComplete()
    }

    private func begin(_ head: HTTPRequestHead, verdict: Bool?) {
        guard let context else { return }
        let expectation = Expectation(head)
        var size = 0
        if let fault = HeadFault(head, expectation, limits, size: &size) {
            return refuse(fault.refusal)
        }
        let here = NIOLoopBound(self, eventLoop: context.eventLoop)
        let loop = context.eventLoop
        let planned = edge.plan(
            head, from: client, at: place, asker: asker, verdict: verdict
        ) { verdict in
            loop.execute { here.value.judged(verdict) }
        }
        guard let planned else {
            // Not with who judges: it may have this connection in its line long after it has gone.
            awaited = head
            hold()
            return
        }
        // After a request to upgrade, the decoder reads no further.
        let isLast = !head.isKeepAlive || head.headers.contains(name: "upgrade")
        let framing = ResponseFraming(
            isHTTP10: head.version.minor == 0,
            keepAlive: !isLast && head.method != .CONNECT && !place.isObserver && stream == nil,
            omitsBody: head.method == .HEAD)
        let isTaken = machine.headReceived(
            planned.head(head, framing, expectsContinue: expectation.wantsContinue, limits), at: now
        )
        meter.headTaken()
        incoming = nil
        if isTaken, let (operation, request) = planned.work {
            incoming = Incoming(operation: operation, request: request)
            // What one read brings in may be thousands, which wait for their places.
            let isWaiting = ready.count >= limits.pipelinedRequests
            let ofHead = head.heldBytes(fields: size)
            if let shortage = incoming?.request.reserve(ofHead, isWaiting: isWaiting, edge) {
                refuse(.bodiesExhausted(shortage))
            }
        }
    }

    private func append(_ part: ByteBuffer) {
        meter.bodyTaken(part.readableBytes)
        guard machine.bodyReceived(part.readableBytes), let operation = incoming?.operation else {
            return dropIncoming()
        }
        if operation.body.window(limits) != nil { return keep(part) }
        // In its place: a second owner of the body would make appending copy it.
        if let shortage = incoming?.request.append(part, edge) {
            incoming = nil
            machine.refuse(.bodiesExhausted(shortage))
        }
    }

    func refuse(_ refusal: HTTPRefusal) {
        lateRefusal = nil
        machine.refuse(refusal)
        dropIncoming()
    }

    /// The request that is being received gets no further.
    private func dropIncoming() {
        guard let incoming else { return }
        self.incoming = nil
        if let upload = incoming.upload { drop(upload.intake) }
    }

    /// To remove what is kept may take long.
    private func drop(_ intake: any LoadIntake) {
        edge.files.run { intake.discard() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let fault = error as? HTTPParserError else {
            context.close(promise: nil)
            return
        }
        let overflow = meter.isInRequestLine ? HTTPRefusal.targetTooLong : .headerTooLarge
        let refusal =
            fault == .headerOverflow
            ? overflow : .malformed("malformed HTTP request: \(fault)")
        if machine.isCompleting { lateRefusal = refusal } else { refuse(refusal) }
        perform()
        flush()
    }

    // MARK: Answers

    /// The answer goes out with the next `flush`, or when all before it have come.
    func complete(_ exchange: Machine.ExchangeID, with response: Response) {
        guard isOpen else { return }
        machine.isDraining = gateway.isDraining
        let finished = FinishedResponse(response)
        if response.source != nil {
            machine.answeredInSlices(exchange, finished)
        } else {
            machine.answered(exchange, finished)
        }
        perform()
    }

    /// More has come of an answer that goes out in slices.
    func fed(_ source: AnswerSource) {
        guard isOpen, self.source === source else { return }
        machine.sliceReady()
        perform()
    }

    /// In a later turn of the event loop.
    private func goOn() {
        guard isOpen else { return }
        machine.goOn()
        perform()
        flush()
    }

    /// What was worked on elsewhere has reached the node.
    func workReturned() {
        guard isOpen else { return }
        machine.workReturned()
        perform()
        flush()
    }

    func perform() {
        // What an effect brings about is taken in by the loop that is under way.
        guard !isPerforming else { return }
        isPerforming = true
        defer { isPerforming = false }
        while case let effects = machine.takeEffects(), !effects.isEmpty {
            for effect in effects { perform(effect) }
        }
    }

    private func perform(_ effect: Machine.Effect) {
        switch effect {
        case .work(let exchange):
            guard let next = ready.popFirst() else { return machine.workBegan() }
            machine.isDraining = gateway.isDraining
            let isAway = gateway.work(next.request, next.operation, for: self, exchange)
            if isAway { machine.workWentAway() } else { machine.workBegan() }
        case .write(let finished, let framing): write(finished.response, framing)
        case .refuse(let refusal, let framing):
            write(edge.response(to: refusal), framing)
        case .begin(let finished, let framing):
            write(finished.response, framing)
            source = framing.omitsBody ? nil : finished.response.source
            slicing = framing
        case .slice: gateway.slice(self)
        case .writeContinue:
            if let stream { return stream.writeContinue() }
            output.buffer.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
        case .goOnLater: context?.eventLoop.assumeIsolated().execute { self.goOn() }
        case .cancel(let exchanges): gateway.cancel(exchanges, of: self)
        case .closeWhenWritten(let lingers): closing = .whenWritten(lingers: lingers)
        case .close:
            closing = .underWay
            context?.close(promise: nil)
        }
    }

    /// It is this connection's turn among those of its event loop.
    func makeSlice() {
        guard let source, isOpen else { return }
        do {
            let (bytes, slice) = try source.next(limits.sliceBytes)
            if let stream {
                stream.write(slice: bytes, isLast: slice == .last)
            } else {
                edge.writer.write(slice: bytes, isLast: slice == .last, slicing, to: &output.buffer)
            }
            if slice == .last { dropSource() }
            flushOutput()
            gateway.demandMore(of: source)
            machine.sliced(slice)
        } catch {
            dropSource()
            machine.sliced(.failed)
        }
        perform()
        flush()
    }

    /// To give back the memory of a large result takes long enough to be done elsewhere.
    private func dropSource() {
        guard let source else { return }
        self.source = nil
        edge.workshop.run { withExtendedLifetime(source) {} }
    }

    /// True once between two flushes.
    func noteUnflushed() -> Bool {
        defer { isNotedUnflushed = true }
        return !isNotedUnflushed
    }

    func flush() {
        isNotedUnflushed = false
        if case .whenWritten(let lingers)? = closing, let context {
            closing = .underWay
            let flushed = context.eventLoop.makePromise(of: Void.self)
            context.close(
                after: flushed.futureResult, lingering: lingers ? limits.lingerTimeout : nil)
            write(to: context, flushed)
        } else {
            flushOutput()
        }
        resumeReading()
    }

    private func flushOutput() {
        if let stream { return stream.flush(nil) }
        if let context, output.buffer.readableBytes > 0 { write(to: context, nil) }
    }

    private func write(to context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        if let stream { return stream.flush(promise) }
        // Before the write, which may bring about anything, even the end of this connection.
        let (bytes, taken) = output.take(promise, on: context.eventLoop)
        edge.desk.counters.sentBytes.add(bytes.readableBytes)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: taken)
        // Mostly it has been written: else there would be new memory for each answer.
        output.reuse(consume bytes, atMost: limits.retainedBufferBytes)
    }

    // MARK: Flow control and life

    func read(context: ChannelHandlerContext) {
        if mayRead { context.read() } else { readWanted = true }
    }

    /// What is not read of a stream is kept before this handler, frame by frame, and nobody counts it.
    private var mayRead: Bool {
        if stream != nil { return machine.hasRoomForBody }
        return held?.isDropped ?? true && machine.wantsInput
    }

    private func resumeReading() {
        guard readWanted, let context, mayRead else { return }
        readWanted = false
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        machine.writabilityChanged(context.channel.isWritable)
        perform()
        flush()
        context.fireChannelWritabilityChanged()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        gateway.joined(self)
        self.context = context
        // The session of a stream tells it the time.
        if stream == nil { scheduleTick(after: TimeAmount(limits.pace.tickPeriod), context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    /// Reads under way are cancelled; writes are still executed, their answers find nobody.
    private func end() {
        guard isOpen else { return }
        asker.leave()
        gateway.left(self)
        awaited = nil
        held = nil
        machine.closed()
        perform()
        context = nil
        dropSource()
        dropIncoming()
        for waiting in ready { if let kept = waiting.request.kept { drop(kept.intake) } }
        ready.removeAll()
        output.drop()
        tick?.cancel()
        tick = nil
        if let stream { stream.ended() } else { gateway.connectionClosed(place) }
    }

    private func scheduleTick(after delay: TimeAmount, _ context: ChannelHandlerContext) {
        tick = context.eventLoop.assumeIsolated().scheduleTask(in: delay) {
            guard self.isOpen else { return }
            self.timePassed()
            self.scheduleTick(after: delay, context)
        }
    }

    func timePassed() {
        guard let context else { return }
        machine.tick(stream?.traffic ?? traffic(of: context.channel), at: now)
        perform()
        flush()
    }

    private func traffic(of channel: any Channel) -> HTTPTraffic {
        HTTPTraffic(
            received: meter.received, written: output.written, waiting: meterUnsent(channel),
            unacknowledged: meterUnacknowledged(channel),
            isMidHead: meter.isMidHead && held == nil, limits.pace)
    }

    private func write(_ response: Response, _ framing: ResponseFraming) {
        if let stream {
            stream.write(response, framing, edge.writer)
        } else {
            edge.writer.write(response, framing, to: &output.buffer)
            if !framing.omitsBody { output.hold(response.share) }
            // Only so is it known in this turn whether the client takes it.
            if output.buffer.readableBytes > limits.sliceBytes { flushOutput() }
        }
        edge.desk.counters.answers.count(response.status)
    }
}
