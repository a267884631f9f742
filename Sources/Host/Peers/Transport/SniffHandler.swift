import Addresses
import Glibc
import NIOCore
import NIOPosix

/// Tells by the first byte of an accepted connection who speaks: F5 begins the node protocol, 16
/// TLS, a capital letter a method of HTTP. Then it hands over all bytes read so far and leaves.
final class SniffHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let transport: PeerTransport
    private let side: Listener.Side
    private let loops: Listener.Loops
    private let http: Listener.HTTPInstaller
    private var bytes = ByteBuffer()
    private var isDecided = false
    /// The bytes go to another channel.
    private var isMoving = false
    private var deadline: Scheduled<Void>?

    /// - Parameter side: whom the port is for that took the connection.
    init(
        transport: PeerTransport, takenBy side: Listener.Side, loops: Listener.Loops,
        http: @escaping Listener.HTTPInstaller
    ) {
        self.transport = transport
        self.side = side
        self.loops = loops
        self.http = http
    }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(
            in: transport.limits.sniffTimeout
        ) {
            self.refuse(context, "it said nothing") { _ in }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        if !isDecided {
            // Gone before it said anything, as health checks of load balancers are.
            transport.inbound.identified(context.channel)
        } else if !isMoving, bytes.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(bytes))
            context.fireChannelReadComplete()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var new = unwrapInboundIn(data)
        if bytes.readableBytes == 0 { bytes = new } else { bytes.writeBuffer(&new) }
        guard !isDecided, let first = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self)
        else { return }
        let security = transport.security
        switch first {
        case Frame.magic[0]:
            guard security.nodes == nil || security.nodesMayBePlain else {
                return refuse(context, "it is a node that does not encrypt (-node-cert)") {
                    $0.refusedPlain += 1
                }
            }
            becomeNode(context, nil)
        case UInt8(ascii: "A")...UInt8(ascii: "Z"):
            guard security.clients == nil else { return refusePlainHTTP(context) }
            becomeHTTP(context, nil)
        case 0x16: becomeSecure(context, security)
        default:
            refuse(context, "neither HTTP nor the node protocol") { $0.refusedUnknown += 1 }
        }
    }

    /// By whom speaks, with the certificate that is meant for them.
    private func becomeSecure(_ context: ChannelHandlerContext, _ security: TransportSecurity) {
        guard security.nodes != nil || security.clients != nil else {
            return refuse(
                context, "it speaks TLS, and this node does not (-http-cert, -node-cert)"
            ) { $0.refusedTLS += 1 }
        }
        switch ClientHello.speaker(in: bytes) {
        case .unknown: break
        case .node where security.nodes != nil: becomeNode(context, security.nodes)
        case .client where security.clients != nil: becomeHTTP(context, security.clients)
        case .node:
            refuse(context, "it is a node that encrypts, and this one does not (-node-cert)") {
                $0.refusedTLS += 1
            }
        case .client:
            refuse(context, "it speaks HTTPS, and this node does not (-http-cert)") {
                $0.refusedTLS += 1
            }
        }
    }

    /// In Go's words, as rqlite's users know them.
    private func refusePlainHTTP(_ context: ChannelHandlerContext) {
        let text =
            "HTTP/1.0 400 Bad Request\r\n\r\n"
            + "Client sent an HTTP request to an HTTPS server.\n"
        context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
        refuse(context, "it sent HTTP in the clear") { $0.refusedPlain += 1 }
    }

    private func becomeNode(
        _ context: ChannelHandlerContext, _ security: (any ConnectionSecurity)?
    ) {
        decide(context)
        let isSecure = security != nil
        transport.inbound.count {
            $0.nodeConnections += 1
            if isSecure { $0.nodeHandshakes += 1 }
        }
        let transport = transport
        let install: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
            channel.eventLoop.makeCompletedFuture {
                try transport.secure(channel, security, of: .nodes)
                try channel.pipeline.syncOperations.addHandler(
                    PreambleHandler(transport: transport))
            }
        }
        become(context, .nodes, install)
    }

    private func becomeHTTP(
        _ context: ChannelHandlerContext, _ security: (any ConnectionSecurity)?
    ) {
        decide(context)
        if security == nil, !transport.inbound.admitClient(context.channel) {
            return context.close(promise: nil)
        }
        let isSecure = security != nil
        transport.inbound.count {
            $0.httpConnections += 1
            if isSecure { $0.httpHandshakes += 1 }
        }
        let (transport, http) = (transport, http)
        become(context, .clients) { channel in
            do {
                try transport.secure(channel, security, of: .clients)
                return http(channel)
            } catch {
                return channel.eventLoop.makeFailedFuture(error)
            }
        }
    }

    private func become(
        _ context: ChannelHandlerContext, _ actual: Listener.Side,
        _ install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) {
        if let loop = loops.other(than: side, for: actual) {
            return move(context, to: loop, install)
        }
        install(context.channel).hop(to: context.eventLoop).assumeIsolated().whenComplete {
            result in
            switch result {
            case .success: self.leave(context)
            case .failure: context.close(promise: nil)
            }
        }
    }

    /// Gives the connection a channel on another loop, with the bytes read so far. NIO binds a
    /// channel to its loop for good, so the new one gets a duplicate of the descriptor, and closing
    /// the old channel leaves the connection open.
    private func move(
        _ context: ChannelHandlerContext, to loop: any EventLoop,
        _ install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) {
        let channel = context.channel
        try? channel.syncOptions?.setOption(.autoRead, value: false)
        let duplicate = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { fcntl($0, F_DUPFD_CLOEXEC, 3) }
        guard let duplicate, duplicate >= 0 else { return context.close(promise: nil) }
        isMoving = true
        // What is being read may bring more in this turn, whatever the channel was told: several buffers
        // are filled in one go, and the first is small.
        context.eventLoop.assumeIsolated().execute {
            self.handOver(duplicate, of: channel, to: loop, install)
        }
    }

    private func handOver(
        _ duplicate: Int32, of channel: any Channel, to loop: any EventLoop,
        _ install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) {
        let (bytes, inbound) = (bytes, transport.inbound)
        self.bytes.clear()
        ClientBootstrap(group: loop)
            .channelOption(.autoRead, value: false)
            .channelInitializer(install)
            .withConnectedSocket(duplicate)
            .whenComplete { result in
                // On the new loop.
                channel.close(promise: nil)
                guard case .success(let moved) = result else { return }
                inbound.moved(moved)
                moved.pipeline.fireChannelRead(bytes)
                moved.pipeline.fireChannelReadComplete()
                moved.setOption(.autoRead, value: true).whenFailure { _ in
                    moved.close(promise: nil)
                }
            }
    }

    private func decide(_ context: ChannelHandlerContext) {
        isDecided = true
        deadline?.cancel()
        transport.inbound.identified(context.channel)
    }

    private func leave(_ context: ChannelHandlerContext) {
        // Fails only when the connection has closed meanwhile and the pipeline is empty.
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func refuse(
        _ context: ChannelHandlerContext, _ reason: String,
        counting: (inout TransportStatistics.Inbound) -> Void
    ) {
        guard !isDecided else { return }
        decide(context)
        bytes.clear()
        transport.inbound.count(counting)
        transport.observe(
            .refusedInbound(remoteAddress: context.channel.remoteText, reason: reason))
        context.close(promise: nil)
    }
}

extension Channel {
    /// The other end, for people.
    var remoteText: String {
        guard let address = remoteAddress, let host = address.ipAddress, let port = address.port
        else { return "an unknown address" }
        return HostPort(host: host, port: UInt16(clamping: port)).description
    }

    var localText: String {
        guard let address = localAddress, let host = address.ipAddress, let port = address.port
        else { return "" }
        return HostPort(host: host, port: UInt16(clamping: port)).description
    }
}
