import NIOCore
import NIOSSL
import NIOTLS
import Telemetry

/// Stands behind the handler of a connection that was dialled: the certificate of the other end must be for
/// the host that was meant. swift-nio-ssl also takes one for the address that the connection happens to
/// have, which is whatever a name server said.
final class NameCheck: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    private let host: String

    init(host: String) {
        self.host = host
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent, let failure = failure(context) {
            context.fireErrorCaught(failure)
            return context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func failure(_ context: ChannelHandlerContext) -> TLSFailure? {
        do {
            let handler = try context.pipeline.syncOperations.handler(
                type: NIOSSLClientHandler.self)
            guard let certificate = handler.peerCertificate else {
                return TLSFailure("the other end shows no certificate")
            }
            let facts = CertificateFacts(certificate, path: "")
            if facts.isValid(for: host) { return nil }
            return TLSFailure(
                "the other end's certificate is valid for \(facts.names.joined(separator: ", ")), "
                    + "not \(host)")
        } catch {
            return TLSFailure("the other end's certificate can't be looked at: \(error)")
        }
    }
}
