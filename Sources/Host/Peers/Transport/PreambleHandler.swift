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

    private let transport: PeerTransport
    private var parser = FrameParser(limit: maxIntroduction)
    private var head = ByteBuffer()
    private var purpose: ConnectionPurpose?
    private var version = ProtocolVersion.current
    private var isDone = false
    private var deadline: Scheduled<Void>?

    init(transport: PeerTransport) {
        self.transport = transport
    }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(
            in: transport.limits.sniffTimeout
        ) {
            self.drop(context, "it did not introduce itself")
        }
        transport.inbound.mustShow(context.channel)
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
            try install(context, purpose, for: try Introduction(from: &reader))
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
        self.version = version
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
        _ context: ChannelHandlerContext, _ purpose: ConnectionPurpose,
        for introduction: Introduction
    ) throws {
        guard let delegate = transport.delegate else {
            return refuse(context, .notReady, "the node is starting or stopping")
        }
        if let (code, text) = misdirection(of: introduction, purpose, delegate) {
            transport.inbound.count { $0.misdirected += 1 }
            return refuse(context, code, text)
        }
        if let objection = transport.security.objection(
            to: introduction.identity.id, on: context.channel)
        {
            transport.inbound.count { $0.refusedIdentity += 1 }
            return refuse(context, .unwanted, objection, byCertificate: true)
        }
        if let cause = transport.inbound.refusal(of: introduction, purpose) {
            return refuse(context, .unwanted, cause)
        }
        guard
            transport.inbound.introduced(
                context.channel, introduction, purpose,
                members: delegate.presence.members.map(NodeIdentity.init(member:)))
        else {
            return refuse(context, .tooManyConnections, "too many connections between nodes")
        }
        isDone = true
        let identity = introduction.identity
        let caller = PeerCaller(identity: identity, remoteAddress: context.channel.remoteText)
        let limits = transport.limits
        let handlers = handlers(
            for: purpose, of: caller, isTrusted: isTrusted(introduction, delegate), delegate)
        // Without these options the connection works too, only slower to notice a dead peer.
        _ = SocketOptions.setForNode(context.channel, limits: limits)
        try context.pipeline.syncOperations.addHandlers(
            handlers + [InboundErrorHandler(transport: transport)], position: .after(self))
        if purpose == .messages && version.minor >= 1
            || purpose == .forwarding && version.minor >= 4
        {
            var writer = ByteWriter(reserving: 128)
            writer.writeFrame(.welcome) { transport.introduction().encode(into: &$0) }
            context.writeAndFlush(NIOAny(ByteBuffer(bytes: writer.bytes)), promise: nil)
        }
        let rest = parser.takeRest()
        if rest.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(rest))
            context.fireChannelReadComplete()
        }
        transport.spoke(introduction, from: caller.remoteAddress)
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// Says that it is a member, or of this node's cluster. Nobody can prove it yet; it keeps small
    /// what anybody else may cost.
    private func isTrusted(
        _ introduction: Introduction, _ delegate: any PeerDelegate
    ) -> Bool {
        if let theirs = introduction.cluster, theirs == delegate.presence.cluster ?? theirs {
            return true
        }
        let identity = introduction.identity
        return delegate.presence.members.contains {
            $0.id == identity.id && $0.incarnation == identity.incarnation
        }
    }

    private func handlers(
        for purpose: ConnectionPurpose, of caller: PeerCaller, isTrusted: Bool,
        _ delegate: any PeerDelegate
    ) -> [any ChannelHandler] {
        let (transport, limits) = (transport, transport.limits)
        let inbound = transport.inbound
        let budget = isTrusted ? inbound.arriving : inbound.untrusted
        let most = isTrusted ? limits.maxFrameBytes : limits.maxUntrustedFrameBytes
        func frames<T>(
            _ limit: Int, _ decode: @escaping @Sendable (FrameBatch) throws -> T
        ) -> FrameHandler<T> {
            FrameHandler(
                limit: min(limit, most), role: .acceptor, address: caller.remoteAddress,
                transport: transport, budget: budget, decode: decode)
        }
        switch purpose {
        case .messages:
            return [
                frames(most, ReceivedMessages.decode),
                MessageReceiver(
                    transport: transport, delegate: delegate, speaker: caller.identity,
                    isTrusted: isTrusted),
            ]
        case .calls:
            return [
                frames(limits.maxCallBytes) { $0 },
                CallResponder(delegate: delegate, caller: caller, limits: limits),
            ]
        case .forwarding:
            return [
                frames(most, ForwardedBatch.decode),
                ForwardResponder(
                    transport: transport, delegate: delegate, caller: caller,
                    takesParts: version.minor >= 2, budget: budget,
                    limit: min(limits.maxFrameBytes, most)),
            ]
        case .snapshot:
            return [
                frames(most) { $0 },
                SnapshotReceiver(transport: transport, delegate: delegate, caller: caller),
            ]
        }
    }

    /// Why what the dialer wants is not here. Who asks a question may not know whom it asks.
    private func misdirection(
        of introduction: Introduction, _ purpose: ConnectionPurpose, _ delegate: any PeerDelegate
    ) -> (RefusalCode, String)? {
        if let wanted = introduction.wanted, !wanted.isMet(by: transport.identity) {
            return (.otherNode, transport.identity.differs(from: wanted))
        }
        guard purpose != .calls, let theirs = introduction.cluster,
            let own = delegate.presence.cluster, theirs != own
        else { return nil }
        return (.otherCluster, "this node is in cluster \(own), the caller in \(theirs)")
    }

    /// Tells the dialer why, and waits for it to close: closing first, with bytes of the dialer
    /// unread, would reset the connection and might overtake the refusal.
    private func refuse(
        _ context: ChannelHandlerContext, _ code: RefusalCode, _ text: String,
        byCertificate: Bool = false
    ) {
        isDone = true
        transport.inbound.count { $0.refusedOverLimit += code == .tooManyConnections ? 1 : 0 }
        let remote = context.channel.remoteText
        transport.observe(
            byCertificate
                ? .refusedCertificate(remoteAddress: remote, reason: text)
                : .refusedInbound(remoteAddress: remote, reason: text))
        var writer = ByteWriter()
        writer.writeRefusal(code, text, by: transport)
        guard transport.inbound.mayLinger(context.channel) else {
            return context.close(promise: nil)
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

extension ByteWriter {
    mutating func writeRefusal(_ code: RefusalCode, _ text: String, by transport: PeerTransport) {
        writeFrame(.refusal) {
            $0.write(code.rawValue)
            $0.write(ProtocolVersion.current.major)
            $0.write(ProtocolVersion.current.minor)
            $0.write(text)
            if code == .otherNode { transport.introduction().encode(into: &$0) }
        }
    }
}

extension NodeIdentity {
    /// In words.
    func differs(from wanted: Introduction.Wanted) -> String {
        if id == wanted.id {
            return "node \(id) is here with another data directory than the one that is wanted"
        }
        return "node \(id) is here, not node \(wanted.id)"
    }
}

/// The end of an accepted connection's pipeline: any error ends the connection and is reported.
final class InboundErrorHandler: ChannelInboundHandler {
    typealias InboundIn = Never

    private let transport: PeerTransport

    init(transport: PeerTransport) {
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
