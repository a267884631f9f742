import NIOCore
import PeerProtocol
import Wire

/// Turns the bytes of an established connection into batches of frames, one batch per read, and
/// ends the connection at the first violation.
final class FrameHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = FrameBatch

    enum Role {
        /// This node dialed: the other end may not be a node at all, or refuse.
        case dialer
        case acceptor
    }

    private var parser: FrameParser
    private let role: Role
    /// For errors.
    private let address: String
    private var hasSeenFrame = false
    private var hasFailed = false

    init(limit: Int, role: Role, address: String) {
        parser = FrameParser(limit: limit)
        self.role = role
        self.address = address
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

    private func parse(_ context: ChannelHandlerContext) {
        guard !hasFailed else { return }
        do {
            guard let batch = try parser.takeFrames() else { return }
            if role == .dialer, let refusal = try refusal(in: batch) {
                return fail(context, refusal)
            }
            hasSeenFrame = true
            context.fireChannelRead(wrapInboundOut(batch))
        } catch {
            if role == .dialer, !hasSeenFrame {
                let cause =
                    "does not speak the node protocol: is this the address of another service?"
                return fail(context, TransportError(.notANode, address: address, cause: cause))
            }
            fail(context, TransportError(error, address: address))
        }
    }

    private func fail(_ context: ChannelHandlerContext, _ error: TransportError) {
        hasFailed = true
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
        return TransportError(.refused, address: address, cause: "refused: \(text)")
    }
}
