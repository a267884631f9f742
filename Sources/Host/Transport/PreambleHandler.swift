import NIOCore
import PeerProtocol
import Raft
import Wire

/// Reads a dialer's preamble and introduction, then installs what the connection is for.
final class PreambleHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// A node ID and an incarnation need no more.
    private static let maxIntroduction = 4096

    private let transport: Transport
    private var parser = FrameParser(limit: maxIntroduction)
    private var head = ByteBuffer()
    private var purpose: ConnectionPurpose?
    private var isDone = false
    private var deadline: Scheduled<Void>?

    init(transport: Transport) {
        self.transport = transport
    }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(
            in: transport.limits.sniffTimeout
        ) {
            self.drop(context, "it did not introduce itself")
        }
        guard transport.inbound.admitPeer(context.channel) else {
            refuse(context, .tooManyConnections, "too many connections between nodes")
            return
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        guard !isDone else { return }
        do {
            if purpose == nil {
                head.writeBuffer(&bytes)
                guard head.readableBytes >= Frame.preambleSize else { return }
                guard let purpose = readHead(context) else { return }
                self.purpose = purpose
                parser.append(&head)
            } else {
                parser.append(&bytes)
            }
            guard let purpose, let batch = try parser.takeFrames(atMost: 1),
                let frame = batch.frames.first
            else { return }
            guard frame.kind == .introduction else {
                return drop(context, "its first frame is no introduction")
            }
            var reader = batch.reader(of: frame)
            try install(context, purpose, of: try NodeIdentity(from: &reader))
        } catch {
            drop(context, "\(TransportError(error, address: context.channel.remoteText).cause)")
        }
    }

    /// Nil when the connection was refused.
    private func readHead(_ context: ChannelHandlerContext) -> ConnectionPurpose? {
        guard let bytes = head.readBytes(length: Frame.preambleSize),
            Array(bytes.prefix(Frame.magic.count)) == Frame.magic
        else {
            drop(context, "neither HTTP nor the node protocol")
            return nil
        }
        let version = ProtocolVersion(major: bytes[8], minor: bytes[9])
        guard version.major == ProtocolVersion.current.major else {
            let text =
                "this node speaks version \(ProtocolVersion.current) of the node protocol, "
                + "the caller \(version)"
            refuse(context, .version, text)
            return nil
        }
        guard let purpose = ConnectionPurpose(rawValue: bytes[10]) else {
            refuse(context, .purpose, "connections of kind \(bytes[10]) are not supported")
            return nil
        }
        return purpose
    }

    private func install(
        _ context: ChannelHandlerContext, _ purpose: ConnectionPurpose, of identity: NodeIdentity
    ) throws {
        guard let delegate = transport.delegate else {
            return refuse(context, .notReady, "the node is starting or stopping")
        }
        isDone = true
        let caller = PeerCaller(identity: identity, remoteAddress: context.channel.remoteText)
        let limits = transport.limits
        let frames = FrameHandler(
            limit: purpose == .calls ? limits.maxCallBytes : limits.maxFrameBytes,
            role: .acceptor, address: caller.remoteAddress)
        let handler: any ChannelHandler =
            switch purpose {
            case .messages: MessageReceiver(transport: transport, delegate: delegate)
            case .calls: CallResponder(delegate: delegate, caller: caller, limits: limits)
            case .forwarding: ForwardResponder(delegate: delegate, caller: caller, limits: limits)
            case .snapshot:
                SnapshotReceiver(transport: transport, delegate: delegate, caller: caller)
            }
        // Without these options the connection works too, only slower to notice a dead peer.
        _ = SocketOptions.setForNode(context.channel, limits: limits)
        try context.pipeline.syncOperations.addHandlers(
            [frames, handler, InboundErrorHandler(transport: transport)], position: .after(self))
        let rest = parser.takeRest()
        if rest.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(rest))
            context.fireChannelReadComplete()
        }
        if purpose == .messages { transport.heard(from: identity.id) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// Tells the dialer why, and waits for it to close: closing first, with bytes of the dialer
    /// unread, would reset the connection and might overtake the refusal.
    private func refuse(_ context: ChannelHandlerContext, _ code: RefusalCode, _ text: String) {
        isDone = true
        transport.inbound.count { $0.refusedOverLimit += code == .tooManyConnections ? 1 : 0 }
        transport.observe(
            .refusedInbound(remoteAddress: context.channel.remoteText, reason: text))
        var writer = ByteWriter()
        writer.writeFrame(.refusal) {
            $0.write(code.rawValue)
            $0.write(ProtocolVersion.current.major)
            $0.write(ProtocolVersion.current.minor)
            $0.write(text)
        }
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: writer.bytes)), promise: nil)
        context.close(mode: .output, promise: nil)
    }

    private func drop(_ context: ChannelHandlerContext, _ reason: String) {
        if !isDone {
            isDone = true
            transport.inbound.count { $0.refusedUnknown += 1 }
            transport.observe(
                .refusedInbound(remoteAddress: context.channel.remoteText, reason: reason))
        }
        context.close(promise: nil)
    }
}

/// The end of an accepted connection's pipeline: any error ends the connection and is reported.
final class InboundErrorHandler: ChannelInboundHandler {
    typealias InboundIn = Never

    private let transport: Transport

    init(transport: Transport) {
        self.transport = transport
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let remote = context.channel.remoteText
        let error = TransportError(error, address: remote)
        if error.reason == .corrupted || error.reason == .tooLarge {
            transport.inbound.count { $0.corrupted += 1 }
            transport.observe(.refusedInbound(remoteAddress: remote, reason: error.cause))
        }
        context.close(promise: nil)
    }
}
