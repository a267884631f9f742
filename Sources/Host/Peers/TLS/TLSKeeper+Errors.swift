import NIOSSL

/// What goes wrong between two ends, in words.
extension TLSKeeper {
    /// `isClosed`: the other end went before it said anything of TLS; `isStranger`: what `PeerCheck`
    /// found, so that the certificate is of the authorities.
    package func describe(
        _ error: any Error
    ) -> (cause: String, isClosed: Bool, isStranger: Bool) {
        switch error {
        case let failure as TLSFailure: return (failure.description, false, true)
        case NIOSSLError.handshakeFailed(.sslError([.eofDuringHandshake])):
            return ("the other end closed the connection: does it speak TLS?", true, false)
        case NIOSSLError.handshakeFailed(let inner): return (Self.reason("\(inner)"), false, false)
        default: return (Self.reason("\(error)"), false, false)
        }
    }

    /// Of BoringSSL's `error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED`.
    private static func reason(_ text: String) -> String {
        guard let mark = text.firstRange(of: "OPENSSL_internal:") else { return text }
        let reason = text[mark.upperBound...].prefix {
            $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_")
        }
        return reason.lowercased().split(separator: "_").joined(separator: " ")
    }
}
