package import NIOCore
import NIOHTTP1
package import Service
import Synchronization
package import Telemetry

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

    private let service: any NodeService
    private let limits: HTTPLimits
    private let endpoints: Endpoints
    private let renderer: ReplyRenderer
    private let writer: ResponseWriter
    private struct State {
        /// One per event loop, made when a loop's first connection comes.
        var gateways: [ObjectIdentifier: LoopGateway] = [:]
        var isDraining = false
    }

    private let state = Mutex(State())

    package init(
        _ identity: Identity, service: any NodeService, documents: Documents = Documents(),
        metrics: MetricRegistry = MetricRegistry(), limits: HTTPLimits = HTTPLimits()
    ) {
        let counters = HTTPCounters(metrics)
        self.service = service
        self.limits = limits
        endpoints = Endpoints(
            advertisedAddress: identity.advertisedAddress, documents: documents,
            counters: counters)
        renderer = ReplyRenderer(
            advertisedAddress: identity.advertisedAddress, counters: counters)
        writer = ResponseWriter(version: identity.version, allowOrigin: identity.allowOrigin)
    }

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
        let gateways = state.withLock { state in
            state.isDraining = true
            return Array(state.gateways.values)
        }
        return EventLoopFuture.andAllSucceed(gateways.map { $0.drain(limits) }, on: loop)
    }

    private func install(on channel: any Channel) throws {
        var decoding = NIOHTTPDecoderLimitConfiguration()
        decoding.maxHeaderListSize = limits.headerBytes
        decoding.maxHeaderFieldSize = limits.headerBytes
        decoding.maxHeaderFieldCount = limits.headerFields
        let decoder = HTTPRequestDecoder(
            leftOverBytesStrategy: .dropBytes, limitConfiguration: decoding)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(ByteToMessageHandler(decoder))
        try pipeline.addHandler(
            HTTPConnection(
                gateway: gateway(of: channel.eventLoop), endpoints: endpoints, writer: writer,
                limits: limits))
    }

    private func gateway(of loop: any EventLoop) -> LoopGateway {
        state.withLock { state in
            if let known = state.gateways[ObjectIdentifier(loop)] { return known }
            let gateway = LoopGateway(loop: loop, service: service, renderer: renderer)
            state.gateways[ObjectIdentifier(loop)] = gateway
            if state.isDraining { _ = gateway.drain(limits) }
            return gateway
        }
    }
}
