import NIOCore
import NIOHTTP2
import Telemetry

/// A client connection that speaks HTTP/2. Each of its streams is served as a connection with one
/// request; here is what they have in common: how many there may be, how much they may hold, and the
/// end. Carries out what its `HTTP2SessionMachine` says.
final class HTTP2Session: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let gateway: LoopGateway
    /// Of the process, but for the bodies: what all streams may hold of them is bounded together.
    private let edge: Edge
    private let limits: HTTPLimits
    private let meter: HTTP2Meter
    private let client: ConnectionClient
    private let place: ConnectionPlace
    /// Of all streams but one, which has the place of the connection.
    private var furtherPlaces: [ConnectionPlace] = []
    private var machine: HTTP2SessionMachine
    private var context: ChannelHandlerContext?
    private var streams: [ObjectIdentifier: HTTPConnection] = [:]
    private var lastStream = HTTP2StreamID.rootStream
    private var tick: Scheduled<Void>?
    /// Bytes that the client has taken while the socket had no room: what streams have written waits for that then,
    /// as far as can be seen, and not for their windows.
    private(set) var drained = 0
    /// Bytes that the client had taken at the last look.
    private var lastTaken = 0

    init(
        gateway: LoopGateway, edge: Edge, meter: HTTP2Meter, client: ConnectionClient,
        place: ConnectionPlace, now: NIODeadline
    ) {
        self.gateway = gateway
        self.edge = edge.ofSession
        self.meter = meter
        self.client = client
        self.place = place
        limits = place.isObserver ? edge.limits.forObservers : edge.limits
        machine = HTTP2SessionMachine(limits, now: HTTPConnection.time(now))
    }

    private var now: Duration { HTTPConnection.time(context?.eventLoop.now ?? .now()) }

    // MARK: Streams

    /// Serves a stream that the client opened, or resets it where there are too many.
    func take(_ channel: any Channel) throws {
        guard context != nil else { return }
        let options = channel.syncOptions
        // Of a connection that was handed to another loop the first bytes come before it is read.
        try options?.setOption(.autoRead, value: true)
        if let id = try options?.getOption(HTTP2StreamChannelOptions.streamID) {
            lastStream = max(lastStream, id)
        }
        guard machine.streams < limits.servedStreams, let place = takePlace() else {
            edge.desk.counters.http2.refusals.add()
            return refuse(channel)
        }
        let stream = HTTPStream(self, limits, edge.desk.counters)
        let connection = HTTPConnection(
            gateway: gateway, edge: edge, meter: stream.meter, client: client,
            place: self.place.isObserver ? self.place : place, now: channel.eventLoop.now,
            stream: stream)
        do {
            try channel.pipeline.syncOperations.addHandlers([stream, connection])
        } catch {
            if machine.streams > 0 { giveBackPlace() }
            throw error
        }
        machine.streamOpened(at: now)
        streams[ObjectIdentifier(stream)] = connection
        edge.desk.counters.http2.streams.add(1)
        // Who was just connecting gets one answer.
        if gateway.isDraining { drain() }
    }

    /// Nil: there is none.
    private func takePlace() -> ConnectionPlace? {
        guard machine.streams > 0 else { return place }
        guard let further = gateway.takePlaceOfStream(for: client.account) else { return nil }
        furtherPlaces.append(further)
        return further
    }

    /// Any of them: in the end all are given back.
    private func giveBackPlace() {
        if let further = furtherPlaces.popLast() { gateway.giveBack(further) }
    }

    /// In a turn of its own: until then the stream counts where frames are made of bytes, so that nobody
    /// has any number of them refused at once.
    private func refuse(_ channel: any Channel) {
        channel.eventLoop.assumeIsolated().execute {
            channel.writeAndFlush(HTTP2Frame.FramePayload.rstStream(.refusedStream), promise: nil)
        }
    }

    func streamClosed(_ stream: HTTPStream) {
        guard streams.removeValue(forKey: ObjectIdentifier(stream)) != nil else { return }
        edge.desk.counters.http2.streams.add(-1)
        machine.streamClosed(at: now)
        if machine.streams > 0 { giveBackPlace() }
        perform()
    }

    /// Its client does not want the answer any more.
    func streamWasReset() { edge.desk.counters.http2.resets.add() }

    // MARK: The connection

    /// Takes no more streams, and closes behind the last of those that there are.
    func drain() {
        machine.end()
        perform()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // What one stream did wrong ended that alone.
        if meter.hasFailed {
            fail()
        } else if error is NIOHTTP2Errors.NoSuchStream {
            // A body that crossed the farewell, of a stream that it refused. In a turn of its own: its
            // frame is just being looked at.
            context.eventLoop.assumeIsolated().execute { self.meter.goOn() }
        } else if !(error is any NIOHTTP2Error) {
            context.close(promise: nil)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if meter.hasFailed { fail() }
        context.fireChannelReadComplete()
    }

    private func fail() {
        machine.failed()
        perform()
    }

    private func perform() {
        for effect in machine.takeEffects() {
            guard let context else { return }
            switch effect {
            case .goAway: sayGoAway(context, nil)
            case .closeWhenWritten: closeWhenWritten(context)
            case .close: context.close(promise: nil)
            }
        }
    }

    private func sayGoAway(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        meter.farewellComes()
        let payload = HTTP2Frame.FramePayload.goAway(
            lastStreamID: lastStream, errorCode: .noError, opaqueData: nil)
        context.writeAndFlush(
            wrapOutboundOut(HTTP2Frame(streamID: .rootStream, payload: payload)), promise: promise)
    }

    /// In a turn of its own: the last answer may just be on its way to the frames.
    private func closeWhenWritten(_ context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().execute { self.closeNow(context) }
    }

    private func closeNow(_ context: ChannelHandlerContext) {
        guard self.context != nil else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        context.close(after: written.futureResult, lingering: limits.lingerTimeout)
        if meter.hasFailed {
            // Why it must go was said, and is the last word.
            edge.desk.counters.http2.faults.add()
            written.succeed()
        } else {
            // Once more: when it is written, so are the answers before it.
            sayGoAway(context, written)
            // Who takes nothing any more is not waited for: nobody looks at the time from here on.
            context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(limits.pace.head)) {
                context.close(promise: nil)
            }
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        gateway.sessionOpened(self)
        scheduleTick(after: TimeAmount(limits.pace.tickPeriod), context)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        guard context != nil else { return }
        machine.closed()
        context = nil
        tick?.cancel()
        tick = nil
        gateway.sessionClosed(self, at: place)
    }

    private func scheduleTick(after delay: TimeAmount, _ context: ChannelHandlerContext) {
        tick = context.eventLoop.assumeIsolated().scheduleTask(in: delay) {
            guard self.context != nil else { return }
            let traffic = self.traffic(of: context.channel)
            for stream in self.streams.values { stream.timePassed() }
            self.machine.tick(traffic, at: self.now)
            self.perform()
            self.scheduleTick(after: delay, context)
        }
    }

    private func traffic(of channel: any Channel) -> HTTPTraffic {
        let waiting = meterUnsent(channel)
        let scan = meter.incoming
        let traffic = HTTPTraffic(
            received: meter.received, written: meter.sent, waiting: waiting,
            unacknowledged: meterUnacknowledged(channel),
            isMidHead: scan.isMidHead || scan.isMidFrame && machine.streams == 0, limits.pace)
        if waiting > 0 { drained += max(0, traffic.taken - lastTaken) }
        lastTaken = traffic.taken
        return traffic
    }
}
