package import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOPosix
package import Service
import Synchronization
package import Telemetry
import Wire

/// The HTTP edge of a node: turns the connections it is given into requests to the `NodeService`,
/// and its replies into answers. It binds nothing itself, because one port serves several
/// protocols: the listener hands it every connection that speaks HTTP.
package final class HTTPServer: Sendable {
    package struct Identity: Sendable {
        /// What `X-Rqlite-Version` says.
        package var version: String
        /// `host:port` under which clients reach this node's API.
        package var advertisedAddress: String
        /// What `Access-Control-Allow-Origin` says; nil: the header is not sent.
        package var allowOrigin: String?

        package init(version: String, advertisedAddress: String, allowOrigin: String? = nil) {
            self.version = version
            self.advertisedAddress = advertisedAddress
            self.allowOrigin = allowOrigin
        }
    }

    /// What queued writes need.
    package struct Queue: Sendable {
        package var settings: WriteQueueSettings
        /// Sequence numbers are above it: the time of the start, in nanoseconds since 1970.
        package var start: UInt64
        /// On which the queue lives.
        package var loop: any EventLoop
        /// Whether the node knows a leader. Called on event loops.
        package var hasLeader: @Sendable () -> Bool

        package init(
            _ settings: WriteQueueSettings, start: UInt64, on loop: any EventLoop,
            hasLeader: @escaping @Sendable () -> Bool
        ) {
            self.settings = settings
            self.start = start
            self.loop = loop
            self.hasLeader = hasLeader
        }
    }

    private let service: any NodeService
    private let edge: Edge
    private struct State {
        /// One per event loop, made when a loop's first connection comes.
        var gateways: [ObjectIdentifier: LoopGateway] = [:]
        var isDraining = false
    }

    private let state = Mutex(State())

    /// Begins to take what a client wants to load. Called on event loops: it never blocks.
    package typealias Loads = @Sendable () -> any LoadIntake

    /// - Parameters:
    ///   - door: who may do what.
    ///   - workshop: where large bodies are read.
    ///   - files: where those in parts are taken, and what was kept of them is worked at.
    ///   - lookout: where the node is looked at, if that takes its time.
    ///   - loads: see `Loads`.
    ///   - queue: of queued writes; nil: there are none.
    package init(
        _ identity: Identity, service: any NodeService, documents: Documents = Documents(),
        metrics: MetricRegistry = MetricRegistry(), door: HTTPDoor = HTTPDoor(),
        limits: HTTPLimits = HTTPLimits(), workshop: HTTPWorkshop = .threads,
        files: HTTPWorkshop = .files, lookout: HTTPWorkshop = .lookout,
        loads: @escaping Loads = { RefusedLoad() },
        queue: Queue? = nil
    ) {
        self.service = service
        let budgets = EdgeBudgets(limits)
        edge = Edge(
            limits: limits, budgets: budgets, door: door,
            writer: ResponseWriter(
                version: identity.version, allowOrigin: identity.allowOrigin,
                asksForCredentials: door.judge != nil),
            desk: AnswerDesk(
                advertisedAddress: identity.advertisedAddress,
                apiDocument: APIDocument.Kept(version: identity.version), documents: documents,
                counters: HTTPCounters(metrics), limits: limits, budgets: budgets),
            workshop: workshop, files: files, lookout: lookout, loads: loads,
            queue: queue.map {
                WriteQueue(
                    $0.settings, start: $0.start, on: $0.loop, service: service, metrics: metrics,
                    hasLeader: $0.hasLeader)
            })
    }

    /// What is in use of the bounds of the process. Thread-safe.
    var budgets: EdgeBudgets { edge.budgets }

    /// Installs the handlers of an HTTP connection. What was read before must be fired into the
    /// pipeline afterwards.
    package func configure(_ channel: any Channel) -> EventLoopFuture<Void> {
        let loop = channel.eventLoop
        if loop.inEventLoop { return loop.makeCompletedFuture { try install(on: channel) } }
        return loop.submit { try self.install(on: channel) }
    }

    /// Sends the clients away, before the node stops: every answer from now on closes its connection,
    /// and connections are still taken, so that none is cut that is just being made. Fulfilled when no
    /// client is left, or none but idle ones after `HTTPLimits.drainPatience`; after
    /// `HTTPLimits.drainLimit` in any case. To be called once.
    package func drain(on loop: any EventLoop) -> EventLoopFuture<Void> {
        let limit = edge.limits.drainLimit
        let queue = edge.queue
        // Clients may wait for queued writes.
        queue?.hurry()
        return drainClients(on: loop).flatMap { _ in
            queue?.drain(atMost: limit).hop(to: loop) ?? loop.makeSucceededVoidFuture()
        }
    }

    private func drainClients(on loop: any EventLoop) -> EventLoopFuture<Void> {
        let gateways = state.withLock { state in
            state.isDraining = true
            return Array(state.gateways.values)
        }
        return EventLoopFuture.andAllSucceed(gateways.map { $0.drain(edge.limits) }, on: loop)
    }

    private func install(on channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let gateway = gateway(of: channel.eventLoop)
        let client = ConnectionClient(channel.remoteAddress, edge.clients, edge.door)
        guard let place = gateway.connectionOpened(by: client.account) else {
            try pipeline.addHandler(HTTPRefusalHandler(edge))
            return
        }
        let limits = place.isObserver ? edge.limits.forObservers : edge.limits
        let opening = HTTPOpening(limits.pace) { [self] version in
            switch version {
            case .http1: try installHTTP1(on: channel, gateway, client, place)
            case .http2: try installHTTP2(on: channel, gateway, client, place)
            }
        } gone: {
            gateway.connectionClosed(place)
        }
        do {
            try pipeline.addHandler(opening)
        } catch {
            gateway.connectionClosed(place)
            throw error
        }
    }

    private func installHTTP1(
        on channel: any Channel, _ gateway: LoopGateway, _ client: ConnectionClient,
        _ place: ConnectionPlace
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        var decoding = NIOHTTPDecoderLimitConfiguration()
        // The decoder knows one bound for both; which of them is passed says `HeadFault`, unless it is
        // by this much.
        decoding.maxHeaderListSize = edge.limits.headerBytes + edge.limits.targetBytes
        decoding.maxHeaderFieldSize = decoding.maxHeaderListSize
        decoding.maxHeaderFieldCount = edge.limits.headerFields
        let decoder = HTTPRequestDecoder(
            leftOverBytesStrategy: .dropBytes, limitConfiguration: decoding)
        let meter = HTTPTrafficMeter(total: edge.desk.counters.receivedBytes)
        let connection = HTTPConnection(
            gateway: gateway, edge: edge, meter: meter, client: client, place: place,
            now: channel.eventLoop.now)
        try pipeline.addHandler(meter)
        try pipeline.addHandler(ByteToMessageHandler(decoder))
        try pipeline.addHandler(connection)
    }

    private func installHTTP2(
        on channel: any Channel, _ gateway: LoopGateway, _ client: ConnectionClient,
        _ place: ConnectionPlace
    ) throws {
        let meter = HTTP2Meter(edge.desk.counters)
        let session = HTTP2Session(
            gateway: gateway, edge: edge, meter: meter, client: client, place: place,
            now: channel.eventLoop.now)
        let here = NIOLoopBound(session, eventLoop: channel.eventLoop)
        let frames = NIOHTTP2Handler(
            mode: .server, eventLoop: channel.eventLoop,
            connectionConfiguration: edge.limits.ofSessions,
            streamConfiguration: edge.limits.ofStreams
        ) { stream in
            stream.eventLoop.makeCompletedFuture { try here.value.take(stream) }
        }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers([
            meter, HTTP2Greeting(streams: edge.limits.pipelinedRequests), frames,
        ])
        let settings = HTTP2Frame.FramePayload.settings(
            .settings(edge.limits.ofSessions.initialSettings))
        channel.write(HTTP2Frame(streamID: .rootStream, payload: settings), promise: nil)
        try pipeline.addHandler(session)
    }

    private func gateway(of loop: any EventLoop) -> LoopGateway {
        state.withLock { state in
            if let known = state.gateways[ObjectIdentifier(loop)] { return known }
            let gateway = LoopGateway(loop: loop, service: service, edge: edge)
            state.gateways[ObjectIdentifier(loop)] = gateway
            if state.isDraining { _ = gateway.drain(edge.limits) }
            return gateway
        }
    }
}

