import NIOCore
import NIOSSL
import NIOTLS
import Telemetry

/// Stands behind the handler that encrypts: the certificate of the other end, which that has found to be of
/// the authorities, must be the one that is meant. Else the connection ends, and nothing of what came
/// along with the handshake gets any further.
final class PeerCheck: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// What is asked of the certificate.
    enum Demand {
        /// To be for the host that was dialled. swift-nio-ssl also takes one for the address that the
        /// connection happens to have, which is whatever a name server said.
        case host(String)
        /// To have exactly this Common Name in its subject.
        case commonName(String)
    }

    private let demand: Demand
    private var hasFailed = false

    init(_ demand: Demand) {
        self.demand = demand
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !hasFailed { context.fireChannelRead(data) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent,
            let failure = failure(context.channel)
        {
            hasFailed = true
            context.fireErrorCaught(failure)
            return context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func failure(_ channel: any Channel) -> TLSFailure? {
        let facts = CertificateFacts(ofPeerOn: channel)
        switch demand {
        case .host(let host):
            guard let facts else { return TLSFailure("the other end shows no certificate") }
            if facts.isValid(for: host) { return nil }
            return TLSFailure(
                "the other end's certificate is valid for \(facts.names.joined(separator: ", ")), "
                    + "not \(host)")
        case .commonName(let name):
            if let own = facts?.commonName, own.utf8.elementsEqual(name.utf8) { return nil }
            return TLSFailure(
                "client did not provide any valid certificate that matches CN \"\(name)\"")
        }
    }
}

extension CertificateFacts {
    /// Of the certificate that the other end has shown, once hands are shaken; nil if there is none. On
    /// the channel's event loop.
    init?(ofPeerOn channel: any Channel) {
        let pipeline = channel.pipeline.syncOperations
        let server = try? pipeline.handler(type: NIOSSLServerHandler.self).peerCertificate
        let client = try? pipeline.handler(type: NIOSSLClientHandler.self).peerCertificate
        guard let certificate = server ?? client else { return nil }
        self.init(certificate, path: "")
    }
}
