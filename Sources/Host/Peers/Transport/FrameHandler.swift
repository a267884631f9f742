import NIOCore
import NIOPosix
import PeerProtocol
import Wire

/// Turns the bytes of an established connection into what its frames mean, one batch per read, and
/// ends the connection at the first violation. Large frames are decoded away from the loop; until
/// that is done nothing more is read. Before a frame that takes real memory is awaited, it is taken
/// from a budget that connections share, and it must arrive in time.
final class FrameHandler<Output: Sendable>: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = Output
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Role {
        /// This node dialed: the other end may not be a node at all, or refuse.
        case dialer
        case acceptor
    }

    /// Where a frame is in the budget.
    private enum Share {
        case none
        case awaited(Int)
        case taken(Int)
    }

    private let limits: TransportLimits
    private let budget: ByteBudget?
    private let codec: NIOThreadPool
    private let decode: @Sendable (FrameBatch) throws -> Output
    private var parser: FrameParser
    private let role: Role
    /// For errors.
    private let address: String
    private var hasSeenFrame = false
    private var hasFailed = false
    private var isDecoding = false
    private var share = Share.none
    private var deadline: Scheduled<Void>?
    private var holdsRead = false

    /// - Parameters:
    ///   - limit: of one frame's payload, in bytes.
    ///   - budget: where connections accepted from others take what they need.
    ///   - decode: what a batch means; called on the loop for small frames, elsewhere for large ones.
    init(
        limit: Int, role: Role, address: String, transport: PeerTransport,
        budget: ByteBudget? = nil,
        decode: @escaping @Sendable (FrameBatch) throws -> Output
    ) {
        limits = transport.limits
        codec = transport.codec
        parser = FrameParser(
            limit: min(limit, budget?.limit ?? .max), largeBytes: limits.largeFrameBytes)
        self.role = role
        self.address = address
        self.budget = budget
        self.decode = decode
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if !hasFailed { parser.append(&bytes) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        parse(context)
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        parse(context)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        hasFailed = true
        leaveBudget()
    }

    func read(context: ChannelHandlerContext) {
        if isHeld { holdsRead = true } else { context.read() }
    }

    private var isHeld: Bool {
        if case .awaited = share { return true }
        return isDecoding
    }

    private func readAgain(_ context: ChannelHandlerContext) {
        guard holdsRead, !isHeld else { return }
        holdsRead = false
        context.read()
    }

    private func parse(_ context: ChannelHandlerContext) {
        do {
            while !hasFailed, !isDecoding, let next = try parser.next() {
                leaveBudget()
                switch next {
                case .batch(let batch):
                    if role == .dialer, let refusal = try refusal(in: batch) {
                        return fail(context, refusal)
                    }
                    hasSeenFrame = true
                    context.fireChannelRead(wrapInboundOut(try decode(batch)))
                case .large(let frame): decodeElsewhere(frame, context)
                }
            }
            if !hasFailed, !isDecoding { admit(context) }
        } catch {
            failed(context, error)
        }
    }

    private func failed(_ context: ChannelHandlerContext, _ error: any Error) {
        guard !hasFailed else { return }
        if role == .dialer, !hasSeenFrame {
            let cause =
                "does not speak the node protocol: is this the address of another service?"
            return fail(context, TransportError(.notANode, address: address, cause: cause))
        }
        if error is WireError {
            let violation = FrameParser.Violation.malformed("a frame can't be read: \(error)")
            return fail(context, TransportError(violation, address: address))
        }
        fail(context, TransportError(error, address: address))
    }

    private func decodeElsewhere(_ frame: ByteBuffer, _ context: ChannelHandlerContext) {
        isDecoding = true
        let decode = decode
        codec.runIfActive(eventLoop: context.eventLoop) { try decode(FrameBatch(large: frame)) }
            .assumeIsolated().whenComplete { result in
                self.isDecoding = false
                guard !self.hasFailed else { return }
                switch result {
                case .success(let output):
                    self.hasSeenFrame = true
                    context.fireChannelRead(self.wrapInboundOut(output))
                    context.fireChannelReadComplete()
                    self.parse(context)
                case .failure(let error): self.failed(context, error)
                }
                self.readAgain(context)
            }
    }

    // MARK: The budget

    /// Takes what the frame that is arriving needs, beyond what every connection may have.
    private func admit(_ context: ChannelHandlerContext) {
        guard let budget, case .none = share, let length = parser.announcedLength,
            length > limits.ambientBytes
        else { return }
        let here = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        let isTaken = budget.take(length) {
            loop.execute { here.value.handler.granted(length, here.value.context) }
        }
        share = .awaited(length)
        if isTaken { granted(length, context) }
    }

    private func granted(_ length: Int, _ context: ChannelHandlerContext) {
        guard case .awaited(length) = share, !hasFailed else {
            budget?.release(length)
            return
        }
        share = .taken(length)
        parser.makeRoom()
        let time = limits.frameTime(for: length)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            self.failed(
                context,
                FrameParser.Violation.malformed("a frame of \(length) bytes arrives too slowly"))
        }
        readAgain(context)
    }

    private func leaveBudget() {
        deadline?.cancel()
        deadline = nil
        if case .taken(let count) = share { budget?.release(count) }
        share = .none
    }

    private func fail(_ context: ChannelHandlerContext, _ error: TransportError) {
        hasFailed = true
        leaveBudget()
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    private func refusal(in batch: FrameBatch) throws -> TransportError? {
        guard let frame = batch.frames.first(where: { $0.kind == .refusal }) else { return nil }
        var reader = batch.reader(of: frame)
        let code = RefusalCode(rawValue: try reader.readByte())
        let version = ProtocolVersion(major: try reader.readByte(), minor: try reader.readByte())
        let text = try reader.readText()
        if code == .version {
            return TransportError(
                .versionMismatch, address: address,
                cause: "speaks version \(version) of the node protocol, this node "
                    + "\(ProtocolVersion.current)")
        }
        if code == .otherNode, !reader.isAtEnd {
            let found = try Introduction(from: &reader)
            return TransportError(.otherNode(found), address: address, cause: text)
        }
        return TransportError(.refused, address: address, cause: "refused: \(text)")
    }
}

extension FrameHandler where Output == FrameBatch {
    /// Hands on frames as they are.
    convenience init(
        limit: Int, role: Role, address: String, transport: PeerTransport, budget: ByteBudget? = nil
    ) {
        self.init(
            limit: limit, role: role, address: address, transport: transport, budget: budget
        ) { $0 }
    }
}