extension HTTPWorkshop {
    /// Threads of its own.
    package static let threads = HTTPWorkshop(threads: max(2, System.coreCount))

    /// The same, and several on one processor, too: one may look at a load for minutes.
    package static let files = HTTPWorkshop(threads: max(4, System.coreCount))

    /// A thread of its own.
    package static let lookout = HTTPWorkshop(threads: 1)

    /// With threads that last as long as the process.
    private init(threads count: Int) {
        let pool = NIOThreadPool(numberOfThreads: count)
        pool.start()
        self.init { work in
            pool.submit { state in
                if case .active = state { work() }
            }
        }
    }
}

/// Stands for a connection that is one too many: says so once and closes.
private final class HTTPRefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let edge: Edge
    private var deadline: Scheduled<Void>?
    private var isSaid = false

    init(_ edge: Edge) { self.edge = edge }

    /// Over TLS nothing may ever come.
    func handlerAdded(context: ChannelHandlerContext) {
        let time = TimeAmount(edge.limits.forObservers.pace.head)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            context.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    /// What comes behind is taken and dropped: with bytes of the client unread the end of the connection would
    /// be a reset, which may take from the client what was written before.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isSaid else { return }
        isSaid = true
        var output = ByteBuffer()
        edge.writer.write(
            edge.tooManyConnections(.ofNode), ResponseFraming(keepAlive: false), to: &output)
        let written = context.eventLoop.makePromise(of: Void.self)
        context.close(after: written.futureResult, lingering: edge.limits.lingerTimeout)
        context.writeAndFlush(wrapOutboundOut(output), promise: written)
    }
}
